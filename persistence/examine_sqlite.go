package persistence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// errLate is a statement that was given up.
var errLate = errors.New("it took too long")

// sqliteQuery looks at one hot query.
func (x *examiner) sqliteQuery(ctx context.Context, q hotQuery, r *QueryReport, e *Examination) error {
	return x.inTx(ctx, func(tx *sql.Tx) error {
		sets, err := x.arguments(ctx, tx, q)
		if err != nil {
			return err
		}
		if r.Plan, err = sqlitePlan(ctx, tx, q.text, sets[0]); err != nil {
			return err
		}
		if err := x.judgeSQLite(ctx, tx, q, r, e); err != nil {
			return err
		}
		if q.writes {
			return nil
		}
		stmt, err := tx.PrepareContext(ctx, q.text) // as the bot has them
		if err != nil {
			return err
		}
		defer func() { _ = stmt.Close() }()
		return r.runs(sets, func(args []any) (time.Duration, error) { return x.timed(ctx, stmt, args) })
	})
}

// judgeSQLite holds the plan to the intended one. After an ANALYZE by somebody, SQLite may choose another.
func (x *examiner) judgeSQLite(ctx context.Context, tx *sql.Tx, q hotQuery, r *QueryReport, e *Examination) error {
	r.Use = IndexUsed
	if q.whole {
		r.Use = IndexWhole
	}
	for _, want := range q.sqlite {
		if !strings.Contains(strings.Join(r.Plan, "\n"), want) {
			r.Use, r.Index = IndexSmall, want
		}
	}
	if r.Use != IndexSmall {
		return nil
	}
	for _, t := range e.Tables {
		if strings.Contains(q.text, t.Name) && t.Rows >= manyRows {
			r.Use = IndexUnused
		}
	}
	for _, index := range q.postgres {
		if strings.HasSuffix(index, "_pkey") || strings.HasSuffix(index, "_key") {
			continue // part of the table itself
		}
		n, err := x.counted(ctx, tx, `SELECT count(*) FROM sqlite_schema WHERE type = 'index' AND name = ?1`, index)
		if err != nil {
			return err
		}
		if n == 0 {
			r.Use, r.Index = IndexMissing, index
		}
	}
	return nil
}

// timed runs a query to its last row.
func (x *examiner) timed(ctx context.Context, stmt *sql.Stmt, args []any) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, x.within)
	defer cancel()
	began := time.Now()
	err := drain(ctx, stmt, args)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return 0, errLate
	}
	return time.Since(began), err
}

func drain(ctx context.Context, stmt *sql.Stmt, args []any) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for more := true; more; {
		more = rows.Next()
	}
	return rows.Err()
}

// sqlitePlan asks how SQLite would come by the rows.
func sqlitePlan(ctx context.Context, on interface {
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}, text string, args []any,
) (plan []string, err error) {
	rows, err := on.QueryContext(ctx, "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return nil, err
		}
		plan = append(plan, detail)
	}
	return plan, rows.Err()
}

// sqliteTables counts rows and pages.
func (x *examiner) sqliteTables(ctx context.Context, e *Examination) error {
	return x.inTx(ctx, func(tx *sql.Tx) error {
		var size, free int64
		var path string
		if err := tx.QueryRowContext(ctx, `SELECT page_size * page_count, page_size * freelist_count
FROM pragma_page_size, pragma_page_count, pragma_freelist_count`).Scan(&size, &free); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&path); err != nil {
			return err
		}
		e.Bytes, e.Free = size, free
		if info, err := os.Stat(path + "-wal"); err == nil {
			e.Log = info.Size()
		}
		names, err := texts(ctx, tx, `SELECT name FROM sqlite_schema WHERE type = 'table'
AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name <> 'goose_db_version' ORDER BY name`)
		if err != nil {
			return err
		}
		for _, name := range names {
			t := TableReport{Name: name, Analyzed: true} // the order of each query's steps is written in it
			if t.Rows, err = x.counted(ctx, tx, fmt.Sprintf(`SELECT count(*) FROM %q`, name)); err != nil {
				return err
			}
			if t.Bytes, err = x.counted(ctx, tx, `SELECT coalesce(sum(pgsize), 0) FROM dbstat WHERE aggregate = TRUE AND name = ?1`, name); err != nil {
				return err
			}
			if t.IndexBytes, err = x.counted(ctx, tx, `SELECT coalesce(sum(d.pgsize), 0) FROM sqlite_schema s
CROSS JOIN dbstat d ON d.name = s.name AND d.aggregate = TRUE WHERE s.type = 'index' AND s.tbl_name = ?1`, name); err != nil {
				return err
			}
			e.Tables = append(e.Tables, t)
		}
		return nil
	})
}

// counted returns a number, or -1 where that takes too long.
func (x *examiner) counted(ctx context.Context, tx *sql.Tx, text string, args ...any) (n int64, err error) {
	within, cancel := context.WithTimeout(ctx, x.within)
	defer cancel()
	err = tx.QueryRowContext(within, text, args...).Scan(&n)
	if err != nil && ctx.Err() == nil && within.Err() != nil {
		return -1, nil
	}
	return n, err
}

func texts(ctx context.Context, tx *sql.Tx, query string) (list []string, err error) {
	rows, err := tx.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}
