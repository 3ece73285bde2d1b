package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// pressWindow: however often somebody presses, Telegram is asked at most once in it.
const pressWindowMS = 3000

// ask sends all questions of a run at once: each channel that memory cannot vouch for, and the
// group for the person's rights there.
func (v *verification) ask(c actor.Context) {
	r := v.run
	if v.repeats() {
		return
	}
	notBefore := v.notBefore()
	for _, ch := range v.seat.rules.channels {
		if r.trigger != byPress {
			if e, ok := v.d.cache.Look(ch.ID, v.userID, v.d.clock()); ok && e.Verdict == protos.Verdict_INSIDE {
				r.verdicts.put(ch.ID, e.Verdict)
				continue
			}
		}
		v.askChannel(c, ch.ID, notBefore)
	}
	v.askStanding(c)
}

// askStanding asks how the person stands in the group.
func (v *verification) askStanding(c actor.Context) {
	r := v.run
	r.member = nil // what is asked anew is not to be decided by what was said before
	r.memberIn, r.stale, r.changed, r.joined = false, false, false, false
	r.looks++
	v.call(c, &protos.Job{
		Lane: protos.Lane_LOOKUP,
		Do:   &protos.Job_GetMember{GetMember: &protos.GetMember{ChatId: v.group, UserId: v.userID}},
	}, func(c actor.Context, m *protos.JobDone) {
		r.memberIn = true
		if m.GetOutcome() == protos.Outcome_DONE {
			r.member = m.GetMember()
			v.learnName(m.GetMember().GetUser())
		}
		v.gathered(c)
	})
}

func (v *verification) askChannel(c actor.Context, channel, notBefore int64) {
	v.lastTag++
	v.run.asked.put(v.lastTag, channel)
	c.Request(v.d.dir.Membership(channel, v.userID), &protos.AskMembership{
		ChannelId: channel, UserId: v.userID, ForChatId: v.group, NotBeforeMs: notBefore, Tag: v.lastTag,
		InsideWillDo: v.run.trigger != byPress, UpdateId: v.run.update,
	})
}

// askAgain asks those channels again that have said "outside" before what joins the run now, or "inside" before word
// that the person has left: the other answers it waits for may take long.
func (v *verification) askAgain(c actor.Context, at int64) {
	v.asOf = max(v.asOf, at)
	for _, ch := range v.seat.rules.channels {
		got := v.run.verdicts.get(ch.ID)
		if got == protos.Verdict_OUTSIDE || got == protos.Verdict_INSIDE && !v.insideNow(ch.ID) {
			v.run.verdicts.take(ch.ID)
			v.askChannel(c, ch.ID, v.asOf)
		}
	}
}

// maxLooks is how often a run asks how its person stands in the group: who writes on and on is muted all the same.
const maxLooks = 3

// repeatWithin is for how long after it was learned an "outside" answers for what somebody muted still gets
// through: a mute takes a moment to reach every client. What was written later than that moment (writtenWithin) was
// written by somebody who may, and be it because a promotion has ended the mute.
const (
	repeatWithin  = 10 * time.Second
	writtenWithin = 2 * time.Second
)

// repeats answers the questions of a run about messages that somebody wrote just before the mute of ours took
// hold: what was learned then will do, and the messages only have to go.
func (v *verification) repeats() bool {
	r, now := v.run, v.d.clock()
	if r.trigger != byMessage || !v.hasRow || v.row.State != persistence.Muted || now.Before(v.late) ||
		slices.ContainsFunc(r.wants, func(w *want) bool { return w.trigger != byMessage }) {
		return false
	}
	written := int64(0)
	for _, w := range r.wants {
		written = max(written, w.date*1000)
	}
	// A press has the channels asked anew, and moves nothing: the mute is as old as what has led to it.
	since := v.row.Since.UnixMilli()
	for _, ch := range v.seat.rules.channels {
		e, ok := v.d.cache.Look(ch.ID, v.userID, now)
		if ok && (e.Verdict == protos.Verdict_INSIDE ||
			now.UnixMilli()-e.LearnedMs < repeatWithin.Milliseconds() && written-min(since, e.LearnedMs) < writtenWithin.Milliseconds()) {
			r.verdicts.put(ch.ID, e.Verdict)
			r.learned.put(ch.ID, e.LearnedMs)
		}
	}
	if verdict, _ := v.verdict(); verdict != protos.Verdict_OUTSIDE {
		r.verdicts = nil
		return false
	}
	r.memberIn = true
	r.member = &protos.Member{Status: telegram.StatusRestricted, IsMember: true, UntilDate: v.row.UntilDate}
	return true
}

