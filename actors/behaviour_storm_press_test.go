package actors

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// What the storm has found about presses, and about updates that wait.

// A press that was answered while it waited is not answered again when its turn comes to nothing.
func TestStorm_APressIsAnsweredOnce(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.boris, "hello")
		w.pass(10 * time.Second)
		require.Len(t, w.notices(), 1)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: w.group, Times: 1, For: simulator.For(3 * time.Second)})
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.says(w.group, w.anna, "hello")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Second)
		w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		w.pass(10 * time.Second)
		for _, c := range w.CallsOf("answerCallbackQuery") {
			require.NotEmpty(t, c.Params["callback_query_id"])
		}
		require.Len(t, w.CallsOf("answerCallbackQuery"), 1)
	})
}

// slowly has Telegram take its time with what the bot asks of a chat's members.
func (w *town) slowly(chat int64, d time.Duration, times int) {
	w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "getChatMember", ChatID: chat, Times: times, For: simulator.For(d)})
}

// deletions counts how often a message was to be deleted.
func (w *town) deletions(id int64) (n int) {
	for _, c := range slices.Concat(w.CallsOf("deleteMessages"), w.CallsOf("deleteMessage")) {
		if fmt.Sprint(c.Params["message_id"]) == itoa(id) || strings.Contains(fmt.Sprint(c.Params["message_ids"]), itoa(id)) {
			n++
		}
	}
	return n
}

// again hands over an update about a message of Anna's, the same one each time.
func (w *town) again(message int64) { w.hands(7, message) }

// hands hands over a certain update about a message of Anna's.
func (w *town) hands(update, message int64) {
	w.s.Deliver(&protos.Event{
		UpdateId: update, Kind: protos.EventKind_MESSAGE, Chat: &protos.Chat{Id: w.group, Type: "supergroup"}, MessageId: message,
		Date: time.Now().Unix(), From: &protos.User{Id: w.anna, FirstName: "Anna"}, ReceivedMs: time.Now().UnixMilli(),
	})
}

// old hands over one that an earlier life has done.
func (w *town) old(message int64) {
	w.t.Helper()
	require.NoError(w.t, w.store.Update(w.t.Context(), func(tx persistence.Tx) error {
		_, err := tx.MarkSeen(7)
		return err
	}))
	w.again(message)
}

// What is looked at without its row, for the database is away, is stored soon after the database's return: its update
// cannot wait for Telegram for long.
func TestStorm_ALookWithoutTheRowEndsWithTheDatabasesReturn(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.slowly(w.group, 12*time.Second, 2)
		w.lose()
		id := w.says(w.group, w.anna, "hello")
		w.pass(100 * time.Millisecond)
		require.Zero(t, w.kept[0].Len())
		w.store.gone.Store(false)
		w.pass(2 * time.Second)
		f, err := w.store.Flow(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		require.Equal(t, []int64{id}, f.Messages)
		w.pass(30 * time.Second)
		require.True(t, w.muted(w.anna))
		require.False(t, w.there(w.group, id))
	})
}

// Who leaves the channel is stored as somebody to look at, however long Telegram takes to say whether that is still so.
func TestStorm_ALeaveDoesNotWaitForTelegramsAnswer(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.boris))
		w.says(w.group, w.boris, "hello")
		w.pass(10 * time.Second)
		w.stop()
		require.NoError(t, w.Leave(w.channel, w.boris))
		w.pass(2 * time.Second)
		w.slowly(w.channel, 10*time.Second, 1)
		w.slowly(w.group, 10*time.Second, 1)
		w.start()
		w.pass(4 * time.Second)
		f, err := w.store.Flow(t.Context(), w.group, w.boris)
		require.NoError(t, err)
		require.Equal(t, persistence.CauseLeave, f.Cause)
		w.pass(30 * time.Second)
		require.True(t, w.muted(w.boris))
	})
}

// What somebody writes who has left the channel while a look at them was under way is not passed on what that look has
// learned before.
func TestStorm_WhoLeavesDuringALookAndWritesIsMuted(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.boris))
		w.pass(time.Second)
		require.NoError(t, w.Leave(w.group, w.boris))
		w.pass(time.Second)
		w.slowly(w.group, 3*time.Second, 1)
		require.NoError(t, w.Join(w.group, w.boris))
		w.pass(time.Second)
		w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "getUpdates", Times: 1, For: simulator.For(500 * time.Millisecond)})
		require.NoError(t, w.Leave(w.channel, w.boris))
		id := w.says(w.group, w.boris, "hello")
		w.pass(30 * time.Second)
		require.False(t, w.there(w.group, id))
		require.True(t, w.muted(w.boris))
	})
}

// Nor is it where memory vouched for them when the look began, and word of the leave came before it ended.
func TestStorm_WordOfALeaveDuringALookCountsForWhatWasWrittenAfterIt(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		more := w.NewChannel("More", "more_here", w.olga)
		require.NoError(t, w.Join(more, w.boris)) // which the bot is not told
		w.admit(more, "can_invite_users")
		w.protect("@news_here", "@more_here")
		require.NoError(t, w.Join(w.channel, w.boris))
		w.pass(5 * time.Second)
		w.slowly(more, 3*time.Second, 1)
		w.Fail(simulator.Fault{
			Kind: simulator.FaultDelay, Update: "chat_member", ChatID: w.channel, UserID: w.boris, Times: 1, For: simulator.For(1500 * time.Millisecond),
		})
		require.NoError(t, w.Leave(w.channel, w.boris))
		id := w.says(w.group, w.boris, "hello")
		w.pass(30 * time.Second)
		require.True(t, w.muted(w.boris))
		require.False(t, w.there(w.group, id))
	})
}

