package persistence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	insertSeenUpdate = `INSERT INTO seen_updates (update_id, at) VALUES (?1, ?2) ON CONFLICT (update_id) DO NOTHING`
	selectSeenUpdate = `SELECT 1 FROM seen_updates WHERE update_id = ?1`
	upsertMeta       = `INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value`
	insertAudit      = `INSERT INTO audit (at, group_id, actor_id, user_id, action, detail) VALUES (?, ?, ?, ?, ?, ?)`
)

// addToDay is the statement that adds to one of Counters.
func addToDay(column string) string {
	return `INSERT INTO daily_stats (group_id, day, ` + column + `) VALUES (?1, ?2, ?3)
ON CONFLICT (group_id, day) DO UPDATE SET ` + column + ` = daily_stats.` + column + ` + excluded.` + column
}

// MarkSeen implements Tx.
func (t *sqlTx) MarkSeen(updateID int64) (fresh bool, err error) {
	n, err := t.exec(insertSeenUpdate, updateID, t.now)
	if err != nil {
		return false, fmt.Errorf("mark update %d seen: %w", updateID, err)
	}
	return n > 0, nil
}

// SawMember implements Tx.
func (t *sqlTx) SawMember(groupID, userID int64, at time.Time) error {
	if _, err := t.exec(upsertSeenMember, groupID, userID, toMs(at)); err != nil {
		return fmt.Errorf("note member %d of group %d: %w", userID, groupID, err)
	}
	return nil
}

// Proved implements Tx.
func (t *sqlTx) Proved(groupID, userID int64, at time.Time) error {
	if _, err := t.exec(updateProof, groupID, userID, toMs(at)); err != nil {
		return fmt.Errorf("note what was learned of member %d of group %d: %w", userID, groupID, err)
	}
	return nil
}

// ForgetMember implements Tx.
func (t *sqlTx) ForgetMember(groupID, userID int64) error {
	if _, err := t.exec(deleteSeenMember, groupID, userID); err != nil {
		return fmt.Errorf("forget member %d of group %d: %w", userID, groupID, err)
	}
	return nil
}

// PutAside implements Tx.
func (t *sqlTx) PutAside(a SetAside) error {
	if a.Raw == nil {
		a.Raw = []byte{} // the driver would store NULL
	}
	if _, err := t.exec(`INSERT INTO set_aside (update_id, raw, reason, at, again_at, tries) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (update_id) DO UPDATE SET raw = excluded.raw, reason = excluded.reason, at = excluded.at,
	again_at = excluded.again_at, tries = excluded.tries`,
		a.UpdateID, a.Raw, a.Reason, toMs(a.At), toMs(a.Again), a.Tries); err != nil {
		return fmt.Errorf("put update %d aside: %w", a.UpdateID, err)
	}
	return nil
}

// DropAside implements Tx.
func (t *sqlTx) DropAside(updateID int64) error {
	if _, err := t.exec(`DELETE FROM set_aside WHERE update_id = ?`, updateID); err != nil {
		return fmt.Errorf("drop update %d that was put aside: %w", updateID, err)
	}
	return nil
}

// SetMeta implements Tx.
func (t *sqlTx) SetMeta(key, value string) error {
	if _, err := t.exec(upsertMeta, key, value); err != nil {
		return fmt.Errorf("set meta %s: %w", key, err)
	}
	return nil
}

// Audit implements Tx.
func (t *sqlTx) Audit(at time.Time, groupID, actorID, userID int64, action, detail string) error {
	if _, err := t.exec(insertAudit, toMs(at), groupID, actorID, userID, action, detail); err != nil {
		return fmt.Errorf("audit %s in group %d: %w", action, groupID, err)
	}
	return nil
}

// CountDay implements Tx.
func (t *sqlTx) CountDay(day string, groupID int64, column string, by int64) error {
	if !slices.Contains(Counters, column) {
		return fmt.Errorf("count day of group %d: unknown counter %q", groupID, column)
	}
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return fmt.Errorf("count day of group %d: %w", groupID, err)
	}
	if _, err := t.exec(addToDay(column), groupID, day, by); err != nil {
		return fmt.Errorf("count %s of group %d on %s: %w", column, groupID, day, err)
	}
	return nil
}

// SeenIn implements Reader.
func (s *sqlStore) SeenIn(ctx context.Context, channelID, userID int64) (list []int64, err error) {
	err = s.reads(ctx, "seen_in", func(ctx context.Context) error {
		list, err = s.ids(ctx, selectSeenIn, channelID, userID)
		return err
	})
	return list, err
}

