package actors

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// step says how far a run of a verification has come.
type step uint8

const (
	stepGather  step = iota // row and questions are under way
	stepActing              // muting, or deleting what a muted person wrote
	stepFreeing             // freeing or closing: what is written now is judged by the next run
	stepWaiting             // a retry is set
)

const (
	runLimit   = 60 * time.Second       // a run whose answers never come starts again
	pressLimit = 800 * time.Millisecond // then who pressed gets an interim answer
	maxWaiting = 128                    // wants that may wait in one verification
)

// seat is what a verification keeps over a restart after a panic; only that one actor touches it.
type seat struct {
	seen     uint64 // seq of the last want
	channels []persistence.Channel
	user     *protos.User
}

// verification owns one person's flow in one group: it is the living form of one row and exists only
// while something is to be done. A group spawns it, sends wants, and ends it after flowDone.
type verification struct {
	d      *deps
	group  int64
	userID int64
	seat   *seat

	loaded  bool
	hasRow  bool // the store has a row, or one is on its way there
	row     persistence.Flow
	queue   []*want
	lastTag uint64
	lastRun uint64
	run     *run
	late    time.Time // until when a call of unknown outcome may still act
}

// run is one look at a person: gather, decide, act.
type run struct {
	id       uint64
	step     step
	trigger  trigger
	wants    []*want
	saving   int // commits under way that the decision waits for
	verdicts map[int64]protos.Verdict
	memberIn bool
	member   *protos.Member
	waiting  map[uint64]func(actor.Context, *protos.JobDone) // by tag
	asked    map[uint64]int64                                // tag → channel
	acts     int                                             // calls under way that the run's end waits for
	after    decision
	muted    bool
	again    time.Time // set: look again then
	timer    *time.Timer
	press    *time.Timer
}

// Receive handles wants of the group and the answers to its own questions.
func (v *verification) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started, *retryLoad:
		v.load(c)
	case *actor.Restarting, *actor.Stopping:
		v.abandon("verification stopped")
	case *rowLoaded:
		v.onLoaded(c, m)
	case *want:
		v.onWant(c, m)
	case *protos.MembershipAnswer:
		v.onVerdict(c, m)
	case *protos.JobDone:
		if v.run != nil {
			if then := v.run.waiting[m.GetTag()]; then != nil {
				delete(v.run.waiting, m.GetTag())
				then(c, m)
			}
		}
	case *committed:
		v.onCommitted(c, m)
	case *tick:
		v.onTick(c, m)
	case *pressLate:
		if v.run != nil && v.run.id == m.run {
			v.answerPresses(c, "press.checking", true, nil)
		}
	}
}

func (v *verification) load(c actor.Context) {
	self, root := c.Self(), v.d.root
	ok := v.d.pool.Go(func(ctx context.Context) {
		row, err := v.d.store.Flow(ctx, v.group, v.userID)
		has := err == nil
		if errors.Is(err, persistence.ErrNotFound) {
			err = nil
		}
		root.Send(self, &rowLoaded{row: row, has: has, err: err})
	})
	if !ok {
		v.loadLater(c)
	}
}

func (v *verification) loadLater(c actor.Context) {
	self, root := c.Self(), v.d.root
	time.AfterFunc(time.Second, func() { root.Send(self, &retryLoad{}) })
}

func (v *verification) onLoaded(c actor.Context, m *rowLoaded) {
	if v.loaded {
		return
	}
	if m.err != nil {
		v.d.log.Warn().Err(m.err).Int64("chat", v.group).Msg("a flow's row cannot be read, trying again")
		v.abandon("row cannot be read")
		v.loadLater(c)
		return
	}
	v.loaded, v.hasRow, v.row = true, m.has, m.row
	if v.hasRow && v.row.UntilDate != 0 && v.row.State != persistence.Muted {
		// Whoever stored this row may have died with a call in the air.
		v.late = v.d.clock().Add(lateEffect)
	}
	if v.hasRow && openFlow(v.row) && len(v.queue) == 0 {
		v.queue = append(v.queue, &want{trigger: byResume})
	}
	v.next(c)
}

// openFlow: there is something to do without anybody asking.
func openFlow(f persistence.Flow) bool {
	return f.State != persistence.Muted || len(f.Messages) > 0
}

func (v *verification) onWant(c actor.Context, w *want) {
	v.seat.seen = w.seq
	v.seat.channels = w.channels
	if w.user.GetFirstName() != "" || v.seat.user == nil {
		v.seat.user = w.user
	}
	if len(v.queue) >= maxWaiting {
		v.d.settle(w, v.group, "too many events for one person")
		return
	}
	if v.run != nil && w.trigger == byMessage && v.joinRun(c, w) {
		return
	}
	v.queue = append(v.queue, w)
	if v.run != nil && v.run.step == stepWaiting {
		v.endRun()
	}
	v.next(c)
}

