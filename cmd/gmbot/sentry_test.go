package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/actors"
)

// fakeSentry takes envelopes as Sentry does. Source: Sentry's developer documentation, Envelopes.
type fakeSentry struct {
	*httptest.Server

	mu     sync.Mutex
	raw    strings.Builder
	events []sentryEvent
}

type sentryEvent struct {
	EventID     string            `json:"event_id"`
	Release     string            `json:"release"`
	Environment string            `json:"environment"`
	Tags        map[string]string `json:"tags"`
	Contexts    map[string]map[string]any
	User        struct{ ID string }
	ServerName  string `json:"server_name"`
	Exception   []struct {
		Type, Value string
		Stacktrace  struct {
			Frames []struct{ Function, Module string }
		}
	}
}

func startSentry(t *testing.T) *fakeSentry {
	t.Helper()
	f := &fakeSentry{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			body, _ = gzip.NewReader(body)
		}
		raw, err := io.ReadAll(body)
		if err != nil || !strings.HasSuffix(r.URL.Path, "/api/7/envelope/") {
			http.Error(w, "no envelope", http.StatusBadRequest)
			return
		}
		f.take(t, raw)
		_, _ = w.Write([]byte(`{"id":"1"}`))
	}))
	t.Cleanup(f.Close)
	return f
}

// take reads an envelope: a header, and then items, each with a header that says its length.
func (f *fakeSentry) take(t *testing.T, raw []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.raw.Write(raw)
	lines := bufio.NewReader(bytes.NewReader(raw))
	if _, err := lines.ReadBytes('\n'); err != nil {
		t.Errorf("an envelope without a header: %s", raw)
		return
	}
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil || len(bytes.TrimSpace(line)) == 0 {
			return
		}
		var head struct {
			Type   string
			Length int
		}
		if err := json.Unmarshal(line, &head); err != nil {
			t.Errorf("an item without a header: %s", line)
			return
		}
		payload := make([]byte, head.Length)
		if head.Length == 0 {
			payload, _ = lines.ReadBytes('\n')
		} else if _, err := io.ReadFull(lines, payload); err != nil {
			t.Errorf("an item that is too short: %s", raw)
			return
		}
		if head.Type != "event" {
			continue
		}
		var e sentryEvent
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Errorf("an event that is none: %s", payload)
			return
		}
		f.events = append(f.events, e)
	}
}

func (f *fakeSentry) dsn() string {
	return strings.Replace(f.URL, "http://", "http://publickey@", 1) + "/7"
}

func (f *fakeSentry) got() ([]sentryEvent, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.events, f.raw.String()
}

const sentryToken = "123456:AAAbbbCCCdddEEEfffGGGhhh"

func newTestReporter(t *testing.T, f *fakeSentry, hash bool) *reporter {
	t.Helper()
	set := settings{BotToken: sentryToken, SentryDSN: f.dsn(), SentryEnvironment: "staging", SentryHashIDs: hash, DatabaseURL: "postgres://gm:hunter2!@h/db"}
	r, err := newReporter(set, redactor(set.secrets()...), prometheus.NewRegistry())
	require.NoError(t, err)
	return r
}

func panicStack() []uintptr {
	stack := make([]uintptr, 16)
	return stack[:runtime.Callers(1, stack)]
}

func TestSentry_APanicWithStackAndPath(t *testing.T) {
	t.Parallel()
	for _, hash := range []bool{true, false} {
		f := startSentry(t)
		r := newTestReporter(t, f, hash)
		r.incident(actors.Incident{
			Kind: actors.IncidentPanic, Where: "router12$3/group-1000500000006$2F/v500000003$2L", Stack: panicStack(),
			Words:  "boom with " + sentryToken + ", hunter2! and https://t.me/+AbCdEfGhIj for 500000003",
			ChatID: -1000500000006, UserID: 500000003, UpdateID: 77,
		})
		r.flush()
		eventually(t, 20*time.Second, "the report arrives", func() bool { events, _ := f.got(); return len(events) > 0 }) // a flush waits for a second
		events, raw := f.got()
		require.Len(t, events, 1)
		e := events[0]
		assert.Equal(t, "gmbot@"+version(), e.Release)
		assert.Equal(t, "staging", e.Environment)
		assert.Empty(t, e.ServerName)
		assert.Equal(t, "panic", e.Tags["kind"])
		assert.True(t, strings.HasPrefix(e.Tags["where"], "router12$3/group"), e.Tags["where"])
		frames := e.Exception[0].Stacktrace.Frames
		assert.Contains(t, []string{frames[len(frames)-1].Function, frames[len(frames)-2].Function}, "panicStack", "the innermost comes last")
		assert.Equal(t, "77", e.Contexts["about"]["update"])
		assert.Equal(t, r.id(-1000500000006), e.Contexts["about"]["chat"])
		assert.Equal(t, r.id(500000003), e.User.ID)
		assert.Equal(t, !hash, strings.Contains(raw, "500000003"), "ids are hidden, and only if that is wished")
		secrets{"AAAbbb", "hunter2!"}.check(t, "the report holds", raw)
	}
}

func TestSentry_HoldsBackFloods(t *testing.T) {
	t.Parallel()
	f := startSentry(t)
	r := newTestReporter(t, f, true)
	for range 50 {
		r.store("disk", errors.New("no space left on device"))
	}
	r.incident(actors.Incident{Kind: actors.IncidentAPI, Where: "restrict", Words: "OUR_MISTAKE"})
	r.flush()
	eventually(t, 20*time.Second, "the reports arrive", func() bool { events, _ := f.got(); return len(events) > reportsAtOnce })
	events, _ := f.got()
	assert.Len(t, events, reportsAtOnce+1, "one kind does not silence another")
	assert.InDelta(t, 50-reportsAtOnce, testutil.ToFloat64(r.sent.WithLabelValues("store", "held_back")), 0)
}

func TestSentry_WithoutDSNNothingIsSent(t *testing.T) {
	t.Parallel()
	r, err := newReporter(settings{}, redactor(), prometheus.NewRegistry())
	require.NoError(t, err)
	assert.NotPanics(t, func() {
		r.incident(actors.Incident{})
		r.store("disk", errors.New("x"))
		r.flush()
	})
}
