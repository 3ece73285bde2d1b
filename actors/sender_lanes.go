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
	allTalk  = 16_384
	// keptWork is room for mutes and frees when all else is full.
	keptWork = 16_384
	// talkBurst is how many messages a chat that was quiet may get at once.
	talkBurst = 3.0
	// lookAhead is how far into a chat's queue a call is looked for that nothing holds back.
	lookAhead = 64
	// lookupTries is how often a question whose answer got lost is asked, and an answer to a button given.
	lookupTries = 3
	// answerEvery is how often an answer to a button leaves while calls are held back: somebody waits for it who will
	// not wait for long, and it shows as well as any other call whether calls are answered again.
	answerEvery = time.Second
	// floodChats within floodWindow stop the whole bot, answers excepted.
	floodChats  = 3
	floodWindow = 10 * time.Second
	// failedCalls in a row, in one chat, hold that chat back; in failedChats chats, the bot.
	failedCalls = 5
	failedChats = 3
	// chatQuantum is what a chat may spend a turn; a call costs 1, and more when it does more.
	chatQuantum = 1
)

// patience is how long a call of a lane is worth waiting for when it says nothing itself. Mutes, frees and
// deletions are rows in the store, which bring them back.
var patience = [laneCount]time.Duration{
	protos.Lane_ANSWER: time.Minute,
	protos.Lane_LOOKUP: time.Minute,
	protos.Lane_TALK:   10 * time.Minute,
	protos.Lane_FREE:   time.Hour,
	protos.Lane_MUTE:   time.Hour,
	protos.Lane_DELETE: time.Hour,
}

// task is a job on its way, with who asked for it. A gathered deletion stands for several.
type task struct {
	job       *protos.Job
	to        *actor.PID
	since     time.Time
	until     int64 // Unix ms after which it is not worth doing
	notBefore time.Time
	tries     int
	single    bool    // a deletion that must go alone
	probes    bool    // it finds out whether the bot's calls are answered again
	probesIn  bool    // the same for its chat's
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
	jitter     func(time.Duration) time.Duration // nil = none
	// paused is told of long pauses, so that they outlive the program; nil tells nobody.
	paused func(pauseKey, time.Time)
}

// lanes decide which call may leave next. They have no clock, no goroutine and no Telegram: chats take
// turns, and inside a chat the class with the right of way goes first.
type lanes struct {
	limits   limits
	chats    map[int64]*chatLane
	turns    []*chatLane // chats with something waiting, whose turn it is first
	parked   parking     // chats with something waiting that only time lets go
	answers  []*task
	answerAt time.Time // answers were told to wait until then
	answered time.Time // when one last left
	inAir    int
	due      int64 // Unix ms: none of what has its turn is too late before; 0 = nothing has
	work     int   // waiting, in all
	talk     int   // of that, messages and edits
	urgent   int   // of that, what some slots are kept for
	all      bucket
	acts     *pace
	paused   time.Time
	floods   map[int64]time.Time
	sick     holdback
	failed   map[int64]int // calls without an answer by chat, since any had one
	began    time.Time
	forgetAt int
}

func newLanes(l limits, now time.Time) *lanes {
	if l.jitter == nil {
		l.jitter = func(time.Duration) time.Duration { return 0 }
	}
	return &lanes{
		limits: l, began: now, chats: map[int64]*chatLane{}, floods: map[int64]time.Time{}, failed: map[int64]int{},
		all: newBucket(l.perSecond, 1, now), acts: newPace(l.actions, now), forgetAt: forgetFrom,
	}
}

// add queues a job. It returns the answers owed at once: to one that was superseded or does not fit.
func (l *lanes) add(t *task) []reply {
	lane := t.job.GetLane()
	if t.until = t.job.GetDeadlineMs(); t.until == 0 {
		t.until = t.since.Add(patience[lane]).UnixMilli()
	}
	if lane == protos.Lane_ANSWER {
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
			l.remove(ch, old)
			ch.unwant(r.GetUserId())
			owed = append(owed, refused(old, "superseded"))
		}
	}
	if !l.room(ch, lane) {
		return append(owed, refused(t, "queue full"))
	}
	if r := t.job.GetRestrict(); r != nil {
		put(&ch.wanted, r.GetUserId(), t)
	}
	ch.queues[lane] = append(ch.queues[lane], t)
	l.queued(ch, t)
	return owed
}

// withdraw takes back a mute or free that still waits, for there is no reason for it any more: whoever sent it says so.
type withdraw struct {
	chat, user int64
	tag        uint64
}

