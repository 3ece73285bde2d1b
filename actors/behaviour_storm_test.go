package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// What the storm has found, each as small as it can be told.

// A notice that Telegram sends long after its answer was lost is found, and no second one stands beside it.
func TestStorm_ALateNoticeIsTheOnlyOne(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{Kind: simulator.FaultLate, Method: "sendMessage", Times: 1, For: simulator.For(7 * time.Second)})
		w.says(w.group, w.anna, "hello")
		w.pass(2 * time.Minute)
		require.Len(t, w.notices(), 1)
		w.pass(6 * time.Minute)
		require.Empty(t, w.notices())
	})
}

// While the bot is no administrator of the channel it is not told who joins and leaves. When it is again, who
// joined meanwhile is freed, and who left is not believed to be in it.
func TestStorm_WhatWasNotToldIsAsked(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.boris))
		w.says(w.group, w.boris, "hello")
		w.mutes(w.anna)
		require.True(t, w.free(w.boris))
		require.NoError(t, w.Demote(w.channel, w.olga, w.bot.ID))
		w.pass(time.Second)
		require.NoError(t, w.Join(w.channel, w.anna))
		require.NoError(t, w.Leave(w.channel, w.boris))
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna), "nobody has told the bot")
		w.admit(w.channel, "can_invite_users")
		w.pass(10 * time.Second)
		require.True(t, w.free(w.anna))
		w.says(w.group, w.boris, "and I am still here")
		w.pass(10 * time.Second)
		require.True(t, w.muted(w.boris))
	})
}

// Where people are not muted, a message whose deletion fails goes all the same.
func TestStorm_ADeletionThatFailsComesAgain(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.Action = persistence.ActionDelete })
		w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Class: "delete", Times: 1})
		w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "deleteMessage", Times: 1})
		id := w.says(w.group, w.anna, "hello")
		w.pass(30 * time.Second)
		require.False(t, w.there(w.group, id))
	})
}

// Two minutes in which nothing can be deleted make nobody forget what is to be deleted.
func TestStorm_DeletionsOutliveAnOutage(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		require.Len(t, w.notices(), 1)
		mend := w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "deleteMessage"})
		mendAll := w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "deleteMessages"})
		w.pass(7 * time.Minute)
		require.Len(t, w.notices(), 1)
		mend()
		mendAll()
		w.pass(6 * time.Minute)
		require.Empty(t, w.notices())
	})
}

// A pause that Telegram asks for in a group's look-ups sets no update aside: what waits for it is stored.
func TestStorm_NothingIsSetAsideForAPause(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{
			Kind: simulator.FaultFlood, Method: "getChatMember", ChatID: w.group, Times: 1, Scope: simulator.ScopeChat, For: simulator.For(3 * time.Minute),
		})
		w.says(w.group, w.anna, "hello")
		w.pass(time.Second)
		require.NoError(t, w.Leave(w.group, w.anna))
		w.pass(time.Second)
		require.NoError(t, w.Join(w.group, w.anna))
		w.pass(time.Minute)
		aside, err := w.store.SetAsides(t.Context(), 10)
		require.NoError(t, err)
		require.Empty(t, aside)
		aside, err = w.store.Deferred(t.Context(), 10)
		require.NoError(t, err)
		require.Empty(t, aside)
		assert.Zero(t, w.IgnoredFloods())
		w.pass(10 * time.Minute)
		require.True(t, w.muted(w.anna))
	})
}

// Nor is it lost that a moderator's mute is to be put back when Telegram asks for a long pause at that moment, and the
// program ends within that.
func TestStorm_APauseDoesNotLoseAModeratorsMute(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.freesLate(w.anna)
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.pass(2 * time.Second)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultFlood, Method: "getChatMember", ChatID: w.group, Scope: simulator.ScopeChat, Times: 1, For: simulator.For(4 * time.Minute),
		})
		w.pass(40 * time.Second)
		require.False(t, w.muted(w.anna), "a free of ours has come late")
		w.restart()
		w.pass(10 * time.Minute)
		require.True(t, w.muted(w.anna))
		require.Zero(t, w.Member(w.group, w.anna).Until)
		left, err := w.store.Deferred(t.Context(), 10)
		require.NoError(t, err)
		require.Empty(t, left)
	})
}

