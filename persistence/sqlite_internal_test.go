package persistence

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/migrations"
)

func openInternal(t *testing.T, path string, o Options) *sqlStore {
	t.Helper()
	s, err := Open(t.Context(), "sqlite://"+path, o)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	store, ok := s.(*sqlStore)
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
	listed := map[string]bool{}
	for _, q := range hotQueries() {
		listed[q.text] = true
		lines, err := sqlitePlan(t.Context(), s.reader, q.text, make([]any, 5)[:parameters(q.text)])
		require.NoError(t, err, q.name)
		plan := strings.Join(lines, "\n")
		for _, want := range q.sqlite {
			assert.Contains(t, plan, want, q.name)
		}
		if !q.sorts {
			assert.NotContains(t, plan, "TEMP B-TREE", q.name)
		}
	}
	for _, text := range readStatements() {
		assert.True(t, listed[text], "not looked at: %s", text)
	}
}

func parameters(text string) (n int) {
	for strings.Contains(text, "?"+string(rune('1'+n))) {
		n++
	}
	return n
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
	t, ok := tx.(*sqlTx)
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
	assert.Equal(t, map[string]uint64{"ping": 2, "group": 1}, observed(t, reg, "gmbot_store_query_seconds"))
	assert.Equal(t, map[string]uint64{"update": 1}, observed(t, reg, "gmbot_store_transaction_seconds"))
	assert.InDelta(t, 1, testutil.ToFloat64(m.errors.WithLabelValues(kindChange)), 0)
	assert.InDelta(t, 1, testutil.ToFloat64(m.errors.WithLabelValues(kindClosed)), 0)
	all := 0.0
	for _, kind := range errorKinds() {
		all += testutil.ToFloat64(m.errors.WithLabelValues(kind))
	}
	assert.InDelta(t, 2, all, 0, "a row that is not there is no error")
}

// observed counts the samples of a histogram by its only label.
func observed(t *testing.T, reg prometheus.Gatherer, name string) map[string]uint64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	counts := map[string]uint64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if n := m.GetHistogram().GetSampleCount(); n > 0 {
				counts[m.GetLabel()[0].GetValue()] = n
			}
		}
	}
	return counts
}

// What is read under a name that is not in the list would make the number of series depend on what happened.
func TestStoreMetrics_EveryNameStandsFromTheStart(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(os.DirFS("."), "*.go")
	require.NoError(t, err)
	reads, transactions := []string{}, []string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			said, literal := call.Args[1].(*ast.BasicLit)
			if !ok || !literal {
				return true
			}
			switch word, _ := strconv.Unquote(said.Value); method.Sel.Name {
			case "reads", "flows", "requests", "setAsides":
				reads = append(reads, word)
			case "transact":
				transactions = append(transactions, word)
			}
			return true
		})
	}
	assert.ElementsMatch(t, reads, readNames)
	assert.ElementsMatch(t, transactions, transactionNames)
}