// learnName: what the sweeper brings has no name.
func (v *verification) learnName(u *protos.User) {
	if u.GetFirstName() == "" || v.seat.name != "" {
		return
	}
	v.seat.name = displayName(u)
	if v.row.Name == "" {
		v.row.Name = v.seat.name
	}
}

// notBefore is the oldest evidence that will do, Unix ms: an outside must have been learned after
// what the person did, since a join and a message take different ways here.
func (v *verification) notBefore() int64 {
	r, at := v.run, int64(0)
	if planted("stale outside believed") {
		return 0
	}
	for _, w := range r.wants {
		switch w.trigger {
		case byLeave:
			at = max(at, min(w.date*1000, v.d.clock.ms())) // Telegram's clock may be ahead: no answer would do until then
		case byPress:
			at = max(at, v.d.clock.ms()-pressWindowMS)
		case byMessage, byJoin, byResume:
			at = max(at, w.at)
		case byHint, byModerator, byTime:
		}
	}
	// What is tried again is still about what happened then.
	v.asOf = max(v.asOf, at)
	return v.asOf
}

// leaveWithin is how long a call of a run may wait for its turn: what the run knows grows old, and a pause
// that Telegram asks for may take hours. The row brings it again.
const leaveWithin = 5 * time.Second

// call sends a job for this group and remembers what its answer is for.
func (v *verification) call(c actor.Context, job *protos.Job, then func(actor.Context, *protos.JobDone)) {
	v.send(c, job)
	v.run.waiting.put(job.GetTag(), then)
}

// send sends a job for this group, under a tag of its own.
func (v *verification) send(c actor.Context, job *protos.Job) {
	v.lastTag++
	job.Tag, job.UpdateId = v.lastTag, v.run.update
	job.DeadlineMs = v.d.clock().Add(leaveWithin).UnixMilli()
	if job.GetLane() != protos.Lane_ANSWER {
		job.ChatId = v.group
	}
	c.Request(v.d.dir.Sender(), job)
}

func (v *verification) onVerdict(c actor.Context, m *protos.MembershipAnswer) {
	r := v.run
	if r == nil {
		return
	}
	ch, ok := r.asked.take(m.GetTag())
	if !ok {
		return
	}
	r.verdicts.put(ch, m.GetVerdict())
	r.learned.put(ch, m.GetLearnedMs())
	if cannotJudge(m) {
		c.Send(c.Parent(), &trouble{place: ch, kind: persistence.CannotJudge})
	}
	v.gathered(c)
}

