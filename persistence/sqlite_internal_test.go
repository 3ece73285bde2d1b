package persistence

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/migrations"
)

func openInternal(t *testing.T, path string, o Options) *sqliteStore {
	t.Helper()
	s, err := Open(t.Context(), "sqlite://"+path, o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	store, ok := s.(*sqliteStore)
	require.True(t, ok)
	return store
}

func dbPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "gmbot.db")
}

// TestQueryPlans keeps the questions that traffic asks on their indexes.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	s := openInternal(t, dbPath(t), Options{})
	for name, query := range map[string]struct {
		text  string
		uses  []string
		sorts bool
	}{
		"Group":            {selectGroup, []string{"g USING INTEGER PRIMARY KEY", "l USING INDEX sqlite_autoindex", "c USING INTEGER PRIMARY KEY"}, true},
		"FlowsOfUser":      {selectFlowsOfUser, []string{"flows USING INDEX flows_user"}, false},
		"Flow":             {selectFlow, []string{"flows USING PRIMARY KEY"}, false},
		"FlowsOfGroup":     {selectFlowsOfGroup, []string{"flows USING PRIMARY KEY"}, false},
		"OpenFlowsOfGroup": {selectOpenFlows, []string{"flows USING INDEX flows_open"}, false},
		"OpenGroups":       {selectOpenGroups, []string{"flows USING INDEX flows_open"}, true},
		"SeenIn": {selectSeenIn, []string{
			"m USING COVERING INDEX seen_members_user", "l USING COVERING INDEX", "g USING COVERING INDEX",
		}, false},
		"GroupsRequiring": {selectGroupsRequiring, []string{
			"l USING COVERING INDEX group_channel_links_channel", "g USING COVERING INDEX",
		}, false},
		"ProtectedGroups": {selectEnabledGroups, []string{"protected_groups USING COVERING INDEX protected_groups_enabled"}, false},
		"DueBefore":       {selectDue, []string{"due USING INDEX due_at"}, false},
		"Seen":            {selectSeenUpdate, []string{"seen_updates USING INTEGER PRIMARY KEY"}, false},
		"Notices":         {selectNotices, []string{"notices USING PRIMARY KEY"}, false},
		"DropDue":         {deleteDue, []string{"due USING"}, false},
	} {
		plan := explain(t, s, query.text)
		for _, want := range query.uses {
			assert.Contains(t, plan, want, name)
		}
		if !query.sorts {
			assert.NotContains(t, plan, "TEMP B-TREE", name)
		}
	}
}

func explain(t *testing.T, s *sqliteStore, text string) string {
	t.Helper()
	n := 0
	for strings.Contains(text, "?"+string(rune('1'+n))) {
		n++
	}
	rows, err := s.reader.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, make([]any, n)...)
	require.NoError(t, err)
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
		plan.WriteString(detail + "\n")
	}
	require.NoError(t, rows.Err())
	return plan.String()
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	s := openInternal(t, dbPath(t), Options{})
	_, err := s.reader.ExecContext(t.Context(), `DELETE FROM meta`)
	assert.Error(t, err)
}

func TestDurabilityIsAsserted(t *testing.T) {
	t.Parallel()
	s := openInternal(t, dbPath(t), Options{})
	require.NoError(t, s.assertDurable(t.Context()))
	_, err := s.writer.ExecContext(t.Context(), `PRAGMA synchronous = NORMAL`)
	require.NoError(t, err)
	assert.ErrorContains(t, s.assertDurable(t.Context()), "synchronous")
}

// raw runs a statement that Tx has no method for.
func raw(tx Tx, text string) error {
	t, ok := tx.(*sqliteTx)
	if !ok {
		return fmt.Errorf("a transaction of SQLite is a %T", tx)
	}
	_, err := t.exec(text)
	return err
}

