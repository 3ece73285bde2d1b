package persistence_test

import (
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

// FuzzImportGMBot: whatever the older bot's tables hold, a group is taken as it stands there, or it is said why
// not; and a second time changes nothing.
func FuzzImportGMBot(f *testing.F) {
	for _, s := range []string{"Talk", "", "<b>&", "'; DROP TABLE owners; --", "\x00", "\xff", "مریم", "{{.Title}}"} {
		f.Add(int64(-1001), int64(7), int64(-2001), s, s, s, s, int64(len(s)%2))
	}
	f.Add(int64(0), int64(0), int64(0), "", "", "", "", int64(2))
	f.Add(int64(5), int64(-7), int64(2001), "a", "b", "c", "d", int64(-1))
	dir := f.TempDir() // a test's own holds the # of its seed, which no URL of a file has
	var count atomic.Int64
	f.Fuzz(func(t *testing.T, group, owner, channel int64, title, username, channelTitle, link string, enabled int64) {
		mine := filepath.Join(dir, strconv.FormatInt(count.Add(1), 10))
		require.NoError(t, os.Mkdir(mine, 0o700))
		t.Cleanup(func() { _ = os.RemoveAll(mine) })
		path := filepath.Join(mine, "old.db")
		db := sqlOpen(t, "sqlite", path)
		run(t, db, oldTables...)
		for text, args := range map[string][]any{
			`INSERT INTO owners (user_id, username) VALUES (?, ?)`:                                                {owner, username},
			`INSERT INTO protected_groups (group_id, owner_id, title, enabled, params) VALUES (?, ?, ?, ?, '{}')`: {group, owner, title, enabled},
			`INSERT INTO enforced_channels (channel_id, title, invite_link) VALUES (?, ?, ?)`:                     {channel, channelTitle, link},
			`INSERT INTO group_channel_links (group_id, channel_id) VALUES (?, ?)`:                                {group, channel},
		} {
			_, err := db.ExecContext(t.Context(), text, args...)
			require.NoError(t, err)
		}
		require.NoError(t, db.Close())
		s := open(t, filepath.Join(mine, "new.db"))
		got, err := persistence.ImportGMBot(t.Context(), "sqlite://"+path, s)
		if err != nil {
			assert.NotEmpty(t, err.Error())
			return
		}
		if got.Groups == 0 {
			assert.NotEmpty(t, got.Skipped, "it is said why")
			return
		}
		assert.Negative(t, group)
		g, err := s.Group(t.Context(), group)
		require.NoError(t, err)
		assert.Equal(t, []any{owner, title, enabled != 0}, []any{g.OwnerID, g.Title, g.Enabled})
		assert.Equal(t, []persistence.Channel{{ID: channel, Title: channelTitle, InviteLink: link}}, g.Channels)
		again, err := persistence.ImportGMBot(t.Context(), "sqlite://"+path, s)
		require.NoError(t, err)
		assert.Equal(t, persistence.Imported{Present: 1}, again)
	})
}
