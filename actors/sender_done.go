package actors

import (
	"time"

	"github.com/gmbot/gmbot/protos"
)

// done takes the outcome of a call out of the air and returns the answers owed. A 429 is not an
// outcome: its call waits and goes again.
func (l *lanes) done(t *task, done *protos.JobDone, now time.Time) []reply {
	l.inAir--
	lane := t.job.GetLane()
	if lane == protos.Lane_ANSWER {
		return []reply{{t: t, done: done}}
	}
	ch := l.chat(t.job.GetChatId())
	ch.inAir--
	if t.job.GetDelete() != nil {
		ch.deleting = false
	}
	user := t.job.GetRestrict().GetUserId()
	delete(ch.person, user)
	switch {
	case done.GetOutcome() == protos.Outcome_FLOOD:
		l.flooded(ch, lane, time.Duration(done.GetRetryAfterS())*time.Second, now)
		return l.again(ch, t)
	case len(t.parts) > 0:
		return l.gathered(ch, t, done)
	case lane == protos.Lane_LOOKUP && unanswered(done) && t.tries+1 < lookupTries:
		t.tries++
		t.notBefore = now.Add(time.Duration(t.tries) * 200 * time.Millisecond)
		return l.again(ch, t)
	}
	return []reply{{t: t, done: done}}
}

func unanswered(done *protos.JobDone) bool {
	return done.GetOutcome() == protos.Outcome_FAILED || done.GetOutcome() == protos.Outcome_UNCLEAR
}

// flooded pauses a class of calls in one chat for as long as Telegram said, and a little; when several
// chats hear it together, it is the bot that is too fast.
func (l *lanes) flooded(ch *chatLane, lane protos.Lane, wait time.Duration, now time.Time) {
	until := now.Add(wait + l.limits.floodExtra())
	if until.After(ch.paused[lane]) {
		ch.paused[lane] = until
	}
	if lane == protos.Lane_FREE || lane == protos.Lane_MUTE { // the same method
		ch.paused[protos.Lane_FREE], ch.paused[protos.Lane_MUTE] = ch.paused[lane], ch.paused[lane]
	}
	for id, at := range l.floods {
		if now.Sub(at) > floodWindow {
			delete(l.floods, id)
		}
	}
	l.floods[ch.id] = now
	if len(l.floods) >= floodChats && until.After(l.paused) {
		l.paused = until
		clear(l.floods)
	}
}

// again puts calls back to the head of their queue. A restrict that was wanted otherwise meanwhile is
// superseded.
func (l *lanes) again(ch *chatLane, t *task) []reply {
	tasks := t.parts
	if len(tasks) == 0 {
		tasks = []*task{t}
	}
	if r := t.job.GetRestrict(); r != nil {
		if ch.wanted[r.GetUserId()] != nil {
			return []reply{refused(t, "superseded")}
		}
		ch.wanted[r.GetUserId()] = t
	}
	lane := t.job.GetLane()
	ch.queues[lane] = append(append(make([]*task, 0, len(tasks)+len(ch.queues[lane])), tasks...), ch.queues[lane]...)
	for range tasks {
		l.queued(ch)
	}
	return nil
}

// gathered answers each part of a gathered deletion; when one message spoilt it, the parts go singly.
func (l *lanes) gathered(ch *chatLane, t *task, done *protos.JobDone) []reply {
	if done.GetOutcome() == protos.Outcome_DONE || unanswered(done) {
		var owed []reply
		for _, p := range t.parts {
			owed = append(owed, reply{t: p, done: &protos.JobDone{
				Tag: p.job.GetTag(), Outcome: done.GetOutcome(), Description: done.GetDescription(), SentMs: done.GetSentMs(),
			}})
		}
		return owed
	}
	for _, p := range t.parts {
		p.single = true
	}
	return l.again(ch, t)
}

// drain empties the queues and returns the answers owed.
func (l *lanes) drain() (owed []reply) {
	for _, t := range l.answers {
		owed = append(owed, refused(t, "stopping"))
	}
	l.answers = nil
	for _, ch := range l.chats {
		for lane := range ch.queues {
			for _, t := range ch.queues[lane] {
				owed = append(owed, refused(t, "stopping"))
			}
			ch.queues[lane] = nil
		}
		ch.waiting, ch.turn = 0, false
		clear(ch.wanted)
	}
	l.turns, l.work = nil, 0
	return owed
}
