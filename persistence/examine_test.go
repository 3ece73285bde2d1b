package persistence_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

// seenRows is enough that a sequential scan matters.
const seenRows = 20_000

// examined makes a database in which one table has many rows.
func examined(t *testing.T, p place, statements ...string) (url string, exec func(text string)) {
	t.Helper()
	url, db := p.make(t)
	s, err := persistence.Open(t.Context(), url, persistence.Options{})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	exec = func(text string) { run(t, db, text) }
	exec(fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %d)
INSERT INTO seen_members (group_id, user_id, at) SELECT -(i %% 20), i, i FROM n`, seenRows))
	for _, text := range statements {
		exec(text)
	}
	return url, exec
}

func queryOf(t *testing.T, e *persistence.Examination, name string) persistence.QueryReport {
	t.Helper()
	for _, q := range e.Queries {
		if q.Name == name {
			return q
		}
	}
	require.Fail(t, "no such query", name)
	return persistence.QueryReport{}
}

func aboutOf(list []persistence.Advice) (about []string) {
	for _, a := range list {
		about = append(about, a.About+": "+a.What)
	}
	return about
}

func TestExamine_MeasuresAndFindsNothingWhereAllIsWell(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		url, exec := examined(t, p)
		if p.name == "postgres" {
			exec(flush)
			exec("VACUUM ANALYZE")
		}
		e, err := persistence.Examine(t.Context(), url)
		require.NoError(t, err)
		assert.Empty(t, e.Advice())
		for _, q := range e.Queries {
			assert.NotEmpty(t, q.Plan, q.Name)
			if q.Name == "DropDue" {
				assert.Zero(t, q.Runs, "what writes is not run")
				continue
			}
			assert.Equal(t, 200, q.Runs, q.Name)
			assert.Positive(t, q.P50, q.Name)
			assert.LessOrEqual(t, q.P50, q.P95, q.Name)
			assert.LessOrEqual(t, q.P95, q.P99, q.Name)
		}
		use := persistence.IndexUsed
		if p.name == "postgres" {
			use = persistence.IndexSmall // of the four tables asked, three are empty
		}
		assert.Equal(t, use, queryOf(t, &e, "Person").Use)
		assert.Contains(t, strings.Join(queryOf(t, &e, "Person").Plan, "\n"), "seen_members")
		if p.name == "postgres" {
			assert.Positive(t, queryOf(t, &e, "Person").Pages)
		}
		for _, table := range e.Tables {
			if table.Name == "seen_members" {
				assert.EqualValues(t, seenRows, table.Rows)
				assert.Greater(t, table.Bytes, int64(seenRows*10))
				assert.Greater(t, table.IndexBytes, int64(seenRows*10))
			}
		}
		assert.Greater(t, e.Bytes, int64(seenRows*40))
	})
}

func TestExamine_SaysWhichIndexIsMissing(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		url, _ := examined(t, p, "DROP INDEX flows_user")
		e, err := persistence.Examine(t.Context(), url)
		require.NoError(t, err)
		assert.Contains(t, aboutOf(e.Advice()), "FlowsOfUser: the index flows_user is missing or invalid")
		assert.NotEqual(t, persistence.IndexMissing, queryOf(t, &e, "Person").Use)
	})
}

// flush has the server count now what the connection did; else it does within seconds.
const flush = "SELECT pg_stat_force_next_flush()"

func TestExamine_PostgresAdvisesWhereRowsMatter(t *testing.T) {
	t.Parallel()
	p := places()[1]
	url, exec := examined(t, p, flush, "ANALYZE")
	name := url[strings.LastIndex(url, "@/")+2 : strings.Index(url, "?")]
	exec(`INSERT INTO notices VALUES (-1, 0, 1, 1, '[]', 1)`)
	for _, setting := range []string{"enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"} {
		exec("ALTER DATABASE " + name + " SET " + setting + " = off")
	}
	exec("UPDATE seen_members SET at = at + 1")
	exec(flush)
	db := sqlOpen(t, "pgx", url)
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()
	_, err = tx.ExecContext(t.Context(), "SELECT 1")
	require.NoError(t, err)

	e, err := persistence.Examine(t.Context(), url)
	require.NoError(t, err)
	assert.Equal(t, persistence.IndexUnused, queryOf(t, &e, "Person").Use)
	assert.Equal(t, persistence.IndexSmall, queryOf(t, &e, "Notices").Use, "one row is read, rightly")
	about := strings.Join(aboutOf(e.Advice()), "\n")
	assert.Contains(t, about, "Person: the index seen_members_pkey is not used")
	assert.Contains(t, about, "seen_members: 20000 dead rows beside 20000 live ones")
	assert.NotContains(t, about, "Notices")
	require.NotNil(t, e.Longest)
	assert.Equal(t, "idle in transaction", e.Longest.State)
	assert.NotContains(t, about, "transaction", "it is short")
	e.Longest.Age = time.Hour
	assert.Contains(t, strings.Join(aboutOf(e.Advice()), "\n"), "is open for 1h0m0s")
}
