package actors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// lose takes the database away. A member who is known writes, so that the group is awake.
func (w *town) lose() {
	w.t.Helper()
	w.store.gone.Store(true)
	w.s.Suspect(persistence.ErrUnavailable)
}

// regain brings it back, and waits until nothing is kept any more.
func (w *town) regain() {
	w.t.Helper()
	w.store.gone.Store(false)
	w.pass(30 * time.Second)
	require.False(w.t, w.s.Away())
	require.Zero(w.t, w.kept[0].Len()+w.kept[1].Len(), "everything kept was taken up")
}

// noFlow requires that the store has no row for a person.
func (w *town) noFlow(user int64) {
	w.t.Helper()
	_, err := w.store.Flow(w.t.Context(), w.group, user)
	require.ErrorIs(w.t, err, persistence.ErrNotFound)
}

// trail lists what the audit trail says of a person, oldest first.
func (w *town) trail(user int64) (actions []string) {
	w.t.Helper()
	list, err := w.store.AuditOf(w.t.Context(), w.group, user, 20)
	require.NoError(w.t, err)
	for i := range list {
		actions = append(actions, list[len(list)-1-i].Action)
	}
	return actions
}

func TestAway_AStrangerIsMutedAndFreed(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.lose()
		id := w.says(w.group, w.anna, "hello")
		w.pass(time.Second)
		assert.True(t, w.muted(w.anna))
		assert.False(t, w.there(w.group, id))
		require.Len(t, w.notices(), 1, "and shown the way")
		w.pass(5 * time.Second)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Second)
		assert.True(t, w.free(w.anna), "at once")
		w.pass(10 * time.Second)
		w.regain()
		w.noFlow(w.anna)
		assert.Equal(t, []string{"mute", "close"}, w.trail(w.anna), "the store knows of it, once")
		day, err := w.store.Day(t.Context(), w.group, w.s.d.today())
		require.NoError(t, err)
		assert.Equal(t, int64(1), day["muted"])
		assert.Equal(t, int64(1), day["verified"])
		assert.Equal(t, 1, w.calls("restrictChatMember", w.anna)-1, "one mute, one free")
		assert.Empty(t, w.notices(), "and the notice is gone")
	})
}

func TestAway_WhoWasMutedBeforeIsFreed(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.mutes(w.anna)
		w.lose()
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Second)
		assert.True(t, w.free(w.anna), "the group remembers its mute")
		w.regain()
		w.noFlow(w.anna)
		require.NoError(t, w.Leave(w.channel, w.anna))
		w.pass(5 * time.Second)
		assert.True(t, w.muted(w.anna), "and all is as ever")
	})
}

// forgotten mutes somebody in an earlier life of the program, has the group awake, and takes the database away.
func (w *town) forgotten() {
	w.t.Helper()
	w.protect()
	w.says(w.group, w.anna, "hello")
	w.pass(time.Minute)
	require.True(w.t, w.muted(w.anna))
	require.NoError(w.t, w.Join(w.channel, w.boris))
	w.restart()
	w.says(w.group, w.boris, "I am known")
	w.pass(10 * time.Second)
	w.lose()
}

func TestAway_AMuteNobodyRemembersStaysUntilItIsKnownWhoseItIs(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.forgotten()
		n := w.notices()
		require.Len(t, n, 1)
		began := time.Now()
		a := w.presses(w.group, n[0].ID, w.anna, callbackCheck)
		assert.Contains(t, a.Text, "News", "the channel is missing, and that is said")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(4 * time.Second)
		a = w.presses(w.group, n[0].ID, w.anna, callbackCheck)
		assert.Contains(t, a.Text, "freed by itself", "whose mute it is cannot be said now, and that is said")
		assert.Less(t, time.Since(began), 6*time.Second)
		w.pass(time.Minute)
		assert.True(t, w.muted(w.anna))
		w.regain()
		assert.True(t, w.free(w.anna), "freed by itself")
		w.noFlow(w.anna)
	})
}

