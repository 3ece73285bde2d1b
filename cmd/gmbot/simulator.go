package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator"
)

type simulatorCommand struct {
	Addr     string `default:"127.0.0.1:8081" help:"Address to serve on."`
	Token    string `help:"Token of the bot it knows; empty: one is made up." placeholder:"123456:ABC…"`
	Username string `default:"gate_bot" help:"Username of that bot."`
}

// Run is `gmbot simulator`.
func (s *simulatorCommand) Run(ctx context.Context, out io.Writer) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("--addr: cannot be listened on: %s", s.Addr)
	}
	sim := simulator.New(simulator.Options{})
	bot := sim.NewBotToken(s.Username, s.Token)
	stop := serveSimulator(l, sim.Handler())
	base := "http://" + l.Addr().String()
	_, err = fmt.Fprintf(out, `A simulated Telegram is on %[1]s

Point a bot at it:
  TELEGRAM_API_URL=%[1]s BOT_TOKEN=%[2]s gmbot run

Act as people:
  curl %[1]s/control/user -d '{"first_name":"Olga"}'
  curl %[1]s/control/supergroup -d '{"title":"Garden","owner":OLGA}'
  curl %[1]s/control/promote -d '{"chat":GARDEN,"by":OLGA,"user":%[3]d,"rights":["can_restrict_members","can_delete_messages"]}'
  curl %[1]s/control/write -d '{"chat":GARDEN,"user":OLGA,"text":"/help"}'
  curl '%[1]s/control/messages?chat=GARDEN'

Ctrl-C ends it.
`, base, bot.Token, bot.ID)
	if err == nil {
		<-ctx.Done()
	}
	stop()
	return err
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
