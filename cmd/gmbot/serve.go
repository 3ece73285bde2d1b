package main

import (
	"context"
	"net"
	"time"
)

// answerWithin bounds an answer of the endpoints and of the webhook.
const answerWithin = 30 * time.Second

// defaultDebugAddr is where the debug pages are when nothing else is said.
const defaultDebugAddr = "127.0.0.1:6060"

// serve begins to answer on HTTP_ADDR, which is bound, and on DEBUG_ADDR. What it returns ends both.
func (b *bot) serve(ctx context.Context, l net.Listener) (stop func(), err error) {
	b.status.liveWhen(b.turns)
	debug, err := b.listenDebug(ctx)
	if err != nil {
		return nil, err
	}
	stops := []func(context.Context){serve(ctx, l, bounded(requestsAtOnce, b.status.handler(b.reg)), answerWithin, b.log)}
	if debug != nil {
		b.log.Info().Str("debug", debug.Addr().String()).Msg("debug pages are served")
		stops = append(stops, serve(ctx, debug, bounded(requestsAtOnce, b.debugHandler(redactor(b.set.secrets()...))), debugWithin, b.log))
	}
	life, end := context.WithCancel(ctx)
	go b.status.watch(life)
	return func() {
		end()
		bye, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		for _, one := range stops {
			one(bye)
		}
	}, nil
}

// listenDebug binds DEBUG_ADDR; nil where there are to be no debug pages. That the default is taken, by a
// second bot on the machine, is no reason not to run.
func (b *bot) listenDebug(ctx context.Context) (net.Listener, error) {
	if b.set.DebugAddr == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", b.set.DebugAddr)
	switch {
	case err == nil:
		return l, nil
	case b.set.DebugAddr == defaultDebugAddr:
		b.log.Info().Msg("another program listens on the default DEBUG_ADDR: there are no debug pages")
		return nil, nil //nolint:nilnil // it goes without
	}
	return nil, settingErrors{{"DEBUG_ADDR", "cannot be listened on: " + b.set.DebugAddr, "name a free one, for example 127.0.0.1:6060, or nothing"}}
}