// withdraw takes a job back if it has not left, and returns the answer owed for it.
func (l *lanes) withdraw(m *withdraw) []reply {
	ch := l.chats[m.chat]
	if ch == nil {
		return nil
	}
	t := ch.wanted[m.user]
	if t == nil || t.job.GetTag() != m.tag {
		return nil
	}
	l.remove(ch, t)
	ch.unwant(m.user)
	return []reply{refused(t, "withdrawn")}
}

// room: what people can do without falls first.
func (l *lanes) room(ch *chatLane, lane protos.Lane) bool {
	n := len(ch.queues[lane])
	switch lane {
	case protos.Lane_TALK:
		return n < chatTalk && l.talk < allTalk && l.work < allWork
	case protos.Lane_FREE, protos.Lane_MUTE:
		return n < chatWork && l.work < allWork+keptWork
	default:
		return n < chatWork && l.work < allWork
	}
}

func refused(t *task, why string) reply {
	return reply{t: t, done: &protos.JobDone{Tag: t.job.GetTag(), Outcome: protos.Outcome_EXPIRED, Description: why}}
}

func (l *lanes) queued(ch *chatLane, t *task) {
	l.count(ch, t, 1)
	if ch.due == 0 || t.until < ch.due {
		ch.due = t.until
		l.duesBy(ch)
	}
	l.queueUp(ch)
}

// count notes that a task waits, or does not any more.
func (l *lanes) count(ch *chatLane, t *task, by int) {
	l.work += by
	ch.waiting += by
	switch lane := t.job.GetLane(); {
	case lane == protos.Lane_TALK:
		l.talk += by
	case urgent(lane):
		l.urgent += by
	}
}

// queueUp gives a chat that has something waiting one place among those whose turn will come.
func (l *lanes) queueUp(ch *chatLane) {
	if ch.waiting == 0 || ch.turn {
		return
	}
	l.parked.leave(ch)
	ch.turn = true
	l.turns = append(l.turns, ch)
	l.duesBy(ch)
}

// duesBy has the lanes look at a chat again before something of it is too late.
func (l *lanes) duesBy(ch *chatLane) {
	if l.due == 0 || ch.due < l.due {
		l.due = ch.due
	}
}

// next takes the call that may leave now, or says how long until one might; 0 means that only the end
// of a call can change anything.
func (l *lanes) next(now time.Time) (t *task, wait time.Duration, late []reply) {
	soon := soonest{now: now}
	if t, late = l.nextAnswer(&soon, now); t != nil {
		return t, 0, late
	}
	for ch := l.parked.ripe(now); ch != nil; ch = l.parked.ripe(now) {
		l.queueUp(ch)
	}
	if l.full() && len(l.turns) > 0 && now.UnixMilli() <= l.due {
		// No call can leave and none is too late: that is so with every job that comes while many wait, so nobody's
		// queue is looked at.
		soon.until(time.UnixMilli(l.due + 1))
		if at, ok := l.parked.first(); ok {
			soon.until(at)
		}
		return nil, soon.in, late
	}
	// A chat that has spent more than its turns waits for the others; when none of them can use the slot
	// it is the first again.
	for again := true; again; {
		again = false
		for range len(l.turns) {
			ch := l.turns[0]
			l.turns = l.turns[1:]
			ch.turn = false
			late = append(late, l.expired(ch, now)...)
			if ch.spent >= chatQuantum && len(l.turns) > 0 {
				ch.spent -= chatQuantum
				again = true
				l.queueUp(ch)
				continue
			}
			t, hold := l.pick(ch, now)
			if t != nil {
				ch.spent = max(ch.spent-chatQuantum, 0) + cost(t) - 1
				l.queueUp(ch)
				return t, 0, late
			}
			l.setBy(ch, hold, &soon)
		}
	}
	l.due = 0
	for _, ch := range l.turns {
		l.duesBy(ch)
	}
	l.forget(now)
	if at, ok := l.parked.first(); ok {
		soon.until(at)
	}
	return nil, soon.in, late
}

// nextAnswer takes an answer to a button: it waits for no other call.
func (l *lanes) nextAnswer(soon *soonest, now time.Time) (t *task, late []reply) {
	for len(l.answers) > 0 && l.answers[0].until < now.UnixMilli() {
		late = append(late, refused(l.answers[0], "too late"))
		l.answers = l.answers[1:]
		l.work--
	}
	if len(l.answers) == 0 {
		return nil, late
	}
	held := l.sick.wait(now) > 0
	waits := l.inAir >= l.limits.slots || soon.until(l.answerAt) || held && soon.until(l.answered.Add(answerEvery))
	at := -1
	if !waits {
		at = slices.IndexFunc(l.answers, func(t *task) bool { return !soon.until(t.notBefore) })
	}
	if at < 0 {
		soon.until(time.UnixMilli(l.answers[0].until + 1))
		return nil, late
	}
	t = l.answers[at]
	l.answers = cutOut(l.answers, at)
	t.probes = !held && l.sick.probe(now)
	l.answered = now
	l.work--
	l.inAir++
	return t, late
}

