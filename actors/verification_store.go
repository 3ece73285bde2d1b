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
	row := v.row
	row.Messages = slices.Clone(row.Messages)
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
	var owned []want
	var ids []int64
	for _, w := range wants {
		if !w.stored() || (w.event == nil && w.ackTo == nil) {
			continue
		}
		owned = append(owned, *w)
		if w.event != nil {
			ids = append(ids, w.event.GetUpdateId())
		}
		w.event, w.ackTo = nil, nil
	}
	r := v.run
	r.saving++
	self, d, group, old := c.Self(), v.d, v.group, false
	unmarked := len(ids) < len(owned)
	d.writer.Do(func(tx persistence.Tx) error {
		fresh := len(ids) == 0 || unmarked
		for _, id := range ids {
			ok, err := tx.MarkSeen(id)
			if err != nil {
				return err
			}
			fresh = fresh || ok
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
		d.root.Send(self, &committed{run: r.id, old: old, then: then, err: err})
	})
}

// stored tells wants that settle by a commit from those that settle when the run ends.
func (w *want) stored() bool {
	return w.trigger >= byHint && w.trigger <= byMessage
}

func (v *verification) onCommitted(c actor.Context, m *committed) {
	r := v.run
	if r == nil || r.id != m.run {
		return
	}
	r.saving--
	switch {
	case m.err != nil:
		v.d.log.Error().Err(m.err).Int64("chat", v.group).Msg("a flow's row cannot be stored")
		v.startOver(c, "row cannot be stored", true)
	case m.old:
		// An earlier life did all of this; what the row says now is in the store.
		v.startOver(c, "", false)
	case m.then != nil:
		m.then(c)
	}
}

// startOver forgets the row and reads it again: the store knows better than memory.
func (v *verification) startOver(c actor.Context, reason string, wait bool) {
	v.settleRun(reason)
	v.endRun()
	v.loaded = false
	if wait {
		v.loadLater(c)
		return
	}
	v.load(c)
}

// closing deletes the row, with what is worth remembering about it.
func (v *verification) closing(c actor.Context, d decision) {
	r := v.run
	r.step = stepFreeing
	if !v.hasRow {
		v.finish(c)
		return
	}
	now, row, audit := v.d.clock(), v.row, d.Reason
	d2, freed := v.d, d.Act == actFree
	v.hasRow = false
	v.commit(c, r.wants, func(tx persistence.Tx) error {
		if err := tx.CloseFlow(row.GroupID, row.UserID); err != nil {
			return err
		}
		if err := sawMember(tx, row, d, now); err != nil {
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
		v.row = persistence.Flow{}
		v.d.metrics.closed(d.Reason)
		c.Send(c.Parent(), &noticeRemove{user: v.userID})
		v.finish(c)
	})
}

func sawMember(tx persistence.Tx, row persistence.Flow, d decision, now time.Time) error {
	if d.Saw {
		return tx.SawMember(row.GroupID, row.UserID, now)
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
	}
}

func displayName(u *protos.User) string {
	name := u.GetFirstName()
	if u.GetLastName() != "" {
		name += " " + u.GetLastName()
	}
	return name
}
