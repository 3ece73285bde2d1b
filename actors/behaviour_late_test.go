package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// What Telegram says too late, or does not say when it is asked again.

// Word of a mute that comes when a moderator has taken over and let the person write is no reason to mute them again.
func TestLate_WordOfAMuteThatIsGoneMutesNobody(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(35 * time.Second),
		})
		w.says(w.group, w.anna, "hello")
		w.pass(3 * time.Second)
		require.True(t, w.muted(w.anna))
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.pass(2 * time.Second)
		mutes := w.calls("restrictChatMember", w.anna)
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		w.pass(time.Minute)
		require.True(t, w.free(w.anna))
		require.Equal(t, mutes, w.calls("restrictChatMember", w.anna), "not even for a moment")
		w.says(w.group, w.anna, "hello again")
		w.pass(10 * time.Second)
		require.True(t, w.muted(w.anna), "for what was written since")
	})
}

// Who is made an administrator while a look is under way keeps what they write, also where Telegram then does not say
// how they stand.
func TestLate_AStandingThatIsNotToldAgainIsNotTheOldOne(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.channel, Times: 1, For: simulator.For(3 * time.Second)})
		w.says(w.group, w.anna, "hello")
		w.pass(time.Second)
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		id := w.says(w.group, w.anna, "I am in charge now")
		w.Fail(simulator.Fault{
			Kind: simulator.FaultFlood, Method: "getChatMember", ChatID: w.group, Times: 1, Scope: simulator.ScopeChat, For: simulator.For(8 * time.Second),
		})
		w.pass(time.Minute)
		require.True(t, w.there(w.group, id))
		require.Zero(t, w.calls("restrictChatMember", w.anna))
	})
}

// Whom a moderator lets write is not muted again because the person joins one of two channels before Telegram's word on
// what the moderator did.
func TestLate_AHintIsNoReasonToMuteWhomAModeratorFreed(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		more := w.NewChannel("More", "more_here", w.olga)
		w.admit(more, "can_invite_users")
		w.protect("@news_here", "@more_here")
		w.mutes(w.anna)
		mutes := w.calls("restrictChatMember", w.anna)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(30 * time.Second),
		})
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		require.NoError(t, w.Join(more, w.anna))
		w.pass(time.Minute)
		require.True(t, w.free(w.anna))
		require.Equal(t, mutes, w.calls("restrictChatMember", w.anna), "not even for a moment")
	})
}

// What has led to a mute and cannot be deleted is no reason for another when a moderator has lifted that, and Telegram's
// word on it takes long.
func TestLate_WhatLedToAMuteLeadsToNoOther(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		mend := w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "deleteMessage"})
		id := w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		require.True(t, w.muted(w.anna))
		mutes := w.calls("restrictChatMember", w.anna)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(2 * time.Minute),
		})
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		w.pass(time.Minute)
		require.True(t, w.free(w.anna))
		require.Equal(t, mutes, w.calls("restrictChatMember", w.anna), "not even for a moment")
		mend()
		w.pass(6 * time.Minute)
		require.False(t, w.there(w.group, id))
		require.True(t, w.free(w.anna))
	})
}

// A flow that is taken up by its row alone, as after a failure to read it, is not decided by what was known before it
// began: who had left the channel has joined it since, which Telegram tells later.
func TestLate_AFlowTakenUpIsNotDecidedByOldWords(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.anna))
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(3 * time.Second)
		e, _ := w.s.d.cache.Look(w.channel, w.anna, time.Now())
		require.Equal(t, protos.Verdict_OUTSIDE, e.Verdict)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.channel, UserID: w.anna, Times: 1, For: simulator.For(time.Minute),
		})
		require.NoError(t, w.Join(w.channel, w.anna))
		row := persistence.Flow{GroupID: w.group, UserID: w.anna, State: persistence.Checking, Cause: persistence.CauseJoin, Since: time.Now()}
		require.NoError(t, w.store.Update(t.Context(), func(tx persistence.Tx) error { return tx.SaveFlow(row) }))
		r := &commandRun{d: w.s.d, group: w.group}
		r.changed(false)
		w.pass(30 * time.Second)
		require.Zero(t, w.calls("restrictChatMember", w.anna))
		_, err := w.store.Flow(t.Context(), w.group, w.anna)
		require.ErrorIs(t, err, persistence.ErrNotFound, "and it has been taken up")
	})
}

// A mute of ours that came late and took the place of the one in the row is known as ours after a restart, too, where
// the word of it had to wait for a look that took long.
func TestLate_AnotherMarkOutlivesTheProgram(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(8 * time.Second),
		})
		w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		late := w.Member(w.group, w.anna).Until + 2*markEvery
		require.NoError(t, w.Restrict(w.group, w.bot.ID, w.anna, simulator.Permissions{}, late))
		w.pass(3 * time.Second)
		w.restart()
		w.pass(time.Minute)
		row, err := w.store.Flow(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		require.Equal(t, late, row.UntilDate)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(10 * time.Second)
		require.True(t, w.free(w.anna))
	})
}

