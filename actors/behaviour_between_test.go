package actors

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// What happens between a look of the bot's and what it does upon it, or between what is stored and what follows from
// it. Found by the storm.

// A moderator's mute that begins between the look and our free is put back, with the end it had: it looks like ours.
func TestBetween_AMuteWithAnEndIsPutBack(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.freesLate(w.anna)
		until := time.Now().Add(5 * 24 * time.Hour).Unix()
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, until))
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		require.Equal(t, until, w.Member(w.group, w.anna).Until)
	})
}

// Who joins the channel in the very second in which Telegram has just said that she is outside is not muted, though
// Telegram cannot say at once which came first.
func TestBetween_AJoinInTheSecondOfTheAnswerMutesNobody(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{
			Kind: simulator.FaultLatency, Method: "getChatMember", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(700 * time.Millisecond),
		})
		w.pass(time.Until(time.Now().Truncate(time.Second).Add(time.Second)) + 100*time.Millisecond)
		id := w.says(w.group, w.anna, "hello")
		w.pass(200 * time.Millisecond)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultLatency, Method: "getChatMember", ChatID: w.channel, UserID: w.anna, For: simulator.For(5 * time.Second),
		})
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		require.Zero(t, w.calls("restrictChatMember", w.anna))
		require.True(t, w.there(w.group, id))
	})
}

// What somebody writes while the mute gets no answer is written by who may: here it is who was made an administrator,
// which Telegram tells later.
func TestBetween_WordsDuringALongMuteAreLookedAt(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{Kind: simulator.FaultSilent, Method: "restrictChatMember", Times: 1})
		w.says(w.group, w.anna, "hello")
		w.pass(4 * time.Second)
		w.Fail(simulator.Fault{Kind: simulator.FaultDelay, Update: "chat_member", Times: 1, For: simulator.For(30 * time.Second)})
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		id := w.says(w.group, w.anna, "words of an administrator")
		w.pass(time.Minute)
		require.True(t, w.there(w.group, id))
	})
}

// Whom a new rule frees is freed although the program ends before it could look who that is.
func TestBetween_ARelaxedRuleOutlivesTheProgram(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		more := w.NewChannel("More", "more_here", w.olga)
		w.admit(more, "can_invite_users")
		w.protect("@news_here", "@more_here")
		require.NoError(t, w.Join(more, w.anna))
		w.mutes(w.anna)
		w.orders("/settings")
		m, ok := w.find(w.group, "Settings")
		require.True(t, ok)
		w.store.slow.Store(int64(200 * time.Millisecond))
		go func() { _, _ = w.Press(context.Background(), w.group, m.ID, w.olga, "v1:set:need:1") }()
		w.pass(100 * time.Millisecond) // the rule is being stored
		w.store.asleep.Store(true)     // and nothing can be read after it
		w.pass(5 * time.Second)
		w.store.slow.Store(0)
		w.stop()
		w.store.asleep.Store(false)
		w.start()
		w.pass(10 * time.Second)
		require.True(t, w.free(w.anna))
	})
}

// A moderator's mute that a free of ours has lifted is given back, though we have muted again before we heard of it.
func TestBetween_AMuteOfOursDoesNotHideWhatOurFreeHasLifted(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.freesLate(w.anna)
		w.Fail(simulator.Fault{Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, Times: 2, For: simulator.For(40 * time.Second)})
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.pass(15 * time.Second)
		require.True(t, w.free(w.anna), "the late free has lifted what the moderator gave")
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(10 * time.Second)
		require.True(t, w.muted(w.anna))
		require.NotZero(t, w.Member(w.group, w.anna).Until, "by us")
		w.pass(time.Minute)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		require.Zero(t, w.Member(w.group, w.anna).Until, "as the moderator had it")
	})
}

// Where people are warned first, a mute whose call gets no answer is still known when it comes late.
func TestBetween_AMuteAfterWarningsStaysKnown(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.Action, s.Warnings = persistence.ActionWarn, 1 })
		w.says(w.group, w.anna, "hello")
		w.pass(warnAgain + 5*time.Second)
		require.True(t, w.free(w.anna), "warned")
		w.Fail(simulator.Fault{Kind: simulator.FaultLate, Method: "restrictChatMember", Times: 1, For: simulator.For(10 * time.Second)})
		w.says(w.group, w.anna, "hello again")
		w.pass(5 * time.Second)
		require.Equal(t, 2, w.calls("restrictChatMember", w.anna), "the mute goes on")
	})
}

// Who joins and leaves within a second stays muted, though Telegram tells of the join a second time after the leave and
// cannot be asked meanwhile.
func TestBetween_AJoinToldTwiceHidesNoLeave(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.pass(time.Until(time.Now().Truncate(time.Second).Add(time.Second)) + 100*time.Millisecond)
		mend := w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "getChatMember"})
		w.Fail(simulator.Fault{Kind: simulator.FaultDuplicate, Update: "chat_member", ChatID: w.channel, Times: 1, For: simulator.For(2 * time.Second)})
		require.NoError(t, w.Join(w.channel, w.anna))
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(20 * time.Second)
		mend()
		w.pass(6 * time.Minute)
		require.True(t, w.muted(w.anna))
	})
}