// A moderator's mute that a late free of ours has lifted is put back.
func TestStorm_ALateFreeLiftsNoModeratorsMute(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.freesLate(w.anna)
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		require.Zero(t, w.Member(w.group, w.anna).Until)
	})
}

// A press that comes while Telegram does not answer another call about the same person is answered in time.
func TestStorm_APressDoesNotWaitForACallThatHangs(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.boris, "hello")
		w.pass(10 * time.Second)
		w.Fail(simulator.Fault{Kind: simulator.FaultSilent, Method: "restrictChatMember", UserID: w.anna, Times: 1})
		w.says(w.group, w.anna, "hello")
		w.pass(time.Second)
		began := time.Now()
		w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		require.Less(t, time.Since(began), 2*time.Second)
	})
}

// Whom a moderator unmutes is not muted again because Telegram could not say at once how the person stands in the
// group, neither by the look that the unmute brings nor by the one that follows it.
func TestStorm_AModeratorsUnmuteOutlastsAPause(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultFlood, Method: "getChatMember", ChatID: w.group, Times: 1, Scope: simulator.ScopeChat, For: simulator.For(8 * time.Second),
		})
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.pass(3 * time.Second)
		mutes := w.calls("restrictChatMember", w.anna)
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		w.pass(time.Minute)
		require.True(t, w.free(w.anna))
		require.Equal(t, mutes, w.calls("restrictChatMember", w.anna), "not even for a moment")
	})
}

// Nor is that person muted because what the look came to could not be stored, and the word of the unmute is late.
func TestStorm_AModeratorsUnmuteOutlastsAStoreThatFails(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultFlood, Method: "getChatMember", ChatID: w.group, Times: 1, Scope: simulator.ScopeChat, For: simulator.For(11 * time.Second),
		})
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.pass(3 * time.Second) // the row says by now that there is something to look at
		mutes := w.calls("restrictChatMember", w.anna)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(40 * time.Second),
		})
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		w.store.fails.Store(true)
		w.pass(5 * time.Second)
		w.store.fails.Store(false)
		w.pass(time.Minute)
		require.True(t, w.free(w.anna))
		require.Equal(t, mutes, w.calls("restrictChatMember", w.anna), "not even for a moment")
	})
}

// Word of a mute that comes when the person has been freed and muted again does not make the bot forget the mute that
// stands.
func TestStorm_LateWordOfAnEarlierMuteHidesNoLaterOne(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(30 * time.Second),
		})
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna))
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		require.True(t, w.free(w.anna))
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna))
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		require.True(t, w.free(w.anna))
	})
}

// Where nobody is muted at first, somebody without a row who presses while news of the channel waits is answered, and
// both are done: there is no row to store.
func TestStorm_APressAndNewsWithoutARow(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		require.NoError(t, g.store.Update(t.Context(), func(tx persistence.Tx) error {
			row, err := g.store.Group(t.Context(), theGroup)
			if err != nil {
				return err
			}
			row.Settings.Action, row.Settings.Warnings = persistence.ActionWarn, 2
			if _, err := tx.SaveGroup(row, persistence.Owner{ID: theOwner}); err != nil {
				return err
			}
			return tx.SawMember(theGroup, anna, time.Now())
		}))
		first := g.send(press(anna, 1, callbackCheck))
		g.pass(5 * time.Millisecond) // looked at
		g.w.set(func() { g.w.channel[anna] = true })
		news := g.send(joinsChannel(anna))
		second := g.send(press(anna, 2, callbackCheck))
		g.pass(time.Second)
		for _, d := range []uint64{first, news, second} {
			assert.True(t, g.isSettled(d), d)
		}
		assert.Empty(t, g.l.notDone)
	})
}

// A notice whose time is over and whose message is not known does not keep its group busy.
func TestStorm_ANoticeThatCannotBeFoundYetCostsLittle(t *testing.T) {
	t.Parallel()
	now := time.Now()
	n := &notice{lost: true, expires: now.Add(-time.Second)}
	g := &group{notices: map[int64]*notice{0: n}}
	assert.Equal(t, noticePause, g.untilNotices(now))
	n.expires = now.Add(time.Second)
	assert.Equal(t, time.Second, g.untilNotices(now))
}

