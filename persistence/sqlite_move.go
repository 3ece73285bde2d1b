package persistence

import "fmt"

// MoveGroup implements Tx.
func (t *sqliteTx) MoveGroup(from, to int64) error {
	if from == to {
		return nil
	}
	if err := t.moveGroup(from, to); err != nil {
		return fmt.Errorf("move group %d to %d: %w", from, to, err)
	}
	return nil
}

// moveGroup copies or renames what to does not have, then deletes what is left of from.
func (t *sqliteTx) moveGroup(from, to int64) error {
	if _, err := t.exec(`INSERT INTO protected_groups (group_id, owner_id, title, enabled, settings, version, created_at, updated_at)
SELECT ?2, owner_id, title, enabled, settings, version + 1, created_at, ?3 FROM protected_groups WHERE group_id = ?1
ON CONFLICT (group_id) DO NOTHING`, from, to, t.now); err != nil {
		return err
	}
	if err := t.run([]any{from, to},
		`UPDATE OR IGNORE group_channel_links SET group_id = ?2 WHERE group_id = ?1`,
		`UPDATE OR IGNORE flows SET group_id = ?2, messages = '[]', thread_id = 0 WHERE group_id = ?1`,
		`UPDATE audit SET group_id = ?2 WHERE group_id = ?1`,
		`INSERT INTO daily_stats (group_id, day, checked, muted, verified, left_again)
SELECT ?2, day, checked, muted, verified, left_again FROM daily_stats WHERE group_id = ?1
ON CONFLICT (group_id, day) DO UPDATE SET
    checked = checked + excluded.checked, muted = muted + excluded.muted,
    verified = verified + excluded.verified, left_again = left_again + excluded.left_again`,
		`INSERT INTO seen_members (group_id, user_id, at) SELECT ?2, user_id, at FROM seen_members WHERE group_id = ?1
ON CONFLICT (group_id, user_id) DO UPDATE SET at = max(at, excluded.at)`,
	); err != nil {
		return err
	}
	return t.run([]any{from},
		`DELETE FROM protected_groups WHERE group_id = ?1`, // and by it the links that to had already
		`DELETE FROM flows WHERE group_id = ?1`,
		`DELETE FROM notices WHERE group_id = ?1`,
		`DELETE FROM due WHERE chat_id = ?1`,
		`DELETE FROM daily_stats WHERE group_id = ?1`,
		`DELETE FROM seen_members WHERE group_id = ?1`,
	)
}
