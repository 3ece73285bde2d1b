package actors

import (
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

const (
	inside  = protos.Verdict_INSIDE
	outside = protos.Verdict_OUTSIDE
	unknown = protos.Verdict_UNKNOWN
)

// onlySender is a Directory of one.
type onlySender struct{ pid *actor.PID }

func (o onlySender) Shard(int64) *actor.PID             { return nil }
func (o onlySender) Membership(int64, int64) *actor.PID { return nil }
func (o onlySender) Sender() *actor.PID                 { return o.pid }

// desk is one membership actor whose questions the test answers.
type desk struct {
	*stage
	pid   *actor.PID
	cache *MembershipCache
	jobs  []*protos.Job // not answered yet
}

func atDesk(t *testing.T, test func(t *testing.T, d *desk)) {
	t.Helper()
	onStage(t, func(t *testing.T, s *stage) {
		d := &desk{stage: s, cache: NewMembershipCache(100_000)}
		to := s.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if job, ok := c.Message().(*protos.Job); ok {
				s.mu.Lock()
				defer s.mu.Unlock()
				d.jobs = append(d.jobs, job)
			}
		}))
		d.pid = s.spawn("membership", func() actor.Actor {
			return newMembership(MembershipOptions{Directory: onlySender{to}, Cache: d.cache, Clock: time.Now, Log: zerolog.Nop()})
		})
		synctest.Wait()
		time.Sleep(2 * aheadSeconds * time.Second) // the first pushes of a life are asked about
		test(t, d)
		s.system.Root.Stop(d.pid)
	})
}

func (d *desk) want(user int64, notBefore time.Time) {
	ask := &protos.AskMembership{ChannelId: theChannel, UserId: user, ForChatId: theGroup, Tag: uint64(user)}
	if !notBefore.IsZero() {
		ask.NotBeforeMs = notBefore.UnixMilli()
	}
	d.ask(d.pid, ask)
}

// asked returns the questions that went to Telegram since it was called last.
func (d *desk) asked() []*protos.Job {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	jobs := d.jobs
	d.jobs = nil
	return jobs
}

// one returns the only question that is open.
func (d *desk) one(t *testing.T) *protos.Job {
	t.Helper()
	jobs := d.asked()
	require.Len(t, jobs, 1)
	return jobs[0]
}

// say answers a question.
func (d *desk) say(job *protos.Job, v protos.Verdict) {
	done := &protos.JobDone{Tag: job.GetTag()}
	switch v {
	case unknown:
		done.Outcome = protos.Outcome_CANNOT_SAY
	case inside:
		done.Member = standing(telegram.StatusMember)
	case outside:
		done.Member = standing(telegram.StatusLeft)
	}
	d.system.Root.Send(d.pid, done)
}

func (d *desk) push(user int64, v protos.Verdict, date time.Time) {
	d.system.Root.Send(d.pid, &protos.MembershipPush{ChannelId: theChannel, UserId: user, Verdict: v, Date: date.Unix()})
}

// answers returns what was answered since it was called last.
func (d *desk) answers() []*protos.MembershipAnswer {
	var all []*protos.MembershipAnswer
	for _, m := range d.take() {
		all = append(all, m.(*protos.MembershipAnswer)) //nolint:errcheck,forcetypeassert // nothing else is sent
	}
	return all
}

// answer returns the only answer that came.
func (d *desk) answer(t *testing.T) *protos.MembershipAnswer {
	t.Helper()
	all := d.answers()
	require.Len(t, all, 1)
	return all[0]
}

func (d *desk) known(user int64) protos.Verdict {
	e, _ := d.cache.Look(theChannel, user, time.Now())
	return e.Verdict
}

func TestMembership_ManyWaitForOneQuestion(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		for range 1000 {
			d.want(anna, time.Time{})
		}
		job := d.one(t)
		assert.Equal(t, protos.Lane_LOOKUP, job.GetLane())
		assert.Equal(t, theGroup, job.GetChatId(), "the group pays")
		assert.Equal(t, theChannel, job.GetGetMember().GetChatId())
		assert.Equal(t, anna, job.GetGetMember().GetUserId())
		assert.Empty(t, d.answers())
		d.say(job, inside)
		all := d.answers()
		require.Len(t, all, 1000)
		for _, a := range all {
			assert.Equal(t, inside, a.GetVerdict())
			assert.EqualValues(t, anna, a.GetTag())
		}
		d.want(anna, time.Time{})
		assert.Equal(t, inside, d.answer(t).GetVerdict())
		assert.Empty(t, d.asked(), "from memory")
	})
}

func TestMembership_UnknownIsNeverStored(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		for range 3 {
			d.want(anna, time.Time{})
			d.say(d.one(t), unknown)
			a := d.answer(t)
			assert.Equal(t, unknown, a.GetVerdict())
			assert.Equal(t, "CANNOT_SAY", a.GetReason())
			assert.Zero(t, d.cache.Len())
		}
	})
}

