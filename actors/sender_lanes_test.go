package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/protos"
)

// laneModel drives lanes with a clock of its own, and checks each step against what it remembers.
type laneModel struct {
	t        require.TestingT
	l        *lanes
	now      time.Time
	lastTag  uint64
	answered map[uint64]*protos.JobDone
	air      []*task
	asked    map[uint64]int         // look-ups and answers to buttons: answers that were lost
	paused   map[[2]int64]time.Time // chat, lane
	talks    map[int64][]time.Time  // chat 0: all
	newest   map[[2]int64]uint64    // chat, user → tag of the newest restrict
	restrict map[uint64]*protos.Job // by tag
	left     []*protos.Job          // in the order they left
	single   map[uint64]bool        // deletions that were part of a batch that failed
}

func newLaneModel(t require.TestingT, l limits) *laneModel {
	if l.floodExtra == nil {
		l.floodExtra = func() time.Duration { return 0 }
	}
	return &laneModel{
		t: t, l: newLanes(l, noon), now: noon, answered: map[uint64]*protos.JobDone{}, asked: map[uint64]int{},
		paused: map[[2]int64]time.Time{}, talks: map[int64][]time.Time{}, newest: map[[2]int64]uint64{},
		restrict: map[uint64]*protos.Job{}, single: map[uint64]bool{},
	}
}

func (m *laneModel) add(job *protos.Job) uint64 {
	m.lastTag++
	job.Tag = m.lastTag
	if r := job.GetRestrict(); r != nil {
		m.newest[[2]int64{job.GetChatId(), r.GetUserId()}] = job.Tag
		m.restrict[job.Tag] = job
	}
	m.pay(m.l.add(&task{job: job, since: m.now}))
	m.check()
	return job.Tag
}

func (m *laneModel) pay(owed []reply) {
	for _, r := range owed {
		tag := r.t.job.GetTag()
		require.Nil(m.t, m.answered[tag], "answered twice")
		require.Empty(m.t, r.t.parts, "a gathered deletion has no asker")
		m.answered[tag] = r.done
		if r.done.GetDescription() == "superseded" {
			job := m.restrict[tag]
			require.Greater(m.t, m.newest[[2]int64{job.GetChatId(), job.GetRestrict().GetUserId()}], tag, "superseded by an older one")
		}
	}
}

// pump lets leave what may, and returns how long until something might again.
func (m *laneModel) pump() time.Duration {
	for {
		t, wait, late := m.l.next(m.now)
		m.pay(late)
		if t == nil {
			m.check()
			return wait
		}
		m.leave(t)
	}
}

func (m *laneModel) leave(t *task) {
	job, lane, chat := t.job, t.job.GetLane(), t.job.GetChatId()
	m.left = append(m.left, job)
	switch lane {
	case protos.Lane_MUTE, protos.Lane_DELETE, protos.Lane_TALK:
		require.Less(m.t, len(m.air), max(m.l.limits.slots-reserved, 1), "a reserved slot was taken")
	default:
		require.Less(m.t, len(m.air), m.l.limits.slots, "too many in the air")
	}
	if lane != protos.Lane_ANSWER {
		require.False(m.t, m.now.Before(m.paused[[2]int64{chat, int64(lane)}]), "left during a pause")
		require.True(m.t, job.GetDeadlineMs() == 0 || job.GetDeadlineMs() >= m.now.UnixMilli(), "left too late")
	}
	for _, other := range m.air {
		if r, o := job.GetRestrict(), other.job.GetRestrict(); r != nil && o != nil && chat == other.job.GetChatId() {
			require.NotEqual(m.t, r.GetUserId(), o.GetUserId(), "two restricts of one person in the air")
		}
	}
	require.LessOrEqual(m.t, len(job.GetDelete().GetMessageIds()), deleteBatch)
	for _, p := range t.parts {
		require.False(m.t, m.single[p.job.GetTag()], "gathered again after the batch failed")
	}
	if lane == protos.Lane_TALK {
		m.talks[chat] = append(m.talks[chat], m.now)
		m.talks[0] = append(m.talks[0], m.now)
	}
	m.air = append(m.air, t)
}

