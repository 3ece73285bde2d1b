package actors

import (
	"context"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
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
	seen   uint64 // seq of the last want
	rules  *rules // nil until the first want
	exempt bool
	name   string // the person's, as far as it is known

	memory   *memory // of the group, for the time the database is away; nil = none
	rests    bool    // see flowRests
	gone     []int64 // messages that have been dealt with, see areGone
	deferred bool    // something had to wait for the database, and all that follows waits behind it
}

// verification owns one person's flow in one group: it is the living form of one row and exists only
// while something is to be done. A group spawns it, sends wants, and ends it after flowDone.
type verification struct {
	d      *deps
	group  int64
	userID int64
	seat   *seat

	loaded   bool
	read     bool // the row has been read from the store once
	hasRow   bool // the store has a row, or one is on its way there
	row      persistence.Flow
	queue    []*want
	lastTag  uint64
	lastRun  uint64
	run      *run
	late     time.Time // until when a call of unknown outcome may still act
	warned   int
	warnedAt time.Time
	pending  map[int64]bool // channels the person has asked to join
	insight
	before   insight                 // as it was before a commit that was to end what it is about
	known    bool                    // the person was seen here as a member of the channels
	later    bool                    // the row is to be read again soon
	blind    bool                    // the database is away, and whether it has a row is not known
	asOf     int64                   // Unix ms: evidence must not be older, see notBefore
	opened   bool                    // the store has the row open, see keepActs
	unsure   bool                    // whether the store has the row as it is here is not known, see keep
	erasures small[uint64, *erasure] // by tag
	more     bool                    // wants that wait for the run under way are settled: the row must stay open
}

// insight is what a verification knows of a mute beside its row.
type insight struct {
	unmuted bool // somebody else has lifted our mute, see noteUnmuted
	hearsay bool // the row is there for late word of a mute alone, see takeOwn
	freed   bool // a call of ours may have lifted the mute since it stood
	spent   bool // the row's messages are from before our mute was last seen to stand
	awaited int  // how often Telegram's word on a mute that is gone was waited for
}

// run is one look at a person: gather, decide, act.
type run struct {
	id        uint64
	step      step
	trigger   trigger
	update    int64 // the update that caused it, for the log; 0 = none did
	wants     []*want
	onlyEdits bool
	saving    int                          // commits under way that the decision waits for
	verdicts  small[int64, protos.Verdict] // by channel
	learned   small[int64, int64]          // by channel, Unix ms: of when that is
	memberIn  bool
	stale     bool  // what is known of the person's standing is from before something that has joined the run
	changed   bool  // it is from before somebody else changed it
	demoted   bool  // it is about who is no administrator any more
	joined    bool  // it may be from before the person joined the group
	looks     int   // how often the standing was asked
	doubted   int   // how often channels were asked again since what they had said was in doubt
	decidedMs int64 // Unix ms: when it was decided
	member    *protos.Member
	waiting   small[uint64, func(actor.Context, *protos.JobDone)] // by tag
	asked     small[uint64, int64]                                // tag → channel
	weighs    *weighing                                           // nil: not yet
	acts      int                                                 // calls under way that the run's end waits for
	had       []int64                                             // messages of the row when it began
	erasing   []int64                                             // messages that it has asked to be deleted
	tried     bool                                                // a call failed that counts as an attempt
	muting    uint64                                              // tag of the call that mutes
	freeing   uint64                                              // tag of the call that frees
	freeAt    time.Time                                           // it cannot leave before; zero = it can
	after     ruling
	muted     bool
	again     time.Time // set: look again then
	timer     *time.Timer
	press     *time.Timer
}

// weighing is what a run learns of whether an "outside" of a channel is believed.
type weighing struct {
	asked small[uint64, int64] // tag → channel
	held  small[int64, bool]   // channels whose "outside" is not believed
}

