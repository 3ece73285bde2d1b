package actors

import (
	"math"
	"os"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/protos"
)

func TestCache_IsBounded(t *testing.T) {
	t.Parallel()
	c := NewMembershipCache(100)
	until := noon.Add(time.Hour).UnixMilli()
	for user := range int64(10_000) {
		c.put(membershipKey{theChannel, user}, MembershipEntry{Verdict: inside, UntilMs: until}, 0)
	}
	c.entries.CleanUp() // what is too much goes in the background
	assert.LessOrEqual(t, c.Len(), 100)
	assert.Positive(t, c.Len())
	seen := 0
	for user := range int64(10_000) {
		if _, ok := c.Look(theChannel, user, noon); ok {
			seen++
		}
	}
	assert.LessOrEqual(t, seen, 100)
}

func TestCache_Look(t *testing.T) {
	t.Parallel()
	c := NewMembershipCache(0)
	e := MembershipEntry{Verdict: outside, LearnedMs: noon.UnixMilli(), UntilMs: noon.Add(time.Minute).UnixMilli(), Pushed: true}
	c.put(membershipKey{theChannel, anna}, e, 0)
	for _, one := range []struct {
		name          string
		channel, user int64
		at            time.Time
		want          bool
	}{
		{"just learned", theChannel, anna, noon, true},
		{"a millisecond before its end", theChannel, anna, noon.Add(time.Minute - time.Millisecond), true},
		{"at its end", theChannel, anna, noon.Add(time.Minute), false},
		{"long after", theChannel, anna, noon.Add(24 * time.Hour), false},
		{"somebody else", theChannel, boris, noon, false},
		{"somewhere else", theGroup, anna, noon, false},
		{"the wrong way round", anna, theChannel, noon, false},
	} {
		got, ok := c.Look(one.channel, one.user, one.at)
		assert.Equal(t, one.want, ok, one.name)
		if ok {
			assert.Equal(t, e, got, one.name)
		} else {
			assert.Zero(t, got, one.name)
		}
	}
	c.drop(membershipKey{theChannel, anna})
	_, ok := c.Look(theChannel, anna, noon)
	assert.False(t, ok)
}

//nolint:paralleltest // allocations of others would be counted
func TestCache_LookAllocatesNothing(t *testing.T) {
	c := NewMembershipCache(1000)
	c.put(membershipKey{theChannel, anna}, MembershipEntry{Verdict: inside, UntilMs: noon.Add(time.Hour).UnixMilli()}, 0)
	var hit, miss bool
	allocs := testing.AllocsPerRun(10_000, func() {
		_, hit = c.Look(theChannel, anna, noon)
		_, miss = c.Look(theChannel, boris, noon)
	})
	require.True(t, hit)
	require.False(t, miss)
	assert.Zero(t, allocs)
}

func TestCache_ReadersAndAWriter(t *testing.T) {
	t.Parallel()
	c := NewMembershipCache(64)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range int64(5000) {
				if e, ok := c.Look(theChannel, i%100, noon); ok && e.LearnedMs != i%100 {
					t.Errorf("the entry of %d for %d", e.LearnedMs, i%100)
				}
			}
		})
	}
	for i := range int64(5000) {
		k := membershipKey{theChannel, i % 100}
		c.put(k, MembershipEntry{Verdict: inside, LearnedMs: k.user, UntilMs: noon.Add(time.Hour).UnixMilli()}, 0)
		if i%7 == 0 {
			c.drop(k)
		}
	}
	wg.Wait()
}

func TestBelieveFor(t *testing.T) {
	t.Parallel()
	assert.Equal(t, 51*time.Second, believeFor(outside, false, 0).Round(time.Millisecond))
	assert.Equal(t, time.Minute, believeFor(outside, false, 0.5).Round(time.Millisecond))
	assert.Equal(t, 10*time.Minute, believeFor(inside, false, 0.5).Round(time.Millisecond))
	assert.Equal(t, 24*time.Hour, believeFor(inside, true, 0.5).Round(time.Millisecond))
	assert.Equal(t, 24*time.Hour, believeFor(outside, true, 0.5).Round(time.Millisecond))
	rapid.Check(t, func(t *rapid.T) {
		spread := rapid.Float64Range(0, 0.999999).Draw(t, "spread")
		for base, got := range map[time.Duration]time.Duration{
			time.Minute: believeFor(outside, false, spread), 10 * time.Minute: believeFor(inside, false, spread),
			24 * time.Hour: believeFor(outside, true, spread),
		} {
			require.GreaterOrEqual(t, got, time.Duration(float64(base)*0.85)-time.Microsecond)
			require.LessOrEqual(t, got, time.Duration(float64(base)*1.15)+time.Microsecond)
		}
	})
}

func TestMembership_HowLongItBelieves(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		until := map[time.Duration]map[int64]bool{}
		for user := range int64(200) {
			base := []time.Duration{time.Minute, 10 * time.Minute, 24 * time.Hour}[user%3]
			switch base {
			case 24 * time.Hour:
				d.push(user, outside, time.Now())
				synctest.Wait()
			default:
				d.want(user, time.Time{})
				d.say(d.one(t), map[time.Duration]protos.Verdict{time.Minute: outside, 10 * time.Minute: inside}[base])
				d.answer(t)
			}
			_, early := d.cache.Look(theChannel, user, time.Now().Add(base*85/100-time.Millisecond))
			e, late := d.cache.Look(theChannel, user, time.Now().Add(base*115/100))
			require.True(t, early, base)
			require.False(t, late, "%s %v", base, e)
			e, _ = d.cache.Look(theChannel, user, time.Now())
			if until[base] == nil {
				until[base] = map[int64]bool{}
			}
			until[base][e.UntilMs] = true
		}
		for base, moments := range until {
			assert.Greater(t, len(moments), 50, "%s: they must not end together", base)
		}
	})
}

func BenchmarkCacheLook(b *testing.B) {
	c := NewMembershipCache(100_000)
	for user := range int64(100_000) {
		c.put(membershipKey{theChannel, user}, MembershipEntry{Verdict: inside, UntilMs: noon.Add(time.Hour).UnixMilli()}, 0)
	}
	b.ReportAllocs()
	user := int64(0)
	for b.Loop() {
		c.Look(theChannel, user%100_000, noon)
		user += 7919
	}
}

// TestMeasure_TenMillionEntries prints what ten million entries cost. It runs when MEASURE=1 is set.
func TestMeasure_TenMillionEntries(t *testing.T) {
	if os.Getenv("MEASURE") == "" {
		t.Skip("takes a gibibyte and some seconds; set MEASURE=1 to run it")
	}
	const n = 10_000_000
	c := NewMembershipCache(n)
	for i := range int64(n) {
		c.put(membershipKey{-1000000000000 - i%1000, i}, MembershipEntry{Verdict: inside, LearnedMs: i, UntilMs: math.MaxInt64}, 0)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	rss := regexp.MustCompile(`VmRSS:\s*(.*)`).FindSubmatch(status)
	require.NotNil(t, rss)
	t.Logf("%d entries: heap %d MiB after GC, RSS %s", c.Len(), m.HeapAlloc>>20, rss[1])
	require.Less(t, m.HeapAlloc, uint64(3)<<29, "1.5 GiB")
	runtime.KeepAlive(c)
}
