package persistence

import (
	"context"
	"fmt"
	"time"
)

// How long rows stay that nobody closes.
const (
	// KeepSeenUpdates is how long a marked update is known. Telegram offers an update for 24 h at most.
	// Source: Bot API, "Getting updates".
	KeepSeenUpdates = 48 * time.Hour
	// KeepAudit is how long an entry of the audit trail stays.
	KeepAudit = 90 * 24 * time.Hour
	// KeepDailyStats is how long a day's counters stay.
	KeepDailyStats = 400 * 24 * time.Hour
	// KeepSeenMembers is how long somebody not seen again counts as seen in a group.
	KeepSeenMembers = 90 * 24 * time.Hour
	// KeepWarnings is how long a warning counts.
	KeepWarnings = 30 * 24 * time.Hour
	// KeepSetAside is how long an update nobody could finish waits for a person.
	KeepSetAside = 30 * 24 * time.Hour
)

// pruneBatch bounds one transaction of Prune, so that changes wait for it some milliseconds at most.
const pruneBatch = 1000

// Prune implements Store.
func (s *sqlStore) Prune(ctx context.Context, now time.Time) error {
	before := func(keep time.Duration) any { return toMs(now.Add(-keep)) }
	for _, p := range []struct {
		table, key, column string
		limit              any
	}{
		{"seen_updates", "update_id", "at", before(KeepSeenUpdates)},
		{"audit", "id", "at", before(KeepAudit)},
		{"daily_stats", "group_id, day", "day", now.Add(-KeepDailyStats).UTC().Format(time.DateOnly)},
		{"seen_members", "group_id, user_id", "at", before(KeepSeenMembers)},
		{"warnings", "group_id, user_id", "at", before(KeepWarnings)},
		{"wizards", "user_id", "expires_at", before(0)},
		{"set_aside", "update_id", "at", before(KeepSetAside)},
	} {
		text := fmt.Sprintf("DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s < ?1 LIMIT ?2)",
			p.table, p.key, p.column)
		if err := s.prune(ctx, text, p.limit); err != nil {
			return fmt.Errorf("prune %s: %w", p.table, err)
		}
	}
	return nil
}

// prune repeats a bounded deletion until nothing is left to delete.
func (s *sqlStore) prune(ctx context.Context, text string, limit any) error {
	for {
		var n int64
		err := s.transact(ctx, "prune", func(tx Tx) (err error) {
			n, err = tx.(*sqlTx).exec(text, limit, pruneBatch) //nolint:errcheck // transact gives no other
			return err
		})
		if err != nil || n < pruneBatch {
			return err
		}
	}
}
