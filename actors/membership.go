package actors

import (
	"cmp"
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
	questionLimit = 12 * time.Second
)

// MembershipOptions are what a membership actor is made of.
type MembershipOptions struct {
	Directory Directory
	Cache     *MembershipCache
	Clock     Clock
	Log       zerolog.Logger
	Metrics   *Metrics
	Shared    SharedCache         // nil: memory is all there is
	Pool      *workPool           // looks into Shared
	Random    func(n int64) int64 // uniform in [0, n); nil: by chance
}

// membership answers "is this person in that channel?" for its share of keys: from memory, else by one
// question in flight per key. Only it writes the cache, and only what it knows.
type membership struct {
	o        MembershipOptions
	lastTag  uint64
	asking   map[membershipKey]*question
	byTag    map[uint64]*question
	waiters  int
	bornMs   int64 // Unix ms: what was told before, an earlier life may know better
	breakers map[int64]*breaker
}

// question is one look-up under way, with who waits for it.
type question struct {
	key     membershipKey
	tag     uint64
	sentMs  int64
	push    *protos.MembershipPush // came while it was under way
	pushMs  int64                  // when
	split   bool                   // another of the same second said otherwise
	again   bool                   // its answer and a push contradicted each other
	doubt   uint32                 // what stood against what was known when it left
	waiting []waiter
	timer   *time.Timer
	forChat int64 // the chat whose lane pays
	update  int64 // the update that caused it, for the log
}

func (q *question) stop() {
	if q.timer != nil {
		q.timer.Stop()
	}
}

type waiter struct {
	to  *actor.PID
	ask *protos.AskMembership
}

// breakerOpen is the reason of an answer that was not asked for, since the channel kept failing.
const breakerOpen = "breaker open"

// questionLate ends a question without an answer.
type questionLate struct{ tag uint64 }

func newMembership(o MembershipOptions) actor.Actor {
	if o.Random == nil {
		o.Random = rand.Int64N
	}
	// Tags go on from anywhere: an answer to a question of an earlier life must fit none of this one.
	return &membership{
		o: o, lastTag: rand.Uint64(), asking: map[membershipKey]*question{}, byTag: map[uint64]*question{}, breakers: map[int64]*breaker{}, bornMs: o.Clock.ms(),
	}
}

// Receive handles questions of groups and channels, pushes, and Telegram's answers.
func (m *membership) Receive(c actor.Context) {
	switch msg := c.Message().(type) {
	case *actor.Stopping, *actor.Restarting:
		for _, q := range m.byTag {
			q.stop()
			m.reply(c, q, protos.Verdict_UNKNOWN, 0, "stopped")
		}
		m.waiters = 0
		m.forgetBreakers()
	case *protos.AskMembership:
		m.onAsk(c, msg)
	case *protos.MembershipPush:
		m.onPush(msg)
	case *protos.JobDone:
		m.onDone(c, msg)
	case *sharedAnswer:
		m.onShared(c, msg)
	case *protos.BeliefChanged:
		m.onBelief(msg)
	case *questionLate:
		if q := m.byTag[msg.tag]; q != nil {
			m.report(q.key.channel, false)
			m.learned(c, q, protos.Verdict_UNKNOWN, q.sentMs, "no answer in time")
		}
	}
}

