package storetest

import (
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

// Groups that were filled in are like any that somebody protected.
func testFillGroups(c on) {
	save(c.t, c.s, group, true, channel)
	require.NoError(c.t, persistence.FillGroups(c.t.Context(), c.s, group-1, 1000, 1))
	n := 0
	require.NoError(c.t, c.s.ProtectedGroups(c.t.Context(), func(int64) bool { n++; return true }))
	assert.Equal(c.t, 1001, n)
	g, err := c.s.Group(c.t.Context(), group-1000)
	require.NoError(c.t, err)
	assert.True(c.t, g.Enabled)
	assert.Equal(c.t, []persistence.Channel{{ID: group - 1 - 1000 - 99, Title: "Channel"}}, g.Channels, "the last of a hundred")
}
