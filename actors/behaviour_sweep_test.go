package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

const day = 24 * time.Hour

// away lets days go by in which nobody listens; with the program at work each would take a second.
func (w *town) away(d time.Duration) {
	w.t.Helper()
	w.stop()
	w.pass(d)
	w.start()
}

// untilRenewed is how long it takes until somebody's mute is given again, and some hours.
func (w *town) untilRenewed(user int64) time.Duration {
	return time.Until(time.Unix(w.Member(w.group, user).Until, 0)) - renewBefore + 12*time.Hour
}

func TestSweep_AMuteLastsAsLongAsItsReason(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(time.Minute)
		for range 4 {
			w.away(w.untilRenewed(w.anna))
			w.pass(5 * time.Minute)
			assert.True(t, w.muted(w.anna))
		}
		assert.Equal(t, 5, w.calls("restrictChatMember", w.anna), "given again each time before it ends")
		trail, err := w.store.AuditOf(t.Context(), w.group, w.anna, 10)
		require.NoError(t, err)
		assert.Len(t, trail, 1, "which is not another mute")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(10 * time.Second)
		assert.True(t, w.free(w.anna))
		w.away(40 * day)
		w.pass(5 * time.Minute)
		assert.True(t, w.free(w.anna))
	})
}

func TestSweep_ARenewalCutOffByACrash(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(time.Minute)
		// The row has the new mark, Telegram never heard of it.
		stop := w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "restrictChatMember"})
		w.away(w.untilRenewed(w.anna))
		w.pass(5 * time.Minute)
		f, err := w.store.Flow(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		require.Equal(t, renewal, f.UntilDate-w.Member(w.group, w.anna).Until)
		w.stop()
		stop()
		w.start()
		w.pass(time.Minute)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Minute)
		assert.True(t, w.free(w.anna), "the mute is still known as ours")
	})
}

func TestSweep_AfterADayAwayEverybodyMutedIsAskedAbout(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.says(w.group, w.boris, "hello")
		w.pass(2 * time.Minute)
		require.True(t, w.muted(w.anna) && w.muted(w.boris))
		w.stop()
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(25 * time.Hour) // Telegram has dropped the join
		w.start()
		w.pass(time.Minute)
		assert.True(t, w.free(w.anna), "whoever joined meanwhile is free")
		assert.True(t, w.muted(w.boris), "whoever did not is not")
		asked := w.calls("getChatMember", w.boris)
		w.restart()
		w.pass(5 * time.Minute)
		assert.Equal(t, asked, w.calls("getChatMember", w.boris), "and nobody is asked about again without a reason")
	})
}

// Whoever is to be asked about is not forgotten because that could not be stored just then.
func TestSweep_AStoreThatFailsForgetsNobody(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.stop()
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(25 * time.Hour)
		w.start()
		w.store.fails.Store(true)
		w.pass(30 * time.Second)
		require.True(t, w.muted(w.anna))
		w.store.fails.Store(false)
		w.pass(time.Minute)
		require.True(t, w.free(w.anna))
		asked := w.calls("getChatMember", w.anna)
		w.restart()
		w.pass(5 * time.Minute)
		require.Equal(t, asked, w.calls("getChatMember", w.anna))
	})
}

func TestSweep_AModeratorsMuteIsNeverProlonged(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(time.Minute)
		until := time.Now().Add(28 * day).Unix()
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, until))
		w.away(25 * day)
		w.pass(5 * time.Minute)
		assert.Equal(t, until, w.Member(w.group, w.anna).Until)
	})
}

func TestMutes_ACallThatActsLate(t *testing.T) {
	t.Parallel()
	t.Run("a mute, after the person was freed", func(t *testing.T) {
		t.Parallel()
		runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
			w.protect()
			w.Fail(simulator.Fault{Kind: simulator.FaultLate, Method: "restrictChatMember", Times: 1, For: simulator.For(18 * time.Second)})
			w.says(w.group, w.anna, "hello")
			w.pass(5 * time.Second)
			require.True(t, w.muted(w.anna), "given again at once")
			require.NoError(t, w.Join(w.channel, w.anna))
			w.pass(2 * time.Second)
			require.True(t, w.free(w.anna))
			w.pass(30 * time.Second)
			assert.True(t, w.free(w.anna))
		})
	})
	t.Run("a free, after the person was muted again", func(t *testing.T) {
		t.Parallel()
		runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
			w.protect()
			w.says(w.group, w.anna, "hello")
			w.pass(5 * time.Second)
			w.Fail(simulator.Fault{Kind: simulator.FaultLate, Method: "restrictChatMember", Times: 1, For: simulator.For(18 * time.Second)})
			require.NoError(t, w.Join(w.channel, w.anna))
			w.pass(5 * time.Second)
			require.True(t, w.free(w.anna))
			require.NoError(t, w.Leave(w.channel, w.anna))
			w.pass(5 * time.Second)
			require.True(t, w.muted(w.anna))
			w.pass(30 * time.Second)
			assert.True(t, w.muted(w.anna), "and nobody takes it for a moderator's doing")
		})
	})
}
