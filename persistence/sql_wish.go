package persistence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

const (
	upsertExemption = `INSERT INTO exemptions (group_id, user_id, name, by_id, at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (group_id, user_id) DO UPDATE SET name = excluded.name, by_id = excluded.by_id, at = excluded.at`
	deleteExemption = `DELETE FROM exemptions WHERE group_id = ?1 AND user_id = ?2`
	selectExempt    = `SELECT 1 FROM exemptions WHERE group_id = ?1 AND user_id = ?2`

	addWarning = `INSERT INTO warnings (group_id, user_id, count, at) VALUES (?1, ?2, 1, ?3)
ON CONFLICT (group_id, user_id) DO UPDATE SET count = warnings.count + 1, at = excluded.at RETURNING count`
	deleteWarnings = `DELETE FROM warnings WHERE group_id = ?1 AND user_id = ?2`

	upsertRemoval = `INSERT INTO removals (group_id, user_id, at) VALUES (?1, ?2, ?3)
ON CONFLICT (group_id, user_id) DO UPDATE SET at = excluded.at`
	deleteRemoval = `DELETE FROM removals WHERE group_id = ?1 AND user_id = ?2`
	// The clerk asks this every second.
	selectRemovals = `SELECT group_id, user_id, at FROM removals WHERE at <= ?1 ORDER BY at, group_id, user_id LIMIT ?2`
)

// Exempt implements Tx.
func (t *sqlTx) Exempt(e Exemption) error {
	if _, err := t.exec(upsertExemption, e.GroupID, e.UserID, e.Name, e.By, toMs(e.At)); err != nil {
		return fmt.Errorf("exempt user %d in group %d: %w", e.UserID, e.GroupID, err)
	}
	return nil
}

// Unexempt implements Tx.
func (t *sqlTx) Unexempt(groupID, userID int64) (was bool, err error) {
	n, err := t.exec(deleteExemption, groupID, userID)
	if err != nil {
		return false, fmt.Errorf("end the exemption of user %d in group %d: %w", userID, groupID, err)
	}
	return n > 0, nil
}

// Warn implements Tx.
func (t *sqlTx) Warn(groupID, userID int64, at time.Time) (count int, err error) {
	if err := t.row(addWarning, []any{groupID, userID, toMs(at)}, &count); err != nil {
		return 0, fmt.Errorf("warn user %d in group %d: %w", userID, groupID, err)
	}
	return count, nil
}

// ClearWarnings implements Tx.
func (t *sqlTx) ClearWarnings(groupID, userID int64) error {
	if _, err := t.exec(deleteWarnings, groupID, userID); err != nil {
		return fmt.Errorf("clear warnings of user %d in group %d: %w", userID, groupID, err)
	}
	return nil
}

// SaveRemoval implements Tx.
func (t *sqlTx) SaveRemoval(r Removal) error {
	if _, err := t.exec(upsertRemoval, r.GroupID, r.UserID, toMs(r.At)); err != nil {
		return fmt.Errorf("note the removal of user %d from group %d: %w", r.UserID, r.GroupID, err)
	}
	return nil
}

// DropRemoval implements Tx.
func (t *sqlTx) DropRemoval(groupID, userID int64) error {
	if _, err := t.exec(deleteRemoval, groupID, userID); err != nil {
		return fmt.Errorf("forget the removal of user %d from group %d: %w", userID, groupID, err)
	}
	return nil
}

// SetChannel implements Tx.
func (t *sqlTx) SetChannel(c Channel) error {
	if _, err := t.exec(`UPDATE enforced_channels SET title = ?2, username = ?3,
    invite_link = CASE WHEN ?4 = '' THEN invite_link ELSE ?4 END, updated_at = ?5 WHERE channel_id = ?1`,
		c.ID, c.Title, c.Username, c.InviteLink, t.now); err != nil {
		return fmt.Errorf("set channel %d: %w", c.ID, err)
	}
	return nil
}

