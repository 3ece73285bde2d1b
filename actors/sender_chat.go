package actors

import (
	"math"
	"slices"
	"time"

	"github.com/gmbot/gmbot/protos"
)

// chatLane is what waits for one chat.
type chatLane struct {
	id       int64
	queues   [laneCount][]*task
	paused   *[laneCount]time.Time // see until; nil = nothing was ever paused here
	talk     bucket
	acts     *pace // of mutes and frees, which are one method; nil = none left yet
	deletes  *pace
	sick     holdback
	fails    int   // calls without an answer in a row
	spent    int   // beyond its turns
	due      int64 // Unix ms: none of what waits is too late before
	inAir    int
	turn     bool      // it stands in turns
	parked   time.Time // until when it stands in parked; zero = it does not
	place    int       // there
	order    uint64
	deleting bool
	person   small[int64, struct{}] // a restrict is in the air
	wanted   map[int64]*task        // the one restrict that waits
	waiting  int
}

func (l *lanes) chat(id int64) *chatLane {
	ch := l.chats[id]
	if ch == nil {
		// What is saved up for a burst comes out of the rate, so that no minute has more than its budget.
		burst := min(max(l.limits.perGroup, 1), talkBurst)
		rate := (l.limits.perGroup - burst + 1) / 60
		if id > 0 {
			rate, burst = 1, talkBurst // a private chat. Source: Telegram's bot FAQ
		}
		// Nothing was sent here since the start, so the bucket has filled since then.
		ch = &chatLane{id: id, talk: newBucket(rate, burst, l.began)}
		l.chats[id] = ch
	}
	return ch
}

// forgetFrom is how many chats are remembered at least.
const forgetFrom = 10_000

// forget drops chats that have nothing under way and a full bucket, once there are twice as many as the last
// time.
func (l *lanes) forget(now time.Time) {
	if len(l.chats) < l.forgetAt {
		return
	}
	for id, ch := range l.chats {
		ch.talk.fill(now)
		if ch.waiting == 0 && ch.inAir == 0 && ch.talk.have >= ch.talk.burst && !ch.acts.slowed(now) && !ch.deletes.slowed(now) && ch.sick.times == 0 &&
			(ch.paused == nil || !slices.ContainsFunc(ch.paused[:], now.Before)) {
			delete(l.chats, id)
		}
	}
	l.forgetAt = max(forgetFrom, 2*len(l.chats))
}

// until is when a lane's pause ends; zero = it was never paused.
func (ch *chatLane) until(lane protos.Lane) (at time.Time) {
	if ch.paused != nil {
		at = ch.paused[lane]
	}
	return at
}

// unwant forgets the restrict of a person that waits. Most chats have none waiting, and keep no map for it.
func (ch *chatLane) unwant(user int64) {
	delete(ch.wanted, user)
	if len(ch.wanted) == 0 {
		ch.wanted = nil
	}
}

func (l *lanes) remove(ch *chatLane, t *task) {
	q := &ch.queues[t.job.GetLane()]
	*q = slices.DeleteFunc(*q, func(x *task) bool { return x == t })
	l.count(ch, t, -1)
}

// pace is what bounds a lane of mutes, frees or deletions.
func (ch *chatLane) pace(lane protos.Lane, now time.Time) *pace {
	p := &ch.acts
	if lane == protos.Lane_DELETE {
		p = &ch.deletes
	}
	if *p == nil {
		*p = newPace(0, now)
	}
	return *p
}

// slowed: a 429 of late still bounds the lane.
func (p *pace) slowed(now time.Time) bool {
	if p == nil {
		return false
	}
	p.grow(now)
	return p.top > 0
}

// free: never two restricts for one person in the air, and one deletion a chat, so that what comes
// meanwhile goes together.
func (ch *chatLane) free(t *task) bool {
	if r := t.job.GetRestrict(); r != nil {
		return !ch.person.has(r.GetUserId())
	}
	return t.job.GetDelete() == nil || !ch.deleting
}

// leave takes a call out of its queue and notes that it is in the air.
func (l *lanes) leave(ch *chatLane, lane, i int, now time.Time) *task {
	t := ch.queues[lane][i]
	if t.job.GetDelete() != nil {
		t = l.gather(ch, lane, i)
	} else {
		ch.queues[lane] = cutOut(ch.queues[lane], i)
		l.count(ch, t, -1)
	}
	if r := t.job.GetRestrict(); r != nil {
		ch.person.put(r.GetUserId(), struct{}{})
		ch.unwant(r.GetUserId())
	}
	ch.deleting = ch.deleting || t.job.GetDelete() != nil
	switch protos.Lane(lane) {
	case protos.Lane_TALK:
		ch.talk.take()
		l.all.take()
	case protos.Lane_LOOKUP, protos.Lane_ANSWER:
	default:
		ch.pace(protos.Lane(lane), now).take(now)
		l.acts.take(now)
	}
	t.probes, t.probesIn = l.sick.probe(now), ch.sick.probe(now)
	ch.inAir++
	l.inAir++
	return t
}

// cutOut takes one out. The first is by far the commonest, and moves nothing.
func cutOut(q []*task, i int) []*task {
	if i == 0 {
		q[0] = nil
		return q[1:]
	}
	return slices.Delete(q, i, i+1)
}

// gather puts a chat's waiting deletions together, up to what one call takes.
func (l *lanes) gather(ch *chatLane, lane, first int) *task {
	q := ch.queues[lane]
	head := q[first]
	var parts, rest []*task
	ids := 0
	for i, t := range q {
		n := len(t.job.GetDelete().GetMessageIds())
		together := t == head || !head.single && !t.single && i > first && ids+n <= deleteBatch
		if i < first || !together {
			rest = append(rest, t)
			continue
		}
		ids += n
		parts = append(parts, t)
	}
	ch.queues[lane] = rest
	for _, t := range parts {
		l.count(ch, t, -1)
	}
	if len(parts) == 1 {
		return head
	}
	all := &protos.DeleteMessages{}
	for _, t := range parts {
		all.MessageIds = append(all.MessageIds, t.job.GetDelete().GetMessageIds()...)
	}
	return &task{parts: parts, since: head.since, job: &protos.Job{
		Lane: head.job.GetLane(), ChatId: ch.id, Do: &protos.Job_Delete{Delete: all},
	}}
}

// expired takes out what is not worth doing any more.
func (l *lanes) expired(ch *chatLane, now time.Time) (late []reply) {
	nowMs := now.UnixMilli()
	if ch.due == 0 || nowMs <= ch.due {
		return nil
	}
	ch.due = 0
	for lane := range ch.queues {
		ch.queues[lane] = slices.DeleteFunc(ch.queues[lane], func(t *task) bool {
			if t.until >= nowMs {
				if ch.due == 0 || t.until < ch.due {
					ch.due = t.until
				}
				return false
			}
			l.count(ch, t, -1)
			if r := t.job.GetRestrict(); r != nil {
				ch.unwant(r.GetUserId())
			}
			r := refused(t, "too late")
			r.done.RetryAfterS = int64(math.Ceil(l.held(ch.id, t.job.GetLane(), now).Seconds()))
			late = append(late, r)
			return true
		})
	}
	return late
}
