package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/telegram/simulator"
	"github.com/gmbot/gmbot/telegram/simulator/page"
)

type demoCommand struct {
	HTTPAddr string `name:"http-addr" default:"127.0.0.1:8000" help:"Address of the page; another free port is taken when it is in use."`
	Once     bool   `help:"End after the story; the exit status says whether all of it went as it should."`
}

// Run is `gmbot demo`: a simulated Telegram, the real bot on it over HTTP, and a day in one group.
func (d *demoCommand) Run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "gmbot-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	st := newStage(out)
	sim := simulator.New(simulator.Options{
		OnEvent: st.see, Latency: func(string) time.Duration { return 30 * time.Millisecond },
		Switches: simulator.Switches{MessageLimits: true},
	})
	st.sim = sim
	bot := sim.NewBot("gate_bot")
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on loopback: %w", err)
	}
	api, err := listenNear(ctx, d.HTTPAddr)
	if err != nil {
		return err
	}
	gate := newBot(settings{
		BotToken: bot.Token, TelegramAPIURL: "http://" + api.Addr().String(), DatabaseURL: "sqlite://" + filepath.Join(dir, "gmbot.db"),
		MessagesPerSecond: 28, MessagesPerGroupMinute: 18,
	}, zerolog.Nop())
	view := page.New(page.Options{Sim: sim, Bot: bot, Think: gate.chat})
	defer view.Close()
	defer serveSimulator(api, withPage(sim, view))()
	life, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- gate.run(life, l) }()
	st.bot = bot
	st.title(bot.Username, "http://"+api.Addr().String())
	err = st.play(life)
	if err == nil && !d.Once {
		st.farewell("http://"+api.Addr().String(), "http://"+l.Addr().String())
		select {
		case <-ctx.Done():
		case err := <-ended:
			return err
		}
	}
	stop()
	select {
	case late := <-ended:
		err = errors.Join(err, late)
	case <-time.After(900 * time.Millisecond): // a demo keeps nothing, so nothing needs a long goodbye
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// listenNear listens on an address, or on any free port of the same host.
func listenNear(ctx context.Context, addr string) (net.Listener, error) {
	if l, err := listen(ctx, addr); err == nil {
		return l, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, settingErrors{{"HTTP_ADDR", "is no address", "for example 127.0.0.1:8000"}}
	}
	return listen(ctx, net.JoinHostPort(host, "0"))
}
