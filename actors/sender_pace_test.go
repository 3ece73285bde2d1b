package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
)

// leaveFor has jobs of a kind come for a while, a hundred a second and more than any limit here, and returns
// when they left.
func leaveFor(m *laneModel, d time.Duration, job func() *protos.Job) (at []time.Time) {
	for end := m.now.Add(d); m.now.Before(end); m.now = m.now.Add(10 * time.Millisecond) {
		m.add(job())
		m.pump()
		for len(m.air) > 0 {
			at = append(at, m.now)
			m.finish(0, outcome(protos.Outcome_DONE))
		}
	}
	return at
}

func TestPace_ActionsPerSecondHoldInAnySecond(t *testing.T) {
	t.Parallel()
	for _, limit := range []float64{1, 2, 5, 10} {
		m, user := newLaneModel(t, limits{slots: 32, actions: limit}), int64(0)
		at := leaveFor(m, 20*time.Second, func() *protos.Job {
			user++
			return restrictJob(protos.Lane_MUTE, -1-user%3, user)
		})
		assert.LessOrEqual(t, mostWithin(at, time.Second), int(limit))
		assert.GreaterOrEqual(t, len(at), int(limit*20*0.7), "the budget is used")
	}
}

func TestPace_HalfAfterAFloodAndMoreEachSecond(t *testing.T) {
	t.Parallel()
	p := newPace(0, noon)
	now := noon
	for range 40 { // twenty a second
		require.Zero(t, p.wait(now), "without a 429 there is no bound")
		p.take(now)
		now = now.Add(50 * time.Millisecond)
	}
	p.slow(now)
	assert.InDelta(t, 10, p.rate, 0.5)
	p.slow(now)
	assert.InDelta(t, 5, p.rate, 0.5, "a second one halves again")
	now = now.Add(10 * time.Second)
	p.grow(now)
	assert.InDelta(t, 15, p.rate, 0.5)
	require.True(t, p.slowed(now.Add(20*time.Second)))
	require.False(t, p.slowed(now.Add(30*time.Second)), "twice as many as when it came: it is forgotten")
	require.Zero(t, p.wait(now.Add(30*time.Second)))
	assert.Zero(t, p.rate)
}

func TestPace_AFloodSlowsItsChatOnly(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 32})
	m.add(restrictJob(protos.Lane_MUTE, -1, 7))
	m.pump()
	m.finish(0, flood(1))
	m.now = m.now.Add(time.Second)
	for user := range int64(5) {
		m.add(restrictJob(protos.Lane_MUTE, -1, 10+user))
		m.add(restrictJob(protos.Lane_MUTE, -2, 10+user))
	}
	m.pump()
	chats := map[int64]int{}
	for _, one := range m.air {
		chats[one.job.GetChatId()]++
	}
	assert.Equal(t, map[int64]int{-1: 1, -2: 5}, chats)
}

// Who deletes much takes fewer turns.
func TestLanes_TurnsGoByCost(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 1})
	for n := range int64(40) {
		for range 25 { // each batch of a hundred costs five turns
			m.add(deleteJob(-1, n, n, n, n))
		}
		m.add(lookupJob(-2))
	}
	m.l.limits.slots = 20
	var order []int64
	for range 24 {
		next, _, _ := m.l.next(m.now)
		require.NotNil(t, next)
		order = append(order, next.job.GetChatId())
		m.l.done(next, outcome(protos.Outcome_DONE), m.now)
	}
	deletes := 0
	for _, chat := range order {
		if chat == -1 {
			deletes++
		}
	}
	assert.InDelta(t, 4, deletes, 1, "%v", order)
}

// However large a raid, the first calls of another chat leave the moment they come.
func TestLanes_TenThousandDoNotDelayAnother(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 128, perSecond: 28, perGroup: 18})
	for user := range int64(10_000) {
		m.l.add(&task{job: lookupJob(-1), since: m.now})
		m.l.add(&task{job: restrictJob(protos.Lane_MUTE, -1, user), since: m.now})
		m.l.add(&task{job: deleteJob(-1, user), since: m.now})
		m.l.add(&task{job: talkJob(-1), since: m.now})
	}
	for next, _, _ := m.l.next(m.now); next != nil; next, _, _ = m.l.next(m.now) {
		m.air = append(m.air, next)
	}
	require.Len(t, m.air, 96)
	for _, job := range []*protos.Job{lookupJob(-2), lookupJob(-2), restrictJob(protos.Lane_MUTE, -2, 7), deleteJob(-2, 5), talkJob(-2), pressJob()} {
		m.l.add(&task{job: job, since: m.now})
		next, _, _ := m.l.next(m.now)
		require.NotNil(t, next)
		require.Equal(t, job.GetDo(), next.job.GetDo())
	}
	require.LessOrEqual(t, m.l.work, 4*chatWork, "what waits is bounded")
}

func TestLanes_ABreakdownIsProbed(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 32})
	user, calls := int64(0), 0
	for end := m.now.Add(5 * time.Minute); m.now.Before(end); m.now = m.now.Add(100 * time.Millisecond) {
		user++
		m.add(restrictJob(protos.Lane_MUTE, -1-user%7, user%300))
		for m.pump(); len(m.air) > 0; m.pump() {
			calls++
			m.finish(0, outcome(protos.Outcome_FAILED))
		}
	}
	assert.Less(t, calls, 30, "one call now and then, of %d wished for", user)
	m.now = m.now.Add(2 * holdLongest)
	m.pump()
	require.Len(t, m.air, 1, "one probe")
	m.finish(0, outcome(protos.Outcome_DONE))
	m.pump()
	require.Greater(t, len(m.air), 1, "and when it is answered, the others")
	for len(m.air) > 0 {
		m.finish(0, outcome(protos.Outcome_DONE))
	}
	m.calm(time.Minute)
}

// Whoever presses is answered within some seconds of Telegram's return, however long the others are held back.
func TestLanes_AnAnswerDoesNotWaitForABreakdownsEnd(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 32})
	for user := int64(0); m.l.sick.wait(m.now) < 20*time.Second; user++ {
		m.add(restrictJob(protos.Lane_MUTE, -1-user%7, user%300))
		for m.pump(); len(m.air) > 0; m.pump() {
			m.finish(0, outcome(protos.Outcome_FAILED))
		}
		m.now = m.now.Add(100 * time.Millisecond)
	}
	held := m.l.sick.wait(m.now)
	tag := m.add(pressJob())
	m.pump()
	require.Len(t, m.air, 1, "the answer alone")
	m.finish(0, outcome(protos.Outcome_FAILED))
	assert.Equal(t, held, m.l.sick.wait(m.now), "the others are held back for no longer")
	assert.Equal(t, answerEvery, m.pump(), "and answers come one by one")
	m.now = m.now.Add(answerEvery)
	m.pump()
	require.Len(t, m.air, 1, "it is given again")
	m.finish(0, outcome(protos.Outcome_DONE))
	assert.Equal(t, protos.Outcome_DONE, m.answered[tag].GetOutcome())
	assert.Zero(t, m.l.sick.wait(m.now), "and shows that all may leave again")
	m.calm(time.Minute)
}