// next begins a run if one is due, or tells the group that nothing is left to do.
func (v *verification) next(c actor.Context) {
	if !v.loaded || v.run != nil {
		return
	}
	v.dropIdle(c)
	if len(v.queue) == 0 {
		c.Send(c.Parent(), &flowDone{user: v.userID, handled: v.seat.seen})
		return
	}
	v.begin(c)
}

// dropIdle settles wants that mean nothing without a row.
func (v *verification) dropIdle(c actor.Context) {
	if v.hasRow {
		return
	}
	for _, w := range v.queue {
		if w.trigger == byMessage || w.trigger == byJoin || w.trigger == byLeave {
			return
		}
	}
	for _, w := range v.queue {
		if w.trigger == byPress {
			v.answer(c, w, "press.free", false, nil)
		}
		v.d.settle(w, v.group, "")
	}
	v.queue = nil
}

func (v *verification) begin(c actor.Context) {
	v.lastRun++
	r := &run{
		id: v.lastRun, wants: v.queue, verdicts: map[int64]protos.Verdict{},
		waiting: map[uint64]func(actor.Context, *protos.JobDone){}, asked: map[uint64]int64{},
	}
	v.queue, v.run = nil, r
	self, root := c.Self(), v.d.root
	r.timer = time.AfterFunc(runLimit, func() { root.Send(self, &tick{run: r.id}) })
	store := false
	for _, w := range r.wants {
		r.trigger = max(r.trigger, w.trigger)
		store = v.note(w) || store
		if w.trigger == byPress && r.press == nil {
			r.press = time.AfterFunc(pressLimit, func() { root.Send(self, &pressLate{run: r.id}) })
		}
	}
	if store {
		v.save(c, r.wants, nil, func(c actor.Context) { v.gathered(c) })
	}
	v.ask(c)
	v.gathered(c)
}

// note takes a want into the row and reports whether the row must be stored before it may settle.
func (v *verification) note(w *want) (store bool) {
	if !v.hasRow && w.trigger >= byLeave && w.trigger <= byMessage {
		v.hasRow = true
		v.row = persistence.Flow{
			GroupID: v.group, UserID: v.userID, Name: displayName(v.seat.user), State: persistence.Checking,
			Cause: w.trigger.cause(), Since: v.d.clock(),
		}
	}
	switch w.trigger {
	case byMessage:
		if id := w.event.GetMessageId(); !slices.Contains(v.row.Messages, id) {
			v.row.Messages = append(slices.Clone(v.row.Messages), id)
		}
		v.row.ThreadID = w.event.GetThreadId()
		return true
	case byJoin, byLeave:
		return true
	case byHint:
		// Stored as freeing, a crash cannot forget that the person may have earned it.
		if v.row.State == persistence.Muted {
			v.row.State = persistence.Freeing
		}
		return true
	case byResume, byModerator, byPress:
	}
	return false
}

// joinRun takes a message into the run under way, and reports whether it could.
func (v *verification) joinRun(c actor.Context, w *want) bool {
	r := v.run
	if r.step != stepGather && r.step != stepActing {
		return false
	}
	v.note(w)
	r.trigger = max(r.trigger, byMessage)
	acting := r.step == stepActing
	if acting {
		r.acts++
	}
	id := w.event.GetMessageId()
	v.save(c, []*want{w}, nil, func(c actor.Context) {
		if acting {
			r.acts--
			v.erase(c, []int64{id})
			v.acted(c)
			return
		}
		v.gathered(c)
	})
	return true
}

// abandon gives up what is in hand; its events come again.
func (v *verification) abandon(reason string) {
	for _, w := range v.queue {
		v.d.settle(w, v.group, reason)
	}
	v.queue = nil
	if v.run != nil {
		for _, w := range v.run.wants {
			v.d.settle(w, v.group, reason)
		}
		v.endRun()
	}
}

// endRun forgets the run; what it still holds is done.
func (v *verification) endRun() {
	v.settleRun("")
	v.run.timer.Stop()
	if v.run.press != nil {
		v.run.press.Stop()
	}
	v.run = nil
}

func (v *verification) onTick(c actor.Context, m *tick) {
	if v.run == nil || v.run.id != m.run {
		return
	}
	if v.run.step != stepWaiting {
		v.d.log.Warn().Int64("chat", v.group).Int("step", int(v.run.step)).Msg("a verification got no answer, starting again")
		v.late = v.d.clock().Add(lateEffect)
	}
	v.endRun()
	v.queue = append(v.queue, &want{trigger: byResume})
	v.next(c)
}

// settleRun settles what the run still holds.
func (v *verification) settleRun(reason string) {
	for _, w := range v.run.wants {
		v.d.settle(w, v.group, reason)
	}
}