// Who leaves the channel and writes at once is judged by the leave, however near the two come together.
func TestStorm_AMessageIsNotFasterThanTheLeaveBeforeIt(t *testing.T) {
	t.Parallel()
	runGate(t, func(t *testing.T, g *gate) {
		for id := int64(1); id <= 50; id++ {
			g.w.set(func() { g.w.channel[anna] = true })
			g.send(joinsChannel(anna))
			g.send(message(anna, 10*id, "hello"))
			g.pass(2 * time.Second)
			g.w.set(func() { g.w.channel[anna] = false })
			g.send(leavesChannel(anna))
			g.send(message(anna, 10*id+1, "good bye"))
			g.pass(5 * time.Second)
			g.w.set(func() {
				require.False(t, g.w.deleted[10*id])
				require.True(t, g.w.deleted[10*id+1], id)
			})
		}
	})
}

// Two notices whose sending was not answered, one in a topic and one outside, are told apart when they are looked for.
func TestStorm_LostNoticesAreNotMistakenForEachOther(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.MakeForum(w.group)
		plants := w.CreateTopic(w.group, "Plants")
		require.NoError(t, w.Join(w.channel, w.boris))
		w.protect()
		w.says(w.group, w.boris, "hello")
		w.pass(time.Minute)
		w.Fail(simulator.Fault{Kind: simulator.FaultLost, Method: "sendMessage", Times: 1})
		w.says(w.group, w.anna, "hello", simulator.InThread(plants))
		w.pass(10 * time.Second)
		w.Fail(simulator.Fault{Kind: simulator.FaultLost, Method: "sendMessage", Times: 1})
		require.NoError(t, w.Leave(w.channel, w.boris))
		w.pass(10 * time.Second)
		require.Len(t, w.notices(), 2)
		for _, n := range w.notices() {
			require.Contains(t, n.Text, map[int64]string{plants: "Anna", 0: "Boris"}[n.ThreadID])
		}
		w.pass(10 * time.Minute)
		require.Empty(t, w.notices())
	})
}

// Nor is an answer to a command mistaken for a notice that is sent late.
func TestStorm_AnAnswerIsNotMistakenForALostNotice(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.pass(time.Minute)
		w.Fail(simulator.Fault{Kind: simulator.FaultLate, Method: "sendMessage", Times: 1, For: simulator.For(7 * time.Second)})
		w.says(w.group, w.anna, "hello")
		w.pass(2 * time.Second)
		w.says(w.group, w.olga, "/status")
		w.pass(30 * time.Second)
		answer, ok := w.find(w.group, "Protection is")
		require.True(t, ok)
		require.Empty(t, buttons(answer))
		require.Len(t, w.notices(), 1)
		w.pass(6 * time.Minute)
		require.Empty(t, w.notices())
	})
}

// Nor because the program ends before it has looked.
func TestStorm_AModeratorsUnmuteOutlastsTheProgram(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultFlood, Method: "getChatMember", ChatID: w.group, Times: 1, Scope: simulator.ScopeChat, For: simulator.For(20 * time.Second),
		})
		mutes := w.calls("restrictChatMember", w.anna)
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		w.pass(7 * time.Second)
		w.restart()
		w.pass(time.Minute)
		id := w.says(w.group, w.anna, "thank you")
		w.pass(time.Minute)
		require.True(t, w.there(w.group, id))
		require.Equal(t, mutes, w.calls("restrictChatMember", w.anna), "not even for a moment")
	})
}

// Nor is what the bot wrote in an earlier life mistaken for one that was lost when nothing of the group was known yet.
func TestStorm_WhatStoodBeforeIsNotMistakenForALostNotice(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.boris))
		w.says(w.group, w.boris, "hello")
		w.says(w.group, w.olga, "/export")
		w.pass(2 * time.Minute)
		stays, ok := w.find(w.group, "")
		require.True(t, ok)
		w.restart()
		w.Fail(simulator.Fault{Kind: simulator.FaultLost, Method: "sendMessage", Times: 1})
		require.NoError(t, w.Leave(w.channel, w.boris))
		w.pass(10 * time.Second)
		require.Len(t, w.notices(), 1)
		w.says(w.group, w.olga, "good evening")
		w.pass(6 * time.Minute)
		require.Empty(t, w.notices())
		require.True(t, w.there(w.group, stays.ID))
	})
}

