package storetest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

func testSaveGroup(c on) {
	t, s := c.t, c.s
	_, err := s.Group(t.Context(), group)
	require.ErrorIs(t, err, persistence.ErrNotFound)

	g := persistence.Group{
		ID: group, OwnerID: 5, Title: "Gruppe 🎉", Enabled: true,
		Channels: []persistence.Channel{
			{ID: second, Title: "Zweiter", InviteLink: "https://t.me/+abc"},
			{ID: channel, Title: "Erster", Username: "first"},
		},
	}
	for want := int64(1); want <= 3; want++ {
		g.Version = 77 // what the caller believes does not count
		update(t, s, func(tx persistence.Tx) error {
			version, err := tx.SaveGroup(g, persistence.Owner{ID: 5, Username: "anna"})
			assert.Equal(t, want, version)
			return err
		})
		g.Version = want
		got, err := s.Group(t.Context(), group)
		require.NoError(t, err)
		assert.Equal(t, g, got)
		g.Title += "!"
	}
}

func testSaveGroupKeeps(c on) {
	t, s := c.t, c.s
	put := func(c persistence.Channel) {
		t.Helper()
		update(t, s, func(tx persistence.Tx) error {
			_, err := tx.SaveGroup(persistence.Group{ID: group, OwnerID: 5, Channels: []persistence.Channel{c}}, persistence.Owner{ID: 5})
			return err
		})
	}
	put(persistence.Channel{ID: channel, Title: "a", Username: "old", InviteLink: "https://t.me/+one"})
	put(persistence.Channel{ID: channel, Title: "b"})
	got, err := s.Group(t.Context(), group)
	require.NoError(t, err)
	assert.Equal(t, []persistence.Channel{{ID: channel, Title: "b", InviteLink: "https://t.me/+one"}}, got.Channels,
		"the link stays, the username goes")

	put(persistence.Channel{ID: channel, Title: "b", InviteLink: "https://t.me/+two"})
	got, err = s.Group(t.Context(), group)
	require.NoError(t, err)
	assert.Equal(t, "https://t.me/+two", got.Channels[0].InviteLink)
}

func testSaveGroupLinks(c on) {
	t, s := c.t, c.s
	ids := func() (list []int64) {
		got, err := s.Group(t.Context(), group)
		require.NoError(t, err)
		for _, c := range got.Channels {
			list = append(list, c.ID)
		}
		return list
	}
	save(t, s, other, true, channel, second)
	save(t, s, group, true, channel, second, -3)
	assert.Equal(t, []int64{channel, second, -3}, ids())
	save(t, s, group, true, -3, channel)
	assert.Equal(t, []int64{-3, channel}, ids(), "a new order, one fewer")
	save(t, s, group, true, second, -3, second)
	assert.Equal(t, []int64{second, -3}, ids(), "named twice, linked once")
	save(t, s, group, true)
	assert.Empty(t, ids())
	left, err := s.Group(t.Context(), other)
	require.NoError(t, err)
	assert.Len(t, left.Channels, 2, "another group's links stay")
}

func testSaveGroupOwner(c on) {
	t, s := c.t, c.s
	err := s.Update(t.Context(), func(tx persistence.Tx) error {
		_, err := tx.SaveGroup(persistence.Group{ID: group, OwnerID: 5}, persistence.Owner{ID: 6})
		return err
	})
	require.ErrorContains(t, err, "owner")
	_, err = s.Group(t.Context(), group)
	require.ErrorIs(t, err, persistence.ErrNotFound)
}

func testSettings(c on) {
	t, s := c.t, c.s
	for _, want := range []persistence.Settings{
		{},
		{NoticeSeconds: 60, JoinCheckOff: true, Language: "de"},
		{Language: `"quoted" <&>`},
	} {
		update(t, s, func(tx persistence.Tx) error {
			_, err := tx.SaveGroup(persistence.Group{ID: group, OwnerID: 5, Settings: want}, persistence.Owner{ID: 5})
			return err
		})
		got, err := s.Group(t.Context(), group)
		require.NoError(t, err)
		assert.Equal(t, want, got.Settings)
	}
}

