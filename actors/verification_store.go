package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// save stores the row as it is now, with more if given, and settles the wants by that commit. The
// commit owns their settling from here on: whatever becomes of this actor, they are reported once.
// then runs when the commit is durable, if the run is still the same.
func (v *verification) save(c actor.Context, wants []*want, more func(persistence.Tx) error, then func(actor.Context)) {
	row := v.withMarks(v.caused(v.row))
	row.Messages = slices.Clone(row.Messages)
	v.opened, v.unsure = false, false
	v.commit(c, wants, func(tx persistence.Tx) error {
		if more != nil {
			if err := more(tx); err != nil {
				return err
			}
		}
		return tx.SaveFlow(row)
	}, then)
}

// commit runs change in the store's writer; see save.
func (v *verification) commit(c actor.Context, wants []*want, change func(persistence.Tx) error, then func(actor.Context)) {
	v.commitOr(c, wants, change, then, nil)
}

// commitOr is like commit; where an earlier life has done all of it, copied runs instead of then.
func (v *verification) commitOr(c actor.Context, wants []*want, change func(persistence.Tx) error, then, copied func(actor.Context)) {
	var owned []want
	marked := 0
	for _, w := range wants {
		if !w.stored() || w.kept || (w.event == nil && w.ackTo == nil) {
			continue
		}
		owned = append(owned, *w)
		if w.event != nil {
			marked++
		}
		w.event, w.ackTo = nil, nil
	}
	r := v.run
	r.saving++
	self, d, group, old := c.Self(), v.d, v.group, false
	var done []int64
	d.writer.Do(func(tx persistence.Tx) error {
		fresh := marked == 0 || marked < len(owned)
		done = nil
		for i := range owned {
			e := owned[i].event
			if e == nil {
				continue
			}
			ok, err := tx.MarkSeen(e.GetUpdateId())
			if err != nil {
				return err
			}
			ok = ok || planted("seen updates forgotten")
			fresh = fresh || ok
			if !ok && owned[i].trigger == byMessage {
				done = append(done, e.GetMessageId())
			}
		}
		if old = !fresh; old {
			return nil
		}
		return change(tx)
	}, func(err error) {
		reason := ""
		if err != nil {
			reason = "not stored: " + err.Error()
		}
		for i := range owned {
			d.settle(&owned[i], group, reason)
		}
		d.root.Send(self, &committed{run: r.id, old: old, done: done, then: then, copy: copied, err: err})
	})
}

// keepAfter is how long a want waits for the end of the run under way until it is made durable: most runs end
// sooner.
const keepAfter = 2 * time.Second

// waits takes care of a want whose turn comes after the run under way.
func (v *verification) waits(c actor.Context, w *want) {
	if w.trigger == byPress {
		return // see waitForPress
	}
	self, root := c.Self(), v.d.root
	time.AfterFunc(keepAfter, func() { root.Send(self, &keepTick{}) })
}

// keep makes a want durable that waits for the end of the run under way, for that may take longer than its
// update can wait: calls time out, and Telegram asks for pauses. The row says from then on that there is
// more to look at, whatever the run comes to.
func (v *verification) keep(w *want) {
	if w.kept || w.event == nil && w.ackTo == nil || w.trigger == byPress || w.trigger == byTime || v.blind || v.run == nil {
		return
	}
	v.more = true
	row := v.row
	if !v.hasRow {
		row = v.fresh(w.trigger.cause())
		row.Messages = v.stillThere()
	}
	row.Messages = slices.Clone(row.Messages)
	if id := w.event.GetMessageId(); w.trigger == byMessage && !slices.Contains(v.seat.gone, id) {
		row.Messages = append(row.Messages, id)
	}
	if row.State == persistence.Muted {
		row.State = persistence.Freeing
	}
	row = v.caused(row)
	if v.hasRow || v.run.step != stepFreeing { // else one is being closed, and this one follows it
		v.hasRow, v.row, v.unsure = true, row, true // nobody waits for that commit
	}
	v.keepBy(w, row)
}