// Nor is what an administrator writes held to be from before the mute because a press has had the channels asked since.
func TestStorm_APressMakesNoMuteYounger(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna))
		w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(20 * time.Second),
		})
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		w.pass(time.Second)
		id := w.says(w.group, w.anna, "I am in charge now")
		w.pass(time.Minute)
		require.True(t, w.there(w.group, id))
	})
}

// Nor because what they wrote was looked at already, and could not be stored.
func TestStorm_AFailedCommitMakesNoMuteYounger(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.pass(30 * time.Minute)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(20 * time.Second),
		})
		w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.group, UserID: w.anna, Times: 1, For: simulator.For(4 * time.Second)})
		require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
		w.pass(time.Second)
		w.store.fails.Store(true)
		id := w.says(w.group, w.anna, "I am in charge now")
		w.pass(700 * time.Millisecond)
		w.store.fails.Store(false)
		w.pass(time.Minute)
		require.True(t, w.there(w.group, id))
	})
}

// Who is made an administrator while a look at them is under way keeps what they write.
func TestStorm_AnAdministratorOfThisMomentIsNotTouched(t *testing.T) {
	t.Parallel()
	for _, action := range []persistence.Action{persistence.ActionMute, persistence.ActionDelete, persistence.ActionWarn} {
		runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
			w.protect()
			w.wish(func(s *persistence.Settings) { s.Action = action })
			w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.channel, Times: 1, For: simulator.For(3 * time.Second)})
			w.says(w.group, w.anna, "hello")
			w.pass(time.Second)
			require.NoError(t, w.Promote(w.group, w.olga, w.anna, simulator.Rights("can_pin_messages")))
			id := w.says(w.group, w.anna, "I am in charge now")
			w.pass(time.Minute)
			require.True(t, w.there(w.group, id))
			require.Zero(t, w.calls("restrictChatMember", w.anna))
		})
	}
}

// Who writes on and on while Telegram is asked is muted all the same, and soon.
func TestStorm_WhoWritesOnAndOnIsMutedAllTheSame(t *testing.T) {
	t.Parallel()
	o := simulator.Options{Latency: func(method string) time.Duration {
		if method == "getUpdates" {
			return 0
		}
		return 100 * time.Millisecond
	}}
	runTown(t, o, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{Kind: simulator.FaultLatency, Method: "getChatMember", ChatID: w.channel, For: simulator.For(200 * time.Millisecond)})
		var ids []int64
		for range 100 {
			id, err := w.Write(w.group, w.anna, "coins")
			if err != nil {
				break // muted
			}
			ids = append(ids, id)
			w.pass(20 * time.Millisecond)
		}
		require.True(t, w.muted(w.anna))
		assert.Less(t, len(ids), 60, "within 1.2 s")
		assert.Equal(t, 1, w.calls("restrictChatMember", w.anna))
		w.pass(10 * time.Second)
		for _, id := range ids {
			assert.False(t, w.there(w.group, id))
		}
	})
}

// A mute of ours that comes late and covers a moderator's gives it back when it ends.
func TestStorm_ALateMuteGivesAModeratorsBack(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{Kind: simulator.FaultLate, Method: "restrictChatMember", Times: 1, For: simulator.For(10 * time.Second)})
		w.says(w.group, w.anna, "hello")
		w.pass(500 * time.Millisecond)
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, 0))
		w.pass(time.Minute)
		require.NotZero(t, w.Member(w.group, w.anna).Until, "ours came late")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		require.Zero(t, w.Member(w.group, w.anna).Until)
	})
}

// Who leaves the channel after a free of ours whose end could not be stored is muted again, and not taken for somebody
// whom another has freed.
func TestStorm_AFreeWhoseEndIsNotStoredIsOurs(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.Fail(simulator.Fault{Kind: simulator.FaultLost, Method: "restrictChatMember", Times: 1})
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(lateEffect - time.Second)
		require.True(t, w.free(w.anna), "and Telegram has told that, but not answered")
		w.store.fails.Store(true)
		w.pass(1500 * time.Millisecond)
		w.store.fails.Store(false)
		w.pass(2 * time.Second)
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
	})
}
