package persistence

import (
	"context"
	"database/sql"
	"slices"
)

// selectPerson has a row for each channel the person has asked to join, one if there is none, and none at all where
// nothing is known of the person: that is what a stranger's first message asks for, and it is one look into each key.
const selectPerson = `SELECT f.group_id IS NOT NULL, coalesce(f.name, ''), coalesce(f.state, ''), coalesce(f.cause, ''), coalesce(f.since, 0),
    f.rights_before, coalesce(f.until_date, 0), coalesce(f.messages, '[]'), coalesce(f.thread_id, 0), coalesce(f.attempts, 0),
    coalesce(f.next_attempt, 0), coalesce(f.other_mark, 0), coalesce(w.count, 0), coalesce(w.at, 0), s.user_id IS NOT NULL, coalesce(r.chat_id, 0)
FROM (SELECT 1 AS one) AS o
LEFT JOIN flows f ON f.group_id = ?1 AND f.user_id = ?2
LEFT JOIN warnings w ON w.group_id = ?1 AND w.user_id = ?2
LEFT JOIN seen_members s ON s.group_id = ?1 AND s.user_id = ?2
LEFT JOIN join_requests r ON r.user_id = ?2 AND r.channel = 1
WHERE f.group_id IS NOT NULL OR w.group_id IS NOT NULL OR s.group_id IS NOT NULL OR r.chat_id IS NOT NULL`

// Person implements Reader.
func (s *sqlStore) Person(ctx context.Context, groupID, userID int64) (p Person, err error) {
	err = s.reads(ctx, "person", func(ctx context.Context) error {
		return s.each(ctx, selectPerson, []any{groupID, userID}, func(rows *sql.Rows) (bool, error) {
			var requested int64
			if p, requested, err = scanPerson(rows, p); requested != 0 {
				p.Requested = append(p.Requested, requested)
			}
			return true, err
		})
	})
	if err != nil {
		return Person{}, err
	}
	slices.Sort(p.Requested)
	if p.HasFlow {
		p.Flow.GroupID, p.Flow.UserID = groupID, userID
	}
	return p, nil
}

// scanPerson reads a row of selectPerson; all but the channel asked to join is the same in each.
func scanPerson(rows *sql.Rows, p Person) (_ Person, requested int64, err error) {
	var since, next, warnedAt int64
	var before sql.NullString
	var messages string
	f := &p.Flow
	if err := rows.Scan(&p.HasFlow, &f.Name, &f.State, &f.Cause, &since, &before, &f.UntilDate, &messages, &f.ThreadID, &f.Attempts,
		&next, &f.OtherMark, &p.Warnings, &warnedAt, &p.Seen, &requested); err != nil {
		return p, 0, err
	}
	f.Since, f.NextAttempt, p.WarnedAt = fromMs(since), fromMs(next), fromMs(warnedAt)
	err = f.decode(before, messages)
	return p, requested, err
}