// gathered decides once everything is in: the answers, and the commit that makes the row durable.
func (v *verification) gathered(c actor.Context) {
	r := v.run
	if r.step != stepGather || r.saving > 0 || !r.memberIn || len(r.asked) > 0 {
		return
	}
	if v.asksDoubted(c) {
		return
	}
	verdict, missing := v.verdict()
	if verdict == protos.Verdict_OUTSIDE && r.weighs == nil && v.row.State == persistence.Checking {
		r.weighs = &weighing{}
		v.askBrakes(c, missing)
	}
	if r.weighs != nil && len(r.weighs.asked) > 0 {
		return
	}
	signed := !v.blind && v.d.isOurs(r.member)
	if signed && !v.hasRow { // as where the database was lost
		v.hasRow, v.row = true, v.fresh(persistence.CauseSweep)
		v.row.State = persistence.Muted
	}
	d := decide(facts{
		Trigger: r.trigger, Row: v.row, HasRow: v.hasRow, Verdict: verdict, Member: r.member,
		Signed: signed, Until: v.d.mark(v.userID), Renewed: v.d.signed(v.userID, r.member.GetUntilDate()+renewal),
		LateUntil: v.late, Now: v.d.clock(),
		Wishes: v.seat.rules.wishes, Exempt: v.seat.exempt, Warned: v.warned, WarnedAt: v.warnedAt, Quiet: r.onlyEdits, ByHand: v.byHand(),
		Unmuted: v.unmuted, Hearsay: v.hearsay, Freed: v.freed, Spent: v.spent, Awaited: v.awaited,
	})
	// Who was made an administrator just before writing is none of those to mute, or whose words go; and who came back
	// just now is not gone.
	touches := d.Act == actMute || d.Delete && (d.Act == actClose || len(v.row.Messages) > 0)
	if (touches && (r.stale || r.changed) || d.Forget && r.joined) && r.looks < maxLooks {
		v.askStanding(c)
		return
	}
	v.d.metrics.decided(r.trigger, verdict, d.Act)
	v.d.log.Debug().Int64("update", r.update).Int64("chat", v.group).Int64("user", v.userID).Stringer("cause", r.trigger).
		Stringer("verdict", verdict).Stringer("decision", d.Act).Str("reason", d.Reason).Msg("a person was looked at")
	d.Proof = v.d.proof(verdict, v.seat.rules.channels, v.userID)
	r.decidedMs = v.d.clock.ms()
	v.act(c, d, verdict, missing)
}

// asksDoubted asks again the channels that have said "outside" and of which Telegram has told something since that is
// not weighed yet, or says otherwise within the same second, or is not told any more who joins; and those that have said
// "inside" where word has come since that the person had left before what the run is about. It reports whether there are
// any.
func (v *verification) asksDoubted(c actor.Context) bool {
	r := v.run
	if r.doubted >= maxLooks {
		return false
	}
	for _, ch := range v.seat.rules.channels {
		got := r.verdicts.get(ch.ID)
		if got == protos.Verdict_OUTSIDE && v.inDoubt(ch.ID) || got == protos.Verdict_INSIDE && v.hadLeft(ch.ID) {
			r.verdicts.take(ch.ID)
			v.askChannel(c, ch.ID, v.asOf)
		}
	}
	if len(r.asked) == 0 {
		return false
	}
	r.doubted++
	return true
}

// hadLeft: memory says by now that the person was outside when the last of what the run is about came.
func (v *verification) hadLeft(channelID int64) bool {
	e, ok := v.d.cache.Look(channelID, v.userID, v.d.clock())
	return ok && e.Verdict == protos.Verdict_OUTSIDE && e.LearnedMs <= v.asOf
}

// inDoubt: what a channel has said may not be so any more. From when the bot cannot see who joins it, an answer is worth
// nothing that is from before, and memory vouches no more for who has joined since.
func (v *verification) inDoubt(channelID int64) bool {
	return v.d.cache.inDoubt(membershipKey{channelID, v.userID}) != 0 || v.run.learned.get(channelID) < v.d.cache.blindUntil(channelID)
}

// byHand: among what this run is about is Telegram's word on an act of somebody else.
func (v *verification) byHand() bool {
	return slices.ContainsFunc(v.run.wants, func(w *want) bool {
		return w.trigger == byModerator && w.event != nil && w.event.GetFrom().GetId() != v.d.bot.GetId()
	})
}