// Whom a moderator mutes while our mute is under way has that mute when ours ends, though Telegram's word that ours has
// covered it came during the look that frees.
func TestBetween_AMuteThatOursCoveredIsGivenBack(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "restrictChatMember", Times: 1, For: simulator.For(2 * time.Second)})
		w.says(w.group, w.anna, "hello")
		w.pass(500 * time.Millisecond)
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.Fail(simulator.Fault{
			Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(5 * time.Second),
		})
		w.pass(3 * time.Second)
		require.NotZero(t, w.Member(w.group, w.anna).Until, "ours covers it")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		require.Zero(t, w.Member(w.group, w.anna).Until)
	})
}

// The same where the free leaves before Telegram's word that ours has covered the moderator's comes: it is put back.
func TestBetween_AMuteThatOursCoveredIsPutBack(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]time.Duration{"told after the free": time.Millisecond, "told during the free": 7 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
				w.protect()
				w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "restrictChatMember", Times: 1, For: simulator.For(2 * time.Second)})
				w.says(w.group, w.anna, "hello")
				w.pass(500 * time.Millisecond)
				require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
				w.Fail(simulator.Fault{Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, Times: 1, For: simulator.For(5 * time.Second)})
				w.pass(3 * time.Second)
				require.NotZero(t, w.Member(w.group, w.anna).Until, "ours covers it")
				w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "restrictChatMember", Times: 1, For: simulator.For(take)})
				require.NoError(t, w.Join(w.channel, w.anna))
				w.pass(time.Minute)
				require.True(t, w.muted(w.anna))
				require.Zero(t, w.Member(w.group, w.anna).Until)
				_, err := w.store.Flow(t.Context(), w.group, w.anna)
				require.ErrorIs(t, err, persistence.ErrNotFound)
			})
		})
	}
}

// Who is made an administrator while a look deletes what they wrote before keeps what they write from then on.
func TestBetween_WordsAfterAPromotionDuringADeletion(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.Action = persistence.ActionDelete })
		w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "deleteMessage", Times: 1, For: simulator.For(8 * time.Second)})
		before := w.says(w.group, w.anna, "hello")
		w.pass(200 * time.Millisecond)
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		w.pass(200 * time.Millisecond)
		after := w.says(w.group, w.anna, "hello again")
		w.pass(time.Minute)
		require.False(t, w.there(w.group, before))
		require.True(t, w.there(w.group, after))
	})
}

// A deletion that is under way when a row cannot be stored is waited for, and not made once more.
func TestBetween_ADeletionUnderWayIsWaitedFor(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "deleteMessage", Times: 1, For: simulator.For(5 * time.Second)})
		w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "restrictChatMember", Times: 1})
		first := w.says(w.group, w.anna, "hello")
		w.pass(500 * time.Millisecond)
		w.store.fails.Store(true)
		second := w.says(w.group, w.anna, "hello again")
		w.pass(500 * time.Millisecond)
		w.store.fails.Store(false)
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		require.False(t, w.there(w.group, first) || w.there(w.group, second))
		require.Equal(t, 1, w.deletions(first))
		require.Equal(t, 1, w.deletions(second))
		row, err := w.store.Flow(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		require.Empty(t, row.Messages)
		require.Equal(t, persistence.Muted, row.State)
	})
}

// Nor is deleted what somebody muted writes once they are an administrator, where a look that began before is still under
// way.
func TestBetween_WordsAfterAPromotionDuringALook(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.channel, UserID: w.anna, Times: 1, For: simulator.For(6 * time.Second),
		})
		w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		w.pass(500 * time.Millisecond)
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		w.pass(500 * time.Millisecond)
		id := w.says(w.group, w.anna, "hello again")
		w.pass(time.Minute)
		require.True(t, w.there(w.group, id))
	})
}

// Who is demoted while a look is under way that has found an administrator passes as one no longer.
func TestBetween_ALookFromBeforeADemotionExcusesNobody(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		w.pass(time.Minute)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.channel, UserID: w.anna, Times: 2, For: simulator.For(5 * time.Second),
		})
		w.says(w.group, w.anna, "an administrator's words")
		w.pass(time.Second)
		require.NoError(t, w.Demote(w.group, w.olga, w.anna))
		w.pass(5 * time.Second)
		id := w.says(w.group, w.anna, "hello")
		w.pass(time.Minute)
		require.False(t, w.there(w.group, id))
		require.True(t, w.muted(w.anna))
	})
}

// What an earlier life has dealt with is left alone when its update comes again together with a new one.
func TestBetween_AnUpdateThatComesAgainWithANewOne(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.Action = persistence.ActionDelete })
		w.Fail(simulator.Fault{Kind: simulator.FaultMissing, Update: "message", ChatID: w.group, UserID: w.anna})
		first := w.says(w.group, w.anna, "hello")
		w.again(first)
		w.pass(10 * time.Second)
		require.False(t, w.there(w.group, first))
		w.restart()
		second := w.says(w.group, w.anna, "hello again")
		w.again(first)
		w.hands(8, second)
		w.pass(10 * time.Second)
		require.False(t, w.there(w.group, second))
		require.Equal(t, 1, w.deletions(first))
		require.Equal(t, 1, w.deletions(second))
	})
}