// finish ends the i-th call in the air.
func (m *laneModel) finish(i int, done *protos.JobDone) {
	t := m.air[i]
	m.air = append(m.air[:i:i], m.air[i+1:]...)
	chat, lane := t.job.GetChatId(), t.job.GetLane()
	switch {
	case (lane == protos.Lane_LOOKUP || lane == protos.Lane_ANSWER) && unanswered(done):
		m.asked[t.job.GetTag()]++
		require.LessOrEqual(m.t, m.asked[t.job.GetTag()], lookupTries)
	case done.GetOutcome() == protos.Outcome_FLOOD && lane != protos.Lane_ANSWER:
		until := m.now.Add(time.Duration(done.GetRetryAfterS()) * time.Second)
		for _, one := range map[protos.Lane][]protos.Lane{
			protos.Lane_FREE: {protos.Lane_FREE, protos.Lane_MUTE}, protos.Lane_MUTE: {protos.Lane_FREE, protos.Lane_MUTE},
			protos.Lane_DELETE: {lane}, protos.Lane_LOOKUP: {lane}, protos.Lane_TALK: {lane},
		}[lane] {
			if key := [2]int64{chat, int64(one)}; until.After(m.paused[key]) {
				m.paused[key] = until
			}
		}
	case done.GetOutcome() != protos.Outcome_DONE && !unanswered(done):
		for _, p := range t.parts {
			m.single[p.job.GetTag()] = true
		}
	}
	m.pay(m.l.done(t, done, m.now))
	m.check()
}

// check compares the books.
func (m *laneModel) check() {
	inAir := 0
	for _, t := range m.air {
		inAir += max(len(t.parts), 1)
	}
	require.Equal(m.t, len(m.air), m.l.inAir)
	require.Equal(m.t, int(m.lastTag)-len(m.answered)-inAir, m.l.work, "what waits")
	hurry := 0
	for _, ch := range m.l.chats {
		hurry += len(ch.queues[protos.Lane_FREE]) + len(ch.queues[protos.Lane_LOOKUP])
	}
	require.Equal(m.t, hurry, m.l.urgent)
	seen := map[*chatLane]bool{}
	for _, ch := range m.l.turns {
		require.LessOrEqual(m.t, m.l.due, ch.due, "somebody looks before it is too late")
		if seen[ch] {
			require.Fail(m.t, "one chat, two turns")
		}
		seen[ch] = true
	}
	for i, ch := range m.l.parked.chats {
		require.Equal(m.t, i, ch.place)
		require.False(m.t, seen[ch], "one chat, two places")
		seen[ch] = true
	}
	for _, ch := range m.l.chats {
		if ch.waiting > 0 && !seen[ch] {
			require.Fail(m.t, "something waits in a chat whose turn never comes")
		}
	}
}

// calm lets everything end well, and fails if that takes more than limit.
func (m *laneModel) calm(limit time.Duration) {
	end := m.now.Add(limit)
	for len(m.answered) < int(m.lastTag) {
		require.False(m.t, m.now.After(end), "it does not end")
		wait := m.pump()
		if len(m.air) == 0 && len(m.answered) < int(m.lastTag) {
			require.Positive(m.t, wait, "something waits for nothing")
			m.now = m.now.Add(wait)
		}
		for len(m.air) > 0 {
			m.finish(0, outcome(protos.Outcome_DONE))
		}
	}
}

