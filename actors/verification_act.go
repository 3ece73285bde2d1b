package actors

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// act carries a decision out.
func (v *verification) act(c actor.Context, d decision, verdict protos.Verdict, missing []int64) {
	r := v.run
	r.after = d.ruling
	switch {
	case d.Reason == "administrator" && !r.changed:
		c.Send(c.Parent(), &excused{user: v.userID, seen: v.seat.seen})
	case r.demoted: // a look that began before that may have said otherwise since the group was told
		c.Send(c.Parent(), &excused{user: v.userID, no: true})
	}
	if v.blind && v.decidedBlind(c, d, verdict, missing) {
		return
	}
	// What the decision was made of is needed no more.
	r.member = nil
	r.wants = slices.DeleteFunc(r.wants, func(w *want) bool { return w.event == nil && w.ackTo == nil })
	switch d.Act {
	case actClose:
		if verdict == protos.Verdict_OUTSIDE && v.seat.rules.gentle() {
			v.answerPresses(c, "press.missing", true, missing)
		}
		v.answerPresses(c, "press.free", false, nil)
		if d.Notice {
			v.show(c, d.ruling, missing)
		}
		if d.Delete && len(v.row.Messages) > 0 {
			r.step = stepActing
			v.erase(c, v.row.Messages)
			return
		}
		v.closing(c, d.ruling)
	case actMute:
		v.answerPresses(c, "press.missing", true, missing)
		v.before = v.insight
		v.before.unmuted = false // of an earlier mute
		v.row, v.insight = d.Row, insight{hearsay: v.hearsay}
		r.step = stepActing
		r.acts++
		var first []*want
		if v.blind {
			first, v.blind = r.wants, false // they settle by the first row there is
		}
		v.save(c, first, nil, func(c actor.Context) { v.mute(c, missing) })
	case actKeep:
		v.unmuted, v.awaited = false, 0 // what was lifted was an earlier one
		v.spent = v.spent || !r.stale
		if !planted("press unanswered") {
			v.answerPresses(c, "press.missing", true, missing)
		}
		v.stays(c, d, missing)
	case actFree:
		stored := v.row.State == persistence.Freeing && r.saving == 0 && !v.unsure
		v.row = d.Row
		if v.noteCovered() {
			stored = false
		}
		r.step = stepFreeing
		if stored || planted("free without commit") {
			v.free(c)
			return
		}
		v.save(c, nil, nil, v.free)
	case actRemove:
		v.remove(c)
	case actRetry:
		if verdict == protos.Verdict_OUTSIDE {
			v.answerPresses(c, "press.missing", true, missing)
		} else {
			v.answerPresses(c, "press.checking", true, nil)
		}
		if d.Notice {
			v.show(c, d.ruling, missing)
		}
		if d.Reason == muteIsGone {
			v.awaited++
		}
		if d.Row.State == persistence.Muted && d.Reason != muteIsGone { // of that, Telegram's word comes in any case
			d.Row.State = persistence.Freeing // what is still to be looked at, no crash forgets
		}
		v.retry(c, d.Row, d.At, d.Reason)
	}
}

// removedFor is how long somebody who was removed cannot come back; less than 30 s would be for ever.
// Source: Bot API, banChatMember.
const removedFor = 2 * time.Minute

// mute restricts and deletes at the same time.
func (v *verification) mute(c actor.Context, missing []int64) {
	r := v.run
	if again, _ := v.verdict(); again != protos.Verdict_OUTSIDE || r.changed {
		// Joined, or Telegram has told something that nobody can weigh yet, or somebody else has changed how the person stands in the group, while the row was being stored: nothing was sent yet.
		v.endRun()
		v.queue = append(v.queue, &want{trigger: byResume})
		v.next(c)
		return
	}
	job := &protos.Job{
		Lane: protos.Lane_MUTE,
		Do:   &protos.Job_Restrict{Restrict: &protos.Restrict{UserId: v.userID, UntilDate: v.row.UntilDate}},
	}
	v.call(c, job, func(c actor.Context, m *protos.JobDone) {
		r.acts--
		r.muting = 0
		v.onMuted(c, m, missing)
	})
	r.muting = job.GetTag()
	v.erase(c, v.row.Messages)
}

