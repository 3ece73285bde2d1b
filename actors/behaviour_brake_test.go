package actors

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// readers makes people who are in the channel and have written in the group.
func (w *town) readers(n int) (list []int64) {
	w.t.Helper()
	for i := range n {
		id := w.NewUser(fmt.Sprintf("Reader %d", i), "")
		require.NoError(w.t, w.Join(w.channel, id))
		require.NoError(w.t, w.Join(w.group, id))
		w.says(w.group, id, "hello")
		list = append(list, id)
	}
	w.pass(30 * time.Second)
	return list
}

func (w *town) leave(chat int64, users []int64) {
	w.t.Helper()
	for _, id := range users {
		require.NoError(w.t, w.Leave(chat, id))
	}
}

func (w *town) countMuted(users []int64) (n int) {
	for _, id := range users {
		if w.muted(id) {
			n++
		}
	}
	return n
}

// question is the one message that asks whether people really left.
func (w *town) question(chat int64) (simulator.Message, string) {
	w.t.Helper()
	var found []simulator.Message
	for _, m := range w.Messages(chat) {
		if m.From == w.bot.ID && strings.Contains(m.Text, "Have they really left?") {
			found = append(found, m)
		}
	}
	require.Len(w.t, found, 1, "asked once")
	return found[0], callbackBrake + itoa(w.group) + ":" + itoa(w.channel) + ":"
}

func TestBrake_PausesNewMutesUntilTheOwnerDecides(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		require.NoError(t, w.Start(w.olga, w.bot.ID))
		w.protect()
		w.says(w.group, w.anna, "I am a stranger")
		readers := w.readers(40)
		require.True(t, w.muted(w.anna))
		w.leave(w.channel, readers)
		w.pass(time.Minute)
		assert.LessOrEqual(t, w.countMuted(readers), brakeAtLeast)
		asked, data := w.question(w.olga)

		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(10 * time.Second)
		assert.True(t, w.free(w.anna), "frees go on")

		assert.Contains(t, w.presses(w.olga, asked.ID, w.olga, data+brakeWait).Text, "I wait")
		w.restart()
		w.pass(5 * time.Minute)
		assert.LessOrEqual(t, w.countMuted(readers), brakeAtLeast, "it outlives a restart")
		w.question(w.olga)

		assert.Contains(t, w.presses(w.olga, asked.ID, w.olga, data+brakeGo).Text, "I go on")
		w.pass(3 * time.Minute)
		assert.Equal(t, len(readers), w.countMuted(readers))
		assert.True(t, w.has(w.olga, "so I go on"), "and the question has become its answer")
	})
}

func TestBrake_ListensToAdministratorsAlone(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect() // Olga never wrote to the bot: it asks in the group
		readers := w.readers(30)
		w.leave(w.channel, readers)
		w.pass(time.Minute)
		asked, data := w.question(w.group)
		for _, forged := range []string{data + brakeGo, data + "now", callbackBrake + "1:2:go", callbackBrake} {
			answer := w.presses(w.group, asked.ID, w.boris, forged)
			assert.NotEmpty(t, answer.Text, forged)
		}
		w.pass(3 * time.Minute)
		assert.LessOrEqual(t, w.countMuted(readers), brakeAtLeast)
		w.presses(w.group, asked.ID, w.olga, data+brakeGo)
		w.pass(3 * time.Minute)
		assert.Equal(t, len(readers), w.countMuted(readers))
	})
}

func TestBrake_HoldsWhateverPathItWasLearnedBy(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		require.NoError(t, w.Start(w.olga, w.bot.ID))
		w.protect()
		readers := w.readers(40)
		// Nobody tells the bot that they left, and it has forgotten what it knew: it finds out by asking.
		w.stop()
		w.leave(w.channel, readers)
		w.pass(25 * time.Hour)
		w.start()
		for _, id := range readers {
			w.says(w.group, id, "hello again")
		}
		w.pass(2 * time.Minute)
		assert.LessOrEqual(t, w.countMuted(readers), brakeAtLeast)
		w.question(w.olga)
		// They were in the channel all along, as it turns out.
		for _, id := range readers {
			require.NoError(t, w.Join(w.channel, id))
		}
		w.pass(25 * time.Minute)
		assert.Zero(t, w.countMuted(readers))
		p, err := w.store.Pauses(t.Context(), w.group)
		require.NoError(t, err)
		assert.Empty(t, p, "it ends by itself when it holds nobody")
	})
}

func TestExodus_CountsWhoTurnedOutsideWithinTenMinutes(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	x := exodus{known: 1000}
	for i := range int64(50) {
		x.turned(i, now)
		x.turned(i, now) // the same person by another path
	}
	assert.False(t, x.braked(), "5 % of a thousand")
	x.turned(50, now)
	assert.True(t, x.braked())
	x.back(50)
	assert.False(t, x.braked(), "back again")
	x.turned(51, now.Add(brakeWindow+time.Second))
	assert.Len(t, x.at, 1)
	small := exodus{known: 30}
	for i := range int64(brakeAtLeast) {
		small.turned(i, now)
	}
	assert.False(t, small.braked())
	small.turned(99, now)
	assert.True(t, small.braked())
}
