package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator"
	"github.com/gmbot/gmbot/telegram/simulator/page"
)

type simulatorCommand struct {
	Addr     string   `default:"127.0.0.1:8081" help:"Address to serve on."`
	Token    string   `help:"Token of the bot it knows; empty: one is made up." placeholder:"123456:ABC…"`
	Username string   `default:"gate_bot" help:"Username of that bot."`
	Faults   string   `help:"File of faults that happen, in YAML or JSON; see docs/simulator.md." placeholder:"FILE" type:"path"`
	Seed     uint64   `help:"What faults draw from: the same seed and the same calls meet the same faults."`
	Switch   []string `help:"Other positions where Telegram's behaviour is not established, for example MessageLimits or CallbackWindow=40s; see docs/simulator.md." placeholder:"NAME"`
	Page     bool     `help:"Serve a page on / on which one can play in the world."`
}

// Run is `gmbot simulator`.
func (s *simulatorCommand) Run(ctx context.Context, out io.Writer) error {
	faults, err := s.faults()
	if err != nil {
		return err
	}
	var switches simulator.Switches
	if err := switches.Turn(s.Switch...); err != nil {
		return fmt.Errorf("--switch: %w", err)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("--addr: cannot be listened on: %s", s.Addr)
	}
	sim := simulator.New(simulator.Options{Seed: s.Seed, Switches: switches, LocalWebhooks: true})
	for _, f := range faults {
		sim.Fail(f)
	}
	bot := sim.NewBotToken(s.Username, s.Token)
	handler, on := sim.Handler(), ""
	if s.Page {
		view := page.New(page.Options{Sim: sim, Bot: bot})
		defer view.Close()
		handler, on = withPage(sim, view), ", and a page to play on with it"
	}
	stop := serveSimulator(l, handler)
	base := "http://" + l.Addr().String()
	_, err = fmt.Fprintf(out, `A simulated Telegram is on %[1]s%[4]s

Point a bot at it:
  TELEGRAM_API_URL=%[1]s BOT_TOKEN=%[2]s gmbot run

Act as people:
  curl %[1]s/control/user -d '{"first_name":"Olga"}'
  curl %[1]s/control/supergroup -d '{"title":"Garden","owner":OLGA}'
  curl %[1]s/control/promote -d '{"chat":GARDEN,"by":OLGA,"user":%[3]d,"rights":["can_restrict_members","can_delete_messages"]}'
  curl %[1]s/control/write -d '{"chat":GARDEN,"user":OLGA,"text":"/help"}'
  curl '%[1]s/control/messages?chat=GARDEN'

Ctrl-C ends it.
`, base, bot.Token, bot.ID, on)
	if err == nil {
		<-ctx.Done()
	}
	stop()
	return err
}

// faults reads the file of faults, if there is one.
func (s *simulatorCommand) faults() ([]simulator.Fault, error) {
	if s.Faults == "" {
		return nil, nil
	}
	f, err := os.Open(s.Faults)
	if err != nil {
		return nil, fmt.Errorf("--faults: cannot be read: %w", err)
	}
	defer func() { _ = f.Close() }()
	faults, err := simulator.ReadFaults(f)
	if err != nil {
		return nil, fmt.Errorf("--faults: %s: %w", s.Faults, err)
	}
	return faults, nil
}

// serveSimulator serves until the function it returns is called; a waiting poll does not hold it up.
func serveSimulator(l net.Listener, h http.Handler) (stop func()) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = srv.Serve(l)
	}()
	return func() {
		_ = srv.Close()
		<-ended
	}
}
