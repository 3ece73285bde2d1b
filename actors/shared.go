package actors

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/protos"
)

// SharedCache is a second level behind the membership cache, shared with other programs and with this one's
// next life; persistence.SharedCache implements it. None of it may fail: what is not known is not known.
type SharedCache interface {
	// Look returns what is believed; it may take some milliseconds.
	Look(ctx context.Context, channelID, userID int64) (*protos.Belief, bool)
	// Put and Drop never wait.
	Put(channelID, userID int64, b *protos.Belief)
	Drop(channelID, userID int64)
	// Up reports whether it is used now.
	Up() bool
}

// sharedLooks is how many looks into the shared cache go on at once; the client gathers them into few
// round trips.
const sharedLooks = 32

// sharedAnswer brings what the shared cache holds for a question. A goroutine of the pool sends it.
type sharedAnswer struct {
	tag    uint64
	belief *protos.Belief
}

// askShared looks into the shared cache before Telegram is asked, and reports whether it does.
func (m *membership) askShared(c actor.Context, q *question, forChat int64) bool {
	if m.o.Shared == nil || !m.o.Shared.Up() {
		return false
	}
	m.lastTag++
	q.tag, q.sentMs, q.forChat = m.lastTag, m.o.Clock.ms(), forChat
	self, root, tag, key, shared := c.Self(), c.ActorSystem().Root, q.tag, q.key, m.o.Shared
	ok := m.o.Pool.Go(func(ctx context.Context) {
		b, _ := shared.Look(ctx, key.channel, key.user)
		root.Send(self, &sharedAnswer{tag: tag, belief: b})
	})
	if ok {
		m.byTag[q.tag] = q
	}
	return ok
}

// onShared takes a belief that is better than what memory holds, answers those for whom it will do, and asks
// Telegram for the others.
func (m *membership) onShared(c actor.Context, a *sharedAnswer) {
	q := m.byTag[a.tag]
	if q == nil {
		return
	}
	delete(m.byTag, a.tag)
	now := m.o.Clock()
	if b := a.belief; b != nil && b.GetUntilMs() > now.UnixMilli() && q.push == nil {
		if _, has := m.o.Cache.Look(q.key.channel, q.key.user, now); !has {
			m.o.Metrics.looked("redis", b.GetVerdict())
			m.o.Cache.put(q.key, MembershipEntry{
				Verdict: b.GetVerdict(), LearnedMs: b.GetLearnedMs(), UntilMs: b.GetUntilMs(), Pushed: b.GetPushed(), TookMs: b.GetTookMs(),
			}, 0)
		}
	}
	var later []waiter
	for _, w := range q.waiting {
		if e, ok := m.o.Cache.Look(q.key.channel, q.key.user, now); ok && willDo(e, w.ask) {
			m.waiters--
			m.answer(c, w.to, w.ask, e.Verdict, e.LearnedMs, "")
			continue
		}
		later = append(later, w)
	}
	q.waiting = later
	if len(later) == 0 {
		delete(m.asking, q.key)
		return
	}
	if !m.breaker(q.key.channel).allow(now) {
		for _, w := range later {
			m.waiters--
			m.o.Metrics.looked("breaker", protos.Verdict_UNKNOWN)
			m.answer(c, w.to, w.ask, protos.Verdict_UNKNOWN, 0, breakerOpen)
		}
		delete(m.asking, q.key)
		return
	}
	push := q.push
	m.ask(c, q, q.forChat)
	q.push = push // it came while this question waited
}

// willDo: the entry is young enough, or is an "inside" and the asker takes that at any age.
func willDo(e MembershipEntry, ask *protos.AskMembership) bool {
	return e.LearnedMs >= ask.GetNotBeforeMs() || ask.GetInsideWillDo() && e.Verdict == protos.Verdict_INSIDE
}

// onBelief: another program has learned something, so what memory holds may be old.
func (m *membership) onBelief(b *protos.BeliefChanged) {
	m.o.Cache.drop(membershipKey{b.GetChannelId(), b.GetUserId()})
}

// keep notes an entry that is newer than a doubt in both levels.
func (m *membership) keep(k membershipKey, e MembershipEntry, doubt uint32) {
	m.o.Cache.put(k, e, doubt)
	if m.o.Shared != nil {
		m.o.Shared.Put(k.channel, k.user, &protos.Belief{
			Verdict: e.Verdict, LearnedMs: e.LearnedMs, UntilMs: e.UntilMs, Pushed: e.Pushed, TookMs: e.TookMs,
		})
	}
}

// doubt ends the belief in an entry until Telegram is asked. It is kept to weigh by: the same push may come a second
// time, or another that is older.
func (m *membership) doubt(k membershipKey, doubt uint32) {
	m.o.Cache.distrustOne(k, doubt)
	if m.o.Shared != nil {
		m.o.Shared.Drop(k.channel, k.user)
	}
}