// quiet: nothing waits, and what is in the air leaves most slots to whoever comes next.
func (l *lanes) quiet(now time.Time) bool {
	return l.work == 0 && 4*l.inAir <= l.limits.slots && !now.Before(l.paused) && l.sick.wait(now) <= 0
}

// setBy parks a chat that only time lets go. One that waits for the end of calls keeps its turn.
func (l *lanes) setBy(ch *chatLane, hold soonest, soon *soonest) {
	if ch.waiting == 0 {
		return
	}
	hold.until(time.UnixMilli(ch.due + 1))
	if hold.crowded {
		l.queueUp(ch)
		soon.after(hold.in)
		return
	}
	l.parked.enter(ch, hold.now.Add(hold.in))
}

// unpark has every chat looked at again, because what held them all has changed.
func (l *lanes) unpark() {
	for ch := l.parked.pop(); ch != nil; ch = l.parked.pop() {
		l.queueUp(ch)
	}
}

// cost of a call, in turns.
func cost(t *task) int {
	switch do := t.job.GetDo().(type) {
	case *protos.Job_Delete:
		return 1 + len(do.Delete.GetMessageIds())/25
	case *protos.Job_SendDocument, *protos.Job_GetFile:
		return 4
	}
	return 1
}

// soonest keeps the shortest time that something must wait.
type soonest struct {
	now     time.Time
	in      time.Duration
	crowded bool // it waits for the end of other calls, too
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

// pick takes the first call of a chat that nothing holds back, or says what does.
func (l *lanes) pick(ch *chatLane, now time.Time) (t *task, hold soonest) {
	hold.now = now
	if hold.until(l.paused) || hold.after(l.sick.wait(now)) || hold.after(ch.sick.wait(now)) {
		return nil, hold
	}
	if ch.inAir >= l.share() {
		hold.crowded = true
		return nil, hold
	}
	for lane := int(protos.Lane_FREE); lane < laneCount; lane++ {
		if len(ch.queues[lane]) == 0 || hold.until(ch.until(protos.Lane(lane))) {
			continue
		}
		if !l.slot(protos.Lane(lane)) {
			hold.crowded = true
			continue
		}
		if !l.budget(ch, protos.Lane(lane), &hold, now) {
			continue
		}
		for i, t := range ch.queues[lane][:min(len(ch.queues[lane]), lookAhead)] {
			if hold.until(t.notBefore) || t.job.GetEditMarkup() != nil && hold.until(ch.until(protos.Lane_TALK)) {
				continue
			}
			if ch.free(t) {
				return l.leave(ch, lane, i, now), hold
			}
			hold.crowded = true
		}
	}
	return nil, hold
}

// share is how many slots a chat may hold: a quarter while another waits, and never so many that the first
// call of another would have to wait for one to end.
func (l *lanes) share() int {
	quarter := max(l.limits.slots/4, 1)
	if len(l.turns) > 0 {
		return quarter
	}
	return max(l.limits.slots-quarter, 1)
}

// urgent is what people wait for: some slots are kept for it.
func urgent(lane protos.Lane) bool { return lane == protos.Lane_FREE || lane == protos.Lane_LOOKUP }

// slot: there is one for a call of a lane.
func (l *lanes) slot(lane protos.Lane) bool {
	if urgent(lane) {
		return l.inAir < l.limits.slots
	}
	return l.inAir < max(l.limits.slots-reserved, 1)
}

// full: there is none for anything that waits.
func (l *lanes) full() bool {
	return !l.slot(protos.Lane_LOOKUP) || l.urgent == 0 && !l.slot(protos.Lane_MUTE)
}

func (l *lanes) budget(ch *chatLane, lane protos.Lane, soon *soonest, now time.Time) bool {
	switch lane {
	case protos.Lane_TALK:
		return !soon.after(max(ch.talk.wait(now), l.all.wait(now)))
	case protos.Lane_LOOKUP, protos.Lane_ANSWER:
		return true
	case protos.Lane_FREE, protos.Lane_MUTE, protos.Lane_DELETE:
	}
	return !soon.after(max(ch.pace(lane, now).wait(now), l.acts.wait(now)))
}