// keepActs makes durable what somebody else did about the person, where the look at that takes long: the row says that
// there is something to look at.
func (v *verification) keepActs() {
	r := v.run
	if r == nil || r.step != stepGather || r.saving > 0 || v.blind || !v.hasRow {
		return
	}
	for _, w := range r.wants {
		if w.trigger != byModerator || w.kept || w.event == nil && w.ackTo == nil {
			continue
		}
		row := v.caused(v.row)
		row.Messages = slices.Clone(row.Messages)
		if row.State == persistence.Muted {
			row.State, v.opened = persistence.Freeing, true
		}
		v.keepBy(w, row)
	}
}

// keepBy settles a want by a row that says that there is something to look at.
func (v *verification) keepBy(w *want, row persistence.Flow) {
	owned, d, group := *w, v.d, v.group
	w.kept = true
	row = v.withMarks(row)
	d.writer.Do(func(tx persistence.Tx) error {
		if owned.event != nil {
			if fresh, err := tx.MarkSeen(owned.event.GetUpdateId()); err != nil || !fresh {
				return err
			}
		}
		return tx.SaveFlow(row)
	}, func(err error) {
		reason := ""
		if err != nil {
			reason = "not stored: " + err.Error()
		}
		d.settle(&owned, group, reason)
	})
}