// withdraw takes a mute back that has not left yet, when the person has joined meanwhile, or seems to: it may wait for
// seconds. What has left already, the next run makes up for.
func (v *verification) withdraw(c actor.Context) {
	if v.run.muting == 0 {
		return
	}
	if again, _ := v.verdict(); again != protos.Verdict_OUTSIDE {
		c.Send(v.d.dir.Sender(), &withdraw{chat: v.group, user: v.userID, tag: v.run.muting})
	}
}

func (v *verification) onMuted(c actor.Context, m *protos.JobDone, missing []int64) {
	r := v.run
	v.d.metrics.muted(m.GetOutcome())
	switch m.GetOutcome() {
	case protos.Outcome_DONE:
		r.muted, v.spent = true, true
		if r.after.Notice {
			v.show(c, r.after, missing)
		}
	case protos.Outcome_IS_ADMINISTRATOR:
		c.Send(c.Parent(), &excused{user: v.userID, seen: v.seat.seen})
		r.after = ruling{Act: actClose, Reason: "administrator"}
	case protos.Outcome_GONE, protos.Outcome_CANNOT_SAY:
		r.after = ruling{Act: actClose, Reason: "person or group is gone"}
	default:
		v.report(c, m, persistence.CannotMute)
		v.lookAgain(m)
	}
	v.acted(c)
}

// report tells the group what a failed call says about the group itself.
func (v *verification) report(c actor.Context, m *protos.JobDone, kind persistence.PauseKind) {
	switch m.GetOutcome() {
	case protos.Outcome_NO_RIGHTS:
		c.Send(c.Parent(), &trouble{place: v.group, kind: kind})
	case protos.Outcome_MOVED:
		c.Send(c.Parent(), &movedTo{id: m.GetMovedTo()})
	default:
	}
}

// remove sends a muted person out of the group. The ban ends by itself soon, so that nothing has to be
// undone and the person may come back.
func (v *verification) remove(c actor.Context) {
	r := v.run
	r.step = stepFreeing
	v.call(c, &protos.Job{
		Lane: protos.Lane_MUTE,
		Do:   &protos.Job_Ban{Ban: &protos.BanMember{UserId: v.userID, UntilDate: v.d.clock().Add(removedFor).Unix()}},
	}, func(c actor.Context, m *protos.JobDone) {
		switch m.GetOutcome() {
		case protos.Outcome_DONE, protos.Outcome_IS_ADMINISTRATOR, protos.Outcome_GONE, protos.Outcome_CANNOT_SAY:
			v.closing(c, r.after)
		default:
			v.report(c, m, persistence.CannotMute)
			row := v.row
			if counts(m) {
				row.Attempts++
			}
			v.retry(c, row, v.againAfter(m), "call failed")
		}
	})
}

// counts reports whether a call was made that counts as an attempt: one that Telegram asked to wait with does not.
func counts(m *protos.JobDone) bool {
	return m.GetRetryAfterS() == 0 || m.GetOutcome() != protos.Outcome_FLOOD && m.GetOutcome() != protos.Outcome_EXPIRED
}

// lookAgain has the run end with a retry, at the soonest that one of its calls may be tried again.
func (v *verification) lookAgain(m *protos.JobDone) {
	r, at := v.run, v.againAfter(m)
	if r.again.IsZero() || at.Before(r.again) {
		r.again = at
	}
	r.tried = r.tried || counts(m)
}

// againAfter says when to look again after a call that did not succeed.
func (v *verification) againAfter(m *protos.JobDone) time.Time {
	now := v.d.clock()
	switch m.GetOutcome() {
	case protos.Outcome_UNCLEAR:
		v.late = now.Add(lateEffect)
		return now.Add(backoff(v.row.Attempts))
	case protos.Outcome_NO_RIGHTS, protos.Outcome_OUR_MISTAKE, protos.Outcome_UNAUTHORIZED:
		return now.Add(max(backoff(v.row.Attempts), 30*time.Second))
	case protos.Outcome_FLOOD, protos.Outcome_EXPIRED:
		if m.GetRetryAfterS() > 0 {
			return now.Add(time.Duration(m.GetRetryAfterS()) * time.Second)
		}
		return now.Add(backoff(v.row.Attempts))
	default:
		return now.Add(backoff(v.row.Attempts))
	}
}

