package persistence_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/persistence/redistest"
	"github.com/gmbot/gmbot/persistence/stalltest"
	"github.com/gmbot/gmbot/protos"
)

func within(t *testing.T, d time.Duration, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", d, what)
		}
	}
}

func share(t *testing.T, url string, change ...func(o *persistence.SharedOptions)) *persistence.SharedCache {
	t.Helper()
	// A busy machine must not decide what a look finds: those tests that are about late ones say so.
	o := persistence.SharedOptions{URL: url, Bot: 42, Updates: []string{"message", "chat_member"}, LookWithin: 20 * time.Second, Log: zerolog.Nop()}
	for _, f := range change {
		f(&o)
	}
	s, err := persistence.OpenShared(o)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func used(t *testing.T, s *persistence.SharedCache) {
	t.Helper()
	within(t, 20*time.Second, "the cache is used", s.Up)
}

func belief(learned int64) *protos.Belief {
	return &protos.Belief{Verdict: protos.Verdict_INSIDE, LearnedMs: learned, UntilMs: time.Now().Add(time.Hour).UnixMilli(), Pushed: true}
}

func holds(t *testing.T, s *persistence.SharedCache, user int64) func() bool {
	return func() bool { _, ok := s.Look(t.Context(), -1, user); return ok }
}

// learn notes something and waits until it is there.
func learn(t *testing.T, s *persistence.SharedCache, user int64) {
	t.Helper()
	s.Put(-1, user, belief(1000))
	within(t, 20*time.Second, "it is stored", holds(t, s, user))
}

func TestShared_OutlivesTheProgram(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := share(t, server.URL())
	used(t, a)
	learn(t, a, 7)
	assert.False(t, holds(t, a, 8)())
	a.Close()
	assert.False(t, holds(t, a, 7)(), "a closed one knows nothing")
	b := share(t, server.URL())
	used(t, b)
	got, ok := b.Look(t.Context(), -1, 7)
	require.True(t, ok)
	assert.Equal(t, int64(1000), got.GetLearnedMs())
	assert.True(t, got.GetPushed())
	b.Drop(-1, 7)
	within(t, 20*time.Second, "it is forgotten", func() bool { return !holds(t, b, 7)() })
	other := share(t, server.URL(), func(o *persistence.SharedOptions) { o.Bot = 43 })
	used(t, other)
	learn(t, b, 9)
	assert.False(t, holds(t, other, 9)(), "bots know nothing of each other")
}

func TestShared_TheLastWordCounts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := share(t, server.URL())
	used(t, a)
	for i := range int64(1000) {
		a.Put(-1, 7, belief(i))
	}
	a.Drop(-1, 7)
	a.Put(-1, 7, belief(2000))
	learn(t, a, 8)
	got, ok := a.Look(t.Context(), -1, 7)
	require.True(t, ok)
	assert.Equal(t, int64(2000), got.GetLearnedMs())
	ended := belief(3000)
	ended.UntilMs = time.Now().UnixMilli() - 1
	a.Put(-1, 8, ended)
	within(t, 20*time.Second, "what is not believed any more is not kept", func() bool { return !holds(t, a, 8)() })
}

func TestShared_OthersHearOfChangesWithin50ms(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var mu sync.Mutex
	heard := map[string]time.Time{}
	a := share(t, server.URL())
	used(t, a)
	b := share(t, server.URL(), func(o *persistence.SharedOptions) {
		o.Changed = func(channel, user int64) {
			mu.Lock()
			defer mu.Unlock()
			heard[fmt.Sprint(channel, user)] = time.Now()
		}
	})
	used(t, b)
	learn(t, a, 1) // whatever starting up costs
	var took []time.Duration
	for user := int64(2); user < 20; user++ {
		sent := time.Now()
		a.Put(-5, user, belief(1))
		within(t, 20*time.Second, "the other one hears", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return !heard[fmt.Sprint(-5, user)].IsZero()
		})
		mu.Lock()
		took = append(took, heard[fmt.Sprint(-5, user)].Sub(sent))
		mu.Unlock()
	}
	slices.Sort(took)
	assert.Less(t, took[len(took)/2], 50*time.Millisecond, "as a rule, whatever the machine did meanwhile: %v", took)
	learn(t, b, 30)
	mu.Lock()
	defer mu.Unlock()
	assert.NotContains(t, heard, fmt.Sprint(-1, 30), "nobody hears of what they said")
}

func TestShared_MayBeMissingAtAnyTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ take, give func(s *redistest.Server) }{
		"killed": {(*redistest.Server).Kill, (*redistest.Server).Run},
		"frozen": {(*redistest.Server).Freeze, (*redistest.Server).Thaw},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.New(t)
			reg := prometheus.NewRegistry()
			s := share(t, server.URL(), func(o *persistence.SharedOptions) { o.Registry, o.LookWithin = reg, 0 })
			assert.False(t, holds(t, s, 7)(), "missing at start")
			server.Run()
			used(t, s)
			learn(t, s, 7)
			c.take(server)
			for range 3 {
				assert.Less(t, stalltest.Took(func() { holds(t, s, 7)() }), 500*time.Millisecond, "a look ends soon") // its own bound is 50 ms
			}
			s.Put(-1, 8, belief(1)) // cannot arrive
			within(t, 20*time.Second, "it is not used any more", func() bool { return !s.Up() })
			took := stalltest.Took(func() {
				for i := range int64(10_000) {
					s.Put(-1, i, belief(1))
					_, ok := s.Look(t.Context(), -1, i)
					assert.False(t, ok)
				}
			})
			assert.Less(t, took, time.Second, "and costs nothing")
			c.give(server)
			used(t, s)
			assert.False(t, holds(t, s, 7)(), "what was known before the gap is not believed: a leave may have been missed")
			learn(t, s, 9)
		})
	}
}

// A look that is late is a miss, and no more: the server had only been busy for a moment, and no change was lost.
func TestShared_ALateLookLosesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := share(t, server.URL(), func(o *persistence.SharedOptions) { o.LookWithin = 0 })
	for again := true; again; {
		used(t, s)
		s.Put(-1, 7, belief(1000))
		within(t, 20*time.Second, "it is stored", func() bool { return len(server.Keys("*:-1:7")) == 1 })
		began := time.Now()
		server.Freeze()
		assert.False(t, holds(t, s, 7)())
		server.Thaw()
		within(t, 20*time.Second, "it is found again, or given up", func() bool { return !s.Up() || holds(t, s, 7)() })
		again = !s.Up()
		// Only a machine that stood still for a second may have it given up; then this said nothing.
		require.True(t, !again || time.Since(began) > time.Second, "given up after %s", time.Since(began))
		server.Forget("*:-1:7")
	}
}

func TestShared_Full(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := share(t, server.URL())
	used(t, s)
	learn(t, s, 7)
	admin, err := rueidis.NewClient(rueidis.MustParseURL(server.URL()))
	require.NoError(t, err)
	defer admin.Close()
	limit := func(bytes string) {
		require.NoError(t, admin.Do(t.Context(), admin.B().ConfigSet().ParameterValue().ParameterValue("maxmemory", bytes).Build()).Error())
	}
	limit("1")
	s.Put(-1, 8, belief(1))
	within(t, 20*time.Second, "a full one is not used", func() bool { return !s.Up() })
	limit("0")
	used(t, s)
	learn(t, s, 9)
}

func TestShared_BelievesNothingFromAGapOfADay(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := share(t, server.URL())
	used(t, a)
	learn(t, a, 7)
	a.Close()
	other := share(t, server.URL(), func(o *persistence.SharedOptions) { o.Updates = []string{"message"} })
	used(t, other)
	assert.False(t, holds(t, other, 7)(), "other updates were asked for")
	learn(t, other, 8)
	other.Close()

	admin, err := rueidis.NewClient(rueidis.MustParseURL(server.URL()))
	require.NoError(t, err)
	defer admin.Close()
	note, err := admin.Do(t.Context(), admin.B().Get().Key("gmbot:42:listening").Build()).ToString()
	require.NoError(t, err)
	long := fmt.Sprint(time.Now().Add(-25*time.Hour).UnixMilli()) + note[13:]
	require.NoError(t, admin.Do(t.Context(), admin.B().Set().Key("gmbot:42:listening").Value(long).Build()).Error())
	late := share(t, server.URL(), func(o *persistence.SharedOptions) { o.Updates = []string{"message"} })
	used(t, late)
	assert.False(t, holds(t, late, 8)(), "nobody listened for a day")
}

// lines collects a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestShared_KeepsThePasswordToItself(t *testing.T) {
	t.Parallel()
	require.Error(t, persistence.CheckRedisURL("redis://:hunter2@host:port"))
	assert.NotContains(t, persistence.CheckRedisURL("redis://:hunter2@host:port").Error(), "hunter2")
	var said lines
	server := redistest.Start(t, "--requirepass", "other")
	s := share(t, "unix://:hunter2@"+server.URL()[len("unix://"):], func(o *persistence.SharedOptions) { o.Log = zerolog.New(&said) })
	within(t, 20*time.Second, "it says that it cannot", func() bool { return strings.Contains(said.String(), "cannot be used") })
	s.Close()
	assert.NotContains(t, said.String(), "hunter2")
}