// stillThere are the messages of wants that a row has kept, for the row that follows it.
func (v *verification) stillThere() (ids []int64) {
	for _, w := range v.queue {
		if id := w.event.GetMessageId(); w.kept && w.trigger == byMessage && !slices.Contains(v.seat.gone, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// caused is a row that says whether somebody has lifted the mute.
func (v *verification) caused(row persistence.Flow) persistence.Flow {
	switch {
	case v.unmuted && row.UntilDate != 0:
		row.Cause = persistence.CauseUnmuted
	case row.Cause == persistence.CauseUnmuted:
		row.Cause = persistence.CauseSweep
	}
	return row
}

// fresh is the row of a flow that begins.
func (v *verification) fresh(cause persistence.Cause) persistence.Flow {
	return persistence.Flow{
		GroupID: v.group, UserID: v.userID, Name: v.seat.name, State: persistence.Checking, Cause: cause, Since: v.d.clock(),
	}
}

// stored tells wants that settle by a commit from those that settle when the run ends.
func (w *want) stored() bool {
	return w.trigger >= byHint && w.trigger <= byMessage && w.trigger != byTime
}

func (v *verification) onCommitted(c actor.Context, m *committed) {
	r := v.run
	if r == nil || r.id != m.run {
		return
	}
	r.saving--
	if m.err == nil {
		v.before = insight{}
	}
	switch {
	case m.err != nil:
		v.d.log.Error().Err(m.err).Int64("chat", v.group).Msg("a flow's row cannot be stored")
		v.startOver(c, "row cannot be stored", true)
	case m.old && m.copy != nil:
		m.copy(c)
	case m.old:
		// An earlier life did all of this; what the row says now is in the store.
		v.startOver(c, "", false)
	case m.then != nil:
		if done := minus(m.done, r.had); len(done) > 0 {
			v.row.Messages = minus(v.row.Messages, done)
			v.areGone(done)
		}
		m.then(c)
	}
}

// startOver forgets the row and reads it again: the store knows better than memory.
func (v *verification) startOver(c actor.Context, reason string, wait bool) {
	if wait {
		v.tellPressed(c)
		v.seat.deferred = true // whether the row was stored is not known
		v.again()
	}
	v.settleRun(reason)
	v.endRun()
	v.loaded = false
	if wait {
		v.loadLater(c)
		return
	}
	v.load(c)
}

// again knows what it knew before a commit that has failed.
func (v *verification) again() {
	b := v.before
	v.unmuted, v.hearsay, v.freed = v.unmuted || b.unmuted, v.hearsay || b.hearsay, v.freed || b.freed
	v.spent, v.awaited = v.spent || b.spent, max(v.awaited, b.awaited)
}

// closing deletes the row, with what is worth remembering about it.
func (v *verification) closing(c actor.Context, d ruling) {
	r := v.run
	r.step = stepFreeing
	if v.blind {
		v.closeBlind(c)
		return
	}
	if !v.hasRow {
		v.finish(c)
		return
	}
	now, row, audit := v.d.clock(), v.row, d.Reason
	d2, freed, more, next := v.d, d.Act == actFree, v.more, v.fresh(persistence.CauseSweep)
	next.Messages = v.stillThere() // these are judged by the next run
	v.hasRow, v.row, v.before, v.insight = false, persistence.Flow{}, v.insight, insight{}
	v.commit(c, r.wants, func(tx persistence.Tx) error {
		if err := tx.CloseFlow(row.GroupID, row.UserID); err != nil {
			return err
		}
		if more {
			if err := tx.SaveFlow(next); err != nil {
				return err
			}
		}
		if d.Delete { // what could not be deleted is left to the clerk
			for _, id := range row.Messages {
				if slices.Contains(next.Messages, id) {
					continue
				}
				if err := tx.AddDue(persistence.Due{ChatID: row.GroupID, MessageID: id, At: now}); err != nil {
					return err
				}
			}
		}
		if err := sawMember(tx, row, d, now); err != nil {
			return err
		}
		if err := settleWishes(tx, row, d, now); err != nil {
			return err
		}
		if freed {
			if err := tx.CountDay(d2.today(), row.GroupID, "verified", 1); err != nil {
				return err
			}
		}
		if row.UntilDate == 0 && d.Reason == "verified" {
			return tx.CountDay(d2.today(), row.GroupID, "checked", 1)
		}
		return tx.Audit(now, row.GroupID, d2.bot.GetId(), row.UserID, "close", audit)
	}, func(c actor.Context) {
		if v.more {
			v.hasRow, v.row = true, next
		}
		if d.Delete {
			v.areGone(minus(row.Messages, next.Messages))
		}
		v.d.metrics.closed(d.Reason)
		if freed && d.Reason == "verified" {
			v.d.metrics.step(stepVerified, 1)
		}
		if d.Warn {
			v.warned++
			v.warnedAt = now
		}
		if d.Exempt {
			v.seat.exempt = true // what waits for this run's end is judged by that already
			c.Send(c.Parent(), &exempted{user: v.userID})
		}
		if !d.Notice {
			c.Send(c.Parent(), &noticeRemove{user: v.userID})
		}
		v.finish(c)
	})
}

// settleWishes stores what a closed flow means for the group's further wishes.
func settleWishes(tx persistence.Tx, row persistence.Flow, d ruling, now time.Time) error {
	if d.Warn {
		if _, err := tx.Warn(row.GroupID, row.UserID, now); err != nil {
			return err
		}
	}
	if d.Reason == "verified" {
		if err := tx.ClearWarnings(row.GroupID, row.UserID); err != nil {
			return err
		}
	}
	if row.UntilDate != 0 {
		if err := tx.DropRemoval(row.GroupID, row.UserID); err != nil {
			return err
		}
	}
	if d.Exempt {
		return tx.Exempt(persistence.Exemption{GroupID: row.GroupID, UserID: row.UserID, Name: row.Name, At: now})
	}
	return nil
}

func sawMember(tx persistence.Tx, row persistence.Flow, d ruling, now time.Time) error {
	if d.Saw {
		if err := tx.SawMember(row.GroupID, row.UserID, now); err != nil || d.Proof.IsZero() {
			return err
		}
		return tx.Proved(row.GroupID, row.UserID, d.Proof)
	}
	if d.Forget {
		return tx.ForgetMember(row.GroupID, row.UserID)
	}
	return nil
}

// finish ends the run and looks for the next.
func (v *verification) finish(c actor.Context) {
	v.endRun()
	v.next(c)
}

// wait keeps the row and sets a time to look again; a new want comes first.
func (v *verification) wait(c actor.Context, at time.Time) {
	r := v.run
	v.settleRun("")
	r.step = stepWaiting
	r.timer.Stop()
	self, root, id := c.Self(), v.d.root, r.id
	r.timer = time.AfterFunc(max(at.Sub(v.d.clock()), 10*time.Millisecond), func() { root.Send(self, &tick{run: id}) })
	if len(v.queue) > 0 {
		v.endRun()
		v.next(c)
		return
	}
	if !v.seat.rests {
		v.seat.rests = true
		c.Send(c.Parent(), &flowRests{user: v.userID, on: true})
	}
}

func displayName(u *protos.User) string {
	name := u.GetFirstName()
	if u.GetLastName() != "" {
		name += " " + u.GetLastName()
	}
	return name
}
