package main

import (
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/telegram"
)

// newLog makes the one logger. Every line goes through redaction, whoever wrote it.
func newLog(out io.Writer, level, format string) zerolog.Logger {
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		parsed = zerolog.InfoLevel
	}
	out = redacting{out}
	if format == "console" {
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.TimeOnly, NoColor: !isTerminal(out)}
	}
	return zerolog.New(out).Level(parsed).With().Timestamp().Logger()
}

// redacting takes secrets out of whole lines on their way out.
type redacting struct{ to io.Writer }

func (r redacting) Write(line []byte) (int, error) {
	if _, err := io.WriteString(r.to, telegram.Redact(string(line))); err != nil {
		return 0, err
	}
	return len(line), nil
}

func isTerminal(w io.Writer) bool {
	if r, ok := w.(redacting); ok {
		w = r.to
	}
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
