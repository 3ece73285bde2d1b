package actors

import (
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/protos"
)

const (
	// maxWaiters bounds who may wait for answers in one membership actor.
	maxWaiters = 65_536
	// maxBreakers bounds the channels whose breaker is remembered in one membership actor.
	maxBreakers = 10_000
	// questionLimit ends a question whose answer never comes.
	questionLimit = 20 * time.Second
)

// MembershipOptions are what a membership actor is made of.
type MembershipOptions struct {
	Directory Directory
	Cache     *MembershipCache
	Clock     Clock
	Log       zerolog.Logger
	Metrics   *Metrics
}

// membership answers "is this person in that channel?" for its share of keys: from memory, else by one
// question in flight per key. Only it writes the cache, and only what it knows.
type membership struct {
	o        MembershipOptions
	lastTag  uint64
	asking   map[membershipKey]*question
	byTag    map[uint64]*question
	waiters  int
	breakers map[int64]*breaker
}

// question is one look-up under way, with who waits for it.
type question struct {
	key     membershipKey
	tag     uint64
	sentMs  int64
	push    *protos.MembershipPush // came while it was under way
	again   bool                   // its answer and a push contradicted each other
	waiting []waiter
	timer   *time.Timer
}

type waiter struct {
	to  *actor.PID
	ask *protos.AskMembership
}

// questionLate ends a question without an answer.
type questionLate struct{ tag uint64 }

func newMembership(o MembershipOptions) actor.Actor {
	// Tags go on from anywhere: an answer to a question of an earlier life must fit none of this one.
	return &membership{
		o: o, lastTag: rand.Uint64(), asking: map[membershipKey]*question{}, byTag: map[uint64]*question{}, breakers: map[int64]*breaker{},
	}
}

// Receive handles questions of groups and channels, pushes, and Telegram's answers.
func (m *membership) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case *actor.Stopping, *actor.Restarting:
		for _, q := range m.byTag {
			q.timer.Stop()
			m.reply(c, q, protos.Verdict_UNKNOWN, 0, "stopped")
		}
		m.waiters = 0
	case *protos.AskMembership:
		m.onAsk(c, msg)
	case *protos.MembershipPush:
		m.onPush(msg)
	case *protos.JobDone:
		m.onDone(c, msg)
	case *questionLate:
		if q := m.byTag[msg.tag]; q != nil {
			m.breaker(q.key.channel).report(false, m.o.Clock())
			m.learned(c, q, protos.Verdict_UNKNOWN, q.sentMs, "no answer in time")
		}
	}
}

func (m *membership) onAsk(c actor.Context, ask *protos.AskMembership) {
	key := membershipKey{ask.GetChannelId(), ask.GetUserId()}
	if e, ok := m.o.Cache.Look(key.channel, key.user, m.o.Clock()); ok && e.LearnedMs >= ask.GetNotBeforeMs() {
		m.o.Metrics.looked("memory", e.Verdict)
		m.answer(c, c.Sender(), ask, e.Verdict, e.LearnedMs, "")
		return
	}
	if m.waiters >= maxWaiters {
		m.o.Metrics.looked("refused", protos.Verdict_UNKNOWN)
		m.answer(c, c.Sender(), ask, protos.Verdict_UNKNOWN, 0, "busy")
		return
	}
	q := m.asking[key]
	if q == nil {
		if !m.breaker(key.channel).allow(m.o.Clock()) {
			m.o.Metrics.looked("breaker", protos.Verdict_UNKNOWN)
			m.answer(c, c.Sender(), ask, protos.Verdict_UNKNOWN, 0, "breaker open")
			return
		}
		q = &question{key: key}
		m.asking[key] = q
		m.ask(c, q, ask.GetForChatId())
	}
	m.waiters++
	q.waiting = append(q.waiting, waiter{to: c.Sender(), ask: ask})
}

// ask sends a question in the lane of the group that wants to know.
func (m *membership) ask(c actor.Context, q *question, forChat int64) {
	m.lastTag++
	q.tag, q.sentMs, q.push = m.lastTag, m.o.Clock.ms(), nil
	m.byTag[q.tag] = q
	if forChat == 0 {
		forChat = q.key.channel
	}
	self, root, tag := c.Self(), c.ActorSystem().Root, q.tag
	q.timer = time.AfterFunc(questionLimit, func() { root.Send(self, &questionLate{tag: tag}) })
	c.Request(m.o.Directory.Sender(), &protos.Job{
		Lane: protos.Lane_LOOKUP, ChatId: forChat, Tag: q.tag,
		Do: &protos.Job_GetMember{GetMember: &protos.GetMember{ChatId: q.key.channel, UserId: q.key.user}},
	})
}

