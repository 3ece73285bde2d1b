package persistence

import (
	"context"
	"database/sql"
	"time"
)

// The conditions are those of the indexes flows_open and flows_muted, so that no row is read.
const (
	countGroups   = `SELECT count(*) FROM protected_groups WHERE enabled = 1`
	countMuted    = `SELECT count(*) FROM flows WHERE state = 'muted'`
	countOpen     = `SELECT state, count(*), min(since) FROM flows WHERE state <> 'muted' GROUP BY state`
	countPauses   = `SELECT kind, count(*) FROM pauses GROUP BY kind`
	countSetAside = `SELECT count(*) FROM set_aside WHERE again_at = 0`
	countDeferred = `SELECT count(*) FROM set_aside WHERE again_at <> 0`
)

// Counts implements Reader.
func (s *sqlStore) Counts(ctx context.Context) (c Counts, err error) {
	err = s.reads(ctx, "counts", func(ctx context.Context) error {
		c, err = s.counts(ctx)
		return err
	})
	return c, err
}

func (s *sqlStore) counts(ctx context.Context) (Counts, error) {
	c := Counts{Flows: map[FlowState]int{}, Oldest: map[FlowState]time.Time{}, Pauses: map[PauseKind]int{}}
	muted := 0
	for text, to := range map[string]*int{countGroups: &c.Protected, countMuted: &muted, countSetAside: &c.SetAside, countDeferred: &c.Deferred} {
		if err := s.one(ctx, text, nil, to); err != nil {
			return Counts{}, err
		}
	}
	if muted > 0 {
		c.Flows[Muted] = muted
	}
	err := s.each(ctx, countOpen, nil, func(rows *sql.Rows) (bool, error) {
		var state FlowState
		var n int
		var since int64
		err := rows.Scan(&state, &n, &since)
		c.Flows[state], c.Oldest[state] = n, fromMs(since)
		return true, err
	})
	if err != nil {
		return Counts{}, err
	}
	err = s.each(ctx, countPauses, nil, func(rows *sql.Rows) (bool, error) {
		var kind PauseKind
		var n int
		err := rows.Scan(&kind, &n)
		c.Pauses[kind] = n
		return true, err
	})
	if err != nil {
		return Counts{}, err
	}
	return c, nil
}
