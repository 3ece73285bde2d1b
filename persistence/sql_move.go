package persistence

import "fmt"

// MoveGroup implements Tx.
func (t *sqlTx) MoveGroup(from, to int64) error {
	if from == to {
		return nil
	}
	if err := t.moveGroup(from, to); err != nil {
		return fmt.Errorf("move group %d to %d: %w", from, to, err)
	}
	return nil
}

// moveGroup copies or renames what to does not have, then deletes what is left of from.
func (t *sqlTx) moveGroup(from, to int64) error {
	if _, err := t.exec(`INSERT INTO protected_groups (group_id, owner_id, title, enabled, settings, version, created_at, updated_at)
SELECT CAST(?2 AS BIGINT), owner_id, title, enabled, settings, version + 1, created_at, CAST(?3 AS BIGINT) FROM protected_groups WHERE group_id = ?1
ON CONFLICT (group_id) DO NOTHING`, from, to, t.now); err != nil {
		return err
	}
	if err := t.run([]any{from, to},
		`UPDATE group_channel_links SET group_id = ?2 WHERE group_id = ?1
AND channel_id NOT IN (SELECT channel_id FROM group_channel_links WHERE group_id = ?2)`,
		`UPDATE flows SET group_id = ?2, messages = '[]', thread_id = 0 WHERE group_id = ?1
AND user_id NOT IN (SELECT user_id FROM flows WHERE group_id = ?2)`,
		`UPDATE audit SET group_id = ?2 WHERE group_id = ?1`,
		`INSERT INTO daily_stats (group_id, day, checked, muted, verified, left_again)
SELECT CAST(?2 AS BIGINT), day, checked, muted, verified, left_again FROM daily_stats WHERE group_id = ?1
ON CONFLICT (group_id, day) DO UPDATE SET
    checked = daily_stats.checked + excluded.checked, muted = daily_stats.muted + excluded.muted,
    verified = daily_stats.verified + excluded.verified, left_again = daily_stats.left_again + excluded.left_again`,
		`INSERT INTO seen_members (group_id, user_id, at, proof) SELECT CAST(?2 AS BIGINT), user_id, at, proof FROM seen_members WHERE group_id = ?1
ON CONFLICT (group_id, user_id) DO UPDATE SET at = excluded.at WHERE excluded.at > seen_members.at`,
		`UPDATE exemptions SET group_id = ?2 WHERE group_id = ?1
AND user_id NOT IN (SELECT user_id FROM exemptions WHERE group_id = ?2)`,
		`UPDATE warnings SET group_id = ?2 WHERE group_id = ?1
AND user_id NOT IN (SELECT user_id FROM warnings WHERE group_id = ?2)`,
		`UPDATE removals SET group_id = ?2 WHERE group_id = ?1
AND user_id NOT IN (SELECT user_id FROM removals WHERE group_id = ?2)`,
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
		`DELETE FROM exemptions WHERE group_id = ?1`,
		`DELETE FROM warnings WHERE group_id = ?1`,
		`DELETE FROM removals WHERE group_id = ?1`,
		`DELETE FROM join_requests WHERE chat_id = ?1`,
		`DELETE FROM pauses WHERE group_id = ?1`,
	)
}
