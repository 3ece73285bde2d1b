package main

import (
	"cmp"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/telegram"
)

const (
	// sameLines of one message in a second are printed; of more only the first after it says how many there were.
	sameLines = 20
	// maxMessages bounds the messages that are counted; ours are constants, a library's may not be.
	maxMessages = 1000
)

// newLog makes the one logger. Every line goes through redact, whoever wrote it, and floods are cut.
func newLog(out io.Writer, level, format string, redact func(string) string) zerolog.Logger {
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		parsed = zerolog.InfoLevel
	}
	colour := isTerminal(out)
	out = redacting{out, redact}
	if format == "console" {
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.TimeOnly, NoColor: !colour}
	}
	return zerolog.New(out).Level(parsed).Hook(newDam(time.Now)).With().Timestamp().Logger()
}

// redactor takes secrets out of texts: those of a known shape, and the given ones wherever they stand.
func redactor(secrets ...string) func(string) string {
	var all []string
	for _, s := range secrets {
		if len(s) >= 6 { // a shorter one would tear ordinary words apart, and say where it stood
			all = append(all, spellings(s)...)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) }) // the longest first
	var pairs []string
	for _, s := range slices.Compact(all) {
		pairs = append(pairs, s, "[redacted]")
	}
	known := strings.NewReplacer(pairs...)
	return func(text string) string { return telegram.Redact(known.Replace(text)) }
}

// spellings are how a text may stand in a URL, in a quoted word, and in the JSON of a log line.
func spellings(s string) []string {
	list := []string{s, url.QueryEscape(s), url.PathEscape(s), strings.TrimPrefix(url.UserPassword("", s).String(), ":")}
	list = append(list, strings.Trim(strconv.Quote(s), `"`))
	for _, one := range list {
		line, err := json.Marshal(one)
		if err != nil {
			continue
		}
		// zerolog leaves <, > and & as they are, encoding/json does not.
		list = append(list, strings.Trim(string(line), `"`), strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(strings.Trim(string(line), `"`)))
	}
	return list
}

// redacting takes secrets out of whole lines on their way out.
type redacting struct {
	to     io.Writer
	redact func(string) string
}

func (r redacting) Write(line []byte) (int, error) {
	if _, err := io.WriteString(r.to, r.redact(string(line))); err != nil {
		return 0, err
	}
	return len(line), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// dam cuts floods of the same message. It is safe for concurrent use.
type dam struct {
	now  func() time.Time
	mu   sync.Mutex
	said map[string]*said
}

type said struct {
	since   time.Time
	lines   int
	dropped int
}

func newDam(now func() time.Time) *dam { return &dam{now: now, said: map[string]*said{}} }

// Run implements zerolog.Hook.
func (d *dam) Run(line *zerolog.Event, _ zerolog.Level, message string) {
	pass, dropped := d.pass(message)
	if !pass {
		line.Discard()
		return
	}
	if dropped > 0 {
		line.Int("not_said_before", dropped)
	}
}

// pass says whether a line is printed, and how many like it were not before.
func (d *dam) pass(message string) (pass bool, dropped int) {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.said[message]
	if s == nil {
		if len(d.said) >= maxMessages {
			clear(d.said)
		}
		s = &said{since: now}
		d.said[message] = s
	}
	if now.Sub(s.since) >= time.Second {
		dropped = s.dropped
		*s = said{since: now}
	}
	s.lines++
	if s.lines > sameLines {
		s.dropped++
		return false, 0
	}
	return true, dropped
}