// stays deletes what somebody already muted still got through.
func (v *verification) stays(c actor.Context, d decision, missing []int64) {
	r := v.run
	changed := v.opened || v.row.State != persistence.Muted || v.row.UntilDate != d.Row.UntilDate
	v.row = d.Row
	r.step, r.muted = stepActing, true
	if d.Notice {
		v.show(c, d.ruling, missing)
	}
	if len(v.row.Messages) > 0 {
		v.erase(c, v.row.Messages)
		return
	}
	if changed {
		v.stored(c)
		return
	}
	v.finish(c)
}

// acted ends a run whose calls have all been answered.
func (v *verification) acted(c actor.Context) {
	r := v.run
	if r.acts > 0 || r.saving > 0 {
		return
	}
	if r.after.Act == actClose {
		v.closing(c, r.after)
		return
	}
	if !r.again.IsZero() {
		row := v.row
		if r.muted && !v.more {
			row.State = persistence.Muted
		}
		if r.tried {
			row.Attempts++
		}
		v.retry(c, row, r.again, "call failed")
		return
	}
	v.stored(c)
}

// stored makes "muted" durable and ends the run.
func (v *verification) stored(c actor.Context) {
	// What is written from here on is for the next run: this one would end without deleting it.
	v.run.step = stepFreeing
	first := v.row.State == persistence.Muting && v.run.after.Reason != "renewed"
	v.row.State, v.row.Attempts, v.row.NextAttempt = persistence.Muted, 0, time.Time{}
	if v.more {
		v.row.State = persistence.Freeing
	}
	row, d, now, after, wishes := v.row, v.d, v.d.clock(), v.run.after, v.seat.rules.wishes
	why := v.why()
	v.save(c, nil, func(tx persistence.Tx) error {
		if !first {
			return nil
		}
		if err := sawMember(tx, row, after, now); err != nil {
			return err
		}
		if err := tx.CountDay(d.today(), row.GroupID, "muted", 1); err != nil {
			return err
		}
		if hours := wishes.RemoveHours; hours > 0 {
			at := now.Add(time.Duration(hours) * time.Hour)
			if err := tx.SaveRemoval(persistence.Removal{GroupID: row.GroupID, UserID: row.UserID, At: at}); err != nil {
				return err
			}
		}
		return tx.Audit(now, row.GroupID, d.bot.GetId(), row.UserID, "mute", why)
	}, func(c actor.Context) {
		if first && row.Cause == persistence.CauseLeave {
			d.metrics.step(stepLeft, 1)
		}
		if again, _ := v.verdict(); first && again == protos.Verdict_INSIDE {
			// Joined while the mute was on its way; the push found no muted row to free.
			v.queue = append(v.queue, &want{trigger: byHint})
		}
		v.finish(c)
	})
}

// free gives back what the person had before.
func (v *verification) free(c actor.Context) {
	r := v.run
	v.freed = true
	permissions, until := telegram.AllPermissions, int64(0)
	if b := v.row.Before; b != nil && (b.UntilDate == 0 || b.UntilDate > v.d.clock().Unix()+30) {
		permissions, until = b.Permissions, b.UntilDate
	}
	job := &protos.Job{
		Lane: protos.Lane_FREE, TellWait: true,
		Do: &protos.Job_Restrict{Restrict: &protos.Restrict{UserId: v.userID, Permissions: permissions, UntilDate: until}},
	}
	v.call(c, job, func(c actor.Context, m *protos.JobDone) {
		v.d.metrics.freed(m.GetOutcome())
		switch m.GetOutcome() {
		case protos.Outcome_DONE:
			v.answerPresses(c, "press.welcome", false, nil)
			v.closing(c, r.after)
		case protos.Outcome_IS_ADMINISTRATOR, protos.Outcome_GONE, protos.Outcome_CANNOT_SAY:
			v.closing(c, ruling{Act: actClose, Reason: "person or group is gone"})
		default:
			v.report(c, m, persistence.CannotMute)
			row := v.row
			if counts(m) {
				row.Attempts++
			}
			v.retry(c, row, v.againAfter(m), "call failed")
		}
	})
	r.freeing = job.GetTag()
}

