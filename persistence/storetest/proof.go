package storetest

import (
	"math"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

func testProofs(c on) {
	t, s := c.t, c.s
	save(t, s, -4, true, channel)
	save(t, s, -3, true, channel, second)
	save(t, s, -2, false, channel)
	save(t, s, -1, true)
	list := func(after int64, limit int) []persistence.Proof {
		t.Helper()
		got, err := s.OldestProofs(t.Context(), after, limit)
		require.NoError(t, err)
		return got
	}
	prove := func(groupID, userID int64, at time.Time) {
		t.Helper()
		update(t, s, func(tx persistence.Tx) error { return tx.Proved(groupID, userID, at) })
	}
	got := list(math.MinInt64, 9)
	require.Len(t, got, 3, "enabled groups")
	assert.Equal(t, []int64{-4, -3, -1}, []int64{got[0].GroupID, got[1].GroupID, got[2].GroupID})
	assert.Zero(t, got[0].UserID, "nobody was seen there")
	assert.True(t, got[2].Since.IsZero(), "no channel is required")
	assert.WithinDuration(t, time.Now(), got[0].Since, time.Minute)
	assert.Equal(t, got[1:2], list(-4, 1))

	update(t, s, func(tx persistence.Tx) error {
		for user := range int64(3) {
			if err := tx.SawMember(-4, person+user, noon); err != nil {
				return err
			}
		}
		return tx.SawMember(-3, person, noon)
	})
	oldest := func() (int64, time.Time) {
		t.Helper()
		p := list(math.MinInt64, 1)[0]
		return p.UserID, p.At
	}
	first := func(user int64, at time.Time, why string) {
		t.Helper()
		gotUser, gotAt := oldest()
		assert.Equal(t, user, gotUser, why)
		assert.True(t, at.Equal(gotAt), "%s: %v", why, gotAt)
	}
	first(person, time.Time{}, "never proved")
	prove(-4, person, noon.Add(2*time.Hour))
	prove(-4, person+1, noon.Add(time.Hour))
	prove(-4, person+2, noon.Add(3*time.Hour))
	first(person+1, noon.Add(time.Hour), "the oldest")
	prove(-4, person+1, noon)
	first(person+1, noon.Add(time.Hour), "an older one changes nothing")
	prove(-4, person+1, noon.Add(4*time.Hour))
	first(person, noon.Add(2*time.Hour), "proved again")
	prove(-4, 99, noon)
	update(t, s, func(tx persistence.Tx) error { return tx.SawMember(-4, person, noon.Add(24*time.Hour)) })
	first(person, noon.Add(2*time.Hour), "seen is not proved, and who was never seen stays unknown")

	update(t, s, func(tx persistence.Tx) error {
		if err := tx.SaveFlow(persistence.Flow{GroupID: -4, UserID: person, State: persistence.Muted, Since: noon}); err != nil {
			return err
		}
		return tx.SavePause(persistence.Pause{GroupID: -3, PlaceID: second, Kind: persistence.CannotJudge, Since: noon})
	})
	got = list(math.MinInt64, 2)
	assert.True(t, got[0].Open)
	assert.False(t, got[0].Paused)
	assert.False(t, got[1].Open)
	assert.True(t, got[1].Paused)
	since := got[1].Since
	time.Sleep(2 * time.Millisecond) // times are stored in whole milliseconds
	update(t, s, func(tx persistence.Tx) error { return tx.DropPause(-3, second, persistence.CannotJudge) })
	again := list(math.MinInt64, 2)
	assert.True(t, again[1].Since.After(since), "the channel is heard from now on")
	assert.False(t, again[1].Paused)
	assert.Equal(t, got[0].Since, again[0].Since, "which is no matter of a group that does not require it")

	update(t, s, func(tx persistence.Tx) error { return tx.MoveGroup(-4, -5) })
	moved := list(math.MinInt64, 1)[0]
	assert.Equal(t, int64(-5), moved.GroupID)
	assert.True(t, noon.Add(2*time.Hour).Equal(moved.At), "proofs move with the group")
}
