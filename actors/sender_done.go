package actors

import (
	"slices"
	"time"

	"github.com/gmbot/gmbot/protos"
)

// done takes the outcome of a call out of the air and returns the answers owed. A 429 is not an
// outcome: its call waits and goes again.
func (l *lanes) done(t *task, done *protos.JobDone, now time.Time) []reply {
	l.inAir--
	lane := t.job.GetLane()
	wait := time.Duration(done.GetRetryAfterS()) * time.Second
	if lane == protos.Lane_ANSWER {
		l.health(nil, t, done, now)
		switch {
		case done.GetOutcome() == protos.Outcome_FLOOD:
			l.answerAt = later(l.answerAt, now.Add(wait+l.limits.floodExtra()))
		case unanswered(done) && t.tries+1 < lookupTries:
			t.tries++ // given twice it does no harm
			t.notBefore = now.Add(time.Duration(t.tries) * 200 * time.Millisecond)
		default:
			return []reply{{t: t, done: done}}
		}
		l.answers = slices.Insert(l.answers, 0, t)
		l.work++
		return nil
	}
	ch := l.chat(t.job.GetChatId())
	ch.inAir--
	if t.job.GetDelete() != nil {
		ch.deleting = false
	}
	user := t.job.GetRestrict().GetUserId()
	ch.person.take(user)
	l.health(ch, t, done, now)
	defer l.queueUp(ch)
	switch {
	case done.GetOutcome() == protos.Outcome_FLOOD:
		l.flood(ch, lane, wait, now)
		if t.job.GetEditMarkup() != nil { // an edit, though it is made to find something out
			l.flood(ch, protos.Lane_TALK, wait, now)
		}
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

// health notes whether a call was answered. Where none is, again and again, calls are held back: those of
// the chat, and when several chats fail together, the bot's. ch is nil for answers.
func (l *lanes) health(ch *chatLane, t *task, done *protos.JobDone, now time.Time) {
	if done.GetOutcome() == protos.Outcome_EXPIRED { // it never left, so it proves nothing
		if t.probes {
			l.sick.until = now
			l.unpark()
		}
		if t.probesIn {
			ch.sick.until = now
		}
		return
	}
	if !unanswered(done) {
		clear(l.failed)
		if l.sick.times > 0 {
			l.sick = holdback{}
			l.unpark()
		}
		if ch != nil {
			ch.fails, ch.sick = 0, holdback{}
		}
		return
	}
	id := int64(0)
	if ch != nil {
		id = ch.id
		ch.fails++
		if t.probesIn || ch.sick.times == 0 && ch.fails >= failedCalls {
			ch.sick.shut(now, l.limits.jitter)
		}
	}
	l.failed[id]++
	all := 0
	for _, n := range l.failed {
		all += n
	}
	if t.probes || l.sick.times == 0 && len(l.failed) >= failedChats && all >= failedCalls {
		clear(l.failed)
		l.sick.shut(now, l.limits.jitter)
		l.unpark()
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func unanswered(done *protos.JobDone) bool {
	return done.GetOutcome() == protos.Outcome_FAILED || done.GetOutcome() == protos.Outcome_UNCLEAR
}

// pauseKey names what a 429 pauses: a class of calls in a chat; the zero key is the whole bot.
type pauseKey struct {
	chat int64
	lane protos.Lane
}

// longPause is from how long on a pause is kept for the next program.
const longPause = 5 * time.Second

// flood pauses a class of calls in one chat for as long as Telegram said, and a little; when several
// chats hear it together, it is the bot that is too fast.
func (l *lanes) flood(ch *chatLane, lane protos.Lane, wait time.Duration, now time.Time) {
	until := now.Add(wait + l.limits.floodExtra())
	if planted("429 honoured elsewhere") {
		l.pause(pauseKey{ch.id + 1, lane}, until)
	} else {
		l.pause(pauseKey{ch.id, lane}, until)
	}
	acts := lane == protos.Lane_FREE || lane == protos.Lane_MUTE || lane == protos.Lane_DELETE
	if acts {
		ch.pace(lane, now).slow(now)
	}
	for id, at := range l.floods {
		if now.Sub(at) > floodWindow {
			delete(l.floods, id)
		}
	}
	l.floods[ch.id] = now
	many := len(l.floods) >= floodChats
	if many {
		clear(l.floods)
		l.pause(pauseKey{}, until)
		if acts {
			l.acts.slow(now)
		}
	}
	if wait <= longPause || l.limits.paused == nil {
		return
	}
	l.limits.paused(pauseKey{ch.id, lane}, until)
	if many {
		l.limits.paused(pauseKey{}, until)
	}
}

// pause holds back what k names until a moment, if it is not held for longer.
func (l *lanes) pause(k pauseKey, until time.Time) {
	if k == (pauseKey{}) {
		l.paused = later(l.paused, until)
		return
	}
	ch := l.chat(k.chat)
	if ch.paused == nil {
		ch.paused = &[laneCount]time.Time{}
	}
	ch.paused[k.lane] = later(ch.paused[k.lane], until)
	if k.lane == protos.Lane_FREE || k.lane == protos.Lane_MUTE { // the same method
		ch.paused[protos.Lane_FREE], ch.paused[protos.Lane_MUTE] = ch.paused[k.lane], ch.paused[k.lane]
	}
}

// held is how long a call of a lane in a chat cannot leave, as far as is known; 0 = it can.
func (l *lanes) held(chat int64, lane protos.Lane, now time.Time) time.Duration {
	hold := max(l.paused.Sub(now), l.sick.wait(now))
	if ch := l.chats[chat]; ch != nil {
		hold = max(hold, ch.until(lane).Sub(now), ch.sick.wait(now))
	}
	return max(hold, 0)
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
		put(&ch.wanted, r.GetUserId(), t)
	}
	lane := t.job.GetLane()
	ch.queues[lane] = append(append(make([]*task, 0, len(tasks)+len(ch.queues[lane])), tasks...), ch.queues[lane]...)
	for _, one := range tasks {
		l.queued(ch, one)
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
		ch.waiting, ch.turn, ch.parked = 0, false, time.Time{}
		ch.wanted = nil
	}
	l.turns, l.parked, l.work, l.talk, l.urgent = nil, parking{}, 0, 0, 0
	return owed
}