// OldestProofs implements Reader.
func (s *sqlStore) OldestProofs(ctx context.Context, afterGroup int64, limit int) (list []Proof, err error) {
	err = s.reads(ctx, "oldest_proofs", func(ctx context.Context) error {
		return s.each(ctx, selectProofs, []any{afterGroup, max(limit, 0)}, func(rows *sql.Rows) (bool, error) {
			var p Proof
			var at, since int64
			err := rows.Scan(&p.GroupID, &p.UserID, &at, &since, &p.Open, &p.Paused)
			p.At, p.Since = fromMs(at), fromMs(since)
			list = append(list, p)
			return true, err
		})
	})
	return list, err
}

// CountSeen implements Reader.
func (s *sqlStore) CountSeen(ctx context.Context, channelID int64) (n int64, err error) {
	err = s.reads(ctx, "count_seen", func(ctx context.Context) error {
		return s.one(ctx, selectCountSeen, []any{channelID}, &n)
	})
	return n, err
}

// Seen implements Reader.
func (s *sqlStore) Seen(ctx context.Context, updateID int64) (seen bool, err error) {
	err = s.reads(ctx, "seen", func(ctx context.Context) error {
		var one int
		err := s.one(ctx, selectSeenUpdate, []any{updateID}, &one)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		seen = err == nil
		return err
	})
	return seen, err
}

// Meta implements Reader.
func (s *sqlStore) Meta(ctx context.Context, key string) (value string, err error) {
	err = s.reads(ctx, "meta", func(ctx context.Context) error {
		err := s.one(ctx, `SELECT value FROM meta WHERE key = ?1`, []any{key}, &value)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
	return value, err
}

// Day implements Reader.
func (s *sqlStore) Day(ctx context.Context, groupID int64, day string) (map[string]int64, error) {
	values := make([]int64, len(Counters))
	to := make([]any, len(values))
	for i := range values {
		to[i] = &values[i]
	}
	err := s.reads(ctx, "day", func(ctx context.Context) error {
		text := `SELECT ` + strings.Join(Counters, ", ") + ` FROM daily_stats WHERE group_id = ?1 AND day = ?2`
		err := s.one(ctx, text, []any{groupID, day}, to...)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int64, len(values))
	for i, column := range Counters {
		counts[column] = values[i]
	}
	return counts, nil
}

// AuditTrail implements Reader.
func (s *sqlStore) AuditTrail(ctx context.Context, groupID int64, limit int) (list []AuditEntry, err error) {
	text := `SELECT at, group_id, actor_id, user_id, action, detail FROM audit WHERE group_id = ?1 ORDER BY id DESC LIMIT ?2`
	err = s.reads(ctx, "audit_trail", func(ctx context.Context) error {
		return s.each(ctx, text, []any{groupID, max(limit, 0)}, func(rows *sql.Rows) (bool, error) {
			var e AuditEntry
			var at int64
			err := rows.Scan(&at, &e.GroupID, &e.ActorID, &e.UserID, &e.Action, &e.Detail)
			e.At = fromMs(at)
			list = append(list, e)
			return true, err
		})
	})
	return list, err
}

// SetAsides implements Reader.
func (s *sqlStore) SetAsides(ctx context.Context, limit int) ([]SetAside, error) {
	return s.setAsides(ctx, "set_asides", "again_at = 0 ORDER BY at DESC, update_id DESC", limit)
}

// Deferred implements Reader.
func (s *sqlStore) Deferred(ctx context.Context, limit int) ([]SetAside, error) {
	return s.setAsides(ctx, "deferred", "again_at <> 0 ORDER BY again_at, update_id", limit)
}

func (s *sqlStore) setAsides(ctx context.Context, name, which string, limit int) (list []SetAside, err error) {
	text := "SELECT update_id, raw, reason, at, again_at, tries FROM set_aside WHERE " + which + " LIMIT ?1"
	err = s.reads(ctx, name, func(ctx context.Context) error {
		return s.each(ctx, text, []any{max(limit, 0)}, func(rows *sql.Rows) (bool, error) {
			var a SetAside
			var at, again int64
			err := rows.Scan(&a.UpdateID, &a.Raw, &a.Reason, &at, &again, &a.Tries)
			a.At, a.Again = fromMs(at), fromMs(again)
			list = append(list, a)
			return true, err
		})
	})
	return list, err
}