// mostWithin is the largest number of moments within a window.
func mostWithin(at []time.Time, window time.Duration) int {
	most := 0
	for i, from := 0, 0; i < len(at); i++ {
		for at[i].Sub(at[from]) >= window {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

func TestLanes_WhateverComes(t *testing.T) {
	t.Parallel()
	outcomes := []protos.Outcome{
		protos.Outcome_DONE, protos.Outcome_DONE, protos.Outcome_DONE, protos.Outcome_UNCLEAR, protos.Outcome_FAILED,
		protos.Outcome_FLOOD, protos.Outcome_GONE, protos.Outcome_OUR_MISTAKE, protos.Outcome_NO_RIGHTS,
	}
	rapid.Check(t, func(t *rapid.T) {
		l := limits{slots: rapid.IntRange(1, 12).Draw(t, "slots"), perSecond: 4, perGroup: 18}
		if rapid.Bool().Draw(t, "few actions") {
			l.actions = 5
		}
		m := newLaneModel(t, l)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				chat, user := -rapid.Int64Range(1, 4).Draw(t, "chat"), rapid.Int64Range(1, 3).Draw(t, "user")
				var job *protos.Job
				switch lane := protos.Lane(rapid.IntRange(0, laneCount-1).Draw(t, "lane")); lane {
				case protos.Lane_ANSWER:
					job = pressJob()
				case protos.Lane_FREE, protos.Lane_MUTE:
					job = restrictJob(lane, chat, user)
				case protos.Lane_DELETE:
					job = deleteJob(chat, make([]int64, rapid.IntRange(1, 60).Draw(t, "messages"))...)
				case protos.Lane_LOOKUP:
					job = lookupJob(chat)
				case protos.Lane_TALK:
					job = talkJob(chat)
				}
				if job.GetLane() != protos.Lane_ANSWER && rapid.IntRange(0, 4).Draw(t, "hurry") == 0 {
					job.DeadlineMs = m.now.UnixMilli() + rapid.Int64Range(0, 5000).Draw(t, "within")
				}
				m.add(job)
			},
			"pump": func(*rapid.T) { m.pump() },
			"pass": func(t *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
				m.pump()
			},
			"finish": func(t *rapid.T) {
				if len(m.air) == 0 {
					t.Skip("nothing in the air")
				}
				done := outcome(rapid.SampledFrom(outcomes).Draw(t, "outcome"))
				if done.GetOutcome() == protos.Outcome_FLOOD {
					done.RetryAfterS = rapid.Int64Range(1, 20).Draw(t, "retry after")
				}
				m.finish(rapid.IntRange(0, len(m.air)-1).Draw(t, "call"), done)
			},
		})
		if rapid.Bool().Draw(t, "stop") {
			m.pay(m.l.drain())
			m.check()
			for len(m.air) > 0 {
				m.finish(0, outcome(protos.Outcome_DONE))
			}
		}
		m.calm(10 * time.Minute)
		for chat, at := range m.talks {
			require.LessOrEqual(t, mostWithin(at, time.Second), 4, "messages a second")
			if chat != 0 {
				require.LessOrEqual(t, mostWithin(at, time.Minute), 18, "messages a minute in a group")
			}
		}
	})
}

func TestLanes_ChatsTakeTurns(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 32})
	for range 1000 {
		m.add(lookupJob(-1))
	}
	for chat := int64(-51); chat < -1; chat++ {
		m.add(lookupJob(chat))
	}
	small := 0
	for small < 50 {
		m.pump()
		m.finish(0, outcome(protos.Outcome_DONE))
		small = 0
		for _, job := range m.left {
			if job.GetChatId() != -1 {
				small++
			}
		}
	}
	require.LessOrEqual(t, len(m.left), 2*51+32, "two rounds, and what left together with the last")
	m.calm(time.Minute)
}

func TestLanes_RightOfWayInsideAChat(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 1, perSecond: 28, perGroup: 18})
	for _, job := range []*protos.Job{
		talkJob(-1), lookupJob(-1), deleteJob(-1, 1), restrictJob(protos.Lane_MUTE, -1, 7), restrictJob(protos.Lane_FREE, -1, 8), pressJob(),
	} {
		m.add(job)
	}
	m.calm(time.Minute)
	var order []protos.Lane
	for _, job := range m.left {
		order = append(order, job.GetLane())
	}
	require.Equal(t, []protos.Lane{
		protos.Lane_ANSWER, protos.Lane_FREE, protos.Lane_MUTE, protos.Lane_DELETE, protos.Lane_LOOKUP, protos.Lane_TALK,
	}, order)
}

func TestLanes_TheNewestRestrictCounts(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 32})
	flying := m.add(restrictJob(protos.Lane_MUTE, -1, 7))
	m.pump()
	older := m.add(restrictJob(protos.Lane_MUTE, -1, 7))
	newer := m.add(restrictJob(protos.Lane_FREE, -1, 7))
	m.pump()
	require.Equal(t, "superseded", m.answered[older].GetDescription())
	require.Equal(t, protos.Outcome_EXPIRED, m.answered[older].GetOutcome())
	require.Len(t, m.air, 1, "the newer one waits for the one in the air")
	m.finish(0, flood(5))
	require.Equal(t, "superseded", m.answered[flying].GetDescription(), "a call that was told to wait is superseded too")
	m.calm(time.Minute)
	require.Equal(t, protos.Outcome_DONE, m.answered[newer].GetOutcome())
}

