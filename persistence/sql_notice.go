package persistence

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	upsertNotice = `INSERT INTO notices (group_id, thread_id, message_id, seen, people, expires_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (group_id, thread_id) DO UPDATE SET message_id = excluded.message_id, seen = excluded.seen, people = excluded.people, expires_at = excluded.expires_at`
	deleteNotice  = `DELETE FROM notices WHERE group_id = ?1 AND thread_id = ?2`
	selectNotices = `SELECT group_id, thread_id, message_id, seen, people, expires_at FROM notices
WHERE group_id = ?1 ORDER BY thread_id`

	upsertDue = `INSERT INTO due (chat_id, message_id, at) VALUES (?1, ?2, ?3)
ON CONFLICT (chat_id, message_id) DO UPDATE SET at = excluded.at WHERE excluded.at < due.at`
	deleteDue = `DELETE FROM due WHERE chat_id = ?1 AND message_id = ?2`
	selectDue = `SELECT id, chat_id, message_id, at FROM due WHERE at <= ?1 ORDER BY at, id LIMIT ?2`
)

// SaveNotice implements Tx.
func (t *sqlTx) SaveNotice(n Notice) error {
	people, err := idsToJSON(n.People)
	if err == nil {
		_, err = t.exec(upsertNotice, n.GroupID, n.ThreadID, n.MessageID, n.Seen, people, toMs(n.ExpiresAt))
	}
	if err != nil {
		return fmt.Errorf("save notice of group %d, thread %d: %w", n.GroupID, n.ThreadID, err)
	}
	return nil
}

// DropNotice implements Tx.
func (t *sqlTx) DropNotice(groupID, threadID int64) error {
	if _, err := t.exec(deleteNotice, groupID, threadID); err != nil {
		return fmt.Errorf("drop notice of group %d, thread %d: %w", groupID, threadID, err)
	}
	return nil
}

// AddDue implements Tx.
func (t *sqlTx) AddDue(d Due) error {
	if _, err := t.exec(upsertDue, d.ChatID, d.MessageID, toMs(d.At)); err != nil {
		return fmt.Errorf("add delayed deletion of message %d in chat %d: %w", d.MessageID, d.ChatID, err)
	}
	return nil
}

// DropDue implements Tx.
func (t *sqlTx) DropDue(chatID int64, messageIDs []int64) error {
	for _, id := range messageIDs {
		if _, err := t.exec(deleteDue, chatID, id); err != nil {
			return fmt.Errorf("drop delayed deletion of message %d in chat %d: %w", id, chatID, err)
		}
	}
	return nil
}

// Notices implements Reader.
func (s *sqlStore) Notices(ctx context.Context, groupID int64) (list []Notice, err error) {
	err = s.reads(ctx, "notices", func(ctx context.Context) error {
		return s.each(ctx, selectNotices, []any{groupID}, func(rows *sql.Rows) (bool, error) {
			var n Notice
			var people string
			var expires int64
			if err := rows.Scan(&n.GroupID, &n.ThreadID, &n.MessageID, &n.Seen, &people, &expires); err != nil {
				return false, err
			}
			n.ExpiresAt = fromMs(expires)
			n.People, err = idsFromJSON(people)
			list = append(list, n)
			return true, err
		})
	})
	return list, err
}

// DueBefore implements Reader.
func (s *sqlStore) DueBefore(ctx context.Context, at time.Time, limit int) (list []Due, err error) {
	err = s.reads(ctx, "due_before", func(ctx context.Context) error {
		return s.each(ctx, selectDue, []any{toMs(at), max(limit, 0)}, func(rows *sql.Rows) (bool, error) {
			var d Due
			var at int64
			err := rows.Scan(&d.ID, &d.ChatID, &d.MessageID, &at)
			d.At = fromMs(at)
			list = append(list, d)
			return true, err
		})
	})
	return list, err
}
