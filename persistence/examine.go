package persistence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// examineRuns is how often each hot query runs, unless that takes longer than examineQuery.
	examineRuns  = 200
	examineQuery = 10 * time.Second
	// examineStatement bounds one statement.
	examineStatement = 5 * time.Second
	// manyRows is from where a sequential scan is worth a word: below, it costs about as much as an index.
	manyRows = 10_000
)

// IndexUse says how a hot query came by its rows.
type IndexUse string

// What Examine finds of a query's indexes.
const (
	IndexUsed    IndexUse = "as intended"
	IndexSmall   IndexUse = "few rows: all are read, rightly"
	IndexWhole   IndexUse = "reads all rows, as meant"
	IndexOther   IndexUse = "another index, by the statistics"
	IndexUnused  IndexUse = "NOT USED"
	IndexMissing IndexUse = "MISSING"
)

// QueryReport is what one hot query costs in this database.
type QueryReport struct {
	Name string
	Runs int // 0 for a statement that writes: only its plan is asked for
	// The times of the runs: in PostgreSQL the server's own, in SQLite those of the call.
	P50, P95, P99 time.Duration
	// Pages is how many pages of 8 KiB the last run looked at; -1 where the database does not say.
	Pages int64
	// Plan is what the database does, one access a piece.
	Plan []string
	// Use is what became of the intended indexes, and Index the one that is missing or not used.
	Use   IndexUse
	Index string
	// Late: it did not end within the bound on a statement.
	Late  bool
	whole bool
}

// TableReport is a table's size.
type TableReport struct {
	Name string
	// Rows are live rows: counted in SQLite, estimated in PostgreSQL. Dead are those that VACUUM would give back.
	Rows, Dead int64
	// Bytes are of the table alone, IndexBytes of its indexes; -1 where it took too long to count them.
	Bytes, IndexBytes int64
	// Analyzed: there are statistics, or there need not be any.
	Analyzed bool
}

// Transaction is one under way in another connection.
type Transaction struct {
	PID   int
	State string
	Age   time.Duration
}

// Examination is what Examine found.
type Examination struct {
	Dialect string // sqlite or postgres
	Queries []QueryReport
	Tables  []TableReport
	// Bytes is the whole database's size, Free those of its empty pages and Log those of the write-ahead log
	// (both SQLite only).
	Bytes, Free, Log int64
	// Longest is the oldest transaction of others; nil if there is none (PostgreSQL only).
	Longest *Transaction
}

// examiner reads one database, each question in a transaction of its own, so that none is long.
type examiner struct {
	db      *sql.DB
	dialect dialect
	within  time.Duration // bounds one statement
}

// Examine measures the hot queries on the database at a URL, and changes nothing: it runs in read-only
// transactions, whose statements are bounded in time. The schema must be current; errors are those of Open.
func Examine(ctx context.Context, address string) (e Examination, err error) {
	db, name, err := openBare(ctx, address)
	if err != nil {
		return e, err
	}
	if db == nil {
		return e, fmt.Errorf("examine the database: %w", ErrNotFound)
	}
	defer func() { _ = db.Close() }()
	db.SetMaxOpenConns(1)
	e.Dialect = name
	x := newExaminer(db, name, examineStatement)
	if err := x.examine(ctx, &e); err != nil {
		return e, fmt.Errorf("examine the database: %w", fault(err))
	}
	return e, nil
}

func newExaminer(db *sql.DB, name string, within time.Duration) *examiner {
	return &examiner{db: db, dialect: dialect{name: name, postgres: name == schemePostgres}, within: within}
}

func (x *examiner) examine(ctx context.Context, e *Examination) error {
	look, measure := x.sqliteTables, x.sqliteQuery
	if x.dialect.postgres {
		look, measure = x.postgresTables, x.postgresQuery
	}
	if err := look(ctx, e); err != nil {
		return err
	}
	for _, q := range hotQueries() {
		r := QueryReport{Name: q.name, Pages: -1, whole: q.whole}
		if err := measure(ctx, q, &r, e); err != nil {
			if !late(ctx, err) {
				return fmt.Errorf("%s: %w", q.name, err)
			}
			r.Late = true
		}
		e.Queries = append(e.Queries, r)
	}
	return nil
}

// queryCanceled is the code of a statement that the server gave up.
// Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
const queryCanceled = "57014"

// late tells a statement that took too long from an examination that was ended.
func late(ctx context.Context, err error) bool {
	var pe *pgconn.PgError
	return ctx.Err() == nil && (errors.Is(err, errLate) || errorKind(err) == kindCanceled ||
		errors.As(err, &pe) && pe.Code == queryCanceled)
}

// inTx runs do in a read-only transaction. SQLite's connection cannot write in the first place.
func (x *examiner) inTx(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := x.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: x.dialect.postgres})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if x.dialect.postgres {
		bounds := fmt.Sprintf("SET LOCAL statement_timeout = %d; SET LOCAL lock_timeout = %[1]d", x.within.Milliseconds())
		for text := range strings.SplitSeq(bounds, "; ") {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
	}
	return do(tx)
}

// arguments are those of the runs; at least one set, so that there is a plan of an empty database, too.
func (x *examiner) arguments(ctx context.Context, tx *sql.Tx, q hotQuery) ([][]any, error) {
	var sets [][]any
	if q.from == "" {
		return [][]any{nil}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*x.within) // the server's own bound comes first
	defer cancel()
	rows, err := tx.QueryContext(ctx, x.dialect.sql(q.from))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		set, to := make([]any, len(columns)), make([]any, len(columns))
		for i := range to {
			n := new(int64)
			set[i], to[i] = n, n
		}
		if err := rows.Scan(to...); err != nil {
			return nil, err
		}
		sets = append(sets, set)
	}
	if len(sets) == 0 {
		set := make([]any, len(columns))
		for i := range set {
			set[i] = int64(0)
		}
		sets = append(sets, set)
	}
	return sets, rows.Err()
}

// runs calls once with one set of arguments after the other, and sums up the times that it returns.
func (r *QueryReport) runs(sets [][]any, once func(args []any) (time.Duration, error)) error {
	times := make([]time.Duration, 0, examineRuns)
	for began := time.Now(); len(times) < examineRuns && (len(times) == 0 || time.Since(began) < examineQuery); {
		took, err := once(sets[len(times)%len(sets)])
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	slices.Sort(times)
	at := func(percent int) time.Duration { return times[(len(times)*percent+99)/100-1] }
	r.Runs, r.P50, r.P95, r.P99 = len(times), at(50), at(95), at(99)
	return nil
}
