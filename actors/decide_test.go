package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const ourMark = int64(1_800_000_123)

func standing(status string) *protos.Member {
	return &protos.Member{User: &protos.User{Id: 7, FirstName: "Anna"}, Status: status}
}

func restricted(permissions uint32, until int64, present bool) *protos.Member {
	m := standing(telegram.StatusRestricted)
	m.Permissions, m.UntilDate, m.IsMember = permissions, until, present
	return m
}

func row(state persistence.FlowState) persistence.Flow {
	f := persistence.Flow{GroupID: -1001, UserID: 7, State: state, Since: noon, Messages: []int64{5}}
	if state != persistence.Checking {
		f.UntilDate = ourMark
	}
	return f
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const in, out, unknown = protos.Verdict_INSIDE, protos.Verdict_OUTSIDE, protos.Verdict_UNKNOWN
	for _, c := range []struct {
		name string
		in   []protos.Verdict
		need int
		want protos.Verdict
	}{
		{"any: one is enough", []protos.Verdict{out, unknown, in}, 1, in},
		{"any: unknown could still satisfy it", []protos.Verdict{out, unknown}, 1, unknown},
		{"any: outside everywhere breaks it", []protos.Verdict{out, out}, 1, out},
		{"two of three: not yet known", []protos.Verdict{in, unknown, out}, 2, unknown},
		{"two of three: out of reach", []protos.Verdict{unknown, out, out}, 2, out},
		{"two of three", []protos.Verdict{in, out, in}, 2, in},
		{"more than there are means all", []protos.Verdict{in, in}, 5, in},
		{"no requirement is satisfied by anybody", nil, 0, in},
		{"inside everywhere", []protos.Verdict{in, in}, 0, in},
		{"one outside breaks it", []protos.Verdict{in, out}, 0, out},
		{"outside beats unknown", []protos.Verdict{unknown, out}, 0, out},
		{"unknown is no permission and no offence", []protos.Verdict{in, unknown}, 0, unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, judge(c.in, c.need))
		})
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	const in, out, unknown = protos.Verdict_INSIDE, protos.Verdict_OUTSIDE, protos.Verdict_UNKNOWN
	member := standing(telegram.StatusMember)
	muted := restricted(telegram.NoPermissions, ourMark, true)
	cases := []struct {
		name   string
		facts  facts
		want   act
		reason string
	}{
		{"a stranger writes", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: out, Member: member}, actMute, "outside"},
		{"a member of the channel writes", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: in, Member: member}, actClose, "verified"},
		{"Telegram cannot say", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: unknown, Member: member}, actRetry, "channel cannot be asked"},
		{"the group cannot be asked", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: out}, actRetry, "group cannot be asked"},
		{"tried for a day", facts{Trigger: byResume, Row: yesterdays(tried(row(persistence.Checking), retryTimes)), HasRow: true, Verdict: out}, actClose, "gave up: group cannot be asked"},
		{"a day old, and hardly tried", facts{Trigger: byResume, Row: yesterdays(tried(row(persistence.Checking), 3)), HasRow: true, Verdict: out}, actRetry, "group cannot be asked"},
		{"an administrator", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: out, Member: standing(telegram.StatusAdministrator)}, actClose, "administrator"},
		{"the owner", facts{Trigger: byLeave, Row: row(persistence.Checking), HasRow: true, Verdict: out, Member: standing(telegram.StatusCreator)}, actClose, "administrator"},
		{"left the channel, is not in the group", facts{Trigger: byLeave, Row: persistence.Flow{State: persistence.Checking}, HasRow: true, Verdict: out, Member: standing(telegram.StatusLeft)}, actClose, "not in the group"},
		{"comments without being in the group", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: out, Member: standing(telegram.StatusLeft)}, actMute, "outside"},
		{"was banned meanwhile", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: out, Member: standing(telegram.StatusKicked)}, actClose, "banned"},
		{"a moderator's mute stands", facts{Trigger: byJoin, Row: row(persistence.Checking), HasRow: true, Verdict: out, Member: restricted(0, 0, true)}, actClose, "moderator's mute"},
		{"a moderator's mute is not lifted", facts{Trigger: byHint, Row: row(persistence.Freeing), HasRow: true, Verdict: in, Member: restricted(0, 0, true)}, actClose, "moderator's restriction"},
		{"a moderator's mute with another end is not ours", facts{Trigger: byPress, Row: row(persistence.Muted), HasRow: true, Verdict: in, Member: restricted(0, ourMark+1, true)}, actClose, "moderator's restriction"},
		{"joined the channel", facts{Trigger: byHint, Row: row(persistence.Freeing), HasRow: true, Verdict: in, Member: muted}, actFree, "verified"},
		{"pressed having joined", facts{Trigger: byPress, Row: row(persistence.Muted), HasRow: true, Verdict: in, Member: muted}, actFree, "verified"},
		{"pressed without", facts{Trigger: byPress, Row: row(persistence.Muted), HasRow: true, Verdict: out, Member: muted}, actKeep, "muted"},
		{"comes back having joined", facts{Trigger: byJoin, Row: row(persistence.Muted), HasRow: true, Verdict: in, Member: muted}, actFree, "verified"},
		{"left the group muted, then joined the channel", facts{Trigger: byHint, Row: row(persistence.Freeing), HasRow: true, Verdict: in, Member: restricted(0, ourMark, false)}, actFree, "verified"},
		{"unmuted, and writes before the push comes", facts{Trigger: byMessage, Row: row(persistence.Muted), HasRow: true, Verdict: out, Member: member}, actRetry, "mute is gone"},
		{"unmuted, writes, and no push comes", facts{Trigger: byResume, Row: row(persistence.Muted), HasRow: true, Verdict: out, Member: member, Awaited: 2}, actMute, "outside"},
		{"unmuted, and no push comes", facts{Trigger: byResume, Row: tried(row(persistence.Muted), 2), HasRow: true, Verdict: out, Member: member, Awaited: 2}, actClose, "mute is gone"},
		{"unmuted, what led to the mute still stands, and no push comes", facts{Trigger: byResume, Row: row(persistence.Muted), HasRow: true, Verdict: out, Member: member, Spent: true, Awaited: 2}, actClose, "mute is gone"},
		{"unmuted, and what led to the mute was tried to delete often", facts{Trigger: byResume, Row: tried(row(persistence.Muted), 9, 7), HasRow: true, Verdict: out, Member: member, Spent: true}, actRetry, "mute is gone"},
		{"exempt", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: out, Member: member, Exempt: true}, actClose, "exempt"},
		{"exempted while muted", facts{Trigger: byHint, Row: row(persistence.Freeing), HasRow: true, Verdict: out, Member: muted, Exempt: true}, actFree, "exempt"},
		{"a dry run", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: out, Member: member, Wishes: persistence.Settings{DryRun: true}}, actClose, "dry run: would be muted"},
		{"delete only", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: out, Member: member, Wishes: persistence.Settings{Action: persistence.ActionDelete}}, actClose, "deleted"},
		{"a first warning", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: out, Member: member, Wishes: persistence.Settings{Action: persistence.ActionWarn}}, actClose, "warned"},
		{"warned often enough", facts{Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: out, Member: member, Wishes: persistence.Settings{Action: persistence.ActionWarn, Warnings: 2}, Warned: 2}, actMute, "outside"},
		{"warned often enough, and the mute may be on its way", facts{Trigger: byResume, Row: row(persistence.Muting), HasRow: true, Verdict: out, Member: member, Wishes: persistence.Settings{Action: persistence.ActionWarn, Warnings: 2}, Warned: 2}, actMute, "outside"},
		{"did not join in time", facts{Trigger: byTime, Row: row(persistence.Muted), HasRow: true, Verdict: out, Member: muted}, actRemove, "did not join in time"},
		{"joined in time", facts{Trigger: byTime, Row: row(persistence.Muted), HasRow: true, Verdict: in, Member: muted}, actFree, "verified"},
		{"time is over, and Telegram cannot say", facts{Trigger: byTime, Row: row(persistence.Muted), HasRow: true, Verdict: unknown, Member: muted}, actKeep, "muted"},
		{"unmuted by hand", facts{Trigger: byModerator, ByHand: true, Row: row(persistence.Muted), HasRow: true, Verdict: out, Member: member}, actClose, "unmuted by a moderator"},
		{"a mute of unknown outcome may still arrive", facts{Trigger: byResume, Row: row(persistence.Muting), HasRow: true, Verdict: in, Member: member, LateUntil: noon.Add(time.Second)}, actRetry, "mute may still arrive"},
		{"muted before the crash, seen after it", facts{Trigger: byResume, Row: row(persistence.Muting), HasRow: true, Verdict: out, Member: muted}, actKeep, "muted"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.facts.Now, c.facts.Until = noon, ourMark
			d := decide(c.facts)
			assert.Equal(t, c.want, d.Act)
			assert.Equal(t, c.reason, d.Reason)
		})
	}
}

