package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// checkEvery is how often the parts are asked when nobody looks, so that it is known since when one fails.
	checkEvery = 5 * time.Second
	// checkFresh is how old an answer may be that is shown, however many look.
	checkFresh = time.Second
	// checkWithin bounds one round of questions.
	checkWithin = 2 * time.Second
)

// status is what the endpoints show. It is safe for concurrent use.
type status struct {
	began   time.Time
	version string

	mu     sync.Mutex
	ready  func() (bool, string)
	live   func(context.Context) error
	checks map[string]func(context.Context) error
	faults map[string]func() string

	asking sync.Mutex // one round at a time
	last   time.Time  // of the last round
	known  map[string]check
}

func newStatus(version string) *status {
	return &status{
		began: time.Now(), version: version, checks: map[string]func(context.Context) error{}, faults: map[string]func() string{},
		ready: func() (bool, string) { return false, "starting" }, live: func(context.Context) error { return nil },
		known: map[string]check{},
	}
}

// readyWhen says whom to ask whether updates are being taken.
func (s *status) readyWhen(f func() (bool, string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = f
}

// because answers "not ready" with a reason, until somebody better can be asked.
func (s *status) because(reason string) { s.readyWhen(func() (bool, string) { return false, reason }) }

// liveWhen says whom to ask whether the program turns.
func (s *status) liveWhen(f func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = f
}

// check adds a part that is asked now and then.
func (s *status) check(name string, f func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checks[name] = f
}

// fault adds something that may be wrong without keeping updates from being taken; its words are empty while
// it is not. It must not block.
func (s *status) fault(name string, words func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[name] = words
}

func (s *status) isReady() (bool, string) {
	s.mu.Lock()
	f := s.ready
	s.mu.Unlock()
	return f()
}

func (s *status) isLive(ctx context.Context) error {
	s.mu.Lock()
	f := s.live
	s.mu.Unlock()
	return f(ctx)
}

// but is what is wrong although updates are taken, for a person.
func (s *status) but() string {
	s.mu.Lock()
	faults := maps.Clone(s.faults)
	s.mu.Unlock()
	var words []string
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		if w := faults[name](); w != "" {
			words = append(words, w)
		}
	}
	return strings.Join(words, "; ")
}

// health is the JSON of /health.
type health struct {
	Status        string           `json:"status"` // ok or degraded
	Version       string           `json:"version"`
	UptimeSeconds int64            `json:"uptime_seconds"`
	Checks        map[string]check `json:"checks"`
}

// check is what became known of one part.
type check struct {
	OK        bool      `json:"ok"`
	Reason    string    `json:"reason,omitempty"`
	LatencyMs float64   `json:"latency_ms"`
	Since     time.Time `json:"since"` // when it became so
}

func (s *status) health(ctx context.Context) health {
	h := health{Status: "ok", Version: s.version, UptimeSeconds: int64(time.Since(s.began).Seconds()), Checks: s.ask(ctx)}
	for _, c := range h.Checks {
		if !c.OK {
			h.Status = "degraded"
		}
	}
	return h
}

// ask asks every part, unless that was just done. Whether updates are taken costs nothing to ask, and is never old.
func (s *status) ask(ctx context.Context) map[string]check {
	s.asking.Lock()
	defer s.asking.Unlock()
	ready, reason := s.isReady()
	s.learn("updates", check{OK: ready, Reason: reason})
	s.mu.Lock()
	checks := maps.Clone(s.checks)
	s.mu.Unlock()
	if time.Since(s.last) < checkFresh && len(s.known) == len(checks)+1 {
		return maps.Clone(s.known)
	}
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	var all sync.WaitGroup
	answers := make(map[string]*check, len(checks))
	for name, f := range checks {
		c := &check{}
		answers[name] = c
		all.Go(func() {
			began := time.Now()
			c.OK = f(ctx) == nil
			c.LatencyMs = float64(time.Since(began).Microseconds()) / 1000
		})
	}
	all.Wait()
	for name, c := range answers {
		if !c.OK {
			c.Reason = "does not answer" // an error's own words may hold an address
		}
		s.learn(name, *c)
	}
	s.last = time.Now()
	return maps.Clone(s.known)
}

func (s *status) learn(name string, c check) {
	before, had := s.known[name]
	c.Since = before.Since
	if !had || before.OK != c.OK {
		c.Since = time.Now().UTC().Truncate(time.Millisecond)
	}
	s.known[name] = c
}

// watch asks every part now and then, until ctx ends.
func (s *status) watch(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		s.ask(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
