package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/protos"
)

const (
	laneCount = int(protos.Lane_TALK) + 1
	// reserved slots are kept for answers, frees and look-ups.
	reserved = 4
	// chatTalk and chatWork bound what waits in one chat, allWork what waits in all.
	chatTalk = 256
	chatWork = 4096
	allWork  = 65_536
	// talkBurst is how many messages a chat that was quiet may get at once.
	talkBurst = 3.0
	// lookAhead is how far into a chat's queue a call is looked for that nothing holds back.
	lookAhead = 64
	// lookupTries is how often a question whose answer got lost is asked.
	lookupTries = 3
	// floodChats within floodWindow stop the whole bot, answers excepted.
	floodChats  = 3
	floodWindow = 10 * time.Second
)

// task is a job on its way, with who asked for it. A gathered deletion stands for several.
type task struct {
	job       *protos.Job
	to        *actor.PID
	since     time.Time
	notBefore time.Time
	tries     int
	single    bool    // a deletion that must go alone
	parts     []*task // what a gathered deletion is made of
}

// reply is an answer somebody is owed.
type reply struct {
	t    *task
	done *protos.JobDone
}

// limits are the budgets; zero means none.
type limits struct {
	slots      int
	perSecond  float64 // messages of the whole bot
	perGroup   float64 // messages a minute in one group
	actions    float64 // mutes, frees and deletions a second
	floodExtra func() time.Duration
}

// chatLane is what waits for one chat.
type chatLane struct {
	id       int64
	queues   [laneCount][]*task
	paused   [laneCount]time.Time
	talk     bucket
	inAir    int
	turn     bool // it stands in turns
	deleting bool
	person   map[int64]bool  // a restrict is in the air
	wanted   map[int64]*task // the one restrict that waits
	waiting  int
}

// lanes decide which call may leave next. They have no clock, no goroutine and no Telegram: chats take
// turns, and inside a chat the class with the right of way goes first.
type lanes struct {
	limits  limits
	chats   map[int64]*chatLane
	turns   []*chatLane // chats with something waiting, whose turn it is first
	answers []*task
	inAir   int
	work    int // waiting, in all
	all     bucket
	acts    bucket
	paused  time.Time
	floods  map[int64]time.Time
	began   time.Time
}

func newLanes(l limits, now time.Time) *lanes {
	return &lanes{
		limits: l, began: now, chats: map[int64]*chatLane{}, floods: map[int64]time.Time{},
		all: newBucket(l.perSecond, 1, now), acts: newBucket(l.actions, max(l.actions, 1), now),
	}
}

// add queues a job. It returns the answers owed at once: to one that was superseded or does not fit.
func (l *lanes) add(t *task) []reply {
	if t.job.GetLane() == protos.Lane_ANSWER {
		if len(l.answers) >= chatWork {
			return []reply{refused(t, "queue full")}
		}
		l.answers = append(l.answers, t)
		l.work++
		return nil
	}
	ch := l.chat(t.job.GetChatId())
	var owed []reply
	if r := t.job.GetRestrict(); r != nil {
		if old := ch.wanted[r.GetUserId()]; old != nil {
			ch.remove(old)
			delete(ch.wanted, r.GetUserId())
			l.work--
			owed = append(owed, refused(old, "superseded"))
		}
	}
	lane := t.job.GetLane()
	if n := len(ch.queues[lane]); l.work >= allWork || n >= chatWork || lane == protos.Lane_TALK && n >= chatTalk {
		return append(owed, refused(t, "queue full"))
	}
	if r := t.job.GetRestrict(); r != nil {
		ch.wanted[r.GetUserId()] = t
	}
	ch.queues[lane] = append(ch.queues[lane], t)
	l.queued(ch)
	return owed
}

func refused(t *task, why string) reply {
	return reply{t: t, done: &protos.JobDone{Tag: t.job.GetTag(), Outcome: protos.Outcome_EXPIRED, Description: why}}
}

func (l *lanes) queued(ch *chatLane) {
	l.work++
	ch.waiting++
	l.queueUp(ch)
}

// queueUp gives a chat that has something waiting one place among those whose turn will come.
func (l *lanes) queueUp(ch *chatLane) {
	if ch.waiting > 0 && !ch.turn {
		ch.turn = true
		l.turns = append(l.turns, ch)
	}
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
		ch = &chatLane{id: id, talk: newBucket(rate, burst, l.began), person: map[int64]bool{}, wanted: map[int64]*task{}}
		l.chats[id] = ch
	}
	return ch
}

func (ch *chatLane) remove(t *task) {
	q := &ch.queues[t.job.GetLane()]
	*q = slices.DeleteFunc(*q, func(x *task) bool { return x == t })
	ch.waiting--
}

