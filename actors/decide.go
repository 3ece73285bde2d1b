package actors

import (
	"time"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// trigger says why a person's standing is looked at.
type trigger uint8

// The triggers, weakest first: when several wait, the strongest names the run.
const (
	byResume    trigger = iota + 1 // open work taken up after a start, or a retry
	byModerator                    // somebody else changed the person's standing in the group
	byHint                         // something changed that may free: a channel joined, a rule relaxed
	byTime                         // the time to remove a muted person has come
	byLeave                        // left a required channel
	byJoin                         // joined the group
	byMessage                      // wrote
	byPress                        // pressed "I have joined"
)

func (t trigger) cause() persistence.Cause {
	switch t {
	case byMessage, byPress:
		return persistence.CauseMessage
	case byJoin:
		return persistence.CauseJoin
	case byLeave:
		return persistence.CauseLeave
	case byResume, byModerator, byHint, byTime:
		return persistence.CauseSweep
	}
	return persistence.CauseSweep
}

// How long a call whose answer was lost may still take effect. Telegram's server sleeps through up
// to 8 s of flood control after the client gave up at 15 s; 20 s is past both.
const lateEffect = 20 * time.Second

// facts is all that decide looks at.
type facts struct {
	Trigger trigger
	Row     persistence.Flow // zero when HasRow is false
	HasRow  bool
	Verdict protos.Verdict // over all required channels, see judge
	Member  *protos.Member // standing in the group; nil = Telegram could not say
	Signed  bool           // its restriction is told to be ours by its mark alone, see isOurs
	Until   int64          // Unix seconds: the mark a new mute would carry
	Renewed int64          // Unix seconds: the mark that one given again would carry
	Wishes  persistence.Settings
	Exempt  bool // the group exempts the person
	Warned  int  // how often the person was warned here
	// WarnedAt is when the last warning was given; zero = none was.
	WarnedAt time.Time
	Quiet    bool // only an edit: no reason to speak of a mute that stands
	ByHand   bool // Telegram told that somebody else changed the person's standing
	Unmuted  bool // Telegram told, since our last mute, that somebody else let the person write again
	Hearsay  bool // late word of a mute of ours is all there is: the person has done nothing since the row before was closed
	Freed    bool // a free of ours may have been made since the mute was known to stand
	Spent    bool // the row's messages are from before our mute was last seen to stand: it was given for them
	Awaited  int  // how often Telegram's word on a mute that is gone was waited for
	// LateUntil is when a call of an unknown outcome can no longer take effect; zero = none is open.
	LateUntil time.Time
	Now       time.Time
}

// act is what is to be done about a person.
type act uint8

const (
	actClose  act = iota + 1 // nothing (more) to do: the row goes
	actMute                  // restrict, delete, tell
	actKeep                  // stays muted by us
	actFree                  // lift our mute
	actRetry                 // cannot be decided now: look again
	actRemove                // remove from the group
)

// decision is decide's answer.
type decision struct {
	ruling

	Row persistence.Flow // as it is to be stored (actMute, actKeep, actFree, actRetry)
}

// ruling is what remains of a decision to be done once its row is taken over. Reason is a short word for audit and
// metrics.
type ruling struct {
	Act    act
	Reason string
	Delete bool         // delete the row's messages
	Notice bool         // show the person the way
	Saw    bool         // the person is in the group
	Forget bool         // the person is not
	At     time.Time    // actRetry: when
	Warn   bool         // count a warning
	Reach  noticeReason // Notice: why
	Exempt bool         // a moderator decided for the person: never ask again
	Proof  time.Time    // when what Telegram said of the channels was learned; zero = it could not say. The caller's
}

// judge combines the verdicts on the required channels, of which need must be satisfied (0 = all): the
// rule is broken when even the unknown could not satisfy it. No requirement is satisfied by anybody.
func judge(verdicts []protos.Verdict, need int) protos.Verdict {
	if need <= 0 || need > len(verdicts) {
		need = len(verdicts)
	}
	inside, unknown := 0, 0
	for _, v := range verdicts {
		switch v {
		case protos.Verdict_INSIDE:
			inside++
		case protos.Verdict_UNKNOWN:
			unknown++
		case protos.Verdict_OUTSIDE:
		}
	}
	switch {
	case inside >= need:
		return protos.Verdict_INSIDE
	case inside+unknown < need:
		return protos.Verdict_OUTSIDE
	}
	return protos.Verdict_UNKNOWN
}

// decide says what to do about a person. It has no clock, no store and no Telegram.
func decide(f facts) decision {
	f = f.settled()
	if f.Member == nil {
		if f.Verdict == protos.Verdict_INSIDE && !mayBeMuted(f) {
			return decision{ruling: ruling{Act: actClose, Reason: "verified", Saw: f.came()}}
		}
		return f.retry("group cannot be asked")
	}
	if telegram.IsAdmin(f.Member) || f.Member.GetUser().GetIsBot() {
		return decision{ruling: ruling{Act: actClose, Reason: "administrator"}}
	}
	if f.Exempt {
		return f.inside("exempt")
	}
	switch f.Verdict {
	case protos.Verdict_INSIDE:
		return f.inside("verified")
	case protos.Verdict_OUTSIDE:
		return f.outside()
	case protos.Verdict_UNKNOWN:
	}
	return f.unknown()
}

// came: the person has joined the group or written there, so that a leave of a channel must find them here though
// Telegram cannot say now how they stand.
func (f facts) came() bool {
	return f.Trigger == byJoin || f.Trigger == byMessage || f.Row.Cause == persistence.CauseJoin || f.Row.Cause == persistence.CauseMessage
}

// mayBeMuted: a mute of ours was stored, so it may stand in Telegram.
func mayBeMuted(f facts) bool { return f.HasRow && f.Row.UntilDate != 0 }

// ours tells our mute from a moderator's: it carries all flags false, and a mark that is signed or the row's.
func (f facts) ours() bool {
	return f.Signed || isRows(f.Row, f.Member)
}

// isRows: the row says of that restriction that it is ours.
func isRows(row persistence.Flow, m *protos.Member) bool {
	return isOurKind(m) && (m.GetUntilDate() == row.UntilDate || m.GetUntilDate() == row.OtherMark)
}

// settled knows which of our marks stands, by what Telegram says now.
func (f facts) settled() facts {
	if f.Member == nil {
		return f
	}
	if f.HasRow && f.ours() {
		f.Row.UntilDate = f.Member.GetUntilDate()
	}
	f.Row.OtherMark = 0
	return f
}

// renewal is what a renewed mute adds to its mark, in seconds.
const renewal = int64(markFor / time.Second)

// inside: the person may write. why says so in the audit trail.
func (f facts) inside(why string) decision {
	present := telegram.Present(f.Member)
	switch {
	case f.ours():
		row := f.Row
		row.State = persistence.Freeing
		return decision{ruling: ruling{Act: actFree, Reason: why, Saw: present}, Row: row}
	case mayBeMuted(f) && f.Now.Before(f.LateUntil):
		return f.retryAt("mute may still arrive", f.LateUntil)
	case mayBeMuted(f) && f.Member.GetStatus() == telegram.StatusRestricted:
		return decision{ruling: ruling{Act: actClose, Reason: "moderator's restriction", Saw: present}}
	default:
		return decision{ruling: ruling{Act: actClose, Reason: why, Saw: present, Forget: !present}}
	}
}

func (f facts) outside() decision {
	status := f.Member.GetStatus()
	present := telegram.Present(f.Member)
	if status == telegram.StatusKicked {
		return decision{ruling: ruling{Act: actClose, Reason: "banned", Delete: true, Forget: true}, Row: f.Row}
	}
	if f.ours() {
		if f.Trigger == byTime && present {
			return decision{ruling: ruling{Act: actRemove, Reason: "did not join in time", Forget: true}, Row: f.Row}
		}
		if f.Now.Add(renewBefore).Unix() > f.Row.UntilDate && present {
			return f.renew()
		}
		tell := !f.Quiet && present && (f.Trigger == byMessage || f.Trigger == byJoin || f.Row.State == persistence.Muting)
		return f.keep("muted", tell)
	}
	if mayBeMuted(f) && f.Now.Before(f.LateUntil) && f.Row.State == persistence.Freeing {
		return f.retryAt("free may still arrive", f.LateUntil)
	}
	if !present && f.Trigger != byMessage && len(f.Row.Messages) == 0 {
		return decision{ruling: ruling{Act: actClose, Reason: "not in the group", Forget: true}}
	}
	if status == telegram.StatusRestricted && !telegram.May(f.Member, protos.Permission_SEND_MESSAGES) {
		return decision{ruling: ruling{Act: actClose, Reason: "moderator's mute", Delete: true, Saw: present}, Row: f.Row}
	}
	if f.unmutedByHand() {
		return decision{ruling: ruling{Act: actClose, Reason: "unmuted by a moderator", Saw: present, Exempt: true}}
	}
	if f.Hearsay {
		return decision{ruling: ruling{Act: actClose, Reason: muteIsGone, Saw: present}}
	}
	if f.lifted() {
		// By whom, Telegram will tell in a moment: a moderator, or a late call of our own.
		if f.Awaited < waitForWord {
			return f.retryAt(muteIsGone, f.Now.Add(wordAfter))
		}
		// What has led to the mute that is gone, and only could not be deleted yet, leads to no other.
		if len(f.Row.Messages) == 0 || f.Spent {
			return decision{ruling: ruling{Act: actClose, Reason: muteIsGone, Delete: !f.Wishes.DryRun, Saw: present}, Row: f.Row}
		}
	}
	return f.punish()
}

// punish does what the group wishes for who breaks the rule.
func (f facts) punish() decision {
	present := telegram.Present(f.Member)
	talk := len(f.Row.Messages) > 0
	switch {
	case f.Wishes.DryRun:
		return decision{ruling: ruling{Act: actClose, Reason: "dry run: would be muted", Saw: present}}
	case f.graced():
		return f.grace()
	case f.Wishes.Action == persistence.ActionDelete:
		return decision{Row: f.Row, ruling: ruling{
			Act: actClose, Reason: "deleted", Delete: true, Notice: talk || f.Trigger == byJoin, Reach: noticeDelete, Saw: present,
		}}
	case f.Wishes.Action == persistence.ActionWarn && f.Row.State == persistence.Muting && f.Warned >= max(f.Wishes.Warnings, 1):
		// The warnings were used up when the mute was stored, and its call may have left: the row has the mark.
		return f.mute()
	case f.Wishes.Action == persistence.ActionWarn && !talk:
		return decision{ruling: ruling{Act: actClose, Reason: "not warned yet", Notice: f.Trigger == byJoin, Reach: noticeDelete, Saw: present}}
	case f.Wishes.Action == persistence.ActionWarn && f.Now.Sub(f.WarnedAt) < warnAgain:
		return decision{ruling: ruling{Act: actClose, Reason: "warned a moment ago", Delete: true, Notice: true, Reach: noticeWarn, Saw: present}, Row: f.Row}
	case f.Wishes.Action == persistence.ActionWarn && f.Warned < max(f.Wishes.Warnings, 1):
		return decision{ruling: ruling{Act: actClose, Reason: "warned", Delete: true, Notice: true, Reach: noticeWarn, Saw: present, Warn: true}, Row: f.Row}
	}
	return f.mute()
}

// warnAgain is how long after a warning what somebody writes is deleted without counting as another: a
// person needs that long to see the notice and to join.
const warnAgain = 30 * time.Second

// graced: the person joined the group a short while ago, and the group gives newcomers time.
func (f facts) graced() bool {
	return f.HasRow && f.Row.State == persistence.Checking && f.Row.Cause == persistence.CauseJoin && f.Now.Before(f.graceEnds())
}

func (f facts) graceEnds() time.Time {
	return f.Row.Since.Add(time.Duration(f.Wishes.GraceMinutes) * time.Minute)
}

// grace shows a newcomer the way, and looks again when the time is over. What is written meanwhile stays.
func (f facts) grace() decision {
	row := f.Row
	row.Messages, row.Attempts, row.NextAttempt = nil, 0, f.graceEnds()
	return decision{Row: row, ruling: ruling{
		Act: actRetry, Reason: "newcomer", At: row.NextAttempt, Notice: f.Trigger == byJoin, Reach: noticeGrace,
		Saw: telegram.Present(f.Member),
	}}
}

// muteIsGone is the reason of what is done about a mute that somebody has lifted, by whom is not told yet.
const muteIsGone = "mute is gone"

// How often and how long Telegram's word on a mute that is gone is waited for.
const (
	waitForWord = 2
	wordAfter   = 2 * time.Second
)

// lifted: a mute we know to have stood is gone before its time, and not by a free that this row has led to.
func (f facts) lifted() bool {
	stood := f.Row.State == persistence.Muted || f.Row.State == persistence.Freeing && !f.Freed
	return f.HasRow && stood && f.Now.Unix() < f.Row.UntilDate
}

// unmutedByHand: somebody else has lifted a mute of ours, as this run is told or an earlier one was.
func (f facts) unmutedByHand() bool {
	return f.lifted() && f.ByHand || mayBeMuted(f) && f.Unmuted
}

func (f facts) mute() decision {
	row := f.Row
	// A call that was cut off may still arrive with the mark it carried, so an unused mark is kept.
	if row.State != persistence.Muting || row.UntilDate < f.Now.Add(24*time.Hour).Unix() {
		row.UntilDate = f.Until
	}
	row.State = persistence.Muting
	row.Before = nil
	if f.Member.GetStatus() == telegram.StatusRestricted {
		row.Before = &persistence.Rights{Permissions: f.Member.GetPermissions(), UntilDate: f.Member.GetUntilDate()}
	}
	return decision{Row: row, ruling: ruling{
		Act: actMute, Reason: "outside", Delete: true, Saw: telegram.Present(f.Member),
		Notice: telegram.Present(f.Member) || f.Trigger == byMessage, Reach: noticeMute,
	}}
}

// renew gives a mute again that ends soon.
func (f facts) renew() decision {
	row := f.Row
	// A crash may keep the new one from Telegram.
	row.State, row.UntilDate, row.OtherMark = persistence.Muting, f.Renewed, f.Member.GetUntilDate()
	return decision{ruling: ruling{Act: actMute, Reason: "renewed", Delete: true}, Row: row}
}

func (f facts) keep(reason string, tell bool) decision {
	row := f.Row
	row.State = persistence.Muted
	return decision{ruling: ruling{Act: actKeep, Reason: reason, Delete: true, Notice: tell, Reach: noticeMute}, Row: row}
}

// unknown: nobody is muted on a guess, and nobody is freed on one.
func (f facts) unknown() decision {
	if f.Row.State == persistence.Muted && f.ours() && f.Trigger != byHint && f.Trigger != byPress {
		return f.keep("muted", false)
	}
	return f.retry("channel cannot be asked")
}

// Retries go on for a day and then give up; a person who still writes is judged afresh anyhow. It must be a day of
// tries: a row may be older than that because nobody was there to try.
const (
	retryFirst   = time.Second
	retryLongest = 5 * time.Minute
	retryFor     = 24 * time.Hour
	retryTimes   = int(retryFor / retryLongest)
)

func (f facts) retry(reason string) decision {
	if !mayBeMuted(f) && f.HasRow && f.Now.Sub(f.Row.Since) > retryFor && f.Row.Attempts >= retryTimes {
		return decision{ruling: ruling{Act: actClose, Reason: "gave up: " + reason}}
	}
	return f.retryAt(reason, f.Now.Add(backoff(f.Row.Attempts)))
}

func (f facts) retryAt(reason string, at time.Time) decision {
	row := f.Row
	row.Attempts++
	row.NextAttempt = at
	return decision{ruling: ruling{Act: actRetry, Reason: reason, At: at}, Row: row}
}

// backoff doubles from retryFirst to retryLongest.
func backoff(attempts int) time.Duration {
	if attempts > 9 {
		return retryLongest
	}
	return min(retryFirst<<max(attempts, 0), retryLongest)
}