// Receive handles wants of the group and the answers to its own questions.
func (v *verification) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		v.load(c)
	case *retryLoad:
		v.later = false
		if !v.loaded {
			v.load(c)
		}
	case *actor.Restarting, *actor.Stopping:
		v.abandon("verification stopped")
	case *rowLoaded:
		v.onLoaded(c, m)
	case *want:
		v.onWant(c, m)
	case *protos.MembershipAnswer:
		v.onVerdict(c, m)
	case *protos.BrakeAnswer:
		v.onBrake(c, m)
	case *protos.JobWait:
		v.onWait(c, m)
	case *protos.JobDone:
		if !v.onErased(c, m) && v.run != nil {
			if then, ok := v.run.waiting.take(m.GetTag()); ok {
				then(c, m)
			}
		}
	case *committed:
		v.onCommitted(c, m)
	case *tick:
		v.onTick(c, m)
	case *pressWaits:
		if !v.loaded || v.blind {
			v.tellPressed(c)
			return
		}
		v.answerThese(c, v.queue, "press.checking", true, nil)
	case *pressLate:
		if v.run != nil && v.run.id == m.run && v.blind {
			v.tellPressed(c) // and no more: it may have to wait for the database
		} else if v.run != nil && v.run.id == m.run {
			v.answerPresses(c, "press.checking", true, nil)
		}
	case *keepTick:
		for _, w := range v.queue {
			v.keep(w)
		}
		v.keepActs()
	case *sightTick:
		v.onSightTick(c, m)
	}
}

func (v *verification) load(c actor.Context) {
	if v.d.writer.Away() && v.d.keeps {
		if len(v.queue) > 0 {
			v.remember(c)
		} else {
			v.loadLater(c)
		}
		return
	}
	self, root := c.Self(), v.d.root
	ok := v.d.pool.Go(func(ctx context.Context) {
		known, err := v.d.store.Person(ctx, v.group, v.userID)
		root.Send(self, &rowLoaded{known: known, err: err})
	})
	if !ok {
		v.loadLater(c)
	}
}

func (v *verification) loadLater(c actor.Context) {
	if v.later {
		return
	}
	v.later = true
	self, root := c.Self(), v.d.root
	time.AfterFunc(time.Second, func() { root.Send(self, &retryLoad{}) })
}

