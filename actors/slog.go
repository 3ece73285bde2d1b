package actors

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
)

// NewSlog sends what a library logs the same way as everything else.
func NewSlog(log zerolog.Logger) *slog.Logger {
	return slog.New(plainSlog{zerolog.NewSlogHandler(log)})
}

// AdoptSlog does that with everything the standard library's own loggers are given.
func AdoptSlog(log zerolog.Logger) { slog.SetDefault(NewSlog(log)) }

// AdoptHTTP does that with a server's complaints. Whoever knocks without TLS, or hangs up, is not worth more
// than a debug line.
func AdoptHTTP(srv *http.Server, log zerolog.Logger) {
	srv.ErrorLog = slog.NewLogLogger(NewSlog(log).Handler(), slog.LevelDebug)
}

func slogOf(log zerolog.Logger) func(*actor.ActorSystem) *slog.Logger {
	return func(*actor.ActorSystem) *slog.Logger { return NewSlog(log) }
}

// plainSlog renames an attribute that would collide with the line's own message. A letter to an actor that has
// ended is ordinary here, for groups and flows end when they are done; those that matter are counted and
// their updates come again.
type plainSlog struct{ slog.Handler }

// Handle implements slog.Handler.
func (h plainSlog) Handle(ctx context.Context, r slog.Record) error {
	level := r.Level
	if r.Message == "[DeadLetter]" {
		if level = slog.LevelDebug; !h.Enabled(ctx, level) {
			return nil
		}
	}
	clean := slog.NewRecord(r.Time, level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == zerolog.MessageFieldName {
			a.Key = "about"
		}
		clean.AddAttrs(a)
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (h plainSlog) WithAttrs(attrs []slog.Attr) slog.Handler {
	return plainSlog{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h plainSlog) WithGroup(name string) slog.Handler { return plainSlog{h.Handler.WithGroup(name)} }