func protected(t *testing.T, s persistence.Store) (list []int64) {
	t.Helper()
	require.NoError(t, s.ProtectedGroups(t.Context(), func(id int64) bool {
		list = append(list, id)
		return true
	}))
	return list
}

func required(t *testing.T, s persistence.Store) (list []int64) {
	t.Helper()
	require.NoError(t, s.RequiredChannels(t.Context(), func(id int64) bool {
		list = append(list, id)
		return true
	}))
	return list
}

func testEnabled(c on) {
	t, s := c.t, c.s
	assert.Empty(t, protected(t, s))
	save(t, s, group, true, channel)
	save(t, s, other, false, second)
	assert.Equal(t, []int64{group}, protected(t, s))
	assert.Equal(t, []int64{channel}, required(t, s))

	update(t, s, func(tx persistence.Tx) error { return tx.SetGroupEnabled(other, true) })
	assert.ElementsMatch(t, []int64{group, other}, protected(t, s))
	assert.ElementsMatch(t, []int64{channel, second}, required(t, s))
	update(t, s, func(tx persistence.Tx) error { return tx.SetGroupEnabled(group, false) })
	assert.Equal(t, []int64{other}, protected(t, s))
	assert.Equal(t, []int64{second}, required(t, s))

	got, err := s.Group(t.Context(), group)
	require.NoError(t, err)
	assert.False(t, got.Enabled)
	assert.Equal(t, int64(2), got.Version)

	err = s.Update(t.Context(), func(tx persistence.Tx) error { return tx.SetGroupEnabled(-99, true) })
	require.ErrorIs(t, err, persistence.ErrNotFound)
}

func testRemoveChannel(c on) {
	t, s := c.t, c.s
	save(t, s, group, true, channel, second)
	save(t, s, other, true, channel)
	update(t, s, func(tx persistence.Tx) error { return tx.RemoveChannel(group, channel) })
	got, err := s.Group(t.Context(), group)
	require.NoError(t, err)
	assert.Equal(t, []persistence.Channel{{ID: second, Title: "channel"}}, got.Channels)
	assert.Equal(t, int64(2), got.Version)
	groups, err := s.GroupsRequiring(t.Context(), channel)
	require.NoError(t, err)
	assert.Equal(t, []int64{other}, groups)

	update(t, s, func(tx persistence.Tx) error { return tx.RemoveChannel(group, channel) })
	got, err = s.Group(t.Context(), group)
	require.NoError(t, err)
	assert.Equal(t, int64(2), got.Version, "nothing was taken, nothing changed")
}

func testGroupsRequiring(c on) {
	t, s := c.t, c.s
	save(t, s, -3, true, channel, second)
	save(t, s, -2, true, channel)
	save(t, s, -1, false, channel)
	for id, want := range map[int64][]int64{channel: {-3, -2}, second: {-3}, -99: nil} {
		got, err := s.GroupsRequiring(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	assert.ElementsMatch(t, []int64{channel, second}, required(t, s), "each once")
}

func testIDsStop(c on) {
	t, s := c.t, c.s
	for id := range int64(5) {
		save(t, s, -1-id, true, -101-id)
	}
	for _, list := range []func(yield func(int64) bool) error{
		func(yield func(int64) bool) error { return s.ProtectedGroups(t.Context(), yield) },
		func(yield func(int64) bool) error { return s.RequiredChannels(t.Context(), yield) },
	} {
		n := 0
		require.NoError(t, list(func(id int64) bool {
			// The store answers while it lists.
			_, err := s.GroupsRequiring(t.Context(), id)
			assert.NoError(t, err)
			n++
			return n < 2
		}))
		assert.Equal(t, 2, n)
	}
}