func TestConstraints(t *testing.T) {
	t.Parallel()
	s := openInternal(t, dbPath(t), Options{})
	require.NoError(t, s.Update(t.Context(), func(tx Tx) error {
		_, err := tx.SaveGroup(Group{ID: -1, OwnerID: 1, Channels: []Channel{{ID: -2}}}, Owner{ID: 1})
		return err
	}))
	for name, text := range map[string]string{
		"a link twice":          `INSERT INTO group_channel_links (group_id, channel_id, position, created_at) VALUES (-1, -2, 1, 0)`,
		"a link to no group":    `INSERT INTO group_channel_links (group_id, channel_id, position, created_at) VALUES (-9, -2, 1, 0)`,
		"a link to no channel":  `INSERT INTO group_channel_links (group_id, channel_id, position, created_at) VALUES (-1, -9, 1, 0)`,
		"a group without owner": `UPDATE protected_groups SET owner_id = 9`,
		"settings not JSON":     `UPDATE protected_groups SET settings = 'x'`,
		"text as an id":         `INSERT INTO seen_updates (update_id, at) VALUES (1, 'noon')`,
	} {
		err := s.Update(t.Context(), func(tx Tx) error {
			return raw(tx, text)
		})
		require.Error(t, err, name)
		assert.Equal(t, kindConstraint, errorKind(err), name)
		assert.NotErrorIs(t, err, ErrUnavailable, name)
	}
	count := func() (n int) {
		require.NoError(t, s.one(t.Context(), `SELECT (SELECT count(*) FROM protected_groups) + (SELECT count(*) FROM group_channel_links)`, nil, &n))
		return n
	}
	assert.Equal(t, 2, count())
	_, err := s.writer.ExecContext(t.Context(), `DELETE FROM owners`)
	require.NoError(t, err)
	assert.Zero(t, count(), "an owner takes groups and links along")
}

// TestSwallowedConstraint lets a change go on after a constraint failed.
func TestSwallowedConstraint(t *testing.T) {
	t.Parallel()
	s := openInternal(t, dbPath(t), Options{})
	err := s.Update(t.Context(), func(tx Tx) error {
		assert.NoError(t, tx.SetMeta("k", "v"))
		assert.Error(t, raw(tx, `INSERT INTO seen_updates (update_id, at) VALUES (1, NULL)`))
		return nil
	})
	require.ErrorIs(t, err, errSwallowed)
	require.NotErrorIs(t, err, ErrUnavailable)
	value, err := s.Meta(t.Context(), "k")
	require.NoError(t, err)
	assert.Empty(t, value)
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	path := dbPath(t)
	s := openInternal(t, path, Options{})
	_, err := s.writer.ExecContext(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, 1)`)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, err = Open(t.Context(), "sqlite://"+path, Options{})
	require.ErrorIs(t, err, ErrSchemaNewer)
	assert.ErrorContains(t, err, "9999")
}

func TestMigrationsGoForward(t *testing.T) {
	t.Parallel()
	files, err := migrations.SQLite()
	require.NoError(t, err)
	names, err := fs.Glob(files, "*.sql")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		require.NoError(t, err)
		assert.Contains(t, string(text), "-- +goose Up", name)
		assert.NotContains(t, string(text), "+goose Down", name)
	}
}

func TestStoreMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	m := NewMetrics(reg)
	assert.NotPanics(t, func() { NewMetrics(reg) }, "a second one shares the first one's")
	assert.Nil(t, NewMetrics(nil))
	s := openInternal(t, dbPath(t), Options{Metrics: m})
	require.NoError(t, s.Ping(t.Context()))
	_, err := s.Group(t.Context(), 1)
	require.ErrorIs(t, err, ErrNotFound)
	require.ErrorIs(t, s.Update(t.Context(), func(Tx) error { return assert.AnError }), assert.AnError)
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Ping(t.Context()), ErrClosed)
	assert.Equal(t, 2, testutil.CollectAndCount(m.query, "gmbot_store_query_seconds"), "ping and group")
	assert.Equal(t, 1, testutil.CollectAndCount(m.transaction, "gmbot_store_transaction_seconds"))
	assert.InDelta(t, 1, testutil.ToFloat64(m.errors.WithLabelValues(kindChange)), 0)
	assert.InDelta(t, 1, testutil.ToFloat64(m.errors.WithLabelValues(kindClosed)), 0)
	assert.Equal(t, 2, testutil.CollectAndCount(m.errors), "a row that is not there is no error")
}
