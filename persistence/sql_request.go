package persistence

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	requestColumns = `chat_id, user_id, name, channel, private_id, message_id, language, at, expires_at`

	upsertRequest = `INSERT INTO join_requests (` + requestColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (chat_id, user_id) DO UPDATE SET name = excluded.name, channel = excluded.channel, private_id = excluded.private_id, message_id = excluded.message_id, language = excluded.language, at = excluded.at, expires_at = excluded.expires_at`
	selectRequests   = `SELECT ` + requestColumns + ` FROM join_requests `
	selectRequestsOf = selectRequests + `WHERE user_id = ?1 ORDER BY chat_id`
	// The clerk asks this every second.
	selectRequestsBefore = selectRequests + `WHERE expires_at <= ?1 ORDER BY expires_at, chat_id, user_id LIMIT ?2`
	deleteRequest        = `DELETE FROM join_requests WHERE chat_id = ?1 AND user_id = ?2`

	upsertWizard = `INSERT INTO wizards (user_id, round, group_id, channel_id, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (user_id) DO UPDATE SET round = excluded.round, group_id = excluded.group_id, channel_id = excluded.channel_id, expires_at = excluded.expires_at`
	upsertPause = `INSERT INTO pauses (group_id, place_id, kind, since, told) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (group_id, place_id, kind) DO UPDATE SET told = excluded.told WHERE excluded.told > pauses.told`
)

// SaveJoinRequest implements Tx.
func (t *sqlTx) SaveJoinRequest(r JoinRequest) error {
	if _, err := t.exec(upsertRequest, r.ChatID, r.UserID, r.Name, bit(r.Channel), r.PrivateID, r.MessageID, r.Language,
		toMs(r.At), toMs(r.ExpiresAt)); err != nil {
		return fmt.Errorf("save the request of user %d to join %d: %w", r.UserID, r.ChatID, err)
	}
	return nil
}

// DropJoinRequest implements Tx.
func (t *sqlTx) DropJoinRequest(chatID, userID int64) error {
	if _, err := t.exec(deleteRequest, chatID, userID); err != nil {
		return fmt.Errorf("drop the request of user %d to join %d: %w", userID, chatID, err)
	}
	return nil
}

// SaveWizard implements Tx.
func (t *sqlTx) SaveWizard(w Wizard) error {
	if _, err := t.exec(upsertWizard, w.UserID, w.Round, w.GroupID, w.ChannelID, toMs(w.ExpiresAt)); err != nil {
		return fmt.Errorf("save the wizard of user %d: %w", w.UserID, err)
	}
	return nil
}

// DropWizard implements Tx.
func (t *sqlTx) DropWizard(userID int64) error {
	if _, err := t.exec(`DELETE FROM wizards WHERE user_id = ?1`, userID); err != nil {
		return fmt.Errorf("drop the wizard of user %d: %w", userID, err)
	}
	return nil
}

// SavePause implements Tx.
func (t *sqlTx) SavePause(p Pause) error {
	if _, err := t.exec(upsertPause, p.GroupID, p.PlaceID, string(p.Kind), toMs(p.Since), bit(p.Told)); err != nil {
		return fmt.Errorf("save the pause %s of group %d: %w", p.Kind, p.GroupID, err)
	}
	return nil
}

// DropPause implements Tx.
func (t *sqlTx) DropPause(groupID, placeID int64, kind PauseKind) error {
	if _, err := t.exec(`DELETE FROM pauses WHERE group_id = ?1 AND place_id = ?2 AND kind = ?3`, groupID, placeID, string(kind)); err != nil {
		return fmt.Errorf("drop the pause %s of group %d: %w", kind, groupID, err)
	}
	if kind != CannotJudge {
		return nil
	}
	if _, err := t.exec(`UPDATE enforced_channels SET pushed_since = ?2 WHERE channel_id = ?1`, placeID, t.now); err != nil {
		return fmt.Errorf("note since when channel %d is heard: %w", placeID, err)
	}
	return nil
}

// ForgetPerson implements Tx.
func (t *sqlTx) ForgetPerson(userID int64) (rows int, err error) {
	for _, text := range []string{
		`DELETE FROM seen_members WHERE user_id = ?1`,
		`DELETE FROM warnings WHERE user_id = ?1`,
		`DELETE FROM exemptions WHERE user_id = ?1`,
		`DELETE FROM join_requests WHERE user_id = ?1`,
		`DELETE FROM wizards WHERE user_id = ?1`,
		`DELETE FROM audit WHERE user_id = ?1 OR actor_id = ?1`,
		`UPDATE flows SET name = '' WHERE user_id = ?1 AND name <> ''`,
		`DELETE FROM protected_groups WHERE owner_id = ?1 AND enabled = 0`,
		`DELETE FROM owners WHERE user_id = ?1 AND NOT EXISTS (SELECT 1 FROM protected_groups WHERE owner_id = ?1)`,
	} {
		n, err := t.exec(text, userID)
		if err != nil {
			return 0, fmt.Errorf("forget user %d: %w", userID, err)
		}
		rows += int(n)
	}
	return rows, nil
}

// JoinRequest implements Reader.
func (s *sqlStore) JoinRequest(ctx context.Context, chatID, userID int64) (JoinRequest, error) {
	list, err := s.requests(ctx, "join_request", selectRequests+`WHERE chat_id = ?1 AND user_id = ?2`, chatID, userID)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return JoinRequest{}, err
	}
	return list[0], nil
}

// JoinRequestsOf implements Reader.
func (s *sqlStore) JoinRequestsOf(ctx context.Context, userID int64) ([]JoinRequest, error) {
	return s.requests(ctx, "join_requests_of", selectRequestsOf, userID)
}

// JoinRequestsBefore implements Reader.
func (s *sqlStore) JoinRequestsBefore(ctx context.Context, at time.Time, limit int) ([]JoinRequest, error) {
	return s.requests(ctx, "join_requests_before", selectRequestsBefore, toMs(at), max(limit, 0))
}

func (s *sqlStore) requests(ctx context.Context, name, text string, args ...any) (list []JoinRequest, err error) {
	err = s.reads(ctx, name, func(ctx context.Context) error {
		return s.each(ctx, text, args, func(rows *sql.Rows) (bool, error) {
			var r JoinRequest
			var at, expires int64
			err := rows.Scan(&r.ChatID, &r.UserID, &r.Name, &r.Channel, &r.PrivateID, &r.MessageID, &r.Language, &at, &expires)
			r.At, r.ExpiresAt = fromMs(at), fromMs(expires)
			list = append(list, r)
			return true, err
		})
	})
	return list, err
}

// Wizard implements Reader.
func (s *sqlStore) Wizard(ctx context.Context, userID int64) (w Wizard, err error) {
	err = s.reads(ctx, "wizard", func(ctx context.Context) error {
		var expires int64
		err := s.one(ctx, `SELECT round, group_id, channel_id, expires_at FROM wizards WHERE user_id = ?1`, []any{userID},
			&w.Round, &w.GroupID, &w.ChannelID, &expires)
		w.UserID, w.ExpiresAt = userID, fromMs(expires)
		return err
	})
	return w, err
}

// Pauses implements Reader.
func (s *sqlStore) Pauses(ctx context.Context, groupID int64) (list []Pause, err error) {
	text := `SELECT group_id, place_id, kind, since, told FROM pauses WHERE group_id = ?1 ORDER BY place_id, kind`
	err = s.reads(ctx, "pauses", func(ctx context.Context) error {
		return s.each(ctx, text, []any{groupID}, func(rows *sql.Rows) (bool, error) {
			var p Pause
			var since int64
			err := rows.Scan(&p.GroupID, &p.PlaceID, &p.Kind, &since, &p.Told)
			p.Since = fromMs(since)
			list = append(list, p)
			return true, err
		})
	})
	return list, err
}
