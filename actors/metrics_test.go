package actors

import (
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
)

// What is counted at each message of a known member costs no allocation.
func TestMetrics_CostNoAllocation(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry())
	load := m.load("group")
	var timed timing
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		m.knew()
		m.passed("exempt")
		m.looked("memory", protos.Verdict_INSIDE)
		load.add(1)
		timed.post(load)
		load.add(-1)
		timed.take(load)
		m.left(protos.Lane_TALK, time.Millisecond)
	}))
}

func TestMetrics_NilCountsNothing(t *testing.T) {
	t.Parallel()
	m := NewMetrics(nil)
	require.Nil(t, m)
	assert.NotPanics(t, func() {
		m.knew()
		m.live("group", 1)
		m.measured([laneCount]laneLoad{}, 0)
		m.size(t.Context(), nil, nil)
		m.load("group").add(1)
		m.step(stepShown, 1)
		m.breaking(1)
	})
}

// An actor that stops takes what still waits for it along, also while it is suspended.
func TestMailbox_CountsWhatWaits(t *testing.T) {
	t.Parallel()
	m := NewMetrics(prometheus.NewRegistry())
	load := m.load("group")
	box, _, d, _ := mailboxByHand(t, 100)
	box.load = load
	for i := range 5 {
		box.PostUserMessage(i)
	}
	assert.EqualValues(t, 5, load.messages.Load())
	d.run()
	assert.Zero(t, load.messages.Load())

	box.PostSystemMessage(&actor.SuspendMailbox{})
	d.run()
	for i := range 3 {
		box.PostUserMessage(i)
	}
	assert.EqualValues(t, 3, load.messages.Load())
	box.PostSystemMessage(&actor.Stop{})
	d.run()
	assert.Zero(t, load.messages.Load())
	box.PostUserMessage("late")
	assert.Zero(t, load.messages.Load(), "nobody waits for a dead actor")
}

func TestMailbox_TimesOneMessageInSixteen(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "wait_seconds"})
	reg.MustRegister(h)
	box, _, d, _ := mailboxByHand(t, 100)
	box.load = &mailboxLoad{waited: h}
	for range 3 {
		for i := range 20 {
			box.PostUserMessage(i)
		}
		d.run()
	}
	families, err := reg.Gather()
	require.NoError(t, err)
	// The 1st, 17th, 33rd and 49th come up; the 17th came while the first still waited.
	assert.EqualValues(t, 3, families[0].GetMetric()[0].GetHistogram().GetSampleCount())
	assert.Equal(t, 1, testutil.CollectAndCount(h))
}

func TestLanes_MeasuresWhatWaits(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	l := newLanes(limits{slots: 1, perSecond: 28, perGroup: 18}, now)
	for i := range 3 {
		l.add(&task{since: now.Add(time.Duration(i) * time.Second), job: &protos.Job{Lane: protos.Lane_TALK, ChatId: int64(-1 - i%2), Do: &protos.Job_Send{}}})
	}
	l.add(&task{since: now.Add(time.Second), job: &protos.Job{Lane: protos.Lane_ANSWER}})
	load := l.measure(now.Add(10 * time.Second))
	assert.Equal(t, laneLoad{waiting: 3, oldest: 10 * time.Second}, load[protos.Lane_TALK])
	assert.Equal(t, laneLoad{waiting: 1, oldest: 9 * time.Second}, load[protos.Lane_ANSWER])
	assert.Zero(t, load[protos.Lane_FREE])
}

// Whoever opens a breaker closes it, and one that is forgotten is closed, too.
func TestMetrics_OpenBreakers(t *testing.T) {
	t.Parallel()
	metrics := NewMetrics(prometheus.NewRegistry())
	now := time.Unix(1_000_000, 0)
	m, ok := newMembership(MembershipOptions{Metrics: metrics, Clock: func() time.Time { return now }}).(*membership)
	require.True(t, ok)
	open := func() float64 { return testutil.ToFloat64(metrics.breakers) }
	for range 2 * breakerFails {
		m.report(-1, false)
		m.report(-2, false)
	}
	assert.InDelta(t, 2, open(), 0)
	m.report(-1, true)
	m.report(-1, true)
	assert.InDelta(t, 1, open(), 0)
	m.forgetBreakers()
	assert.Zero(t, open())
}
