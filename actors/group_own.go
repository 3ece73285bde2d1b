package actors

import (
	"cmp"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// maxMarks bounds the people whose last row a group remembers.
const maxMarks = 10_000

// bounded remembers something of a person, and forgets everybody first where that is too many.
func bounded[V any](m *map[int64]V, user int64, v V) { //nolint:gocritic // the map is made by need
	if len(*m) >= maxMarks {
		clear(*m)
	}
	put(m, user, v)
}

// onOwnAct takes Telegram's word on a mute or free of ours. Most say what the row says already; but a call
// whose answer was lost may act late, when the row has gone on, and a moderator may have acted between our
// look and our act.
func (g *group) onOwnAct(c actor.Context, e *protos.Event) {
	if planted("late mute ignored") {
		g.done(e)
		return
	}
	before, after := e.GetBefore(), e.GetAfter()
	user := after.GetUser()
	mute := g.d.isOurs(after)
	theirs := before.GetStatus() == telegram.StatusRestricted && !g.d.mayBeOurs(before)
	if after.GetStatus() == telegram.StatusMember && theirs {
		g.putBack(c, e, before)
		return
	}
	if was := g.noteCovered(e, theirs); was != nil {
		g.putBack(c, e, was)
		return
	}
	if !mute && !g.d.mayBeOurs(before) {
		g.done(e)
		return
	}
	expected := int64(0) // without a row
	if mute {
		expected = after.GetUntilDate()
	}
	left, known := g.left[user.GetId()]
	if mute && theirs || !known || left.row.UntilDate != expected || g.kids[user.GetId()] != nil {
		w := &want{trigger: byModerator, user: user, event: e, at: e.GetReceivedMs(), own: after}
		if mute && theirs {
			w.before = before
		}
		g.give(c, w)
		return
	}
	g.done(e)
}

// covered is what Telegram has told of a mute of ours: which restriction of a moderator's it has replaced, and whether a
// free of ours has ended it without giving that back.
type covered struct {
	mark   int64
	was    *protos.Member
	lifted bool
}

// noteCovered takes word of a mute or free of ours, in either order, and returns what is to be given back. A free that
// leaves before it is known what the mute has covered lifts both.
func (g *group) noteCovered(e *protos.Event, theirs bool) *protos.Member {
	user, before, after := e.GetAfter().GetUser().GetId(), e.GetBefore(), e.GetAfter()
	covers, lifts := g.d.isOurs(after) && theirs, g.d.mayBeOurs(before) && after.GetStatus() == telegram.StatusMember
	if !covers && !lifts {
		return nil
	}
	mark := before.GetUntilDate()
	if covers {
		mark = after.GetUntilDate()
	}
	of := g.covered[user]
	if of.mark != mark {
		of = covered{mark: mark}
	}
	if covers {
		of.was = before
	}
	of.lifted = of.lifted || lifts
	bounded(&g.covered, user, of)
	if !of.lifted {
		return nil
	}
	return of.was
}

// putBack gives somebody a moderator's restriction again that a free of ours has lifted, or a mute of ours and then a
// free: it was given between our look and our call, which may have been under way for long.
func (g *group) putBack(c actor.Context, e *protos.Event, was *protos.Member) {
	user := e.GetAfter().GetUser().GetId()
	over := func() bool { // it has ended, or somebody has decided anew since
		until := was.GetUntilDate()
		return until != 0 && until < g.d.clock().Unix()+30 || g.decided[user] > e.GetDate()
	}
	if over() {
		g.done(e)
		return
	}
	again := func(m *protos.JobDone) {
		g.d.settler.NotDone(e.GetDelivery(), "a moderator's restriction is not put back: "+m.GetOutcome().String())
	}
	g.request(c, &protos.Job{
		Lane: protos.Lane_LOOKUP, ChatId: g.id, Do: &protos.Job_GetMember{GetMember: &protos.GetMember{ChatId: g.id, UserId: user}},
	}, func(c actor.Context, m *protos.JobDone) {
		switch {
		case over():
			g.done(e)
			return
		case m.GetOutcome() != protos.Outcome_DONE:
			again(m)
			return
		case g.d.mayBeOurs(m.GetMember()):
			// We have muted again before the word of our free came: the restriction is what is given back after that.
			g.give(c, &want{trigger: byModerator, user: e.GetAfter().GetUser(), event: e, at: e.GetReceivedMs(), own: m.GetMember(), before: was})
			return
		case m.GetMember().GetStatus() != telegram.StatusMember: // somebody has decided otherwise since
			g.done(e)
			return
		}
		g.request(c, &protos.Job{
			Lane: protos.Lane_FREE, ChatId: g.id,
			Do: &protos.Job_Restrict{Restrict: &protos.Restrict{UserId: user, Permissions: was.GetPermissions(), UntilDate: was.GetUntilDate()}},
		}, func(c actor.Context, m *protos.JobDone) {
			switch m.GetOutcome() {
			case protos.Outcome_DONE, protos.Outcome_IS_ADMINISTRATOR, protos.Outcome_GONE, protos.Outcome_CANNOT_SAY:
				g.give(c, &want{trigger: byHint, user: e.GetAfter().GetUser()}) // a row may say that ours stands
				g.done(e)
			default:
				again(m)
			}
		})
	})
}

// leftOver is what a flow has left: its row, without a state where there is none, and the messages that it has dealt with.
type leftOver struct {
	row  persistence.Flow
	gone []int64
}

// remark remembers what a flow left.
func (g *group) remark(c actor.Context, m *flowDone) {
	bounded(&g.left, m.user, leftOver{m.row, m.gone})
	c.Send(c.Parent(), &leftMuted{group: g.id, user: m.user, muted: m.row.State == persistence.Muted})
}

// takeOwns settles those that agree with the row. It is for between runs: a run owns its row.
func (v *verification) takeOwns() {
	queue := v.queue
	v.queue = nil
	defer func() {
		if len(queue) > 0 && len(v.queue) == 0 && v.hasRow && openFlow(v.row) {
			// A retry was given up for what turned out to be nothing.
			v.queue = append(v.queue, &want{trigger: byResume})
		}
	}()
	for _, w := range queue {
		if w.own != nil && v.takeOwn(w) {
			v.d.settle(w, v.group, "")
			continue
		}
		v.queue = append(v.queue, w)
	}
}

// takeOwn compares what an act of ours made of the person with the row, and reports whether they agree, so
// that nothing has to be done. Where they do not, the row says from then on what is, and is looked at.
func (v *verification) takeOwn(w *want) (agree bool) {
	after := w.own
	w.own = nil
	switch {
	case v.d.isOurs(after) && v.hasRow && v.row.UntilDate == after.GetUntilDate():
		return w.before == nil
	case v.d.isOurs(after):
		// A mute that came late, or word of it that did. Whoever joined meanwhile is freed, whoever did not is kept. Where
		// only the word was late, the mute is gone already, and the word of it is no reason for another.
		if !v.hasRow {
			v.hasRow, v.hearsay = true, true
			v.row = persistence.Flow{
				GroupID: v.group, UserID: v.userID, Name: v.seat.name, Cause: byHint.cause(), Since: v.d.clock(),
			}
		}
		v.row.State, v.freed = persistence.Freeing, true // who acted last, this does not say
		v.row.UntilDate = cmp.Or(v.row.UntilDate, after.GetUntilDate())
		v.noteBefore(&v.row, w.before)
	case v.hasRow && (v.row.State == persistence.Muted || v.row.State == persistence.Freeing && !v.freed):
		// A free that came late. In this state the person is muted again if outside, and not taken for
		// somebody a moderator has freed.
		v.row.State = persistence.Muting
	default:
		return true
	}
	w.trigger = byHint
	return false
}

// withMarks is a row as it is to be stored while word of mutes of ours waits for the end of a run and is settled
// already: after a crash nobody tells of their marks again.
func (v *verification) withMarks(row persistence.Flow) persistence.Flow {
	for _, w := range v.queue {
		if w.kept && v.d.isOurs(w.own) {
			row.UntilDate = cmp.Or(row.UntilDate, w.own.GetUntilDate())
			v.noteBefore(&row, w.before)
		}
	}
	return row
}