// next takes the call that may leave now, or says how long until one might; 0 means that only the end
// of a call can change anything.
func (l *lanes) next(now time.Time) (t *task, wait time.Duration, late []reply) {
	if len(l.answers) > 0 && l.inAir < l.limits.slots {
		t, l.answers = l.answers[0], l.answers[1:]
		l.work--
		l.inAir++
		return t, 0, nil
	}
	soon := soonest{now: now}
	for range len(l.turns) {
		ch := l.turns[0]
		l.turns = l.turns[1:]
		ch.turn = false
		late = append(late, l.expired(ch, &soon, now)...)
		t := l.pick(ch, &soon, now)
		l.queueUp(ch)
		if t != nil {
			return t, 0, late
		}
	}
	l.forget(now)
	return nil, soon.in, late
}

// soonest keeps the shortest time that something must wait.
type soonest struct {
	now time.Time
	in  time.Duration
}

// until notes a moment and reports whether it lies ahead.
func (s *soonest) until(at time.Time) bool {
	return s.after(at.Sub(s.now))
}

func (s *soonest) after(d time.Duration) bool {
	if d <= 0 {
		return false
	}
	if s.in == 0 || d < s.in {
		s.in = d
	}
	return true
}

// pick takes the first call of a chat that nothing holds back.
func (l *lanes) pick(ch *chatLane, soon *soonest, now time.Time) *task {
	if soon.until(l.paused) || ch.inAir >= max(l.limits.slots/4, 1) && len(l.turns) > 0 {
		return nil
	}
	for lane := int(protos.Lane_FREE); lane < laneCount; lane++ {
		if len(ch.queues[lane]) == 0 || soon.until(ch.paused[lane]) || !l.slot(protos.Lane(lane)) {
			continue
		}
		if !l.budget(ch, protos.Lane(lane), soon, now) {
			continue
		}
		for i, t := range ch.queues[lane][:min(len(ch.queues[lane]), lookAhead)] {
			if soon.until(t.notBefore) || !ch.free(t) {
				continue
			}
			return l.leave(ch, lane, i)
		}
	}
	return nil
}

// slot: some are kept for what people wait for.
func (l *lanes) slot(lane protos.Lane) bool {
	if lane == protos.Lane_FREE || lane == protos.Lane_LOOKUP {
		return l.inAir < l.limits.slots
	}
	return l.inAir < max(l.limits.slots-reserved, 1)
}

func (l *lanes) budget(ch *chatLane, lane protos.Lane, soon *soonest, now time.Time) bool {
	switch lane {
	case protos.Lane_TALK:
		return !soon.after(max(ch.talk.wait(now), l.all.wait(now)))
	case protos.Lane_LOOKUP, protos.Lane_ANSWER:
		return true
	case protos.Lane_FREE, protos.Lane_MUTE, protos.Lane_DELETE:
	}
	return !soon.after(l.acts.wait(now))
}

// free: never two restricts for one person in the air, and one deletion a chat, so that what comes
// meanwhile goes together.
func (ch *chatLane) free(t *task) bool {
	if r := t.job.GetRestrict(); r != nil {
		return !ch.person[r.GetUserId()]
	}
	return t.job.GetDelete() == nil || !ch.deleting
}

// leave takes a call out of its queue and notes that it is in the air.
func (l *lanes) leave(ch *chatLane, lane, i int) *task {
	t := ch.queues[lane][i]
	if t.job.GetDelete() != nil {
		t = l.gather(ch, lane, i)
	} else {
		ch.queues[lane] = slices.Delete(ch.queues[lane], i, i+1)
		ch.waiting--
		l.work--
	}
	if r := t.job.GetRestrict(); r != nil {
		ch.person[r.GetUserId()] = true
		delete(ch.wanted, r.GetUserId())
	}
	ch.deleting = ch.deleting || t.job.GetDelete() != nil
	switch protos.Lane(lane) {
	case protos.Lane_TALK:
		ch.talk.take()
		l.all.take()
	case protos.Lane_LOOKUP, protos.Lane_ANSWER:
	default:
		l.acts.take()
	}
	ch.inAir++
	l.inAir++
	return t
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
	ch.waiting -= len(parts)
	l.work -= len(parts)
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

// expired takes out what is not worth doing any more, and notes when the next will not be.
func (l *lanes) expired(ch *chatLane, soon *soonest, now time.Time) (late []reply) {
	nowMs := now.UnixMilli()
	for lane := range ch.queues {
		ch.queues[lane] = slices.DeleteFunc(ch.queues[lane], func(t *task) bool {
			at := t.job.GetDeadlineMs()
			if at == 0 {
				return false
			}
			if at >= nowMs {
				soon.until(time.UnixMilli(at + 1))
				return false
			}
			ch.waiting--
			l.work--
			if r := t.job.GetRestrict(); r != nil {
				delete(ch.wanted, r.GetUserId())
			}
			late = append(late, refused(t, "too late"))
			return true
		})
	}
	return late
}

// forget drops chats that have nothing under way and a full bucket.
func (l *lanes) forget(now time.Time) {
	if len(l.chats) < 10_000 {
		return
	}
	for id, ch := range l.chats {
		ch.talk.fill(now)
		if ch.waiting == 0 && ch.inAir == 0 && ch.talk.have >= ch.talk.burst && !slices.ContainsFunc(ch.paused[:], now.Before) {
			delete(l.chats, id)
		}
	}
}