// A mute for which there is no reason any more is taken back while it waits, and not when it has left, nor another's.
func TestLanes_WhatWaitsMayBeTakenBack(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 32})
	flying := m.add(restrictJob(protos.Lane_MUTE, -1, 7))
	m.pump()
	require.Empty(t, m.l.withdraw(&withdraw{chat: -1, user: 7, tag: flying}))
	require.Empty(t, m.l.withdraw(&withdraw{chat: -2, user: 7, tag: flying}), "a chat nobody knows")
	waits := m.add(restrictJob(protos.Lane_MUTE, -1, 7))
	require.Empty(t, m.l.withdraw(&withdraw{chat: -1, user: 7, tag: flying}), "a newer one waits")
	owed := m.l.withdraw(&withdraw{chat: -1, user: 7, tag: waits})
	require.Len(t, owed, 1)
	require.Equal(t, waits, owed[0].done.GetTag())
	require.Equal(t, protos.Outcome_EXPIRED, owed[0].done.GetOutcome())
	m.pay(owed)
	m.calm(time.Minute)
	require.Len(t, m.left, 1)
	require.Zero(t, m.l.work)
}

func TestLanes_QueuesAreBounded(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 1, perSecond: 28, perGroup: 18})
	for range chatTalk {
		require.Nil(t, m.answered[m.add(talkJob(-1))])
	}
	require.Equal(t, "queue full", m.answered[m.add(talkJob(-1))].GetDescription())
	require.NotContains(t, m.answered, m.add(talkJob(-2)), "another chat has room")
	older := m.add(restrictJob(protos.Lane_FREE, -1, 7))
	for user := range int64(chatWork) {
		m.l.add(&task{job: restrictJob(protos.Lane_MUTE, -1, 100+user)}) // outside the books: quicker
	}
	full := m.l.add(&task{job: restrictJob(protos.Lane_MUTE, -1, 7)})
	require.Len(t, full, 2)
	require.Equal(t, older, full[0].done.GetTag(), "the older wish is void even so")
	require.Equal(t, "queue full", full[1].done.GetDescription())
	work := m.l.work
	require.Empty(t, m.l.add(&task{job: restrictJob(protos.Lane_FREE, -1, 7)}), "the older one is not superseded again")
	require.Equal(t, work+1, m.l.work)
}

func TestLanes_AllQueuesTogetherAreBounded(t *testing.T) {
	t.Parallel()
	l := newLanes(limits{slots: 1}, noon)
	for i := range int64(allWork) {
		require.Empty(t, l.add(&task{job: lookupJob(-1 - i/chatWork)}))
	}
	require.Equal(t, "queue full", l.add(&task{job: lookupJob(-100)})[0].done.GetDescription())
	require.Empty(t, l.add(&task{job: pressJob()}), "answers have a queue of their own")
	require.Len(t, l.drain(), allWork+1)
	require.Zero(t, l.work)
}

func TestLanes_DeletionsGoTogether(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 32})
	for id := range int64(250) {
		m.add(deleteJob(-1, id))
	}
	for _, want := range []int{100, 100, 50} {
		m.pump()
		require.Len(t, m.air, 1, "one at a time, so that more goes together")
		require.Len(t, m.air[0].job.GetDelete().GetMessageIds(), want)
		m.finish(0, outcome(protos.Outcome_DONE))
	}
	require.Len(t, m.answered, 250)
}

func TestLanes_ASpoiltBatchGoesSingly(t *testing.T) {
	t.Parallel()
	m := newLaneModel(t, limits{slots: 32})
	tags := []uint64{m.add(deleteJob(-1, 10)), m.add(deleteJob(-1, 11, 12)), m.add(deleteJob(-1, 13))}
	m.pump()
	require.Equal(t, []int64{10, 11, 12, 13}, m.air[0].job.GetDelete().GetMessageIds())
	m.finish(0, outcome(protos.Outcome_OUR_MISTAKE))
	later := m.add(deleteJob(-1, 14))
	for i, o := range []protos.Outcome{protos.Outcome_DONE, protos.Outcome_OUR_MISTAKE, protos.Outcome_DONE} {
		m.pump()
		require.Len(t, m.air, 1)
		require.Empty(t, m.air[0].parts)
		m.finish(0, outcome(o))
		require.Equal(t, o, m.answered[tags[i]].GetOutcome())
	}
	m.calm(time.Minute)
	require.Equal(t, protos.Outcome_DONE, m.answered[later].GetOutcome())
}
