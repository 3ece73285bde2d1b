package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// While the database is away rows cannot be read. A verification then works from what its group remembers of
// the person's last row; and without that, blind: it may mute who is found unrestricted and outside, since no
// mute of ours can stand there, but leaves alone whoever is restricted, since nobody can say by whom. What it
// stores meanwhile is kept in the journal, and is as good as stored.

// memory is what a group remembers of the last row of a person.
type memory struct {
	row   persistence.Flow
	known bool // the row, or that there is none
	seen  bool // the person was noted here as a member of the channels
}

// pressWaits is the moment somebody who pressed gets an interim answer although nobody judges yet.
type pressWaits struct{}

const awayReason = "the database is away"

// remember goes on without the store, if that is safe for this person.
func (v *verification) remember(c actor.Context) {
	var m memory
	if v.seat.memory != nil {
		m = *v.seat.memory
	}
	if v.seat.deferred || slices.ContainsFunc(v.queue, func(w *want) bool { return w.noted }) {
		v.deferAll(c)
		return
	}
	v.loaded, v.known, v.warned, v.pending = true, m.seen, 0, nil
	v.row, v.hasRow, v.blind = m.row, m.known && m.row.State != "", !m.known
	v.freed = v.freed || v.hasRow && v.row.State == persistence.Freeing
	v.unmuted = v.unmuted || v.hasRow && v.row.Cause == persistence.CauseUnmuted
	v.next(c)
}

// deferAll leaves everything to the time when the row can be read, and what comes for this person until then,
// too, so that nothing overtakes. Whoever pressed is told that it takes longer.
func (v *verification) deferAll(c actor.Context) {
	v.tellPressed(c)
	v.abandon(awayReason)
	v.unread()
	v.seat.deferred = true
	v.loadLater(c)
}

// unread forgets what was known of the row, or that it was not known.
func (v *verification) unread() {
	v.loaded, v.blind, v.hasRow, v.row = false, false, false, persistence.Flow{}
}

// mayGoBlind: everything that waits can be judged without the row.
func (v *verification) mayGoBlind() bool {
	wishes := v.seat.rules.wishes
	if wishes.Action == persistence.ActionWarn || wishes.PendingCounts {
		return false
	}
	for _, w := range v.queue {
		if w.trigger != byMessage && w.trigger != byJoin && w.trigger != byPress {
			return false
		}
	}
	return true
}

// decidedBlind takes decisions that mean something else without a row, and reports whether it did.
func (v *verification) decidedBlind(c actor.Context, d decision, verdict protos.Verdict, missing []int64) bool {
	maybeOurs := isOurKind(v.run.member)
	switch {
	case d.Act == actRetry, d.Act == actClose && maybeOurs && verdict != protos.Verdict_OUTSIDE:
		v.deferAll(c)
		return true
	case d.Act == actClose && maybeOurs:
		v.answerPresses(c, "press.missing", true, missing)
	}
	return false
}

// sightAfter is how often a run without the row looks whether the database is back.
const sightAfter = time.Second

// sightTick is the moment for that. The verification sends it to itself.
type sightTick struct{ run uint64 }

func (v *verification) sightSoon(c actor.Context) {
	self, root, id := c.Self(), v.d.root, v.run.id
	time.AfterFunc(sightAfter, func() { root.Send(self, &sightTick{run: id}) })
}

// onSightTick begins a run anew with the row when the database is back: what it is about is stored then, and waits no
// more for answers that may take longer than its update can.
func (v *verification) onSightTick(c actor.Context, m *sightTick) {
	r := v.run
	switch {
	case r == nil || r.id != m.run || !v.blind || r.step != stepGather:
	case v.d.writer.Away():
		v.sightSoon(c)
	default:
		v.queue = append(r.wants, v.queue...)
		r.wants = nil
		v.endRun()
		v.unread()
		v.load(c)
	}
}

// closeBlind ends a run that leaves no row of its own; one that the store may have is not touched.
func (v *verification) closeBlind(c actor.Context) {
	v.row, v.hasRow = persistence.Flow{}, false
	v.finish(c)
}

// waitForPress makes sure that whoever pressed hears something soon.
func (v *verification) waitForPress(c actor.Context, w *want) {
	if w.trigger != byPress || v.loaded && v.run == nil {
		return
	}
	self, root := c.Self(), v.d.root
	time.AfterFunc(pressLimit, func() { root.Send(self, &pressWaits{}) })
}

// tellPressed says to everybody whose press waits that it takes longer. Their presses are not done by that.
func (v *verification) tellPressed(c actor.Context) {
	waiting := v.queue
	if v.run != nil {
		waiting = slices.Concat(waiting, v.run.wants)
	}
	for _, w := range waiting {
		if w.trigger == byPress && w.event != nil && !w.told {
			w.told = true
			v.answer(c, w, "press.checking", true, nil)
		}
	}
}