func (m *membership) onAsk(c actor.Context, ask *protos.AskMembership) {
	key := membershipKey{ask.GetChannelId(), ask.GetUserId()}
	if e, ok := m.o.Cache.Look(key.channel, key.user, m.o.Clock()); ok && willDo(e, ask) {
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
	if q == nil && ask.GetInsideWillDo() && m.o.Cache.inDoubt(key) == 0 {
		if shared := (&question{key: key, update: ask.GetUpdateId()}); m.askShared(c, shared, ask.GetForChatId()) {
			q = shared
			m.asking[key] = q
		}
	}
	if q == nil {
		if !m.breaker(key.channel).allow(m.o.Clock()) {
			m.o.Metrics.looked("breaker", protos.Verdict_UNKNOWN)
			m.answer(c, c.Sender(), ask, protos.Verdict_UNKNOWN, 0, breakerOpen)
			return
		}
		q = &question{key: key, update: ask.GetUpdateId()}
		m.asking[key] = q
		m.ask(c, q, ask.GetForChatId())
	}
	m.waiters++
	q.waiting = append(q.waiting, waiter{to: c.Sender(), ask: ask})
}

// ask sends a question in the lane of the group that wants to know.
func (m *membership) ask(c actor.Context, q *question, forChat int64) {
	m.lastTag++
	q.tag, q.sentMs, q.push, q.split, q.doubt = m.lastTag, m.o.Clock.ms(), nil, false, m.o.Cache.inDoubt(q.key)
	m.byTag[q.tag] = q
	if forChat == 0 {
		forChat = q.key.channel
	}
	q.forChat = forChat
	self, root, tag := c.Self(), c.ActorSystem().Root, q.tag
	q.timer = time.AfterFunc(questionLimit, func() { root.Send(self, &questionLate{tag: tag}) })
	c.Request(m.o.Directory.Sender(), &protos.Job{
		Lane: protos.Lane_LOOKUP, ChatId: forChat, Tag: q.tag, UpdateId: q.update, DeadlineMs: m.o.Clock().Add(leaveWithin).UnixMilli(),
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
	weighed := weighAnswer(verdict, sent, q.push, q.pushMs)
	if weighed == beliefTake && q.split && q.pushMs >= sent {
		weighed = beliefDrop // whatever it says, one of them says otherwise
	}
	switch weighed {
	case beliefTake:
		m.keep(q.key, m.answered(q, verdict, sent), q.doubt)
	case beliefDrop:
		m.doubt(q.key, doubtOf(q.push.GetUpdateId()))
		if !q.again {
			q.again = true
			m.repeat(c, q)
			return
		}
		verdict, reason = protos.Verdict_UNKNOWN, "contradicted"
	case beliefKeep:
	}
	m.report(q.key.channel, verdict != protos.Verdict_UNKNOWN || waits(done))
	if waits(done) && m.othersPay(c, q, reason) {
		return
	}
	m.learned(c, q, verdict, sent, reason)
}

// othersPay asks again in the lane of another chat that waits for the same, and reports whether there is one: a pause
// of the chat that asked first is none of theirs.
func (m *membership) othersPay(c actor.Context, q *question, reason string) bool {
	var others []waiter
	for _, w := range q.waiting {
		if payer(w.ask) != q.forChat {
			others = append(others, w)
		}
	}
	if len(others) == 0 {
		return false
	}
	for _, w := range q.waiting {
		if payer(w.ask) == q.forChat {
			m.waiters--
			m.answer(c, w.to, w.ask, protos.Verdict_UNKNOWN, 0, reason)
		}
	}
	q.waiting = others
	m.repeat(c, q)
	return true
}

// payer is the chat whose lane a question waits in.
func payer(ask *protos.AskMembership) int64 { return cmp.Or(ask.GetForChatId(), ask.GetChannelId()) }

// waits: it is not the channel's fault that there was no answer.
func waits(done *protos.JobDone) bool {
	return done.GetOutcome() == protos.Outcome_FLOOD || done.GetOutcome() == protos.Outcome_EXPIRED
}

// repeat asks once more, for all who wait.
func (m *membership) repeat(c actor.Context, q *question) {
	q.stop()
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
	q.stop()
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

// answered is what an answer makes known, and a push that came meanwhile and says the same.
func (m *membership) answered(q *question, v protos.Verdict, sentMs int64) MembershipEntry {
	e := MembershipEntry{Verdict: v, LearnedMs: sentMs}
	if p := q.push; p != nil && p.GetVerdict() == v && p.GetDate()*1000 >= sentMs {
		e.LearnedMs, e.Pushed = p.GetDate()*1000, true
	}
	e.TookMs = uint32(max(m.o.Clock.ms()-e.LearnedMs, 0)) // seconds
	return m.believed(e)
}

// believed sets how long an entry is.
func (m *membership) believed(e MembershipEntry) MembershipEntry {
	e.UntilMs = m.o.Clock().Add(believeFor(e.Verdict, e.Pushed, float64(m.o.Random(1<<53))/(1<<53))).UnixMilli()
	return e
}

func (m *membership) onPush(p *protos.MembershipPush) {
	key := membershipKey{p.GetChannelId(), p.GetUserId()}
	now := m.o.Clock()
	if q := m.asking[key]; q != nil && (q.push == nil || q.push.GetDate() <= p.GetDate()) {
		q.split = q.push.GetDate() == p.GetDate() && (q.split || q.push.GetVerdict() != p.GetVerdict())
		q.push, q.pushMs = p, now.UnixMilli()
	}
	known, has := m.o.Cache.last(key.channel, key.user, now)
	has = has && known.Verdict != protos.Verdict_UNKNOWN
	switch weighPush(known, has, p, now.UnixMilli(), max(m.bornMs, m.o.Cache.blindUntil(key.channel))) {
	case beliefTake:
		e := m.believed(MembershipEntry{Verdict: p.GetVerdict(), LearnedMs: p.GetDate() * 1000, Pushed: true})
		m.keep(key, e, doubtOf(p.GetUpdateId()))
		m.o.Metrics.looked("push", p.GetVerdict())
	case beliefDrop:
		m.doubt(key, doubtOf(p.GetUpdateId()))
	case beliefKeep:
		m.o.Cache.confirm(key, doubtOf(p.GetUpdateId()))
	}
}

func (m *membership) breaker(channel int64) *breaker {
	b := m.breakers[channel]
	if b == nil {
		if len(m.breakers) >= maxBreakers {
			m.forgetBreakers()
		}
		b = &breaker{}
		m.breakers[channel] = b
	}
	return b
}

// report tells a channel's breaker how a question went.
func (m *membership) report(channel int64, ok bool) {
	b := m.breaker(channel)
	was := b.open()
	b.report(ok, m.o.Clock())
	switch {
	case !was && b.open():
		m.o.Metrics.breaking(1)
	case was && !b.open():
		m.o.Metrics.breaking(-1)
	}
}

func (m *membership) forgetBreakers() {
	for _, b := range m.breakers {
		if b.open() {
			m.o.Metrics.breaking(-1)
		}
	}
	clear(m.breakers)
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

// open: the channel failed so often that it is only probed.
func (b *breaker) open() bool { return b.fails >= breakerFails }

// allow reports whether a question may go out now.
func (b *breaker) allow(now time.Time) bool {
	if !b.open() {
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