// What is written after somebody left is made durable in the row of the look under way, and deleted once.
func TestStorm_AMessageThatWaitsIsDeletedOnce(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.slowly(w.group, 4*time.Second, 1)
		first := w.says(w.group, w.anna, "hello")
		w.pass(500 * time.Millisecond)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(700 * time.Millisecond)
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(700 * time.Millisecond) // with a poll of its own: the groups have heard of the leave
		second := w.says(w.group, w.anna, "and again")
		w.pass(30 * time.Second)
		require.True(t, w.muted(w.anna))
		for _, id := range []int64{first, second} {
			require.False(t, w.there(w.group, id))
			require.Equal(t, 1, w.deletions(id))
		}
	})
}

// A message that is deleted is not deleted again because its update comes a second time while the database is away, and
// nobody can say that it is done: neither while the mute is on its way, nor while it is to be tried again.
func TestStorm_AMessageThatComesAgainWithoutTheDatabaseIsDeletedOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range []simulator.FaultKind{simulator.FaultSlow, simulator.FaultBroken} {
		runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
			w.protect()
			w.Fail(simulator.Fault{Kind: kind, Method: "restrictChatMember", Times: 1, For: simulator.For(3 * time.Second)})
			id := w.says(w.group, w.anna, "hello")
			w.pass(300 * time.Millisecond)
			require.False(t, w.there(w.group, id))
			w.lose()
			w.again(id)
			w.pass(30 * time.Second)
			w.regain()
			require.True(t, w.muted(w.anna))
			require.Equal(t, 1, w.deletions(id))
		})
	}
}

// A message whose update was settled by the row of a look that came to nothing is not forgotten by a crash.
func TestStorm_AMessageThatWaitsOutlivesTheLookBeforeIt(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.boris))
		w.pass(time.Second)
		require.NoError(t, w.Leave(w.group, w.boris))
		w.pass(time.Second)
		w.slowly(w.group, 4*time.Second, 1)
		require.NoError(t, w.Join(w.group, w.boris))
		w.pass(500 * time.Millisecond)
		require.NoError(t, w.Leave(w.channel, w.boris))
		w.pass(700 * time.Millisecond)
		id := w.says(w.group, w.boris, "hello")
		w.store.slow.Store(int64(200 * time.Millisecond))
		for noted := false; w.there(w.group, id); w.pass(50 * time.Millisecond) {
			f, err := w.store.Flow(t.Context(), w.group, w.boris)
			kept := err == nil && slices.Contains(f.Messages, id)
			require.False(t, noted && !kept, "until it is deleted")
			noted = kept
		}
		w.pass(30 * time.Second)
		require.False(t, w.there(w.group, id))
		require.Equal(t, 1, w.deletions(id))
		require.True(t, w.muted(w.boris))
	})
}

// Who joins while a press of theirs is looked at is not freed before the row says so: what was to say it while the look
// took long could not be stored.
func TestStorm_NobodyIsFreedByARowThatCouldNotBeStored(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.slowly(w.group, 6*time.Second, 1)
		w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
		calls := w.calls("restrictChatMember", w.anna)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(500 * time.Millisecond)
		w.store.fails.Store(true)
		w.pass(8 * time.Second)
		require.Equal(t, calls, w.calls("restrictChatMember", w.anna))
		w.store.fails.Store(false)
		w.pass(time.Minute)
		require.True(t, w.free(w.anna))
	})
}

// What a moderator does is stored as something to look at, however long Telegram takes to say how the person stands.
func TestStorm_AModeratorsActDoesNotWaitForTelegramsAnswer(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.slowly(w.group, 10*time.Second, 1)
		require.NoError(t, w.Leave(w.group, w.anna))
		w.pass(4 * time.Second)
		f, err := w.store.Flow(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		require.Equal(t, persistence.Freeing, f.State)
		w.pass(30 * time.Second)
		f, err = w.store.Flow(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		require.Equal(t, persistence.Muted, f.State, "and closed again")
		require.True(t, w.muted(w.anna))
	})
}

// A row that is open since a moderator has acted stays so until that is looked at, and is closed then, whatever else comes
// meanwhile: that the person is back, or an update that an earlier life has done.
func TestStorm_ARowIsOpenForAsLongAsThereIsSomethingToLookAt(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{true, false} {
		runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
			state := func() persistence.FlowState {
				f, err := w.store.Flow(t.Context(), w.group, w.anna)
				require.NoError(t, err)
				return f.State
			}
			w.protect()
			w.mutes(w.anna)
			w.slowly(w.group, 6*time.Second, 1)
			require.NoError(t, w.Leave(w.group, w.anna))
			w.pass(4 * time.Second)
			if back {
				require.NoError(t, w.Join(w.group, w.anna))
			} else {
				w.old(777)
			}
			w.pass(500 * time.Millisecond)
			require.Equal(t, persistence.Freeing, state())
			w.pass(30 * time.Second)
			require.Equal(t, persistence.Muted, state())
		})
	}
}

// An update that an earlier life has done changes nothing about the look that it finds under way.
func TestStorm_AnOldUpdateDoesNotBeginALookAnew(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "deleteMessage", Times: 1, For: simulator.For(5 * time.Second)})
		w.Fail(simulator.Fault{Kind: simulator.FaultSlow, Method: "restrictChatMember", Times: 1, For: simulator.For(3 * time.Second)})
		id := w.says(w.group, w.anna, "hello")
		w.pass(time.Second)
		w.old(777)
		w.pass(30 * time.Second)
		require.True(t, w.muted(w.anna))
		require.Equal(t, 1, w.deletions(id))
		require.Zero(t, w.deletions(777))
		require.Equal(t, 1, w.calls("restrictChatMember", w.anna))
	})
}
