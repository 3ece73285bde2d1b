package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// act carries a decision out.
func (v *verification) act(c actor.Context, d decision, verdict protos.Verdict, missing []int64) {
	r := v.run
	r.after = d
	if d.Reason == "administrator" {
		c.Send(c.Parent(), &excused{user: v.userID})
	}
	switch d.Act {
	case actClose:
		v.answerPresses(c, "press.free", false, nil)
		if d.Delete && len(v.row.Messages) > 0 {
			r.step = stepActing
			v.erase(c, v.row.Messages)
			return
		}
		v.closing(c, d)
	case actMute:
		v.answerPresses(c, "press.missing", true, missing)
		v.row = d.Row
		r.step = stepActing
		r.acts++
		v.save(c, nil, nil, func(c actor.Context) { v.mute(c, missing) })
	case actKeep:
		v.answerPresses(c, "press.missing", true, missing)
		v.keep(c, d, missing)
	case actFree:
		stored := v.row.State == persistence.Freeing && r.saving == 0
		v.row = d.Row
		r.step = stepFreeing
		if stored {
			v.free(c)
			return
		}
		v.save(c, nil, nil, v.free)
	case actRetry:
		if verdict == protos.Verdict_OUTSIDE {
			v.answerPresses(c, "press.missing", true, missing)
		} else {
			v.answerPresses(c, "press.checking", true, nil)
		}
		v.retry(c, d.Row, d.At, d.Reason)
	}
}

// mute restricts and deletes at the same time.
func (v *verification) mute(c actor.Context, missing []int64) {
	r := v.run
	if again, _ := v.verdict(); again == protos.Verdict_INSIDE {
		// Joined while the row was being stored: nothing was sent yet.
		v.endRun()
		v.queue = append(v.queue, &want{trigger: byResume})
		v.next(c)
		return
	}
	v.call(c, &protos.Job{
		Lane: protos.Lane_MUTE,
		Do:   &protos.Job_Restrict{Restrict: &protos.Restrict{UserId: v.userID, UntilDate: v.row.UntilDate}},
	}, func(c actor.Context, m *protos.JobDone) {
		r.acts--
		v.onMuted(c, m, missing)
	})
	v.erase(c, v.row.Messages)
}

func (v *verification) onMuted(c actor.Context, m *protos.JobDone, missing []int64) {
	r := v.run
	v.d.metrics.muted(m.GetOutcome())
	switch m.GetOutcome() {
	case protos.Outcome_DONE:
		r.muted = true
		if r.after.Notice {
			c.Send(c.Parent(), &noticeAdd{user: v.person(), thread: v.row.ThreadID, missing: missing})
		}
	case protos.Outcome_IS_ADMINISTRATOR:
		c.Send(c.Parent(), &excused{user: v.userID})
		r.after = decision{Act: actClose, Reason: "administrator"}
	case protos.Outcome_GONE, protos.Outcome_CANNOT_SAY, protos.Outcome_MOVED:
		r.after = decision{Act: actClose, Reason: "person or group is gone"}
	default:
		r.again = v.againAfter(m)
	}
	v.acted(c)
}

// againAfter says when to look again after a call that did not succeed.
func (v *verification) againAfter(m *protos.JobDone) time.Time {
	now := v.d.clock()
	switch m.GetOutcome() {
	case protos.Outcome_UNCLEAR:
		v.late = now.Add(lateEffect)
		return now.Add(retryFirst)
	case protos.Outcome_NO_RIGHTS, protos.Outcome_OUR_MISTAKE, protos.Outcome_UNAUTHORIZED:
		return now.Add(max(backoff(v.row.Attempts), 30*time.Second))
	case protos.Outcome_FLOOD:
		return now.Add(time.Duration(m.GetRetryAfterS()) * time.Second)
	default:
		return now.Add(backoff(v.row.Attempts))
	}
}

