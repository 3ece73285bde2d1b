package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// Telegram's clock and the bot's may disagree, by more than what lies between two acts of one person.

// Who presses too early and joins a second later is freed, although Telegram's clock dates the join before the press.
func TestClock_AJoinAfterThePressFreesWhateverItsDate(t *testing.T) {
	t.Parallel()
	for _, by := range []time.Duration{-15 * time.Second, 15 * time.Second} {
		t.Run(by.String(), func(t *testing.T) {
			t.Parallel()
			runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
				w.protect()
				w.JumpClock(by)
				w.says(w.group, w.anna, "hello")
				w.pass(20 * time.Second)
				require.True(t, w.muted(w.anna))
				w.presses(w.group, w.notices()[0].ID, w.anna, callbackCheck)
				w.pass(time.Second)
				require.NoError(t, w.Join(w.channel, w.anna))
				w.pass(5 * time.Second)
				require.True(t, w.free(w.anna))
			})
		})
	}
}

// Who comes back after a leave is in the channel, although Telegram's clock was set back between the two.
func TestClock_AJoinAfterALeaveFreesWhateverItsDate(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		require.NoError(t, w.Join(w.channel, w.anna))
		w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(5 * time.Second)
		require.True(t, w.muted(w.anna))
		w.JumpClock(-15 * time.Second)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		require.True(t, w.free(w.anna))
	})
}

// A leave that Telegram dates ahead is asked about once in each channel, and not on and on until that date.
func TestClock_ALeaveFromTheFutureIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	o := simulator.Options{Latency: func(string) time.Duration { return 50 * time.Millisecond }}
	runTown(t, o, func(t *testing.T, w *town) {
		more := w.NewChannel("More", "more_here", w.olga)
		w.admit(more, "can_invite_users")
		w.protect("@news_here", "@more_here")
		w.wish(func(s *persistence.Settings) { s.Need = 1 })
		require.NoError(t, w.Join(w.channel, w.anna))
		w.says(w.group, w.anna, "hello")
		w.pass(30 * time.Minute)
		w.JumpClock(15 * time.Second)
		asked := w.calls("getChatMember", w.anna)
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(time.Minute)
		require.True(t, w.muted(w.anna))
		assert.LessOrEqual(t, w.calls("getChatMember", w.anna)-asked, 3)
	})
}