// noteUnmuted remembers Telegram's word that somebody else took the person's mute away, for the run that it was told
// to may come to nothing, and the one after it is about what the row says.
func (v *verification) noteUnmuted(w *want) {
	e := w.event
	if w.trigger != byModerator || w.own != nil || e == nil || e.GetFrom().GetId() == v.d.bot.GetId() {
		return
	}
	may := func(m *protos.Member) bool {
		return telegram.Present(m) && (m.GetStatus() != telegram.StatusRestricted || telegram.May(m, protos.Permission_SEND_MESSAGES))
	}
	before := e.GetBefore()
	switch {
	case !may(e.GetAfter()):
		v.unmuted = false
	case before.GetStatus() == telegram.StatusRestricted && !may(before):
		v.unmuted = true
	}
}

// demotes: it tells that the person is no administrator any more.
func (w *want) demotes() bool {
	return w.trigger == byLeave && w.event != nil && telegram.IsAdmin(w.event.GetBefore())
}

// noteDemoted: who was an administrator after our mute has lost it by that, and nobody has lifted it. Telegram's word on
// the promotion may come late, and whoever waits for it in vain would be let be.
func (v *verification) noteDemoted(w *want) {
	if !w.demotes() {
		return
	}
	v.run.demoted = true
	if w.date < v.row.Since.Unix() {
		return
	}
	v.freed = true
	if v.row.State == persistence.Muted {
		v.row.State = persistence.Freeing
	}
}

// cannotJudge: Telegram refused to say, which points at the bot's own standing in the channel.
func cannotJudge(m *protos.MembershipAnswer) bool {
	if m.GetVerdict() != protos.Verdict_UNKNOWN {
		return false
	}
	switch m.GetReason() {
	case protos.Outcome_CANNOT_SAY.String(), protos.Outcome_NO_RIGHTS.String(), protos.Outcome_GONE.String(), breakerOpen:
		return true
	}
	return false
}

// verdict is the answer over all channels, and the ids of those still missing. A join pushed since
// the question left beats its answer.
func (v *verification) verdict() (protos.Verdict, []int64) {
	var all []protos.Verdict
	var missing []int64
	for _, ch := range v.seat.rules.channels {
		got := v.run.verdicts.get(ch.ID)
		if got == protos.Verdict_OUTSIDE && (v.insideNow(ch.ID) || v.seat.rules.wishes.PendingCounts && v.pending[ch.ID]) {
			got = protos.Verdict_INSIDE
		}
		if got == protos.Verdict_OUTSIDE && (v.inDoubt(ch.ID) || v.row.State == persistence.Checking && v.isHeld(ch.ID)) {
			got = protos.Verdict_UNKNOWN
		}
		if got == protos.Verdict_OUTSIDE {
			missing = append(missing, ch.ID)
		}
		all = append(all, got)
	}
	return judge(all, v.seat.rules.wishes.Need), missing
}

// askBrakes asks the channels somebody seems to have left whether that is to be believed.
func (v *verification) askBrakes(c actor.Context, missing []int64) {
	if !v.known {
		return
	}
	for _, channel := range missing {
		if !v.seat.rules.released[channel] {
			v.lastTag++
			v.run.weighs.asked.put(v.lastTag, channel)
			c.Request(v.d.dir.Shard(channel), &protos.AskBrake{ChannelId: channel, UserId: v.userID, Tag: v.lastTag})
		}
	}
}

func (v *verification) onBrake(c actor.Context, m *protos.BrakeAnswer) {
	if v.run == nil || v.run.weighs == nil {
		return
	}
	channel, ok := v.run.weighs.asked.take(m.GetTag())
	if !ok {
		return
	}
	if m.GetBraked() {
		v.run.weighs.held.put(channel, true)
		c.Send(c.Parent(), &braked{channel: channel})
	}
	v.gathered(c)
}

// isHeld: unusually many turned outside there, and nobody has said that they really left.
func (v *verification) isHeld(channel int64) bool {
	return v.run.weighs != nil && v.run.weighs.held.get(channel) || v.seat.rules.braked[channel]
}

func (v *verification) insideNow(channelID int64) bool {
	e, ok := v.d.cache.Look(channelID, v.userID, v.d.clock())
	return ok && e.Verdict == protos.Verdict_INSIDE
}
