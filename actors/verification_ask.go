package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/protos"
)

// pressWindow: however often somebody presses, Telegram is asked at most once in it.
const pressWindowMS = 3000

// ask sends all questions of a run at once: each channel that memory cannot vouch for, and the
// group for the person's rights there.
func (v *verification) ask(c actor.Context) {
	r := v.run
	notBefore := v.notBefore()
	for _, ch := range v.seat.channels {
		if r.trigger != byPress {
			if e, ok := v.d.cache.Look(ch.ID, v.userID, v.d.clock()); ok && e.Verdict == protos.Verdict_INSIDE {
				r.verdicts[ch.ID] = e.Verdict
				continue
			}
		}
		v.lastTag++
		r.asked[v.lastTag] = ch.ID
		c.Request(v.d.dir.Membership(ch.ID, v.userID), &protos.AskMembership{
			ChannelId: ch.ID, UserId: v.userID, ForChatId: v.group, NotBeforeMs: notBefore, Tag: v.lastTag,
		})
	}
	v.call(c, &protos.Job{
		Lane: protos.Lane_LOOKUP,
		Do:   &protos.Job_GetMember{GetMember: &protos.GetMember{ChatId: v.group, UserId: v.userID}},
	}, func(c actor.Context, m *protos.JobDone) {
		r.memberIn = true
		if m.GetOutcome() == protos.Outcome_DONE {
			r.member = m.GetMember()
		}
		v.gathered(c)
	})
}

// notBefore is the oldest evidence that will do, Unix ms: an outside must have been learned after
// what the person did, since a join and a message take different ways here.
func (v *verification) notBefore() int64 {
	r, at := v.run, int64(0)
	for _, w := range r.wants {
		switch w.trigger {
		case byLeave:
			at = max(at, w.date*1000)
		case byPress:
			at = max(at, v.d.clock.ms()-pressWindowMS)
		case byMessage, byJoin, byResume:
			at = max(at, w.at)
		case byHint, byModerator:
		}
	}
	return at
}

// call sends a job for this group and remembers what its answer is for.
func (v *verification) call(c actor.Context, job *protos.Job, then func(actor.Context, *protos.JobDone)) {
	v.lastTag++
	job.Tag = v.lastTag
	if job.GetLane() != protos.Lane_ANSWER {
		job.ChatId = v.group
	}
	v.run.waiting[job.GetTag()] = then
	c.Request(v.d.dir.Sender(), job)
}

func (v *verification) onVerdict(c actor.Context, m *protos.MembershipAnswer) {
	r := v.run
	if r == nil {
		return
	}
	ch, ok := r.asked[m.GetTag()]
	if !ok {
		return
	}
	delete(r.asked, m.GetTag())
	r.verdicts[ch] = m.GetVerdict()
	v.gathered(c)
}

// gathered decides once everything is in: the answers, and the commit that makes the row durable.
func (v *verification) gathered(c actor.Context) {
	r := v.run
	if r.step != stepGather || r.saving > 0 || !r.memberIn || len(r.asked) > 0 {
		return
	}
	verdict, missing := v.verdict()
	d := decide(facts{
		Trigger: r.trigger, Row: v.row, HasRow: v.hasRow, Verdict: verdict, Member: r.member,
		Until: v.d.mark(), LateUntil: v.late, Now: v.d.clock(),
	})
	v.d.metrics.decided(r.trigger, verdict)
	v.act(c, d, verdict, missing)
}

// verdict is the answer over all channels, and the ids of those still missing. A join pushed since
// the question left beats its answer.
func (v *verification) verdict() (protos.Verdict, []int64) {
	var all []protos.Verdict
	var missing []int64
	for _, ch := range v.seat.channels {
		got := v.run.verdicts[ch.ID]
		if got == protos.Verdict_OUTSIDE && v.insideNow(ch.ID) {
			got = protos.Verdict_INSIDE
		}
		if got == protos.Verdict_OUTSIDE {
			missing = append(missing, ch.ID)
		}
		all = append(all, got)
	}
	return judge(all), missing
}

func (v *verification) insideNow(channelID int64) bool {
	e, ok := v.d.cache.Look(channelID, v.userID, v.d.clock())
	return ok && e.Verdict == protos.Verdict_INSIDE
}
