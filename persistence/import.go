package persistence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Imported says what ImportGMBot found and did.
type Imported struct {
	Groups   int // taken over
	Present  int // protected here already; nothing of them was changed
	Channels int // requirements of the groups taken over
	Skipped  []string
}

// oldGroup is what the old tables know of a group.
type oldGroup struct {
	g        Group
	username string
}

// ImportGMBot takes over the groups of a GMBot v2, a bot in Python, from its own tables (owners,
// protected_groups, enforced_channels, group_channel_links) in SQLite or PostgreSQL, which stay as they
// are. A group that this store knows already is left alone, so that a second time changes nothing.
func ImportGMBot(ctx context.Context, from string, to Store) (Imported, error) {
	db, _, err := openBare(ctx, from)
	if err != nil {
		return Imported{}, err
	}
	if db == nil {
		return Imported{}, &URLError{Scheme: schemeSQLite, Reason: "the file to import from does not exist"}
	}
	defer func() { _ = db.Close() }()
	groups, report, err := readOld(ctx, db)
	if err != nil {
		return Imported{}, err
	}
	for _, old := range groups {
		if _, err := to.Group(ctx, old.g.ID); err == nil {
			report.Present++
			continue
		} else if !errors.Is(err, ErrNotFound) {
			return report, err
		}
		if err := to.Update(ctx, func(tx Tx) error {
			_, err := tx.SaveGroup(old.g, Owner{ID: old.g.OwnerID, Username: old.username})
			return err
		}); err != nil {
			return report, err
		}
		report.Groups++
		report.Channels += len(old.g.Channels)
	}
	return report, nil
}

func readOld(ctx context.Context, db *sql.DB) (list []*oldGroup, report Imported, err error) {
	byID := map[int64]*oldGroup{}
	err = eachRow(ctx, db, `SELECT g.group_id, g.owner_id, COALESCE(g.title, ''), g.enabled, COALESCE(o.username, ''), o.user_id
FROM protected_groups g LEFT JOIN owners o ON o.user_id = g.owner_id ORDER BY g.group_id`, func(rows *sql.Rows) error {
		old := &oldGroup{}
		var owner sql.NullInt64
		if err := rows.Scan(&old.g.ID, &old.g.OwnerID, &old.g.Title, &old.g.Enabled, &old.username, &owner); err != nil {
			return err
		}
		switch {
		case !owner.Valid:
			report.Skipped = append(report.Skipped, fmt.Sprintf("group %d: its owner %d is missing", old.g.ID, old.g.OwnerID))
		case old.g.ID >= 0:
			report.Skipped = append(report.Skipped, fmt.Sprintf("group %d: that is no group's id", old.g.ID))
		default:
			byID[old.g.ID] = old
			list = append(list, old)
		}
		return nil
	})
	if err != nil {
		return nil, Imported{}, err
	}
	username := "''"
	if hasColumn(ctx, db, "enforced_channels", "username") { // later versions only
		username = "COALESCE(c.username, '')"
	}
	err = eachRow(ctx, db, `SELECT l.group_id, l.channel_id, c.channel_id, COALESCE(c.title, ''), `+username+`, COALESCE(c.invite_link, '')
FROM group_channel_links l LEFT JOIN enforced_channels c ON c.channel_id = l.channel_id ORDER BY l.id`, func(rows *sql.Rows) error {
		var group, linked int64
		var known sql.NullInt64
		var c Channel
		if err := rows.Scan(&group, &linked, &known, &c.Title, &c.Username, &c.InviteLink); err != nil {
			return err
		}
		old := byID[group]
		if old == nil || !known.Valid {
			report.Skipped = append(report.Skipped, fmt.Sprintf("the link of group %d to channel %d: one of them is missing", group, linked))
			return nil
		}
		c.ID = linked
		old.g.Channels = append(old.g.Channels, c)
		return nil
	})
	return list, report, err
}

func eachRow(ctx context.Context, db *sql.DB, text string, yield func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, text)
	if err != nil {
		return fmt.Errorf("these are not a GMBot's tables: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := yield(rows); err != nil {
			return fmt.Errorf("read a GMBot's tables: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read a GMBot's tables: %w", err)
	}
	return nil
}

func hasColumn(ctx context.Context, db *sql.DB, table, column string) bool {
	rows, err := db.QueryContext(ctx, "SELECT "+column+" FROM "+table+" LIMIT 0") //nolint:gosec // both are this file's own words
	if err != nil {
		return false
	}
	defer func() { _ = rows.Close() }()
	return rows.Err() == nil
}
