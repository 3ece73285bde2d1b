package persistence

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

const (
	flowColumns = `group_id, user_id, name, state, cause, since, rights_before, until_date, messages, thread_id, attempts, next_attempt`

	upsertFlow = `INSERT OR REPLACE INTO flows (` + flowColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	deleteFlow = `DELETE FROM flows WHERE group_id = ?1 AND user_id = ?2`

	selectFlow         = `SELECT ` + flowColumns + ` FROM flows WHERE group_id = ?1 AND user_id = ?2`
	selectFlowsOfUser  = `SELECT ` + flowColumns + ` FROM flows WHERE user_id = ?1 ORDER BY group_id`
	selectFlowsOfGroup = `SELECT ` + flowColumns + ` FROM flows WHERE group_id = ?1 AND user_id > ?2 ORDER BY user_id LIMIT ?3`

	// hasWork is spelled as in the index flows_open, or SQLite would not use it.
	hasWork         = `(state <> 'muted' OR messages <> '[]')`
	selectOpenFlows = `SELECT ` + flowColumns + ` FROM flows WHERE group_id = ?1 AND ` + hasWork + `
ORDER BY since, user_id LIMIT ?2`

	selectOpenGroups = `SELECT group_id FROM (
    SELECT group_id, min(since) AS at FROM flows WHERE ` + hasWork + ` GROUP BY group_id
    UNION ALL
    SELECT group_id, min(expires_at) FROM notices GROUP BY group_id
    UNION ALL
    SELECT f.group_id, min(f.since) FROM protected_groups g JOIN flows f ON f.group_id = g.group_id
    WHERE g.enabled = 0 GROUP BY f.group_id
) GROUP BY group_id ORDER BY min(at), group_id`

	upsertSeenMember = `INSERT INTO seen_members (group_id, user_id, at) VALUES (?1, ?2, ?3)
ON CONFLICT (group_id, user_id) DO UPDATE SET at = max(at, excluded.at)`
	deleteSeenMember = `DELETE FROM seen_members WHERE group_id = ?1 AND user_id = ?2`

	// The person's groups come first: they are few, a channel's may be many.
	selectSeenIn = `SELECT m.group_id FROM seen_members m
CROSS JOIN group_channel_links l ON l.group_id = m.group_id AND l.channel_id = ?1
CROSS JOIN protected_groups g ON g.group_id = m.group_id
WHERE m.user_id = ?2 AND g.enabled = 1 ORDER BY m.group_id`
)

// SaveFlow implements Tx.
func (t *sqliteTx) SaveFlow(f Flow) error {
	if err := t.saveFlow(f); err != nil {
		return fmt.Errorf("save flow of group %d, user %d: %w", f.GroupID, f.UserID, err)
	}
	return nil
}

func (t *sqliteTx) saveFlow(f Flow) error {
	if !slices.Contains([]FlowState{Checking, Muting, Muted, Freeing}, f.State) {
		return fmt.Errorf("unknown state %q", f.State)
	}
	messages, err := idsToJSON(f.Messages)
	if err != nil {
		return err
	}
	var before sql.NullString
	if f.Before != nil {
		if before.String, err = toJSON(f.Before); err != nil {
			return err
		}
		before.Valid = true
	}
	_, err = t.exec(upsertFlow, f.GroupID, f.UserID, f.Name, string(f.State), string(f.Cause), toMs(f.Since), before,
		f.UntilDate, messages, f.ThreadID, f.Attempts, toMs(f.NextAttempt))
	return err
}

// CloseFlow implements Tx.
func (t *sqliteTx) CloseFlow(groupID, userID int64) error {
	if _, err := t.exec(deleteFlow, groupID, userID); err != nil {
		return fmt.Errorf("close flow of group %d, user %d: %w", groupID, userID, err)
	}
	return nil
}

// FreeAll implements Tx.
func (t *sqliteTx) FreeAll(groupID int64) (int, error) {
	n, err := t.exec(`UPDATE flows SET state = 'freeing', attempts = 0, next_attempt = 0 WHERE group_id = ?1`, groupID)
	if err != nil {
		return 0, fmt.Errorf("free all of group %d: %w", groupID, err)
	}
	return int(n), nil
}

func scanFlow(rows *sql.Rows) (f Flow, err error) {
	var since, next int64
	var before sql.NullString
	var messages string
	if err := rows.Scan(&f.GroupID, &f.UserID, &f.Name, &f.State, &f.Cause, &since, &before,
		&f.UntilDate, &messages, &f.ThreadID, &f.Attempts, &next); err != nil {
		return f, err
	}
	f.Since, f.NextAttempt = fromMs(since), fromMs(next)
	if before.Valid {
		if f.Before, err = fromJSON[*Rights](before.String); err != nil {
			return f, err
		}
	}
	f.Messages, err = idsFromJSON(messages)
	return f, err
}

func (s *sqliteStore) flows(ctx context.Context, name, text string, args ...any) (list []Flow, err error) {
	err = s.reads(ctx, name, func(ctx context.Context) error {
		return s.each(ctx, text, args, func(rows *sql.Rows) (bool, error) {
			f, err := scanFlow(rows)
			list = append(list, f)
			return true, err
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Flow implements Reader.
func (s *sqliteStore) Flow(ctx context.Context, groupID, userID int64) (f Flow, err error) {
	err = s.reads(ctx, "flow", func(ctx context.Context) error {
		found := false
		err := s.each(ctx, selectFlow, []any{groupID, userID}, func(rows *sql.Rows) (bool, error) {
			found = true
			f, err = scanFlow(rows)
			return false, err
		})
		if err == nil && !found {
			return ErrNotFound
		}
		return err
	})
	return f, err
}

// FlowsOfUser implements Reader.
func (s *sqliteStore) FlowsOfUser(ctx context.Context, userID int64) ([]Flow, error) {
	return s.flows(ctx, "flows_of_user", selectFlowsOfUser, userID)
}

// FlowsOfGroup implements Reader.
func (s *sqliteStore) FlowsOfGroup(ctx context.Context, groupID, afterUser int64, limit int) ([]Flow, error) {
	return s.flows(ctx, "flows_of_group", selectFlowsOfGroup, groupID, afterUser, max(limit, 0))
}

// OpenFlowsOfGroup implements Reader.
func (s *sqliteStore) OpenFlowsOfGroup(ctx context.Context, groupID int64, limit int) ([]Flow, error) {
	return s.flows(ctx, "open_flows_of_group", selectOpenFlows, groupID, max(limit, 0))
}

// OpenGroups implements Reader.
func (s *sqliteStore) OpenGroups(ctx context.Context) (list []int64, err error) {
	err = s.reads(ctx, "open_groups", func(ctx context.Context) error {
		list, err = s.ids(ctx, selectOpenGroups)
		return err
	})
	return list, err
}

// CountFlows implements Reader.
func (s *sqliteStore) CountFlows(ctx context.Context, groupID int64) (map[FlowState]int, error) {
	counts := map[FlowState]int{}
	err := s.reads(ctx, "count_flows", func(ctx context.Context) error {
		return s.each(ctx, `SELECT state, count(*) FROM flows WHERE group_id = ?1 GROUP BY state`, []any{groupID},
			func(rows *sql.Rows) (bool, error) {
				var state FlowState
				var n int
				err := rows.Scan(&state, &n)
				counts[state] = n
				return true, err
			})
	})
	if err != nil {
		return nil, err
	}
	return counts, nil
}
