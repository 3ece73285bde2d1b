package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// Who is outside and must not stay free, though what tells of it comes late or is heard while much else fails. Found by
// the storm.

// What somebody writes who is no administrator any more may come before Telegram's word of that, and is let pass. The
// word makes up for it.
func TestLeave_AnAdministratorNoMoreIsJudged(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		w.says(w.group, w.anna, "words of an administrator")
		w.pass(time.Second)
		w.Fail(simulator.Fault{Kind: simulator.FaultDelay, Update: "chat_member", Times: 1, For: simulator.For(10 * time.Second)})
		require.NoError(t, w.Demote(w.group, w.olga, w.anna))
		w.says(w.group, w.anna, "words of anybody")
		w.pass(5 * time.Second)
		require.True(t, w.free(w.anna), "nobody has told the bot")
		w.pass(10 * time.Second)
		require.True(t, w.muted(w.anna))
	})
}

// The same for one who is in the channel: nothing happens to her.
func TestLeave_AnAdministratorNoMoreWhoIsInTheChannelStaysFree(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.anna))
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		w.pass(time.Second)
		require.NoError(t, w.Demote(w.group, w.olga, w.anna))
		w.pass(time.Minute)
		require.True(t, w.free(w.anna))
		require.Zero(t, w.calls("restrictChatMember", w.anna))
	})
}

// Who is made an administrator and is none a moment later is judged, also where word of the first comes last: a promotion
// has ended the mute, and no moderator has lifted it.
func TestLeave_APromotionThatIsToldLateIsNoLiftedMute(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.Fail(simulator.Fault{Kind: simulator.FaultDelay, Update: "chat_member", Times: 1, For: simulator.For(30 * time.Second)})
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		w.pass(2 * time.Second)
		require.NoError(t, w.Demote(w.group, w.olga, w.anna))
		w.pass(15 * time.Second)
		require.True(t, w.muted(w.anna))
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna), "nor does the late word free")
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		w.pass(time.Minute)
		require.True(t, w.free(w.anna), "a moderator may")
	})
}

// Who joins the group while Telegram cannot say how anybody stands there is found by a leave of the channel all the same.
func TestLeave_FindsWhoJoinedWhileTheGroupCouldNotBeAsked(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.anna))
		require.NoError(t, w.Leave(w.group, w.anna))
		w.pass(time.Second)
		mend := w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "getChatMember", ChatID: w.group})
		require.NoError(t, w.Join(w.group, w.anna))
		w.pass(time.Minute)
		mend()
		w.pass(time.Minute)
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
	})
}

// Who leaves the group and comes back while Telegram is asked is judged as somebody who is there.
func TestLeave_WhoComesBackWhileAskedAboutIsThere(t *testing.T) {
	t.Parallel()
	for _, member := range []bool{false, true} {
		runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
			w.protect()
			if member {
				require.NoError(t, w.Join(w.channel, w.anna))
			}
			require.NoError(t, w.Leave(w.group, w.anna))
			w.pass(time.Minute)
			w.restart()
			w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.channel, Times: 1, For: simulator.For(1500 * time.Millisecond)})
			require.NoError(t, w.Join(w.group, w.anna))
			require.NoError(t, w.Leave(w.group, w.anna))
			w.pass(500 * time.Millisecond)
			require.NoError(t, w.Join(w.group, w.anna))
			w.pass(time.Minute)
			if member {
				require.True(t, w.free(w.anna))
				require.NoError(t, w.Leave(w.channel, w.anna))
				w.pass(time.Minute)
			}
			require.True(t, w.muted(w.anna))
		})
	}
}
