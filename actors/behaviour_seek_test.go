package actors

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// Notices whose sending was not answered, and how they are found again. The storm has found each of these.

// A message that was written before the notice, and is told after it, does not have the notice looked for before itself.
func TestSeek_WhatIsToldLateDoesNotMislead(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.boris))
		w.says(w.group, w.boris, "hello")
		w.pass(2 * time.Minute)
		w.restart()
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "message", ChatID: w.group, UserID: w.olga, Times: 1, For: simulator.For(10 * time.Second),
		})
		w.says(w.group, w.olga, "good morning")
		w.Fail(simulator.Fault{Kind: simulator.FaultLost, Method: "sendMessage", Times: 1})
		require.NoError(t, w.Leave(w.channel, w.boris))
		w.pass(2 * time.Minute)
		require.Len(t, w.notices(), 1)
		w.pass(6 * time.Minute)
		require.Empty(t, w.notices())
	})
}

// One in a topic that was never sent is not found in what stands outside of it.
func TestSeek_ANoticeOfAnotherTopicIsLeftToIt(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.MakeForum(w.group)
		plants := w.CreateTopic(w.group, "Plants")
		require.NoError(t, w.Join(w.channel, w.boris))
		w.protect()
		w.says(w.group, w.boris, "hello")
		w.pass(time.Minute)
		w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "sendMessage", Times: 1})
		w.says(w.group, w.anna, "hello", simulator.InThread(plants))
		w.pass(2 * time.Second)
		w.Fail(simulator.Fault{Kind: simulator.FaultLate, Method: "sendMessage", Times: 1, For: simulator.For(7 * time.Second)})
		require.NoError(t, w.Leave(w.channel, w.boris))
		w.pass(time.Minute)
		require.Len(t, w.notices(), 2)
		for _, n := range w.notices() {
			require.Contains(t, n.Text, map[int64]string{plants: "Anna", 0: "Boris"}[n.ThreadID])
		}
		w.pass(10 * time.Minute)
		require.Empty(t, w.notices())
	})
}

// A call of a program that has ended may act as late as one that was given up at the end of its time.
func TestSeek_ACallOfAnEarlierLifeActsLater(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{Kind: simulator.FaultLate, Method: "sendMessage", Times: 1, For: simulator.For(30 * time.Second)})
		w.says(w.group, w.anna, "hello")
		w.pass(time.Second)
		w.restart()
		w.pass(2 * time.Minute)
		require.Len(t, w.notices(), 1)
		w.pass(6 * time.Minute)
		require.Empty(t, w.notices())
	})
}

// What the bot wrote long before is not taken for a notice that was never sent, and gets no buttons.
func TestSeek_WhatIsOlderIsNotTakenForIt(t *testing.T) {
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
		w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "sendMessage", Times: 1})
		require.NoError(t, w.Leave(w.channel, w.boris))
		w.pass(time.Second)
		w.says(w.group, w.olga, "good evening")
		w.pass(time.Minute)
		require.Len(t, w.notices(), 1)
		w.pass(6 * time.Minute)
		require.Empty(t, w.notices())
		require.True(t, w.there(w.group, stays.ID))
		left, _ := w.find(w.group, "")
		require.Empty(t, buttons(left))
	})
}

// A notice of which nothing is known any more goes when somebody presses its button.
func TestSeek_AForgottenNoticeGoesWithTheFirstPress(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		require.Len(t, w.notices(), 1)
		require.NoError(t, w.store.Update(t.Context(), func(tx persistence.Tx) error { return tx.DropNotice(w.group, 0) }))
		w.restart()
		w.pass(10 * time.Minute)
		require.Len(t, w.notices(), 1)
		w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		w.pass(5 * time.Second)
		require.Empty(t, w.notices())
	})
}

// The end of a notice that could not be stored is not forgotten because another takes its row.
func TestSeek_AnEndThatCouldNotBeStoredOutlastsTheProgram(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		require.Len(t, w.notices(), 1)
		w.store.keeps.Store(true)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Second)
		w.says(w.group, w.boris, "hello")
		w.pass(time.Second)
		w.restart()
		w.pass(10 * time.Minute)
		require.Empty(t, w.notices())
	})
}

// A notice goes with what may not be deleted.
func TestSeek_WhatMayNotBeDeletedKeepsNoNotice(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		require.Len(t, w.notices(), 1)
		w.admit(w.group, "can_restrict_members", "can_invite_users")
		id := w.says(w.group, w.olga, "good morning")
		require.NoError(t, w.store.Update(t.Context(), func(tx persistence.Tx) error {
			return errors.Join(
				tx.AddDue(persistence.Due{ChatID: w.group, MessageID: id, At: time.Now().Add(2 * time.Second)}),
				tx.AddDue(persistence.Due{ChatID: w.group, MessageID: w.notices()[0].ID, At: time.Now().Add(2 * time.Second)}),
			)
		}))
		w.pass(time.Minute)
		require.Empty(t, w.notices())
		require.True(t, w.there(w.group, id))
	})
}

