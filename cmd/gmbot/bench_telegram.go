package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator/load"
)

// benchTelegramCommand is the other process of a bench: a simulated Telegram with a load in it. It reads a
// load.Spec as its first line, then an order a line, and answers with one benchSays a line.
type benchTelegramCommand struct{}

// The orders, in this order.
const (
	orderWarm = "warm" // a bot is about to poll: let everybody write once
	orderRun  = "run"
)

// benchSays is a line of that process; one of its fields is set.
type benchSays struct {
	Town     *load.Town   `json:"town,omitempty"`
	URL      string       `json:"url,omitempty"` // with Town
	Warm     bool         `json:"warm,omitempty"`
	Progress *float64     `json:"progress,omitempty"`
	Result   *load.Result `json:"result,omitempty"`
	Error    string       `json:"error,omitempty"`
}

// Run is `gmbot bench-telegram`.
func (benchTelegramCommand) Run(ctx context.Context, out io.Writer) error {
	debug.SetGCPercent(400) // its garbage is not what is measured
	orders := bufio.NewScanner(os.Stdin)
	orders.Scan()
	var spec load.Spec
	if err := json.Unmarshal(orders.Bytes(), &spec); err != nil {
		return errors.New("bench-telegram is started by gmbot bench")
	}
	say := json.NewEncoder(out)
	l := load.New(spec)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on loopback: %w", err)
	}
	defer serveSimulator(listener, l.Handler())()
	if err := say.Encode(benchSays{Town: &l.Town, URL: "http://" + listener.Addr().String()}); err != nil {
		return err
	}
	for orders.Scan() {
		if err := obeyBench(ctx, l, orders.Text(), say); err != nil {
			return errors.Join(err, say.Encode(benchSays{Error: err.Error()}))
		}
	}
	return orders.Err()
}

func obeyBench(ctx context.Context, l *load.Load, order string, say *json.Encoder) error {
	switch order {
	case orderWarm:
		if err := l.Warm(ctx); err != nil {
			return err
		}
		return say.Encode(benchSays{Warm: true})
	case orderRun:
		said := time.Now()
		result, err := l.Run(ctx, func(share float64) {
			if time.Since(said) > 250*time.Millisecond {
				said = time.Now()
				_ = say.Encode(benchSays{Progress: &share}) // who reads it is gone: so will this process be
			}
		})
		if err != nil {
			return err
		}
		return say.Encode(benchSays{Result: &result})
	}
	return fmt.Errorf("no such order: %q", order)
}
