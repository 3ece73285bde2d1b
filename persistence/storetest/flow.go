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
		Before: &persistence.Rights{Permissions: 1<<16 - 1, UntilDate: 1_900_000_000}, UntilDate: 1_800_000_001, OtherMark: 1_800_000_000,
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

// Each part of what is known of somebody may be there without the others.
func testPerson(c on) {
	t, s := c.t, c.s
	var want persistence.Person
	known := func() {
		t.Helper()
		got, err := s.Person(t.Context(), group, person)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	known()
	saveFlows(t, s, flow(group, person+1, persistence.Checking, noon, 1), flow(other, person, persistence.Checking, noon, 1))
	known()
	request := persistence.JoinRequest{ChatID: second, UserID: person, Channel: true, At: noon, ExpiresAt: noon}
	save := func(r persistence.JoinRequest) {
		t.Helper()
		update(t, s, func(tx persistence.Tx) error { return tx.SaveJoinRequest(r) })
	}
	save(persistence.JoinRequest{ChatID: group, UserID: person, At: noon, ExpiresAt: noon})
	known()
	save(request)
	want.Requested = []int64{second}
	known()
	request.ChatID = channel
	save(request)
	want.Requested = []int64{min(channel, second), max(channel, second)}
	known()
	update(t, s, func(tx persistence.Tx) error { return tx.SawMember(group, person, noon) })
	want.Seen = true
	known()
	want.HasFlow, want.Flow = true, flow(group, person, persistence.Muting, noon, 1, 2)
	want.Flow.Before, want.Flow.OtherMark = &persistence.Rights{Permissions: 7}, 1_900_000_001
	saveFlows(t, s, want.Flow)
	known()
	for _, id := range []int64{channel, second} {
		update(t, s, func(tx persistence.Tx) error { return tx.DropJoinRequest(id, person) })
	}
	update(t, s, func(tx persistence.Tx) error { _, err := tx.Warn(group, person, noon); return err })
	update(t, s, func(tx persistence.Tx) error { return tx.ForgetMember(group, person) })
	want.Requested, want.Seen, want.Warnings, want.WarnedAt = nil, false, 1, noon
	known()
	update(t, s, func(tx persistence.Tx) error { return tx.CloseFlow(group, person) })
	want.HasFlow, want.Flow = false, persistence.Flow{}
	known()
}

func testNewFlow(c on) {
	t, s := c.t, c.s
	first := flow(group, person, persistence.Checking, noon, 1)
	first.Name = "Anna"
	second := flow(group, person, persistence.Muting, noon.Add(time.Second), 2)
	for i, f := range []persistence.Flow{first, second} {
		update(t, s, func(tx persistence.Tx) error {
			made, err := tx.NewFlow(f)
			assert.Equal(t, i == 0, made)
			return err
		})
		got, err := s.Flow(t.Context(), group, person)
		require.NoError(t, err)
		assert.Equal(t, first, got, "a row that is there stays as it is")
	}
	require.ErrorContains(t, s.Update(t.Context(), func(tx persistence.Tx) error {
		_, err := tx.NewFlow(flow(group, person+1, "free", noon))
		return err
	}), `"free"`)
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
	assert.Equal(t, 2, free(group), "those that are open count too")
	assert.Equal(t, 0, free(-99))
	got, err := s.FlowsOfGroup(t.Context(), group, 0, 10)
	require.NoError(t, err)
	assert.Equal(t, []persistence.Flow{
		flow(group, 1, persistence.Freeing, noon), flow(group, 2, persistence.Muting, noon, 7),
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
	for channelID, want := range map[int64]int64{channel: 2, second: 1, 99: 0} { // each person once
		n, err := s.CountSeen(t.Context(), channelID)
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}
	testSeenAhead(c)
	was := func(groupID, userID int64) bool {
		p, err := s.Person(t.Context(), groupID, userID)
		require.NoError(t, err)
		return p.Seen
	}
	assert.True(t, was(-1, person))
	assert.False(t, was(-2, person+1))
	for range 2 { // a missing one is no error
		update(t, s, func(tx persistence.Tx) error { return tx.ForgetMember(-2, person) })
		assert.Equal(t, []int64{-1}, in(channel, person))
	}
}

// testSeenAhead finds what testSeenMembers has stored.
func testSeenAhead(c on) {
	t, s := c.t, c.s
	count := func(groupID int64, since time.Time) []persistence.ChannelSeen {
		got, err := s.SeenByChannel(t.Context(), groupID, since)
		require.NoError(t, err)
		return got
	}
	assert.ElementsMatch(t, []persistence.ChannelSeen{{ChannelID: channel, People: 2}, {ChannelID: second, People: 1}}, count(0, time.Time{}))
	assert.Equal(t, []persistence.ChannelSeen{{ChannelID: channel, People: 2}}, count(-1, noon))
	assert.Empty(t, count(-3, noon), "a group without protection")
	assert.Empty(t, count(0, noon.Add(time.Minute)), "not seen since")
	page := func(groupID int64, since time.Time, after int64) []int64 {
		got, err := s.SeenForChannel(t.Context(), groupID, since, channel, after, 1)
		require.NoError(t, err)
		return got
	}
	assert.Equal(t, []int64{person}, page(0, time.Time{}, 0), "in two groups, and once")
	assert.Equal(t, []int64{person + 1}, page(0, noon, person))
	assert.Empty(t, page(0, noon, person+1))
	assert.Empty(t, page(-2, noon, person))
	assert.Empty(t, page(-3, noon, 0))
	assert.Empty(t, page(0, noon.Add(time.Minute), 0))
}

func testMutedFlows(c on) {
	t, s := c.t, c.s
	for i := range int64(7) {
		f := flow(group, person+i, persistence.Muted, noon)
		f.UntilDate = 1000 + i/2
		saveFlows(t, s, f)
	}
	open := flow(group, 1, persistence.Freeing, noon)
	open.UntilDate = 1
	saveFlows(t, s, open)
	var got []int64
	after := persistence.MutedAt{}
	for {
		page, err := s.MutedFlows(t.Context(), 1003, after, 2)
		require.NoError(t, err)
		for _, m := range page {
			assert.Equal(t, group, m.GroupID)
			got = append(got, m.UserID-person)
			after = m
		}
		if len(page) < 2 {
			break
		}
	}
	assert.Equal(t, []int64{0, 1, 2, 3, 4, 5}, got, "those that end first come first, each once")
}