func TestMembership_AnUnknownAnswerTakesNothingBack(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		d.want(anna, time.Time{})
		d.say(d.one(t), inside)
		require.Equal(t, inside, d.answer(t).GetVerdict())
		time.Sleep(time.Second)
		d.want(anna, time.Now())
		d.say(d.one(t), unknown)
		assert.Equal(t, unknown, d.answer(t).GetVerdict(), "nothing as fresh as asked for is known")
		assert.Equal(t, inside, d.known(anna))
	})
}

func TestMembership_OldEvidenceWillNotDo(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		d.want(anna, time.Time{})
		first := d.one(t)
		time.Sleep(time.Second)
		d.want(anna, time.Now()) // what is under way was asked too early for this one
		d.say(first, outside)
		require.Equal(t, outside, d.answer(t).GetVerdict(), "the first is content")
		second := d.one(t)
		time.Sleep(time.Second)
		d.say(second, inside)
		require.Equal(t, inside, d.answer(t).GetVerdict())
		d.want(anna, time.Now().Add(-time.Second))
		require.Equal(t, inside, d.answer(t).GetVerdict(), "asked at that very moment")
		d.want(anna, time.Now().Add(-999*time.Millisecond))
		d.say(d.one(t), outside)
		require.Equal(t, outside, d.answer(t).GetVerdict())
	})
}

func TestMembership_BreakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		user := int64(0)
		ask := func(v protos.Verdict) {
			t.Helper()
			user++
			d.want(user, time.Time{})
			d.say(d.one(t), v)
			require.Equal(t, v, d.answer(t).GetVerdict())
		}
		refused := func() {
			t.Helper()
			user++
			d.want(user, time.Time{})
			require.Equal(t, "breaker open", d.answer(t).GetReason())
			require.Empty(t, d.asked())
		}
		for range breakerFails {
			ask(unknown)
		}
		refused()
		time.Sleep(breakerFirst)
		ask(unknown) // one probe
		refused()
		time.Sleep(breakerFirst)
		refused() // the pause is longer now
		time.Sleep(breakerFirst)
		d.want(1000, time.Time{})
		probe := d.one(t)
		refused() // one at a time
		d.say(probe, inside)
		require.Equal(t, inside, d.answer(t).GetVerdict())
		for range breakerFails - 1 {
			ask(unknown) // closed: it takes as many failures as before
		}
		ask(inside)
		d.ask(d.pid, &protos.AskMembership{ChannelId: theChannel - 1, UserId: 1})
		require.Equal(t, theChannel-1, d.one(t).GetChatId(), "another channel, which pays when no group does")
	})
}

func TestMembership_AQuestionEnds(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		d.want(anna, time.Time{})
		job := d.one(t)
		time.Sleep(questionLimit - time.Millisecond)
		require.Empty(t, d.answers())
		time.Sleep(time.Millisecond)
		a := d.answer(t)
		assert.Equal(t, unknown, a.GetVerdict())
		assert.Equal(t, "no answer in time", a.GetReason())
		d.say(job, inside)
		assert.Empty(t, d.answers())
		d.want(anna, time.Time{})
		d.one(t)
	})
}

func TestMembership_WaitersAreBounded(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		for range maxWaiters {
			d.want(anna, time.Time{})
		}
		require.Empty(t, d.answers())
		d.want(boris, time.Time{})
		require.Equal(t, "busy", d.answer(t).GetReason())
		d.say(d.one(t), inside)
		require.Len(t, d.answers(), maxWaiters)
		d.want(boris, time.Time{})
		d.say(d.one(t), inside)
		require.Equal(t, inside, d.answer(t).GetVerdict())
	})
}

func TestMembership_ARestartAnswersEverybody(t *testing.T) {
	t.Parallel()
	atDesk(t, func(t *testing.T, d *desk) {
		for user := range int64(10) {
			d.want(user, time.Time{})
			d.want(user, time.Time{})
		}
		old := d.asked()
		require.Len(t, old, 10)
		d.ask(d.pid, &boom{})
		all := d.answers()
		require.Len(t, all, 20)
		for _, a := range all {
			assert.Equal(t, unknown, a.GetVerdict())
		}
		for user := int64(100); user < 110; user++ {
			d.want(user, time.Time{})
		}
		for _, job := range old {
			d.say(job, inside) // answers to another life
		}
		assert.Empty(t, d.answers(), "nobody gets the answer to another question")
		for user := int64(100); user < 110; user++ {
			assert.Equal(t, unknown, d.known(user))
		}
		for _, job := range d.asked() {
			d.say(job, outside)
		}
		assert.Len(t, d.answers(), 10)
		time.Sleep(time.Minute)
		assert.Empty(t, d.answers())
	})
}

func TestBreaker_PausesGrowToAMinute(t *testing.T) {
	t.Parallel()
	b, now := &breaker{}, noon
	for i := range 100 {
		require.True(t, b.allow(now), i)
		b.report(false, now)
		if i < breakerFails-1 {
			continue
		}
		want := min(breakerFirst*time.Duration(math.Pow(2, float64(min(i-breakerFails+1, 10)))), breakerLongest)
		require.False(t, b.allow(now.Add(want-time.Nanosecond)), fmt.Sprint(i))
		now = now.Add(want)
	}
}