// onWait: the sender says when the freeing can leave, which is what those who pressed want to know.
func (v *verification) onWait(c actor.Context, m *protos.JobWait) {
	r := v.run
	if r == nil || m.GetTag() != r.freeing {
		return
	}
	wait := time.Duration(m.GetWaitMs()) * time.Millisecond
	if wait < time.Second {
		v.answerPresses(c, "press.welcome", false, nil)
		return
	}
	r.freeAt = v.d.clock().Add(wait)
	for _, w := range r.wants {
		v.answerHeld(c, w)
	}
	v.queue = slices.DeleteFunc(v.queue, func(w *want) bool { return v.answerHeld(c, w) })
}

// answerHeld tells who pressed when they are freed, and reports whether that is all there is to do.
func (v *verification) answerHeld(c actor.Context, w *want) bool {
	wait := v.run.freeAt.Sub(v.d.clock())
	if w.trigger != byPress || w.event == nil || wait <= 0 {
		return false
	}
	c.Send(v.d.dir.Sender(), answerJob(w.event, v.d.words.Held(w.lang, wait), true))
	v.d.settle(w, v.group, "")
	return true
}

// retry stores the row with its next attempt and waits for that.
func (v *verification) retry(c actor.Context, row persistence.Flow, at time.Time, reason string) {
	v.d.metrics.retried(reason)
	if !v.hasRow {
		v.finish(c)
		return
	}
	row.NextAttempt = at
	v.row = row
	v.run.step = stepWaiting
	v.save(c, v.run.wants, nil, func(c actor.Context) { v.wait(c, at) })
}

// show has the group show the person the way.
func (v *verification) show(c actor.Context, d ruling, missing []int64) {
	count := v.warned
	if d.Warn {
		count++
	}
	c.Send(c.Parent(), &noticeAdd{user: v.userID, name: v.name(), thread: v.row.ThreadID, missing: missing, reason: d.Reach, count: count})
}

// name of the person, as well as it is known.
func (v *verification) name() string { return cmp.Or(v.seat.name, v.row.Name) }

// answerPresses answers everybody waiting in this run with a text of the catalogue; missing names channels.
func (v *verification) answerPresses(c actor.Context, id string, alert bool, missing []int64) {
	v.answerThese(c, v.run.wants, id, alert, missing)
}

func (v *verification) answerThese(c actor.Context, wants []*want, id string, alert bool, missing []int64) {
	for _, w := range wants {
		if w.trigger == byPress && w.event != nil {
			v.answer(c, w, id, alert, missing)
			v.d.settle(w, v.group, "")
		}
	}
}

func (v *verification) answer(c actor.Context, w *want, id string, alert bool, missing []int64) {
	var titles []string
	for _, ch := range v.seat.rules.channels {
		if slices.Contains(missing, ch.ID) {
			titles = append(titles, ch.Title)
		}
	}
	c.Send(v.d.dir.Sender(), &protos.Job{
		Lane: protos.Lane_ANSWER, UpdateId: w.event.GetUpdateId(),
		Do: &protos.Job_Answer{Answer: &protos.AnswerCallback{
			CallbackId: w.event.GetCallbackId(), Alert: alert, Text: v.d.words.Press(w.lang, id, titles),
		}},
	})
}

// why says for the audit trail what a mute is founded on: the cause, and which channels were missing when.
func (v *verification) why() string {
	_, missing := v.verdict()
	return strings.TrimSpace(fmt.Sprintf("%s %s", v.row.Cause, ids(missing)))
}

func ids(list []int64) string {
	words := make([]string, 0, len(list))
	for _, id := range list {
		words = append(words, itoa(id))
	}
	return strings.Join(words, " ")
}