// IsExempt implements Reader.
func (s *sqlStore) IsExempt(ctx context.Context, groupID, userID int64) (is bool, err error) {
	err = s.reads(ctx, "is_exempt", func(ctx context.Context) error {
		is, err = s.exists(ctx, selectExempt, groupID, userID)
		return err
	})
	return is, err
}

// exists reports whether a query has a row.
func (s *sqlStore) exists(ctx context.Context, text string, args ...any) (bool, error) {
	var one int
	err := s.one(ctx, text, args, &one)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Exemptions implements Reader.
func (s *sqlStore) Exemptions(ctx context.Context, groupID, afterUser int64, limit int) (list []Exemption, err error) {
	text := `SELECT group_id, user_id, name, by_id, at FROM exemptions WHERE group_id = ?1 AND user_id > ?2 ORDER BY user_id LIMIT ?3`
	err = s.reads(ctx, "exemptions", func(ctx context.Context) error {
		return s.each(ctx, text, []any{groupID, afterUser, max(limit, 0)}, func(rows *sql.Rows) (bool, error) {
			var e Exemption
			var at int64
			err := rows.Scan(&e.GroupID, &e.UserID, &e.Name, &e.By, &at)
			e.At = fromMs(at)
			list = append(list, e)
			return true, err
		})
	})
	return list, err
}

// RemovalsBefore implements Reader.
func (s *sqlStore) RemovalsBefore(ctx context.Context, at time.Time, limit int) (list []Removal, err error) {
	err = s.reads(ctx, "removals_before", func(ctx context.Context) error {
		return s.each(ctx, selectRemovals, []any{toMs(at), max(limit, 0)}, func(rows *sql.Rows) (bool, error) {
			var r Removal
			var at int64
			err := rows.Scan(&r.GroupID, &r.UserID, &at)
			r.At = fromMs(at)
			list = append(list, r)
			return true, err
		})
	})
	return list, err
}

// LatelySeen implements Reader.
func (s *sqlStore) LatelySeen(ctx context.Context, groupID int64, limit int) (list []int64, err error) {
	err = s.reads(ctx, "lately_seen", func(ctx context.Context) error {
		list, err = s.ids(ctx, `SELECT user_id FROM seen_members WHERE group_id = ?1 ORDER BY at DESC, user_id LIMIT ?2`, groupID, max(limit, 0))
		return err
	})
	return list, err
}

// GroupsOfOwner implements Reader.
func (s *sqlStore) GroupsOfOwner(ctx context.Context, ownerID int64, limit int) (list []Group, err error) {
	text := `SELECT group_id, owner_id, title, enabled FROM protected_groups WHERE owner_id = ?1 ORDER BY enabled DESC, group_id LIMIT ?2`
	err = s.reads(ctx, "groups_of_owner", func(ctx context.Context) error {
		return s.each(ctx, text, []any{ownerID, max(limit, 0)}, func(rows *sql.Rows) (bool, error) {
			var g Group
			err := rows.Scan(&g.ID, &g.OwnerID, &g.Title, &g.Enabled)
			list = append(list, g)
			return true, err
		})
	})
	return list, err
}

// AuditOf implements Reader.
func (s *sqlStore) AuditOf(ctx context.Context, groupID, userID int64, limit int) (list []AuditEntry, err error) {
	text := `SELECT at, actor_id, action, detail FROM audit WHERE group_id = ?1 AND user_id = ?2 ORDER BY id DESC LIMIT ?3`
	err = s.reads(ctx, "audit_of", func(ctx context.Context) error {
		return s.each(ctx, text, []any{groupID, userID, max(limit, 0)}, func(rows *sql.Rows) (bool, error) {
			e := AuditEntry{GroupID: groupID, UserID: userID}
			var at int64
			err := rows.Scan(&at, &e.ActorID, &e.Action, &e.Detail)
			e.At = fromMs(at)
			list = append(list, e)
			return true, err
		})
	})
	return list, err
}
