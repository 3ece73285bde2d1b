package persistence

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
)

const (
	flowColumns = `group_id, user_id, name, state, cause, since, rights_before, until_date, messages, thread_id, attempts, next_attempt, other_mark`

	insertFlow = `INSERT INTO flows (` + flowColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (group_id, user_id) DO NOTHING`
	upsertFlow = `INSERT INTO flows (` + flowColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (group_id, user_id) DO UPDATE SET name = excluded.name, state = excluded.state, cause = excluded.cause, since = excluded.since, rights_before = excluded.rights_before, until_date = excluded.until_date, messages = excluded.messages, thread_id = excluded.thread_id, attempts = excluded.attempts, next_attempt = excluded.next_attempt, other_mark = excluded.other_mark`
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
) AS work GROUP BY group_id ORDER BY min(at), group_id`

	upsertSeenMember = `INSERT INTO seen_members (group_id, user_id, at) VALUES (?1, ?2, ?3)
ON CONFLICT (group_id, user_id) DO UPDATE SET at = excluded.at WHERE excluded.at > seen_members.at`
	deleteSeenMember = `DELETE FROM seen_members WHERE group_id = ?1 AND user_id = ?2`

	// The person's groups come first: they are few, a channel's may be many.
	selectSeenIn = `SELECT m.group_id FROM seen_members m
CROSS JOIN group_channel_links l ON l.group_id = m.group_id AND l.channel_id = ?1
CROSS JOIN protected_groups g ON g.group_id = m.group_id
WHERE m.user_id = ?2 AND g.enabled = 1 ORDER BY m.group_id`
	selectMuted = `SELECT until_date, group_id, user_id FROM flows
WHERE state = 'muted' AND until_date < ?1 AND (until_date, group_id, user_id) > (?2, ?3, ?4)
ORDER BY until_date, group_id, user_id LIMIT ?5`
	updateProof = `UPDATE seen_members SET proof = ?3 WHERE group_id = ?1 AND user_id = ?2 AND proof < ?3`
	// The oldest of each group is the first entry of its part of an index.
	selectProofs = `SELECT o.group_id, o.user_id, coalesce(m.proof, 0), coalesce(o.since, 0),
    EXISTS (SELECT 1 FROM flows f WHERE f.group_id = o.group_id AND f.user_id = o.user_id),
    EXISTS (SELECT 1 FROM pauses p WHERE p.group_id = o.group_id AND p.kind IN ('judge', 'brake'))
FROM (
    SELECT w.group_id,
        coalesce((SELECT s.user_id FROM seen_members s WHERE s.group_id = w.group_id ORDER BY s.proof, s.user_id LIMIT 1), 0) AS user_id,
        (SELECT max(CASE WHEN l.created_at > c.pushed_since THEN l.created_at ELSE c.pushed_since END)
            FROM group_channel_links l JOIN enforced_channels c ON c.channel_id = l.channel_id
            WHERE l.group_id = w.group_id) AS since
    FROM (SELECT g.group_id FROM protected_groups g WHERE g.enabled = 1 AND g.group_id > ?1
        ORDER BY g.group_id LIMIT ?2) AS w
) AS o
LEFT JOIN seen_members m ON m.group_id = o.group_id AND m.user_id = o.user_id
ORDER BY o.group_id`
	selectCountSeen = `SELECT COUNT(DISTINCT m.user_id) FROM group_channel_links l
CROSS JOIN protected_groups g ON g.group_id = l.group_id
CROSS JOIN seen_members m ON m.group_id = l.group_id
WHERE l.channel_id = ?1 AND g.enabled = 1`
)

// SaveFlow implements Tx.
func (t *sqlTx) SaveFlow(f Flow) error {
	if _, err := t.putFlow(upsertFlow, f); err != nil {
		return fmt.Errorf("save flow of group %d, user %d: %w", f.GroupID, f.UserID, err)
	}
	return nil
}

// NewFlow implements Tx.
func (t *sqlTx) NewFlow(f Flow) (made bool, err error) {
	n, err := t.putFlow(insertFlow, f)
	if err != nil {
		return false, fmt.Errorf("insert flow of group %d, user %d: %w", f.GroupID, f.UserID, err)
	}
	return n > 0, nil
}

func (t *sqlTx) putFlow(text string, f Flow) (changed int64, err error) {
	if !slices.Contains([]FlowState{Checking, Muting, Muted, Freeing}, f.State) {
		return 0, fmt.Errorf("unknown state %q", f.State)
	}
	messages, err := idsToJSON(f.Messages)
	if err != nil {
		return 0, err
	}
	var before sql.NullString
	if f.Before != nil {
		if before.String, err = toJSON(f.Before); err != nil {
			return 0, err
		}
		before.Valid = true
	}
	return t.exec(text, f.GroupID, f.UserID, f.Name, string(f.State), string(f.Cause), toMs(f.Since), before,
		f.UntilDate, messages, f.ThreadID, f.Attempts, toMs(f.NextAttempt), f.OtherMark)
}

// CloseFlow implements Tx.
func (t *sqlTx) CloseFlow(groupID, userID int64) error {
	if _, err := t.exec(deleteFlow, groupID, userID); err != nil {
		return fmt.Errorf("close flow of group %d, user %d: %w", groupID, userID, err)
	}
	return nil
}

// FreeAll implements Tx.
func (t *sqlTx) FreeAll(groupID int64) (int, error) {
	n, err := t.exec(`UPDATE flows SET state = CASE state WHEN 'muted' THEN 'freeing' ELSE state END, attempts = 0, next_attempt = 0
WHERE group_id = ?1`, groupID)
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
		&f.UntilDate, &messages, &f.ThreadID, &f.Attempts, &next, &f.OtherMark); err != nil {
		return f, err
	}
	f.Since, f.NextAttempt = fromMs(since), fromMs(next)
	err = f.decode(before, messages)
	return f, err
}

// decode reads the columns that hold JSON.
func (f *Flow) decode(before sql.NullString, messages string) (err error) {
	if before.Valid {
		if f.Before, err = fromJSON[*Rights](before.String); err != nil {
			return err
		}
	}
	f.Messages, err = idsFromJSON(messages)
	return err
}

func (s *sqlStore) flows(ctx context.Context, name, text string, args ...any) (list []Flow, err error) {
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
func (s *sqlStore) Flow(ctx context.Context, groupID, userID int64) (f Flow, err error) {
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
func (s *sqlStore) FlowsOfUser(ctx context.Context, userID int64) ([]Flow, error) {
	return s.flows(ctx, "flows_of_user", selectFlowsOfUser, userID)
}

// FlowsOfGroup implements Reader.
func (s *sqlStore) FlowsOfGroup(ctx context.Context, groupID, afterUser int64, limit int) ([]Flow, error) {
	return s.flows(ctx, "flows_of_group", selectFlowsOfGroup, groupID, afterUser, max(limit, 0))
}

// MutedFlows implements Reader.
func (s *sqlStore) MutedFlows(ctx context.Context, before int64, after MutedAt, limit int) (list []MutedAt, err error) {
	args := []any{before, after.UntilDate, after.GroupID, after.UserID, max(limit, 0)}
	if after == (MutedAt{}) {
		args[2] = int64(math.MinInt64) // groups have negative ids
	}
	err = s.reads(ctx, "muted_flows", func(ctx context.Context) error {
		return s.each(ctx, selectMuted, args, func(rows *sql.Rows) (bool, error) {
			var m MutedAt
			err := rows.Scan(&m.UntilDate, &m.GroupID, &m.UserID)
			list = append(list, m)
			return true, err
		})
	})
	return list, err
}

// OpenFlowsOfGroup implements Reader.
func (s *sqlStore) OpenFlowsOfGroup(ctx context.Context, groupID int64, limit int) ([]Flow, error) {
	return s.flows(ctx, "open_flows_of_group", selectOpenFlows, groupID, max(limit, 0))
}

// OpenGroups implements Reader.
func (s *sqlStore) OpenGroups(ctx context.Context) (list []int64, err error) {
	err = s.reads(ctx, "open_groups", func(ctx context.Context) error {
		list, err = s.ids(ctx, selectOpenGroups)
		return err
	})
	return list, err
}

// CountFlows implements Reader.
func (s *sqlStore) CountFlows(ctx context.Context, groupID int64) (map[FlowState]int, error) {
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
