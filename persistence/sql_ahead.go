package persistence

import (
	"context"
	"database/sql"
	"time"
)

// What can be asked of Telegram ahead of time: each person once for a channel, in however many groups they were
// seen. ?1 is a group, or 0 for all of them.
const (
	selectSeenByChannel = `SELECT l.channel_id, COUNT(DISTINCT m.user_id) FROM group_channel_links l
CROSS JOIN protected_groups g ON g.group_id = l.group_id
CROSS JOIN seen_members m ON m.group_id = l.group_id
WHERE (CAST(?1 AS BIGINT) = 0 OR l.group_id = ?1) AND g.enabled = 1 AND m.at >= ?2
GROUP BY l.channel_id ORDER BY l.channel_id`
	// The plus keeps SQLite from the index by time: a page begins behind a person.
	selectSeenForChannel = `SELECT DISTINCT m.user_id FROM group_channel_links l
CROSS JOIN protected_groups g ON g.group_id = l.group_id
CROSS JOIN seen_members m ON m.group_id = l.group_id
WHERE (CAST(?1 AS BIGINT) = 0 OR l.group_id = ?1) AND g.enabled = 1 AND +m.at >= ?2
    AND l.channel_id = ?3 AND m.user_id > ?4
ORDER BY m.user_id LIMIT ?5`
)

// SeenByChannel implements Reader.
func (s *sqlStore) SeenByChannel(ctx context.Context, groupID int64, since time.Time) (list []ChannelSeen, err error) {
	err = s.reads(ctx, "seen_by_channel", func(ctx context.Context) error {
		return s.each(ctx, selectSeenByChannel, []any{groupID, toMs(since)}, func(rows *sql.Rows) (bool, error) {
			var c ChannelSeen
			err := rows.Scan(&c.ChannelID, &c.People)
			list = append(list, c)
			return true, err
		})
	})
	return list, err
}

// SeenForChannel implements Reader.
func (s *sqlStore) SeenForChannel(ctx context.Context, groupID int64, since time.Time, channelID, afterUser int64, limit int) (list []int64, err error) {
	err = s.reads(ctx, "seen_for_channel", func(ctx context.Context) error {
		list, err = s.ids(ctx, selectSeenForChannel, groupID, toMs(since), channelID, afterUser, max(limit, 0))
		return err
	})
	return list, err
}
