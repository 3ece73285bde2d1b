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
	case byResume, byModerator, byHint:
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
	Until   int64          // Unix seconds: the mark a new mute would carry
	// LateUntil is when a call of an unknown outcome can no longer take effect; zero = none is open.
	LateUntil time.Time
	Now       time.Time
}

// act is what is to be done about a person.
type act uint8

const (
	actClose act = iota + 1 // nothing (more) to do: the row goes
	actMute                 // restrict, delete, tell
	actKeep                 // stays muted by us
	actFree                 // lift our mute
	actRetry                // cannot be decided now: look again
)

// decision is decide's answer. Reason is a short word for audit and metrics.
type decision struct {
	Act    act
	Reason string
	Row    persistence.Flow // as it is to be stored (actMute, actKeep, actFree, actRetry)
	Delete bool             // delete Row.Messages
	Notice bool             // show the person the way
	Saw    bool             // the person is in the group
	Forget bool             // the person is not
	At     time.Time        // actRetry: when
}

// judge combines the verdicts on all required channels: one fresh outside breaks the rule, and only
// inside everywhere satisfies it. No requirement is satisfied by anybody.
func judge(verdicts []protos.Verdict) protos.Verdict {
	all := protos.Verdict_INSIDE
	for _, v := range verdicts {
		switch v {
		case protos.Verdict_OUTSIDE:
			return protos.Verdict_OUTSIDE
		case protos.Verdict_INSIDE:
		case protos.Verdict_UNKNOWN:
			all = protos.Verdict_UNKNOWN
		}
	}
	return all
}

// decide says what to do about a person. It has no clock, no store and no Telegram.
func decide(f facts) decision {
	if f.Member == nil {
		if f.Verdict == protos.Verdict_INSIDE && !mayBeMuted(f) {
			return decision{Act: actClose, Reason: "verified"}
		}
		return f.retry("group cannot be asked")
	}
	if telegram.IsAdmin(f.Member) || f.Member.GetUser().GetIsBot() {
		return decision{Act: actClose, Reason: "administrator"}
	}
	switch f.Verdict {
	case protos.Verdict_INSIDE:
		return f.inside()
	case protos.Verdict_OUTSIDE:
		return f.outside()
	case protos.Verdict_UNKNOWN:
	}
	return f.unknown()
}

// mayBeMuted: a mute of ours was stored, so it may stand in Telegram.
func mayBeMuted(f facts) bool { return f.HasRow && f.Row.UntilDate != 0 }

// ours tells our mute from a moderator's: Telegram does not say who restricted somebody, but no
// other mute carries all flags false and the until_date of our row.
func ours(row persistence.Flow, m *protos.Member) bool {
	return row.UntilDate != 0 && m.GetStatus() == telegram.StatusRestricted &&
		m.GetPermissions() == telegram.NoPermissions && m.GetUntilDate() == row.UntilDate
}

func (f facts) inside() decision {
	present := telegram.Present(f.Member)
	switch {
	case mayBeMuted(f) && ours(f.Row, f.Member):
		row := f.Row
		row.State = persistence.Freeing
		return decision{Act: actFree, Reason: "verified", Row: row, Saw: present}
	case mayBeMuted(f) && f.Now.Before(f.LateUntil):
		return f.retryAt("mute may still arrive", f.LateUntil)
	case mayBeMuted(f) && f.Member.GetStatus() == telegram.StatusRestricted:
		return decision{Act: actClose, Reason: "moderator's restriction", Saw: present}
	default:
		return decision{Act: actClose, Reason: "verified", Saw: present, Forget: !present}
	}
}

func (f facts) outside() decision {
	status := f.Member.GetStatus()
	present := telegram.Present(f.Member)
	if status == telegram.StatusKicked {
		return decision{Act: actClose, Reason: "banned", Delete: true, Row: f.Row, Forget: true}
	}
	if ours(f.Row, f.Member) {
		tell := present && (f.Trigger == byMessage || f.Trigger == byJoin || f.Row.State == persistence.Muting)
		return f.keep("muted", tell)
	}
	if mayBeMuted(f) && f.Now.Before(f.LateUntil) && f.Row.State == persistence.Freeing {
		return f.retryAt("free may still arrive", f.LateUntil)
	}
	if !present && f.Trigger != byMessage && len(f.Row.Messages) == 0 {
		return decision{Act: actClose, Reason: "not in the group", Forget: true}
	}
	if status == telegram.StatusRestricted && !telegram.May(f.Member, protos.Permission_SEND_MESSAGES) {
		return decision{Act: actClose, Reason: "moderator's mute", Delete: true, Row: f.Row, Saw: present}
	}
	if f.liftedByHand() {
		return decision{Act: actClose, Reason: "unmuted by a moderator", Saw: present}
	}
	return f.mute()
}

// liftedByHand: a mute we know to have stood is gone before its time, so somebody lifted it.
func (f facts) liftedByHand() bool {
	return f.HasRow && f.Row.State == persistence.Muted && f.Now.Unix() < f.Row.UntilDate && f.Trigger != byMessage
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
	return decision{
		Act: actMute, Reason: "outside", Row: row, Delete: true, Saw: telegram.Present(f.Member),
		Notice: telegram.Present(f.Member) || f.Trigger == byMessage,
	}
}

func (f facts) keep(reason string, tell bool) decision {
	row := f.Row
	row.State = persistence.Muted
	return decision{Act: actKeep, Reason: reason, Row: row, Delete: true, Notice: tell}
}

// unknown: nobody is muted on a guess, and nobody is freed on one.
func (f facts) unknown() decision {
	if f.Row.State == persistence.Muted && ours(f.Row, f.Member) && f.Trigger != byHint && f.Trigger != byPress {
		return f.keep("muted", false)
	}
	return f.retry("channel cannot be asked")
}

// Retries go on for a day and then give up; a person who still writes is judged afresh anyhow.
const (
	retryFirst   = time.Second
	retryLongest = 5 * time.Minute
	retryFor     = 24 * time.Hour
)

func (f facts) retry(reason string) decision {
	if !mayBeMuted(f) && f.HasRow && f.Now.Sub(f.Row.Since) > retryFor {
		return decision{Act: actClose, Reason: "gave up: " + reason}
	}
	return f.retryAt(reason, f.Now.Add(backoff(f.Row.Attempts)))
}

func (f facts) retryAt(reason string, at time.Time) decision {
	row := f.Row
	row.Attempts++
	row.NextAttempt = at
	return decision{Act: actRetry, Reason: reason, Row: row, At: at}
}

// backoff doubles from retryFirst to retryLongest.
func backoff(attempts int) time.Duration {
	if attempts > 9 {
		return retryLongest
	}
	return min(retryFirst<<max(attempts, 0), retryLongest)
}