// keep deletes what somebody already muted still got through.
func (v *verification) keep(c actor.Context, d decision, missing []int64) {
	r := v.run
	changed := v.row.State != persistence.Muted
	v.row = d.Row
	r.step, r.muted = stepActing, true
	if d.Notice {
		c.Send(c.Parent(), &noticeAdd{user: v.person(), thread: v.row.ThreadID, missing: missing})
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

// erase deletes messages; the run's end waits for it.
func (v *verification) erase(c actor.Context, ids []int64) {
	if len(ids) == 0 {
		return
	}
	r, ids := v.run, slices.Clone(ids)
	r.acts++
	v.call(c, &protos.Job{
		Lane: protos.Lane_DELETE,
		Do:   &protos.Job_Delete{Delete: &protos.DeleteMessages{MessageIds: ids}},
	}, func(c actor.Context, m *protos.JobDone) {
		r.acts--
		v.d.metrics.deleted(m.GetOutcome(), len(ids))
		switch m.GetOutcome() {
		case protos.Outcome_UNCLEAR, protos.Outcome_FLOOD, protos.Outcome_FAILED, protos.Outcome_EXPIRED:
			r.again = v.againAfter(m)
		default: // gone, or not to be deleted by us: asking again changes nothing
			v.row.Messages = slices.DeleteFunc(slices.Clone(v.row.Messages), func(id int64) bool { return slices.Contains(ids, id) })
		}
		v.acted(c)
	})
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
		if r.muted {
			row.State = persistence.Muted
		}
		row.Attempts++
		v.retry(c, row, r.again, "call failed")
		return
	}
	v.stored(c)
}

// stored makes "muted" durable and ends the run.
func (v *verification) stored(c actor.Context) {
	first := v.row.State == persistence.Muting
	v.row.State, v.row.Attempts, v.row.NextAttempt = persistence.Muted, 0, time.Time{}
	row, d, now, after := v.row, v.d, v.d.clock(), v.run.after
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
		return tx.Audit(now, row.GroupID, d.bot.GetId(), row.UserID, "mute", string(row.Cause))
	}, func(c actor.Context) {
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
	v.answerPresses(c, "press.welcome", false, nil)
	permissions, until := telegram.AllPermissions, int64(0)
	if b := v.row.Before; b != nil && (b.UntilDate == 0 || b.UntilDate > v.d.clock().Unix()+30) {
		permissions, until = b.Permissions, b.UntilDate
	}
	v.call(c, &protos.Job{
		Lane: protos.Lane_FREE,
		Do:   &protos.Job_Restrict{Restrict: &protos.Restrict{UserId: v.userID, Permissions: permissions, UntilDate: until}},
	}, func(c actor.Context, m *protos.JobDone) {
		v.d.metrics.freed(m.GetOutcome())
		switch m.GetOutcome() {
		case protos.Outcome_DONE:
			v.closing(c, r.after)
		case protos.Outcome_IS_ADMINISTRATOR, protos.Outcome_GONE, protos.Outcome_CANNOT_SAY, protos.Outcome_MOVED:
			v.closing(c, decision{Act: actClose, Reason: "person or group is gone"})
		default:
			row := v.row
			row.Attempts++
			v.retry(c, row, v.againAfter(m), "call failed")
		}
	})
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

// person names the user as well as is known.
func (v *verification) person() *protos.User {
	if u := v.seat.user; u.GetFirstName() != "" {
		return u
	}
	return &protos.User{Id: v.userID, FirstName: v.row.Name}
}

// answerPresses answers everybody waiting in this run with a text of the catalogue; missing names channels.
func (v *verification) answerPresses(c actor.Context, id string, alert bool, missing []int64) {
	for _, w := range v.run.wants {
		if w.trigger == byPress && w.event != nil {
			v.answer(c, w, id, alert, missing)
			v.d.settle(w, v.group, "")
		}
	}
}

func (v *verification) answer(c actor.Context, w *want, id string, alert bool, missing []int64) {
	var titles []string
	for _, ch := range v.seat.channels {
		if slices.Contains(missing, ch.ID) {
			titles = append(titles, ch.Title)
		}
	}
	c.Send(v.d.dir.Sender(), &protos.Job{
		Lane: protos.Lane_ANSWER,
		Do: &protos.Job_Answer{Answer: &protos.AnswerCallback{
			CallbackId: w.event.GetCallbackId(), Alert: alert, Text: v.d.words.Press(w.lang, id, titles),
		}},
	})
}