// Who joins while a look is under way is not muted on what the channel had said before, though the bot loses its rights
// in the channel meanwhile and does not know any more who is in it.
func TestLate_WhatAChannelSaidIsForgottenWhenTheBotCannotSeeIt(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{
			Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(4 * time.Second),
		})
		id := w.says(w.group, w.anna, "hello")
		w.pass(time.Second)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Second)
		require.NoError(t, w.Demote(w.channel, w.olga, w.bot.ID))
		w.pass(20 * time.Second)
		require.Zero(t, w.calls("restrictChatMember", w.anna))
		w.admit(w.channel, "can_invite_users")
		w.pass(time.Minute)
		require.True(t, w.free(w.anna))
		require.True(t, w.there(w.group, id))
	})
}

// What a moderator has made of a mute of ours is looked at after a restart, too, where nobody could be asked before.
func TestLate_AModeratorsMuteIsTakenOverAfterARestart(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		mend := w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "getChatMember"})
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.pass(20 * time.Second)
		w.restart()
		mend()
		w.pass(6 * time.Minute)
		_, err := w.store.Flow(t.Context(), w.group, w.anna)
		require.ErrorIs(t, err, persistence.ErrNotFound, "the mute is the moderator's now")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(10 * time.Second)
		require.True(t, w.muted(w.anna))
	})
}

// A promotion ends a mute: what is written after it is not taken for something that slipped through, though Telegram has
// not told of it yet.
func TestLate_WordsOfWhomAPromotionFreedStay(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(1500 * time.Millisecond)
		require.True(t, w.muted(w.anna))
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(20 * time.Second),
		})
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		w.pass(2 * time.Second)
		id := w.says(w.group, w.anna, "I am in charge now")
		w.pass(time.Minute)
		require.True(t, w.there(w.group, id))
	})
}

// A mute that waits for its turn does not leave when the person joins meanwhile.
func TestLate_AMuteThatWaitsIsTakenBack(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{
			Kind: simulator.FaultFlood, Method: "restrictChatMember", UserID: w.boris, Times: 1, Scope: simulator.ScopeChat, For: simulator.For(4 * time.Second),
		})
		w.says(w.group, w.boris, "hello")
		w.pass(time.Second)
		w.says(w.group, w.anna, "hello")
		w.pass(time.Second)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		require.True(t, w.muted(w.boris))
		require.True(t, w.free(w.anna))
		require.Zero(t, w.calls("restrictChatMember", w.anna))
	})
}

// Nor does it when the person joins in the very second of the answer that it is founded on, and Telegram does not say
// at once which came first.
func TestLate_AMuteThatWaitsIsTakenBackOnADoubt(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{
			Kind: simulator.FaultFlood, Method: "restrictChatMember", UserID: w.boris, Times: 1, Scope: simulator.ScopeChat, For: simulator.For(6 * time.Second),
		})
		w.says(w.group, w.boris, "hello")
		w.pass(time.Second)
		w.pass(time.Until(time.Now().Truncate(time.Second).Add(time.Second)) + 100*time.Millisecond)
		w.says(w.group, w.anna, "hello")
		w.pass(300 * time.Millisecond)
		mend := w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "getChatMember", ChatID: w.channel, UserID: w.anna})
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(30 * time.Second)
		require.Zero(t, w.calls("restrictChatMember", w.anna))
		mend()
		w.pass(6 * time.Minute)
		require.True(t, w.muted(w.boris))
		require.True(t, w.free(w.anna))
		require.Zero(t, w.calls("restrictChatMember", w.anna))
	})
}

// Who has joined is known as a member still when Telegram sends the word of it a second time, since its answer was lost.
func TestLate_AnUpdateThatComesAgainLeavesNoDoubt(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		g.w.set(func() { g.w.channel[anna] = true })
		e := joinsChannel(anna)
		g.send(e)
		g.pass(time.Second)
		_, known := g.s.d.cache.Look(theChannel, anna, time.Now())
		require.True(t, known)
		again := joinsChannel(anna)
		again.UpdateId, again.Delivery, again.Attempt, again.Date = e.GetUpdateId(), 9999, 1, e.GetDate()
		g.s.Deliver(again)
		g.pass(time.Second)
		require.True(t, g.isSettled(9999))
		_, known = g.s.d.cache.Look(theChannel, anna, time.Now())
		require.True(t, known)
	})
}

// A moderator's mute with an end is put back when Telegram tells of it only after the free of ours that has lifted it.
func TestLate_AModeratorsMuteToldAfterTheFreeThatLiftedIt(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.freesLate(w.anna)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(30 * time.Second),
		})
		until := time.Now().Add(48 * time.Hour).Unix()
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, until))
		w.pass(25 * time.Second)
		require.Equal(t, 3, w.calls("restrictChatMember", w.anna), "muted, freed, and put back")
		require.True(t, w.muted(w.anna), "the word of the free alone says what it has lifted")
		require.Equal(t, until, w.Member(w.group, w.anna).Until)
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		require.Equal(t, until, w.Member(w.group, w.anna).Until)
	})
}

// Who is no administrator any more is not let pass as one because a look that began before that ends after it.
func TestLate_ALookThatEndsAfterADemotionExcusesNobody(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.Action, s.Warnings = persistence.ActionWarn, 3 })
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		w.pass(time.Second)
		w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.channel, Times: 1, For: simulator.For(4 * time.Second)})
		first := w.says(w.group, w.anna, "I am in charge")
		w.pass(time.Second)
		require.NoError(t, w.Demote(w.group, w.olga, w.anna))
		w.pass(time.Minute)
		require.True(t, w.there(w.group, first))
		second := w.says(w.group, w.anna, "and now I am not")
		w.pass(time.Minute)
		require.False(t, w.there(w.group, second))
	})
}