func TestDecide_KeepsTheRightsAPersonHad(t *testing.T) {
	t.Parallel()
	noMedia := telegram.AllPermissions &^ (1 << uint(protos.Permission_SEND_PHOTOS))
	d := decide(facts{
		Trigger: byMessage, Row: row(persistence.Checking), HasRow: true, Verdict: protos.Verdict_OUTSIDE,
		Member: restricted(noMedia, 1_900_000_000, true), Until: ourMark, Now: noon,
	})
	require.Equal(t, actMute, d.Act)
	assert.Equal(t, &persistence.Rights{Permissions: noMedia, UntilDate: 1_900_000_000}, d.Row.Before)
	assert.Equal(t, ourMark, d.Row.UntilDate)
}

func TestDecide_AnUnusedMarkIsKept(t *testing.T) {
	t.Parallel()
	d := decide(facts{
		Trigger: byResume, Row: row(persistence.Muting), HasRow: true, Verdict: protos.Verdict_OUTSIDE,
		Member: standing(telegram.StatusMember), Until: ourMark + 77, Now: noon,
	})
	require.Equal(t, actMute, d.Act)
	assert.Equal(t, ourMark, d.Row.UntilDate, "a call cut off may still arrive with the mark it carried")
}

func drawFacts(t *rapid.T) facts {
	statuses := []string{
		telegram.StatusCreator, telegram.StatusAdministrator, telegram.StatusMember, telegram.StatusRestricted,
		telegram.StatusLeft, telegram.StatusKicked,
	}
	f := facts{
		Trigger: trigger(rapid.IntRange(int(byResume), int(byPress)).Draw(t, "trigger")),
		HasRow:  rapid.Bool().Draw(t, "has row"),
		Verdict: protos.Verdict(rapid.IntRange(0, 2).Draw(t, "verdict")),
		Until:   ourMark, Now: noon,
		Wishes: persistence.Settings{
			Action:   rapid.SampledFrom([]persistence.Action{persistence.ActionMute, persistence.ActionDelete, persistence.ActionWarn}).Draw(t, "action"),
			Warnings: rapid.IntRange(0, 3).Draw(t, "warnings"), DryRun: rapid.IntRange(0, 4).Draw(t, "dry run") == 0,
		},
		Exempt: rapid.IntRange(0, 4).Draw(t, "exempt") == 0, Warned: rapid.IntRange(0, 4).Draw(t, "warned"),
		Quiet: rapid.Bool().Draw(t, "quiet"),
	}
	if f.HasRow {
		f.Row = row(rapid.SampledFrom([]persistence.FlowState{
			persistence.Checking, persistence.Muting, persistence.Muted, persistence.Freeing,
		}).Draw(t, "state"))
		f.Row.Attempts = rapid.IntRange(0, 40).Draw(t, "attempts")
		f.Awaited, f.Spent = rapid.IntRange(0, 3).Draw(t, "awaited"), rapid.Bool().Draw(t, "spent")
	}
	if rapid.Bool().Draw(t, "late") {
		f.LateUntil = noon.Add(time.Duration(rapid.IntRange(-30, 30).Draw(t, "late by")) * time.Second)
	}
	if rapid.IntRange(0, 9).Draw(t, "member known") > 0 {
		f.Member = standing(rapid.SampledFrom(statuses).Draw(t, "status"))
		if f.Member.GetStatus() == telegram.StatusRestricted {
			f.Member.Permissions = rapid.SampledFrom([]uint32{0, 1, telegram.AllPermissions - 2}).Draw(t, "permissions")
			f.Member.UntilDate = rapid.SampledFrom([]int64{0, ourMark, ourMark + 1}).Draw(t, "until")
			f.Member.IsMember = rapid.Bool().Draw(t, "is member")
			f.Signed = f.HasRow && isOurKind(f.Member) && rapid.Bool().Draw(t, "signed")
		}
	}
	return f
}