// Nor is an answer to a command, of which nobody knows that it was sent.
func TestSeek_ALostAnswerIsNotTakenForIt(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.pass(time.Minute)
		w.Fail(simulator.Fault{Kind: simulator.FaultLost, Method: "sendMessage", Times: 2})
		w.Fail(simulator.Fault{ // so that the answer stands before the notice, and both behind the words
			Kind: simulator.FaultLatency, Method: "getChatMember", UserID: w.anna, For: simulator.For(500 * time.Millisecond),
		})
		w.says(w.group, w.olga, "/settings")
		w.says(w.group, w.anna, "hello")
		w.pass(time.Minute)
		answer, ok := w.find(w.group, "Settings")
		require.True(t, ok)
		require.Empty(t, buttons(answer))
		require.Len(t, w.notices(), 1)
		w.says(w.group, w.boris, "hello")
		w.pass(10 * time.Second)
		require.Len(t, w.notices(), 1)
		require.Contains(t, w.notices()[0].Text, "Boris", "it was found")
		w.pass(6 * time.Minute)
		require.Empty(t, w.notices())
		require.True(t, w.there(w.group, answer.ID))
	})
}

// Nor where nobody knows any more whom the notice names: who was muted has joined, and the program has begun anew.
func TestSeek_ALostAnswerIsNotTakenForOneThatNamesNobody(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.pass(time.Minute)
		w.Fail(simulator.Fault{Kind: simulator.FaultLost, Method: "sendMessage", Times: 2})
		w.Fail(simulator.Fault{Kind: simulator.FaultLatency, Method: "getChatMember", UserID: w.anna, For: simulator.For(500 * time.Millisecond)})
		mend := w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "editMessageReplyMarkup"})
		w.says(w.group, w.olga, "/settings")
		w.says(w.group, w.anna, "hello")
		w.pass(5 * time.Second)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		require.True(t, w.free(w.anna))
		answer, ok := w.find(w.group, "Settings")
		require.True(t, ok)
		require.Len(t, w.notices(), 1)
		require.Less(t, answer.ID, w.notices()[0].ID)
		w.restart()
		mend()
		w.pass(10 * time.Minute)
		require.Empty(t, w.notices())
		answer, ok = w.find(w.group, "Settings")
		require.True(t, ok)
		require.Empty(t, buttons(answer))
	})
}

// losesANotice has Boris be muted where nothing is known of the group since the start, and the answer to his notice be lost.
func (w *town) losesANotice() {
	w.t.Helper()
	w.protect()
	require.NoError(w.t, w.Join(w.channel, w.boris))
	w.says(w.group, w.boris, "hello")
	w.pass(2 * time.Minute)
	w.restart()
	w.Fail(simulator.Fault{Kind: simulator.FaultLost, Method: "sendMessage", Times: 1})
	require.NoError(w.t, w.Leave(w.channel, w.boris))
}

// endsWhileLooking lets the first message be seen, and the program end and begin anew before the look for a notice that
// follows has come anywhere.
func (w *town) endsWhileLooking() {
	w.t.Helper()
	w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "editMessageReplyMarkup", Times: 1, For: simulator.For(8 * time.Second)})
	w.says(w.group, w.olga, "good morning")
	w.pass(100 * time.Millisecond)
	w.restart()
}

// Where nothing was known of the group when a notice was sent, what is seen before the program ends tells the next one
// where to look.
func TestSeek_WhatWasSeenOutlastsTheProgram(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.losesANotice()
		w.pass(2 * time.Second)
		require.Len(t, w.notices(), 1)
		w.endsWhileLooking()
		w.pass(10 * time.Minute)
		require.Empty(t, w.notices())
	})
}

// Whoever has to be shown the way while a lost notice cannot be looked for makes it no younger: it is found by the next
// program, too.
func TestSeek_WhoIsAddedMakesALostNoticeNoYounger(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.losesANotice()
		w.pass(3 * time.Minute)
		w.Fail(simulator.Fault{Kind: simulator.FaultMissing, Update: simulator.Service, Times: 2})
		require.NoError(t, w.Leave(w.group, w.anna))
		require.NoError(t, w.Join(w.group, w.anna))
		w.pass(3 * time.Second)
		w.endsWhileLooking()
		w.pass(time.Minute)
		require.Len(t, w.notices(), 1)
		w.pass(10 * time.Minute)
		require.Empty(t, w.notices())
	})
}

// Nor is a lost notice taken for another because nobody whom it names needs it any more when a message is seen at last.
func TestSeek_WhoNeedsItNoMoreIsStillNamed(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.losesANotice()
		w.pass(time.Minute)
		require.NoError(t, w.Join(w.channel, w.boris))
		w.pass(time.Minute)
		require.True(t, w.free(w.boris))
		w.endsWhileLooking()
		w.pass(2 * time.Minute)
		require.Empty(t, w.notices())
	})
}
