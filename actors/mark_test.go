package actors

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// Whatever the time, the person and the bot: a mark is ours, and so is a renewed one, and no other second of its period.
func TestMark_Property(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 1<<34).Draw(t, "now"), 0)
		user := rapid.Int64Range(1, 1<<52).Draw(t, "user")
		d := &deps{
			clock:  func() time.Time { return now },
			random: func(n int64) int64 { return rapid.Int64Range(0, n-1).Draw(t, "random") },
			bot:    &protos.User{Id: rapid.Int64Range(1, 1<<52).Draw(t, "bot")},
		}
		mute := func(until int64) *protos.Member {
			return &protos.Member{User: &protos.User{Id: user}, Status: telegram.StatusRestricted, UntilDate: until}
		}
		mark := d.mark(user)
		ahead := time.Unix(mark, 0).Sub(now)
		assert.GreaterOrEqual(t, ahead, markFor)
		assert.LessOrEqual(t, ahead, markFor+markSpread+time.Duration(markEvery)*time.Second)
		assert.True(t, d.isOurs(mute(mark)))
		assert.Equal(t, mark+renewal, d.signed(user, mark+renewal))
		assert.False(t, d.isOurs(mute(mark+rapid.Int64Range(1, markEvery-1).Draw(t, "beside"))))
		assert.False(t, d.isOurs(mute(0)))
		may := mute(mark)
		may.Permissions = 1
		assert.False(t, d.isOurs(may))
	})
}

// A mute of ours that acts late takes the place of another one. Who joins then is freed, and not given back the one it has
// replaced, though Telegram's word on it comes only after a look.
func TestMark_ALateMuteOverAnotherOneOfOurs(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(10 * time.Second),
		})
		late := w.Member(w.group, w.anna).Until + 2*markEvery
		require.NoError(t, w.Restrict(w.group, w.bot.ID, w.anna, simulator.Permissions{}, late))
		w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		w.pass(20 * time.Second)
		require.Equal(t, late, w.Member(w.group, w.anna).Until)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(30 * time.Second)
		require.True(t, w.free(w.anna))
	})
}

// A moderator's mute with an end that a late free of ours has lifted is put back by the next life, too, which was told
// nothing of it but that.
func TestMark_AModeratorsMuteLiftedBeforeTheProgramDied(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.freesLate(w.anna)
		until := time.Now().Add(markFor).Unix()
		for until == w.s.d.signed(w.anna, until) {
			until++
		}
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, until))
		w.pass(5 * time.Second)
		w.stop()
		w.pass(20 * time.Second)
		require.False(t, w.muted(w.anna), "the free has acted")
		w.start()
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		require.Equal(t, until, w.Member(w.group, w.anna).Until)
	})
}

// It is not put back where the moderator has muted and unmuted the person anew before that could be done.
func TestMark_AModeratorsMuteIsNotPutBackAgainstTheirWord(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.freesLate(w.anna)
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.pass(5 * time.Second)
		mend := w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "getChatMember", ChatID: w.group, UserID: w.anna})
		w.pass(30 * time.Second)
		require.False(t, w.muted(w.anna), "the free has acted")
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.pass(2 * time.Second)
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		w.pass(2 * time.Second)
		mend()
		w.pass(10 * time.Minute)
		require.False(t, w.muted(w.anna))
	})
}

// wasMuted has somebody muted as by a version that did not sign its marks, while the program is down.
func (w *town) wasMuted(user int64) (mark int64) {
	w.t.Helper()
	w.mutes(user)
	mark = w.Member(w.group, user).Until + 77
	require.NoError(w.t, w.store.Update(w.t.Context(), func(tx persistence.Tx) error {
		row := persistence.Flow{GroupID: w.group, UserID: user, State: persistence.Muted, Cause: persistence.CauseMessage, Since: time.Now(), UntilDate: mark}
		if err := tx.SaveFlow(row); err != nil {
			return err
		}
		return tx.SetMeta(unsignedKey, strconv.FormatInt(mark, 10))
	}))
	w.stop()
	require.NoError(w.t, w.Restrict(w.group, w.bot.ID, user, simulator.Permissions{}, mark))
	return mark
}

// Who was muted before marks were signed is freed by joining all the same, and stays free.
func TestMark_AMuteFromBeforeMarksWereSigned(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wasMuted(w.anna)
		w.start()
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		require.True(t, w.free(w.anna))
		require.Equal(t, 2, w.calls("restrictChatMember", w.anna), "muted once, freed once")
	})
}

// It is signed when it is given again, and known as ours where a crash keeps that from Telegram.
func TestMark_AMuteFromBeforeMarksWereSignedIsRenewed(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		mark := w.wasMuted(w.anna)
		stop := w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "restrictChatMember"})
		w.pass(w.untilRenewed(w.anna))
		w.start()
		w.pass(5 * time.Minute)
		w.stop()
		stop()
		require.Equal(t, mark, w.Member(w.group, w.anna).Until)
		w.start()
		w.pass(10 * time.Minute)
		require.Equal(t, mark-77+renewal+markEvery, w.Member(w.group, w.anna).Until)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		require.True(t, w.free(w.anna))
	})
}
