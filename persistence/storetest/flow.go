package storetest

import (
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

func testFlowRoundTrip(c on) {
	t, s := c.t, c.s
	_, err := s.Flow(t.Context(), group, person)
	require.ErrorIs(t, err, persistence.ErrNotFound)

	full := persistence.Flow{
		GroupID: group, UserID: person, Name: "Anna 'A' 🎉", State: persistence.Muting, Cause: persistence.CauseJoin, Since: noon,
		Before: &persistence.Rights{Permissions: 1<<16 - 1, UntilDate: 1_900_000_000}, UntilDate: 1_800_000_001,
		Messages: []int64{3, 1, 1 << 40}, ThreadID: 9, Attempts: 4, NextAttempt: noon.Add(time.Minute),
	}
	bare := persistence.Flow{GroupID: group, UserID: person + 1, State: persistence.Checking, Cause: persistence.CauseSweep, Since: noon}
	zero := persistence.Flow{GroupID: group, UserID: person + 2, State: persistence.Freeing, Before: &persistence.Rights{}}
	for _, want := range []persistence.Flow{full, bare, zero} {
		saveFlows(t, s, want)
		got, err := s.Flow(t.Context(), want.GroupID, want.UserID)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func testFlowUpsert(c on) {
	t, s := c.t, c.s
	f := flow(group, person, persistence.Checking, noon, 1)
	f.Before = &persistence.Rights{Permissions: 7}
	saveFlows(t, s, f)
	f = flow(group, person, persistence.Muted, noon.Add(time.Second))
	saveFlows(t, s, f)
	got, err := s.FlowsOfUser(t.Context(), person)
	require.NoError(t, err)
	assert.Equal(t, []persistence.Flow{f}, got, "replaced as a whole")

	for range 2 { // a missing row is no error
		update(t, s, func(tx persistence.Tx) error { return tx.CloseFlow(group, person) })
		_, err = s.Flow(t.Context(), group, person)
		require.ErrorIs(t, err, persistence.ErrNotFound)
	}
}

func testFlowState(c on) {
	t, s := c.t, c.s
	err := s.Update(t.Context(), func(tx persistence.Tx) error {
		return tx.SaveFlow(flow(group, person, "free", noon))
	})
	require.ErrorContains(t, err, `"free"`)
}

func testFlowsOfUser(c on) {
	t, s := c.t, c.s
	saveFlows(t, s,
		flow(-1, person, persistence.Muted, noon), flow(-3, person, persistence.Checking, noon),
		flow(-2, person, persistence.Freeing, noon), flow(-1, person+1, persistence.Muted, noon))
	got, err := s.FlowsOfUser(t.Context(), person)
	require.NoError(t, err)
	require.Len(t, got, 3)
	for i, want := range []int64{-3, -2, -1} {
		assert.Equal(t, want, got[i].GroupID)
	}
	got, err = s.FlowsOfUser(t.Context(), 99)
	require.NoError(t, err)
	assert.Empty(t, got)
}

func testFlowsOfGroup(c on) {
	t, s := c.t, c.s
	for user := range int64(7) {
		saveFlows(t, s, flow(group, 10-user, persistence.Muted, noon), flow(other, user+1, persistence.Muted, noon))
	}
	var pages [][]int64
	for after := int64(0); ; {
		page, err := s.FlowsOfGroup(t.Context(), group, after, 3)
		require.NoError(t, err)
		if len(page) == 0 {
			break
		}
		pages = append(pages, users(page))
		after = page[len(page)-1].UserID
	}
	assert.Equal(t, [][]int64{{4, 5, 6}, {7, 8, 9}, {10}}, pages)
}

func testOpenFlows(c on) {
	t, s := c.t, c.s
	saveFlows(t, s,
		flow(group, 1, persistence.Muted, noon),
		flow(group, 2, persistence.Checking, noon.Add(3*time.Second)),
		flow(group, 3, persistence.Muted, noon.Add(time.Second), 55),
		flow(group, 4, persistence.Freeing, noon.Add(4*time.Second)),
		flow(group, 5, persistence.Muting, noon.Add(2*time.Second)),
		flow(other, 6, persistence.Checking, noon))
	got, err := s.OpenFlowsOfGroup(t.Context(), group, 10)
	require.NoError(t, err)
	assert.Equal(t, []int64{3, 5, 2, 4}, users(got))
	got, err = s.OpenFlowsOfGroup(t.Context(), group, 2)
	require.NoError(t, err)
	assert.Equal(t, []int64{3, 5}, users(got))

	counts, err := s.CountFlows(t.Context(), group)
	require.NoError(t, err)
	assert.Equal(t, map[persistence.FlowState]int{
		persistence.Muted: 2, persistence.Checking: 1, persistence.Freeing: 1, persistence.Muting: 1,
	}, counts)
	counts, err = s.CountFlows(t.Context(), -99)
	require.NoError(t, err)
	assert.Empty(t, counts)
}

func testOpenGroups(c on) {
	t, s := c.t, c.s
	got, err := s.OpenGroups(t.Context())
	require.NoError(t, err)
	assert.Empty(t, got)
	save(t, s, -1, false)
	saveFlows(t, s,
		flow(-1, 1, persistence.Checking, noon.Add(2*time.Second)),
		flow(-1, 2, persistence.Checking, noon.Add(9*time.Second)),
		flow(-2, 1, persistence.Muted, noon, 5),
		flow(-3, 1, persistence.Muted, noon))
	update(t, s, func(tx persistence.Tx) error {
		for id, at := range map[int64]time.Time{-4: noon.Add(time.Second), -1: noon.Add(8 * time.Second)} {
			if err := tx.SaveNotice(persistence.Notice{GroupID: id, ExpiresAt: at}); err != nil {
				return err
			}
		}
		return nil
	})
	got, err = s.OpenGroups(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int64{-2, -4, -1}, got, "oldest first, each once, not the one that sleeps")
	save(t, s, -3, false)
	got, err = s.OpenGroups(t.Context())
	require.NoError(t, err)
	assert.Contains(t, got, int64(-3), "nobody sleeps muted where protection is off")
}

func testFreeAll(c on) {
	t, s := c.t, c.s
	waiting := flow(group, 2, persistence.Muting, noon, 7)
	waiting.Attempts, waiting.NextAttempt = 3, noon.Add(time.Hour)
	saveFlows(t, s, flow(group, 1, persistence.Muted, noon), waiting, flow(other, 1, persistence.Muted, noon))
	free := func(id int64) (n int) {
		update(t, s, func(tx persistence.Tx) (err error) {
			n, err = tx.FreeAll(id)
			return err
		})
		return n
	}
	assert.Equal(t, 2, free(group))
	assert.Equal(t, 2, free(group), "those being freed count too")
	assert.Equal(t, 0, free(-99))
	got, err := s.FlowsOfGroup(t.Context(), group, 0, 10)
	require.NoError(t, err)
	assert.Equal(t, []persistence.Flow{
		flow(group, 1, persistence.Freeing, noon), flow(group, 2, persistence.Freeing, noon, 7),
	}, got)
	left, err := s.Flow(t.Context(), other, 1)
	require.NoError(t, err)
	assert.Equal(t, persistence.Muted, left.State)
}

func testSeenMembers(c on) {
	t, s := c.t, c.s
	save(t, s, -1, true, channel)
	save(t, s, -2, true, channel, second)
	save(t, s, -3, false, channel)
	save(t, s, -4, true, second)
	update(t, s, func(tx persistence.Tx) error {
		for id := range int64(4) {
			for range 2 {
				if err := tx.SawMember(-1-id, person, noon); err != nil {
					return err
				}
			}
		}
		return tx.SawMember(-1, person+1, noon)
	})
	in := func(channelID, userID int64) []int64 {
		got, err := s.SeenIn(t.Context(), channelID, userID)
		require.NoError(t, err)
		return got
	}
	assert.Equal(t, []int64{-2, -1}, in(channel, person))
	assert.Equal(t, []int64{-4, -2}, in(second, person))
	assert.Equal(t, []int64{-1}, in(channel, person+1))
	assert.Empty(t, in(channel, 99))
	for range 2 { // a missing one is no error
		update(t, s, func(tx persistence.Tx) error { return tx.ForgetMember(-2, person) })
		assert.Equal(t, []int64{-1}, in(channel, person))
	}
}
