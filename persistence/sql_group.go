package persistence

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

const (
	upsertOwner = `INSERT INTO owners (user_id, username, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)
ON CONFLICT (user_id) DO UPDATE SET
    username = CASE WHEN excluded.username = '' THEN owners.username ELSE excluded.username END,
    updated_at = excluded.updated_at`

	upsertGroup = `INSERT INTO protected_groups (group_id, owner_id, title, enabled, settings, version, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?6)
ON CONFLICT (group_id) DO UPDATE SET
    owner_id = excluded.owner_id, title = excluded.title, enabled = excluded.enabled,
    settings = excluded.settings, version = protected_groups.version + 1, updated_at = excluded.updated_at
RETURNING version`

	upsertChannel = `INSERT INTO enforced_channels (channel_id, title, username, invite_link, created_at, updated_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?5)
ON CONFLICT (channel_id) DO UPDATE SET
    title = excluded.title, username = excluded.username,
    invite_link = CASE WHEN excluded.invite_link = '' THEN enforced_channels.invite_link ELSE excluded.invite_link END,
    updated_at = excluded.updated_at`

	upsertLink = `INSERT INTO group_channel_links (group_id, channel_id, position, created_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (group_id, channel_id) DO UPDATE SET position = excluded.position`

	// Links whose position stays negative are not in the new list.
	unplaceLinks     = `UPDATE group_channel_links SET position = -1 WHERE group_id = ?1`
	deleteOtherLinks = `DELETE FROM group_channel_links WHERE group_id = ?1 AND position < 0`

	// One statement, so that the channels are those of the version; a group without channels has one row.
	selectGroup = `SELECT g.owner_id, g.title, g.enabled, g.settings, g.version,
    c.channel_id, coalesce(c.title, ''), coalesce(c.username, ''), coalesce(c.invite_link, '')
FROM protected_groups g
LEFT JOIN group_channel_links l ON l.group_id = g.group_id
LEFT JOIN enforced_channels c ON c.channel_id = l.channel_id
WHERE g.group_id = ?1 ORDER BY l.position, l.id`

	selectEnabledGroups = `SELECT group_id FROM protected_groups WHERE enabled = 1`

	selectRequiredChannels = `SELECT c.channel_id FROM enforced_channels c WHERE EXISTS (
    SELECT 1 FROM group_channel_links l JOIN protected_groups g ON g.group_id = l.group_id
    WHERE l.channel_id = c.channel_id AND g.enabled = 1)`

	// CROSS JOIN fixes the order of the loops: SQLite does not reorder its two sides.
	selectGroupsRequiring = `SELECT l.group_id FROM group_channel_links l
CROSS JOIN protected_groups g ON g.group_id = l.group_id
WHERE l.channel_id = ?1 AND g.enabled = 1 ORDER BY l.group_id`
)

// SaveGroup implements Tx.
func (t *sqlTx) SaveGroup(g Group, o Owner) (version int64, err error) {
	if g.OwnerID != o.ID {
		return 0, fmt.Errorf("save group %d: its owner is %d, not %d", g.ID, g.OwnerID, o.ID)
	}
	if version, err = t.saveGroup(g, o); err != nil {
		return 0, fmt.Errorf("save group %d: %w", g.ID, err)
	}
	return version, nil
}

func (t *sqlTx) saveGroup(g Group, o Owner) (version int64, err error) {
	settings, err := toJSON(g.Settings)
	if err != nil {
		return 0, err
	}
	if _, err = t.exec(upsertOwner, o.ID, o.Username, t.now); err != nil {
		return 0, err
	}
	if err := t.row(upsertGroup, []any{g.ID, g.OwnerID, g.Title, bit(g.Enabled), settings, t.now}, &version); err != nil {
		return 0, err
	}
	return version, t.saveChannels(g.ID, g.Channels)
}

// saveChannels makes a group's links those of the list, in its order; a channel named twice counts where
// it is named first.
func (t *sqlTx) saveChannels(groupID int64, channels []Channel) error {
	if _, err := t.exec(unplaceLinks, groupID); err != nil {
		return err
	}
	var ids []int64
	for _, c := range channels {
		if slices.Contains(ids, c.ID) {
			continue
		}
		if _, err := t.exec(upsertChannel, c.ID, c.Title, c.Username, c.InviteLink, t.now); err != nil {
			return err
		}
		if _, err := t.exec(upsertLink, groupID, c.ID, len(ids), t.now); err != nil {
			return err
		}
		ids = append(ids, c.ID)
	}
	_, err := t.exec(deleteOtherLinks, groupID)
	return err
}

// SetGroupEnabled implements Tx.
func (t *sqlTx) SetGroupEnabled(groupID int64, enabled bool) error {
	n, err := t.exec(`UPDATE protected_groups SET enabled = ?2, version = version + 1, updated_at = ?3
WHERE group_id = ?1`, groupID, bit(enabled), t.now)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("set group %d enabled=%t: %w", groupID, enabled, err)
	}
	return nil
}

// RemoveChannel implements Tx.
func (t *sqlTx) RemoveChannel(groupID, channelID int64) error {
	n, err := t.exec(`DELETE FROM group_channel_links WHERE group_id = ?1 AND channel_id = ?2`, groupID, channelID)
	if err == nil && n > 0 {
		_, err = t.exec(`UPDATE protected_groups SET version = version + 1, updated_at = ?2 WHERE group_id = ?1`, groupID, t.now)
	}
	if err != nil {
		return fmt.Errorf("remove channel %d from group %d: %w", channelID, groupID, err)
	}
	return nil
}

// ProtectedGroups implements Reader.
func (s *sqlStore) ProtectedGroups(ctx context.Context, yield func(id int64) bool) error {
	return s.reads(ctx, "protected_groups", func(ctx context.Context) error {
		return s.eachID(ctx, selectEnabledGroups, nil, yield)
	})
}

// RequiredChannels implements Reader.
func (s *sqlStore) RequiredChannels(ctx context.Context, yield func(id int64) bool) error {
	return s.reads(ctx, "required_channels", func(ctx context.Context) error {
		return s.eachID(ctx, selectRequiredChannels, nil, yield)
	})
}

// Group implements Reader.
func (s *sqlStore) Group(ctx context.Context, id int64) (g Group, err error) {
	err = s.reads(ctx, "group", func(ctx context.Context) error {
		g, err = s.group(ctx, id)
		return err
	})
	return g, err
}

func (s *sqlStore) group(ctx context.Context, id int64) (Group, error) {
	g, settings := Group{}, ""
	err := s.each(ctx, selectGroup, []any{id}, func(rows *sql.Rows) (bool, error) {
		var channelID sql.NullInt64
		var c Channel
		err := rows.Scan(&g.OwnerID, &g.Title, &g.Enabled, &settings, &g.Version,
			&channelID, &c.Title, &c.Username, &c.InviteLink)
		g.ID = id
		if channelID.Valid {
			c.ID = channelID.Int64
			g.Channels = append(g.Channels, c)
		}
		return true, err
	})
	if err != nil {
		return Group{}, err
	}
	if g.ID == 0 {
		return Group{}, ErrNotFound
	}
	g.Settings, err = fromJSON[Settings](settings)
	return g, err
}

// GroupsRequiring implements Reader.
func (s *sqlStore) GroupsRequiring(ctx context.Context, channelID int64) (list []int64, err error) {
	err = s.reads(ctx, "groups_requiring", func(ctx context.Context) error {
		list, err = s.ids(ctx, selectGroupsRequiring, channelID)
		return err
	})
	return list, err
}
