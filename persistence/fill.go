package persistence

import (
	"context"
	"errors"
	"fmt"
)

// The rows 0 … ?1-1, in SQL that both databases understand.
const countRows = `WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < CAST(?1 AS BIGINT)) `

const (
	fillGroups = countRows + `INSERT INTO protected_groups (group_id, owner_id, title, enabled, settings, version, created_at, updated_at)
SELECT CAST(?2 AS BIGINT) - i, CAST(?3 AS BIGINT), 'Group', 1, '{}', 1, 0, 0 FROM n`
	fillChannels = countRows + `INSERT INTO enforced_channels (channel_id, title, username, invite_link, created_at, updated_at)
SELECT CAST(?2 AS BIGINT) - i, 'Channel', '', '', 0, 0 FROM n`
	fillLinks = countRows + `INSERT INTO group_channel_links (group_id, channel_id, position, created_at)
SELECT CAST(?2 AS BIGINT) - i, CAST(?3 AS BIGINT) - i / 10, 0, 0 FROM n`
)

// FillGroups adds n enabled groups of an owner who is there already, ten of which require one channel: as many
// as a measurement wants, in three statements. The groups' ids are first, first-1 and so on; their channels'
// follow. None of them may be there already.
func FillGroups(ctx context.Context, to Store, first int64, n int, owner int64) error {
	s, ok := to.(*sqlStore)
	if !ok {
		return errors.New("fill groups: no SQL store")
	}
	channel := first - int64(n)
	for _, fill := range []struct {
		text string
		args []any
	}{
		{fillGroups, []any{n, first, owner}},
		{fillChannels, []any{(n + 9) / 10, channel}},
		{fillLinks, []any{n, first, channel}},
	} {
		if _, err := s.writer.ExecContext(ctx, s.dialect.sql(fill.text), fill.args...); err != nil {
			return fmt.Errorf("fill groups: %w", fault(err))
		}
	}
	return nil
}
