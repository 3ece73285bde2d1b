package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/protos"
)

func TestBucket(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		rate, burst float64
		taken       int           // at noon, after a day of rest
		wait        time.Duration // after that, about
	}{
		{"no limit", 0, 3, 1000, 0},
		{"a burst is there", 2, 3, 2, 0},
		{"the burst is used up", 2, 3, 3, 500 * time.Millisecond},
		{"a burst below one is one", 0.5, 0, 1, 2 * time.Second},
		{"slow", 1.0 / 60, 1, 1, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBucket(c.rate, c.burst, noon.Add(-24*time.Hour))
			for range c.taken {
				require.Zero(t, b.wait(noon))
				b.take()
			}
			assert.InDelta(t, c.wait, b.wait(noon), float64(time.Millisecond))
		})
	}
}

func TestBucket_StartsWithOneToken(t *testing.T) {
	t.Parallel()
	b := newBucket(1, 10, noon)
	require.Zero(t, b.wait(noon))
	b.take()
	require.Positive(t, b.wait(noon))
	require.Positive(t, b.wait(noon.Add(-time.Hour)), "a clock that goes back gives nothing")
}

func TestBucket_NeverMoreThanBurstAndRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.Float64Range(0.1, 50).Draw(t, "rate")
		burst := float64(rapid.IntRange(1, 20).Draw(t, "burst"))
		b, now := newBucket(rate, burst, noon), noon
		var taken []time.Time
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			wait := b.wait(now)
			switch {
			case wait == 0:
				b.take()
				taken = append(taken, now)
			case rapid.Bool().Draw(t, "as long as told"):
				now = now.Add(wait)
				require.Zero(t, b.wait(now), "what was promised is there")
			default:
				now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond)
			}
		}
		for i, from := range taken {
			for n, to := range taken[i:] {
				require.LessOrEqual(t, float64(n+1), burst+rate*to.Sub(from).Seconds()+1e-6)
			}
		}
	})
}

// The budgets of the settings hold in any minute and any second, however quiet it was before.
func TestBudget_Messages(t *testing.T) {
	t.Parallel()
	for _, quiet := range []time.Duration{0, 10 * time.Second, time.Hour} {
		m := newLaneModel(t, limits{slots: 32, perSecond: 28, perGroup: 18})
		m.now = m.now.Add(quiet)
		for chat := int64(-40); chat < 0; chat++ {
			for range 30 {
				m.add(talkJob(chat))
			}
		}
		m.calm(time.Hour)
		for chat, at := range m.talks {
			require.LessOrEqual(t, mostWithin(at, time.Second), 28)
			if chat != 0 {
				require.LessOrEqual(t, mostWithin(at, time.Minute), 18)
				require.GreaterOrEqual(t, mostWithin(at, time.Minute), 16, "the budget is used")
			}
		}
	}
}

func TestBudget_AQuietGroupGetsThreeAtOnce(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 32, perGroup: 18})
	m.now = m.now.Add(time.Hour)
	for range 10 {
		m.add(talkJob(-1))
	}
	for m.now.Before(noon.Add(time.Hour + time.Second)) {
		m.now = m.now.Add(m.pump())
	}
	require.Len(t, m.talks[-1], 3)
	m.add(talkJob(5))
	m.pump()
	require.Len(t, m.talks[5], 1, "a private chat has its own")
	m.calm(time.Hour)
}

func TestLanes_FloodPausesOneClassOfCalls(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 32, floodExtra: func() time.Duration { return 100 * time.Millisecond }})
	muted := m.add(restrictJob(protos.Lane_MUTE, -1, 7))
	m.pump()
	m.finish(0, flood(30))
	require.NotContains(t, m.answered, muted, "a 429 is no outcome")
	m.add(restrictJob(protos.Lane_FREE, -1, 8)) // the same method
	deleted := m.add(deleteJob(-1, 5))
	other := m.add(restrictJob(protos.Lane_MUTE, -2, 7))
	require.Equal(t, 30100*time.Millisecond, m.pump())
	require.Len(t, m.air, 2, "deletions, and other chats, go on")
	m.finish(0, outcome(protos.Outcome_DONE))
	m.finish(0, outcome(protos.Outcome_DONE))
	require.Contains(t, m.answered, deleted)
	require.Contains(t, m.answered, other)
	m.calm(time.Minute)
	require.Equal(t, noon.Add(30100*time.Millisecond), m.now)
}

func TestLanes_ThreeFloodedChatsPauseTheBot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		apart time.Duration
		stops bool
	}{{"at once", 4 * time.Second, true}, {"one by one", 6 * time.Second, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newLaneModel(t, limits{slots: 32})
			for chat := int64(-3); chat < 0; chat++ {
				m.add(lookupJob(chat))
			}
			m.pump()
			for range 3 {
				m.now = m.now.Add(c.apart)
				m.finish(0, flood(60))
			}
			m.left = nil
			m.add(pressJob())
			m.add(lookupJob(-9))
			m.pump()
			require.Equal(t, protos.Lane_ANSWER, m.left[0].GetLane(), "answers go on")
			require.Equal(t, c.stops, len(m.left) == 1, "%v", m.left)
		})
	}
}

func TestLanes_Deadlines(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 1})
	m.add(lookupJob(-1))
	m.pump()
	job := lookupJob(-1)
	job.DeadlineMs = m.now.Add(3 * time.Second).UnixMilli()
	tag := m.add(job)
	require.Equal(t, 3*time.Second+time.Millisecond, m.pump(), "somebody looks when it is too late")
	m.now = m.now.Add(3 * time.Second)
	m.pump()
	require.NotContains(t, m.answered, tag)
	m.now = m.now.Add(time.Millisecond)
	m.pump()
	require.Equal(t, "too late", m.answered[tag].GetDescription())
}

func TestLanes_LostAnswersAreAskedForAgain(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 1})
	tag := m.add(lookupJob(-1))
	for try := 1; try <= lookupTries; try++ {
		require.NotContains(t, m.answered, tag)
		m.now = m.now.Add(m.pump())
		m.pump()
		require.Len(t, m.air, 1, "try %d", try)
		m.finish(0, outcome(protos.Outcome_FAILED))
	}
	require.Equal(t, protos.Outcome_FAILED, m.answered[tag].GetOutcome())
	require.Equal(t, noon.Add(600*time.Millisecond), m.now)
	muted := m.add(restrictJob(protos.Lane_MUTE, -1, 7))
	m.pump()
	m.finish(0, outcome(protos.Outcome_UNCLEAR))
	require.Contains(t, m.answered, muted, "what changes something is not done twice by guess")
}