func TestAway_AModeratorsMuteIsNeverLifted(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.olga, "I am the owner")
		w.pass(10 * time.Second)
		w.lose()
		until := time.Now().Add(31 * 24 * time.Hour).Unix() // looks like ours
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.Permissions{}, until))
		media := simulator.Permissions{"can_send_messages": true}
		require.NoError(t, w.Restrict(w.group, w.olga, w.boris, media, 0))
		w.pass(time.Second)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(10 * time.Second)
		assert.True(t, w.muted(w.anna))
		w.regain()
		assert.True(t, w.muted(w.anna), "neither then nor later")
		assert.Equal(t, until, w.Member(w.group, w.anna).Until)

		w.lose()
		w.says(w.group, w.boris, "hello")
		w.pass(2 * time.Second)
		require.True(t, w.muted(w.boris))
		w.regain()
		require.NoError(t, w.Join(w.channel, w.boris))
		w.pass(5 * time.Second)
		m := w.Member(w.group, w.boris)
		assert.Equal(t, simulator.Restricted, m.Status, "what a moderator had taken is not given back")
		assert.True(t, m.Permissions["can_send_messages"])
		assert.False(t, m.Permissions["can_send_photos"])
	})
}

func TestAway_WhomAModeratorFreesIsNotMutedAgain(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.forgotten()
		require.NoError(t, w.Restrict(w.group, w.olga, w.anna, simulator.AllPermissions(), 0))
		w.pass(time.Second)
		id := w.says(w.group, w.anna, "thank you")
		w.pass(time.Minute)
		assert.True(t, w.there(w.group, id))
		w.regain()
		assert.False(t, w.muted(w.anna))
		exempt, err := w.store.IsExempt(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		assert.True(t, exempt)
	})
}

func TestAway_ARowNobodyCouldReadIsNotTouched(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		require.NoError(t, w.Leave(w.group, w.anna))
		require.NoError(t, w.Join(w.channel, w.boris))
		w.pass(time.Minute)
		w.restart()
		w.says(w.group, w.boris, "I am known")
		w.pass(10 * time.Second)
		before, err := w.store.Flow(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		w.lose()
		require.NoError(t, w.Join(w.group, w.anna))
		w.pass(10 * time.Second)
		assert.True(t, w.muted(w.anna), "still muted, and outside")
		w.regain()
		after, err := w.store.Flow(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		assert.Equal(t, before, after)
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		assert.True(t, w.free(w.anna))
	})
}

func TestAway_WhatWasKeptOutlivesTheProgram(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.lose()
		w.says(w.group, w.anna, "hello")
		w.says(w.group, w.boris, "hello")
		w.pass(2 * time.Second)
		require.True(t, w.muted(w.anna))
		require.NotZero(t, w.kept[1].Len())
		w.restart()
		require.Zero(t, w.kept[1].Len(), "taken up before anything else")
		f, err := w.store.Flow(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		assert.Equal(t, w.Member(w.group, w.anna).Until, f.UntilDate, "the next program knows the mute as ours")
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(5 * time.Second)
		assert.True(t, w.free(w.anna))
		assert.Equal(t, 1, w.calls("restrictChatMember", w.boris))
	})
}

func TestAway_APressInAGroupThatSleepsIsAnswered(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.NoticeSeconds = 3600 })
		w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		n := w.notices()
		require.Len(t, n, 1)
		w.stop()
		w.open()
		w.store.asleep.Store(true)
		w.begin()
		w.lose()
		for range 7 { // at any moment between two attempts to read the group
			w.pass(130 * time.Millisecond)
			began := time.Now()
			a := w.presses(w.group, n[0].ID, w.anna, callbackCheck)
			assert.Contains(t, a.Text, "freed by itself")
			assert.LessOrEqual(t, time.Since(began), time.Second)
		}
		require.NoError(t, w.Join(w.channel, w.anna))
		w.pass(time.Second)
		assert.True(t, w.muted(w.anna))
		w.store.asleep.Store(false)
		w.regain()
		assert.True(t, w.free(w.anna))
	})
}

// What was warned of is not warned of again when its update comes a second time while the database cannot say that it is
// done.
func TestAway_AnUpdateThatComesAgainIsNoSecondWarning(t *testing.T) {
	t.Parallel()
	runTown(t, simulator.Options{}, func(t *testing.T, w *town) {
		w.protect()
		w.wish(func(s *persistence.Settings) { s.Action, s.Warnings = persistence.ActionWarn, 2 })
		w.Fail(simulator.Fault{Kind: simulator.FaultBroken, Method: "deleteMessage", Times: 1}) // the clerk deletes it
		id := w.says(w.group, w.anna, "hello")
		w.pass(10 * time.Second)
		require.False(t, w.there(w.group, id))
		w.lose()
		w.pass(warnAgain)
		w.again(id)
		w.pass(10 * time.Second)
		w.regain()
		p, err := w.store.Person(t.Context(), w.group, w.anna)
		require.NoError(t, err)
		require.Equal(t, 1, p.Warnings)
	})
}
