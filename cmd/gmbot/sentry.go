package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/getsentry/sentry-go"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/gmbot/gmbot/actors"
)

const (
	// reportsAtOnce of each kind are sent at once, and then one every reportEvery: the first ones of a fault
	// say what it is, and the others would only cost money.
	reportsAtOnce = 5
	reportEvery   = 30 * time.Second
	// flushWithin is what the last reports may take when the program ends.
	flushWithin = time.Second
)

// reporter sends incidents to Sentry. Its nil pointer sends nothing. It is safe for concurrent use.
type reporter struct {
	client *sentry.Client
	redact func(string) string
	key    []byte // hides ids; nil: they are sent as they are
	sent   *prometheus.CounterVec

	mu     sync.Mutex
	limits map[actors.IncidentKind]*rate.Limiter
}

// newReporter makes a reporter; nil without a DSN.
func newReporter(set settings, redact func(string) string, reg prometheus.Registerer) (*reporter, error) {
	if set.SentryDSN == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	r := &reporter{redact: redact, limits: map[actors.IncidentKind]*rate.Limiter{}, sent: registerReports(reg)}
	if set.SentryHashIDs {
		// With a key of the bot's own nobody finds ids by hashing all there are.
		key := sha256.Sum256([]byte("sentry ids " + set.BotToken))
		r.key = key[:]
	}
	client, err := sentry.NewClient(sentry.ClientOptions{
		Dsn: set.SentryDSN, Release: "gmbot@" + version(), Environment: set.SentryEnvironment,
		MaxBreadcrumbs: -1, DataCollection: &sentry.DataCollection{},
		Integrations: func([]sentry.Integration) []sentry.Integration { return nil }, // nothing is sent but what stands here
		BeforeSend:   func(e *sentry.Event, _ *sentry.EventHint) *sentry.Event { return r.clean(e) },
	})
	if err != nil {
		return nil, settingErrors{{"SENTRY_DSN", "is no DSN", "as Sentry shows it, for example https://key@sentry.example.com/1"}}
	}
	r.client = client
	return r, nil
}

func registerReports(reg prometheus.Registerer) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "gmbot", Subsystem: "sentry", Name: "reports_total",
		Help: "Incidents, by kind and what became of their report: sent, or held back since there were too many; missing without SENTRY_DSN.",
	}, []string{"kind", "outcome"})
	reg.MustRegister(v)
	return v
}

// incident reports what an actor tells.
func (r *reporter) incident(i actors.Incident) {
	if r == nil || !r.allowed(i.Kind) {
		return
	}
	e := sentry.NewEvent()
	e.Level = sentry.LevelError
	e.Fingerprint = []string{string(i.Kind), digits.ReplaceAllString(i.Where, "#"), digits.ReplaceAllString(i.Words, "#")}
	e.Tags = map[string]string{"kind": string(i.Kind), "where": i.Where}
	e.Exception = []sentry.Exception{{Type: string(i.Kind) + " in " + digits.ReplaceAllString(i.Where, "#"), Value: i.Words, Stacktrace: stackOf(i.Stack)}}
	about := map[string]any{}
	for name, id := range map[string]int64{"chat": i.ChatID, "user": i.UserID} {
		if id != 0 {
			about[name] = r.id(id)
		}
	}
	if i.UserID != 0 {
		e.User = sentry.User{ID: r.id(i.UserID)}
	}
	if i.UpdateID != 0 {
		about["update"] = strconv.FormatInt(i.UpdateID, 10)
	}
	e.Contexts["about"] = about
	r.client.CaptureEvent(e, nil, nil)
}

// store reports what the database tells.
func (r *reporter) store(kind string, err error) {
	r.incident(actors.Incident{Kind: actors.IncidentStore, Where: "database, " + kind, Words: err.Error()})
}

func (r *reporter) allowed(kind actors.IncidentKind) bool {
	r.mu.Lock()
	l := r.limits[kind]
	if l == nil {
		l = rate.NewLimiter(rate.Every(reportEvery), reportsAtOnce)
		r.limits[kind] = l
	}
	r.mu.Unlock()
	if !l.Allow() {
		r.sent.WithLabelValues(string(kind), "held_back").Inc()
		return false
	}
	r.sent.WithLabelValues(string(kind), "sent").Inc()
	return true
}

// flush waits for what is on its way.
func (r *reporter) flush() {
	if r != nil {
		r.client.Flush(flushWithin)
	}
}

// digits are what may be the id of a chat or person.
var digits = regexp.MustCompile(`-?\d{5,}`)

// id is how a chat or person is named in a report: always the same, and not to be turned back.
func (r *reporter) id(id int64) string {
	if r.key == nil {
		return strconv.FormatInt(id, 10)
	}
	mac := hmac.New(sha256.New, r.key)
	_, _ = fmt.Fprint(mac, id)
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// text takes secrets out of a text, and hides ids.
func (r *reporter) text(s string) string {
	s = r.redact(s)
	if r.key == nil {
		return s
	}
	return digits.ReplaceAllStringFunc(s, func(found string) string {
		id, err := strconv.ParseInt(found, 10, 64)
		if err != nil {
			return "#"
		}
		return r.id(id)
	})
}

// clean is the last look at a report before it leaves.
func (r *reporter) clean(e *sentry.Event) *sentry.Event {
	e.Message, e.ServerName, e.Modules = r.text(e.Message), "", nil
	for i := range e.Exception {
		e.Exception[i].Type, e.Exception[i].Value = r.text(e.Exception[i].Type), r.text(e.Exception[i].Value)
	}
	for name, value := range e.Tags {
		e.Tags[name] = r.text(value)
	}
	for i := range e.Fingerprint {
		e.Fingerprint[i] = r.text(e.Fingerprint[i])
	}
	return e
}

// stackOf turns program counters into Sentry's frames, which begin with the outermost.
func stackOf(counters []uintptr) *sentry.Stacktrace {
	if len(counters) == 0 {
		return nil
	}
	var frames []sentry.Frame
	for all := runtime.CallersFrames(counters); ; {
		f, more := all.Next()
		frame := sentry.NewFrame(f)
		frame.InApp = strings.HasPrefix(frame.Module, "github.com/gmbot/gmbot")
		frames = append([]sentry.Frame{frame}, frames...)
		if !more {
			return &sentry.Stacktrace{Frames: frames}
		}
	}
}