func (m *membership) onDone(c actor.Context, done *protos.JobDone) {
	q := m.byTag[done.GetTag()]
	if q == nil {
		return
	}
	sent := max(done.GetSentMs(), q.sentMs)
	verdict := verdictOf(done)
	reason := ""
	if verdict == protos.Verdict_UNKNOWN {
		reason = done.GetOutcome().String()
	}
	switch weighAnswer(verdict, sent, q.push) {
	case beliefTake:
		m.put(q.key, verdict, sent, false)
	case beliefDrop:
		m.o.Cache.drop(q.key)
		if !q.again {
			q.again = true
			m.repeat(c, q)
			return
		}
		verdict, reason = protos.Verdict_UNKNOWN, "contradicted"
	case beliefKeep:
	}
	m.breaker(q.key.channel).report(verdict != protos.Verdict_UNKNOWN || done.GetOutcome() == protos.Outcome_FLOOD, m.o.Clock())
	m.learned(c, q, verdict, sent, reason)
}

// repeat asks once more, for all who wait.
func (m *membership) repeat(c actor.Context, q *question) {
	q.timer.Stop()
	delete(m.byTag, q.tag)
	forChat := int64(0)
	if len(q.waiting) > 0 {
		forChat = q.waiting[0].ask.GetForChatId()
	}
	m.ask(c, q, forChat)
}

// learned answers everybody the answer is fresh enough for, and asks again for the others.
func (m *membership) learned(c actor.Context, q *question, v protos.Verdict, learnedMs int64, reason string) {
	m.o.Metrics.looked("telegram", v)
	var later []waiter
	for _, w := range q.waiting {
		if v != protos.Verdict_UNKNOWN && learnedMs < w.ask.GetNotBeforeMs() {
			later = append(later, w)
			continue
		}
		m.waiters--
		m.answer(c, w.to, w.ask, v, learnedMs, reason)
	}
	q.waiting = later
	if len(later) > 0 {
		m.repeat(c, q)
		return
	}
	q.timer.Stop()
	delete(m.byTag, q.tag)
	delete(m.asking, q.key)
}

func (m *membership) reply(c actor.Context, q *question, v protos.Verdict, learnedMs int64, reason string) {
	for _, w := range q.waiting {
		m.answer(c, w.to, w.ask, v, learnedMs, reason)
	}
}

func (m *membership) answer(c actor.Context, to *actor.PID, ask *protos.AskMembership, v protos.Verdict, learnedMs int64, reason string) {
	if to == nil {
		return
	}
	c.Send(to, &protos.MembershipAnswer{
		ChannelId: ask.GetChannelId(), UserId: ask.GetUserId(), Verdict: v, LearnedMs: learnedMs, Reason: reason, Tag: ask.GetTag(),
	})
}

func (m *membership) put(k membershipKey, v protos.Verdict, learnedMs int64, pushed bool) {
	until := m.o.Clock().Add(believeFor(v, pushed, rand.Float64()))
	m.o.Cache.put(k, MembershipEntry{Verdict: v, LearnedMs: learnedMs, UntilMs: until.UnixMilli(), Pushed: pushed})
}

func (m *membership) onPush(p *protos.MembershipPush) {
	key := membershipKey{p.GetChannelId(), p.GetUserId()}
	now := m.o.Clock()
	if q := m.asking[key]; q != nil && (q.push == nil || q.push.GetDate() <= p.GetDate()) {
		q.push = p
	}
	known, has := m.o.Cache.Look(key.channel, key.user, now)
	switch weighPush(known, has, p, now.UnixMilli()) {
	case beliefTake:
		m.put(key, p.GetVerdict(), p.GetDate()*1000, true)
		m.o.Metrics.looked("push", p.GetVerdict())
	case beliefDrop:
		m.o.Cache.drop(key)
	case beliefKeep:
	}
}

func (m *membership) breaker(channel int64) *breaker {
	b := m.breakers[channel]
	if b == nil {
		if len(m.breakers) >= maxBreakers {
			clear(m.breakers)
		}
		b = &breaker{}
		m.breakers[channel] = b
	}
	return b
}

// breaker stops questions about a channel that Telegram keeps not answering, and probes now and then.
type breaker struct {
	fails int
	until time.Time
	probe bool
}

const (
	breakerFails   = 5
	breakerFirst   = 5 * time.Second
	breakerLongest = time.Minute
)

// allow reports whether a question may go out now.
func (b *breaker) allow(now time.Time) bool {
	if b.fails < breakerFails {
		return true
	}
	if now.Before(b.until) || b.probe {
		return false
	}
	b.probe = true
	return true
}

// report takes the outcome of a question.
func (b *breaker) report(ok bool, now time.Time) {
	b.probe = false
	if ok {
		b.fails = 0
		return
	}
	b.fails++
	if over := b.fails - breakerFails; over >= 0 {
		b.until = now.Add(min(breakerFirst<<min(over, 8), breakerLongest))
	}
}