func (v *verification) onLoaded(c actor.Context, m *rowLoaded) {
	if v.loaded {
		return
	}
	if m.err != nil {
		v.d.writer.Suspect(m.err)
		if v.d.keeps && v.d.writer.Away() {
			v.remember(c)
			return
		}
		v.d.log.Warn().Err(m.err).Int64("chat", v.group).Msg("a flow's row cannot be read, trying again")
		v.abandon("row cannot be read")
		v.loadLater(c)
		return
	}
	v.loaded, v.hasRow, v.row, v.known = true, m.known.HasFlow, m.known.Flow, m.known.Seen
	toDelete := len(v.row.Messages)
	v.row.Messages = minus(v.row.Messages, v.seat.gone)
	if !v.read && v.hasRow && v.row.State == persistence.Freeing {
		v.freed = true // how far an earlier life came with it nobody knows; what comes later is of this one
	}
	v.read = true
	v.warned, v.warnedAt = m.known.Warnings, m.known.WarnedAt
	if v.lastRun == 0 {
		// The calls that failed were of an earlier life, or of long ago: that Telegram fails now is not said by them,
		// and whoever waits is not to wait the longest pause after the first call that does.
		v.row.Attempts = 0
	}
	v.blind, v.seat.deferred, v.unsure = false, false, false
	v.opened = len(v.row.Messages) < toDelete
	v.pending = nil
	for _, ch := range m.known.Requested {
		put(&v.pending, ch, true)
	}
	for _, w := range v.queue {
		if w.pending != 0 {
			put(&v.pending, w.pending, true)
		}
	}
	v.unmuted = v.unmuted || v.hasRow && v.row.Cause == persistence.CauseUnmuted
	if v.hasRow && v.row.State == persistence.Checking {
		// Whoever has told of what began the flow may be gone, but what was known before that does not decide it.
		v.asOf = max(v.asOf, v.row.Since.UnixMilli())
	}
	if v.hasRow && v.row.UntilDate != 0 && v.row.State != persistence.Muted {
		// Whoever stored this row may have died with a call in the air.
		v.late = v.d.clock().Add(lateEffect)
	}
	if v.hasRow && (openFlow(v.row) || v.opened) && len(v.queue) == 0 && v.seat.rules != nil {
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
	v.seat.rules, v.seat.exempt = w.rules, w.exempt
	v.noteUnmuted(w)
	if v.run != nil && (w.trigger == byModerator && w.own == nil || w.demotes()) {
		v.run.changed = true
	}
	if w.pending != 0 && v.loaded {
		put(&v.pending, w.pending, true)
	}
	if w.user.GetFirstName() != "" {
		v.seat.name = displayName(w.user)
	}
	w.user = nil // with it the whole event would be kept until the end of the run
	if len(v.queue) >= maxWaiting {
		v.d.settle(w, v.group, "too many events for one person")
		return
	}
	if w.own != nil && v.loaded && v.run != nil && v.run.step == stepWaiting && v.takeOwn(w) {
		v.d.settle(w, v.group, "")
		return
	}
	if v.run != nil && (w.trigger == byMessage || w.trigger == byJoin) && v.joinRun(c, w) {
		return
	}
	if v.run != nil && v.answerHeld(c, w) {
		return
	}
	v.queue = append(v.queue, w)
	v.waitForPress(c, w)
	switch {
	case v.run == nil:
	case v.run.step == stepWaiting:
		v.endRun()
	default:
		v.withdraw(c)
		v.waits(c, w)
	}
	if !v.loaded && v.d.keeps && v.d.writer.Away() {
		v.remember(c)
		return
	}
	v.next(c)
}

// next begins a run if one is due, or tells the group that nothing is left to do.
func (v *verification) next(c actor.Context) {
	if !v.loaded || v.run != nil || v.seat.rules == nil {
		return // the first want brings the rules
	}
	if v.blind && len(v.queue) > 0 && !v.d.writer.Away() {
		v.loaded, v.blind = false, false
		v.load(c)
		return
	}
	if v.blind && !v.mayGoBlind() {
		v.deferAll(c)
		return
	}
	if !v.blind {
		v.takeOwns()
		v.dropIdle(c)
	}
	if len(v.queue) == 0 {
		row := v.row
		if !v.hasRow {
			row = persistence.Flow{}
		}
		c.Send(c.Parent(), &flowDone{user: v.userID, handled: v.seat.seen, row: row, gone: v.seat.goneLast(), blind: v.blind})
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
		// Where nobody is muted at first, who presses may lack a channel without having a row.
		if w.trigger >= byLeave && w.trigger <= byMessage || w.trigger == byPress && v.seat.rules.gentle() {
			return
		}
	}
	for _, w := range v.queue {
		if w.trigger == byPress && w.event != nil { // else it was answered while it waited
			v.answer(c, w, "press.free", false, nil)
		}
		if w.trigger == byTime {
			group, user := v.group, v.userID
			v.d.writer.Do(func(tx persistence.Tx) error { return tx.DropRemoval(group, user) }, func(error) {
				// The clerk brings it again if it still stands.
			})
		}
		v.d.settle(w, v.group, "")
	}
	v.queue = nil
}

func (v *verification) begin(c actor.Context) {
	v.lastRun++
	r := &run{id: v.lastRun, wants: v.queue, had: v.row.Messages}
	v.queue, v.run, v.more, v.before = nil, r, false, insight{}
	if v.seat.rests {
		v.seat.rests = false
		c.Send(c.Parent(), &flowRests{user: v.userID})
	}
	self, root := c.Self(), v.d.root
	r.timer = time.AfterFunc(runLimit, func() { root.Send(self, &tick{run: r.id}) })
	store := false
	r.onlyEdits = true
	for _, w := range r.wants {
		r.onlyEdits = r.onlyEdits && w.event.GetKind() == protos.EventKind_EDITED_MESSAGE
		r.trigger = max(r.trigger, w.trigger)
		if r.update == 0 {
			r.update = w.event.GetUpdateId()
		}
		store = v.note(w) || store
		if w.trigger == byModerator && w.event != nil {
			v.waits(c, w)
		}
		if w.trigger == byPress && r.press == nil {
			r.press = time.AfterFunc(pressLimit, func() { root.Send(self, &pressLate{run: r.id}) })
		}
	}
	switch {
	case v.blind:
		v.sightSoon(c)
	case store:
		v.save(c, r.wants, nil, func(c actor.Context) { v.gathered(c) })
	}
	v.ask(c)
	v.gathered(c)
}

// note takes a want into the row and reports whether the row must be stored before it may settle.
func (v *verification) note(w *want) (store bool) {
	if !v.hasRow && w.trigger >= byLeave && w.trigger <= byMessage {
		v.hasRow = true
		v.row = v.fresh(w.trigger.cause())
		store = w.noted // somebody has taken the row away
	}
	if w.trigger >= byLeave && w.trigger <= byMessage {
		v.hearsay = false
	}
	if w.noted {
		return store
	}
	switch w.trigger {
	case byMessage:
		if id := w.event.GetMessageId(); !slices.Contains(v.seat.gone, id) && !slices.Contains(v.row.Messages, id) {
			v.row.Messages, v.spent = append(slices.Clone(v.row.Messages), id), false
		}
		v.row.ThreadID = w.event.GetThreadId()
		return true
	case byJoin:
		if v.row.State == persistence.Checking {
			v.row.Cause = byJoin.cause() // Telegram's word on it may come after the first message
		}
		return true
	case byLeave:
		v.noteDemoted(w)
		return true
	case byHint:
		// Stored as freeing, a crash cannot forget that the person may have earned it.
		if v.row.State == persistence.Muted {
			v.row.State = persistence.Freeing
		}
		return v.hasRow
	case byModerator:
		store = v.hasRow && v.noteBefore(&v.row, w.before)
		if v.unmuted && v.hasRow && v.row.State == persistence.Muted {
			v.row.State, store = persistence.Freeing, true // no crash forgets what a moderator has decided
		}
		return store
	case byResume:
		// Whoever has everybody looked at may have stored that the row is open while a look was under way.
		v.opened = v.opened || v.hasRow && v.row.State == persistence.Muted
	case byPress, byTime:
	}
	return false
}

// noteBefore corrects the rights we hold for the person: a moderator may have acted between our look and
// our mute, and what our mute replaced is what the person gets back.
func (v *verification) noteBefore(row *persistence.Flow, m *protos.Member) bool {
	if m == nil || row.UntilDate == 0 || m.GetStatus() != telegram.StatusRestricted || v.d.isOurs(m) || isRows(*row, m) {
		return false
	}
	before := &persistence.Rights{Permissions: m.GetPermissions(), UntilDate: m.GetUntilDate()}
	if b := row.Before; b != nil && *b == *before {
		return false
	}
	row.Before = before
	return true
}

// noteCovered has a free give back what Telegram has told this run too late that the mute covered.
func (v *verification) noteCovered() (changed bool) {
	for _, w := range v.queue {
		if w.own.GetUntilDate() == v.row.UntilDate && !v.unmuted {
			changed = v.hasRow && v.noteBefore(&v.row, w.before) || changed
		}
	}
	return changed
}

// joinRun takes a message, or Telegram's second word on a join, into the run under way, and reports whether it
// could. It settles with a commit then, instead of keeping all chats' next updates waiting for the run's end.
func (v *verification) joinRun(c actor.Context, w *want) bool {
	r := v.run
	acting := r.step == stepActing && (w.trigger == byMessage || r.after.Act == actMute)
	if r.step != stepGather && !acting {
		return false
	}
	if acting && w.trigger == byMessage && (r.changed || w.date*1000-r.decidedMs >= writtenWithin.Milliseconds()) {
		return false // the person may have been made an administrator: somebody says so, or a call of this run takes long
	}
	if r.step == stepGather && slices.ContainsFunc(v.queue, func(w *want) bool { return w.trigger == byLeave }) {
		return false // written after the person left, which this run may not know
	}
	before := v.row.Messages
	v.note(w)
	r.joined = r.joined || w.trigger == byJoin
	if !acting {
		r.stale = r.stale || r.memberIn
		v.askAgain(c, w.at)
	}
	r.trigger = max(r.trigger, w.trigger)
	r.onlyEdits = r.onlyEdits && w.event.GetKind() == protos.EventKind_EDITED_MESSAGE
	if v.blind {
		r.wants = append(r.wants, w)
		return true
	}
	if acting {
		r.acts++
	}
	var ids []int64
	if id := w.event.GetMessageId(); w.trigger == byMessage && !slices.Contains(v.seat.gone, id) {
		ids = append(ids, id)
	}
	goOn := func(c actor.Context) {
		if acting {
			r.acts--
			v.acted(c)
			return
		}
		v.gathered(c)
	}
	row := v.withMarks(v.caused(v.row))
	row.Messages = slices.Clone(row.Messages)
	if v.opened && row.State == persistence.Muted {
		row.State = persistence.Freeing // still to be looked at
	}
	v.commitOr(c, []*want{w}, func(tx persistence.Tx) error { return tx.SaveFlow(row) }, func(c actor.Context) {
		if acting {
			v.erase(c, ids)
		}
		goOn(c)
	}, func(c actor.Context) {
		// An earlier life did it; the run goes on, for what it does would only be done again.
		v.row.Messages = minus(v.row.Messages, minus(ids, before))
		goOn(c)
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
	if v.blind {
		v.deferAll(c)
		return
	}
	if v.run.step != stepWaiting {
		v.d.log.Warn().Int64("chat", v.group).Int("step", int(v.run.step)).Msg("a verification got no answer, starting again")
		v.late = v.d.clock().Add(lateEffect)
		v.erasures = nil
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