// telegramsOwn: somebody else has dealt with the person already; their messages go as theirs would.
func telegramsOwn(f facts) bool {
	return f.Member.GetStatus() == telegram.StatusKicked || f.Member.GetStatus() == telegram.StatusRestricted
}

func TestDecide_Property(t *testing.T) {
	t.Parallel()
	rapid.Check(t, decideProperly)
}

// decideProperly holds of every decision.
func decideProperly(t *rapid.T) {
	f := drawFacts(t)
	d := decide(f)
	admin := f.Member != nil && telegram.IsAdmin(f.Member)
	mine := f.Member != nil && f.HasRow && (f.Signed || isRows(f.Row, f.Member))
	switch d.Act {
	case actMute:
		assert.Equal(t, protos.Verdict_OUTSIDE, f.Verdict, "nobody is muted on a guess")
		assert.NotNil(t, f.Member)
		assert.False(t, f.Exempt || f.Wishes.DryRun || f.Wishes.Action == persistence.ActionDelete, "the group does not wish it")
		assert.False(t, f.Wishes.Action == persistence.ActionWarn && f.Warned < max(f.Wishes.Warnings, 1), "warned first")
		assert.False(t, admin, "an administrator is never touched")
		assert.NotZero(t, d.Row.UntilDate, "a mute carries our mark")
		assert.Equal(t, persistence.Muting, d.Row.State)
	case actFree:
		assert.True(t, mine, "only a mute of ours is lifted")
		assert.True(t, f.Verdict == protos.Verdict_INSIDE || f.Exempt)
	case actKeep:
		assert.True(t, mine)
	case actRemove:
		assert.True(t, mine && f.Trigger == byTime && f.Verdict == protos.Verdict_OUTSIDE && telegram.Present(f.Member))
	case actRetry:
		assert.True(t, d.At.After(f.Now), "a retry lies ahead")
		assert.LessOrEqual(t, d.At.Sub(f.Now), retryLongest)
	case actClose:
		assert.NotEmpty(t, d.Reason)
		assert.False(t, mine && !admin, "a mute of ours is never forgotten")
		assert.False(t, d.Warn && (f.Verdict != protos.Verdict_OUTSIDE || !d.Delete), "a warning is for what was written")
		assert.False(t, f.Wishes.DryRun && (d.Warn || d.Delete) && !telegramsOwn(f), "a dry run touches nobody")
	default:
		t.Fatalf("no act for %+v", f)
	}
	assert.Equal(t, d, decide(f), "decide is a function")
}

// tried is a row after so many attempts, with messages to delete.
func tried(f persistence.Flow, attempts int, messages ...int64) persistence.Flow {
	f.Attempts, f.Messages = attempts, messages
	return f
}

// yesterdays is a row that is more than a day old.
func yesterdays(f persistence.Flow) persistence.Flow {
	f.Since = noon.Add(-retryFor - time.Minute)
	return f
}
