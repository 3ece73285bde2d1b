package persistence

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// pgPlan is a node of EXPLAIN's answer.
// Source: https://www.postgresql.org/docs/current/sql-explain.html
type pgPlan struct {
	Kind     string   `json:"Node Type"`
	Table    string   `json:"Relation Name"`
	Alias    string   `json:"Alias"`
	Index    string   `json:"Index Name"`
	Rows     float64  `json:"Actual Rows"` // of one loop
	Filtered float64  `json:"Rows Removed by Filter"`
	Loops    float64  `json:"Actual Loops"`
	Hit      int64    `json:"Shared Hit Blocks"`
	Read     int64    `json:"Shared Read Blocks"`
	Plans    []pgPlan `json:"Plans"`
}

type pgExplained struct {
	Plan pgPlan  `json:"Plan"`
	Time float64 `json:"Execution Time"` // milliseconds
}

// each calls yield with the node and all below it.
func (p *pgPlan) each(yield func(*pgPlan)) {
	yield(p)
	for i := range p.Plans {
		p.Plans[i].each(yield)
	}
}

// postgresQuery looks at one hot query.
func (x *examiner) postgresQuery(ctx context.Context, q hotQuery, r *QueryReport, e *Examination) error {
	return x.inTx(ctx, func(tx *sql.Tx) error {
		sets, err := x.arguments(ctx, tx, q)
		if err != nil {
			return err
		}
		options := "ANALYZE, BUFFERS, "
		if q.writes {
			options = ""
		}
		var last pgExplained
		explain := func(args []any) (time.Duration, error) {
			var raw []byte
			if err := tx.QueryRowContext(ctx, "EXPLAIN ("+options+"FORMAT JSON) "+x.dialect.sql(q.text), args...).Scan(&raw); err != nil {
				return 0, err
			}
			var all []pgExplained
			if err := json.Unmarshal(raw, &all); err != nil || len(all) != 1 {
				return 0, errors.Join(errors.New("EXPLAIN answered something else"), err)
			}
			last = all[0]
			return time.Duration(last.Time * float64(time.Millisecond)), nil
		}
		if q.writes {
			_, err = explain(sets[0])
		} else {
			err = r.runs(sets, explain)
			r.Pages = last.Plan.Hit + last.Plan.Read
		}
		if err != nil {
			return err
		}
		last.Plan.each(func(p *pgPlan) {
			switch {
			case p.Index != "":
				r.Plan = append(r.Plan, p.Kind+" "+p.Index)
			case p.Table != "" && p.Kind != "Bitmap Heap Scan" && p.Kind != "ModifyTable":
				r.Plan = append(r.Plan, p.Kind+" "+p.Table)
			}
		})
		slices.Sort(r.Plan)
		r.Plan = slices.Compact(r.Plan)
		return r.judge(ctx, tx, q, &last.Plan, e)
	})
}

// judge holds the plan to the intended indexes; the worst of them counts.
func (r *QueryReport) judge(ctx context.Context, tx *sql.Tx, q hotQuery, plan *pgPlan, e *Examination) error {
	order := []IndexUse{IndexUsed, IndexWhole, IndexOther, IndexSmall, IndexUnused, IndexMissing}
	worst := 0
	for _, index := range q.postgres {
		var table string
		err := tx.QueryRowContext(ctx, `SELECT t.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid WHERE i.indisvalid AND c.oid = to_regclass($1)`, index).Scan(&table)
		use := IndexMissing
		if err == nil {
			use = useOf(plan, index, table, q, e)
		} else if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if at := slices.Index(order, use); at >= worst {
			worst, r.Use, r.Index = at, use, index
		}
	}
	return nil
}

func useOf(plan *pgPlan, index, table string, q hotQuery, e *Examination) IndexUse {
	var used, scanned, other bool
	var rows float64
	plan.each(func(p *pgPlan) {
		switch {
		case p.Index == index:
			used = true
		case p.Index != "" && (p.Table == table || p.Table == ""):
			other = true
		case p.Table == table && p.Kind == "Seq Scan":
			scanned = true
			rows += (p.Rows + p.Filtered) * p.Loops
		}
	})
	if q.writes {
		rows = float64(e.table(table).Rows)
	}
	switch {
	case used:
		return IndexUsed
	case q.whole:
		return IndexWhole
	case scanned && rows < manyRows:
		return IndexSmall
	case scanned:
		return IndexUnused
	case other:
		return IndexOther
	}
	return IndexUsed // the table was not needed
}

func (e *Examination) table(name string) TableReport {
	for _, t := range e.Tables {
		if t.Name == name {
			return t
		}
	}
	return TableReport{}
}

// postgresTables reads sizes and what the server's statistics say.
func (x *examiner) postgresTables(ctx context.Context, e *Examination) error {
	return x.inTx(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `SELECT pg_database_size(current_database())`).Scan(&e.Bytes); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT c.relname, greatest(c.reltuples::bigint, s.n_live_tup, 0), s.n_dead_tup,
    pg_table_size(c.oid), pg_indexes_size(c.oid), c.reltuples >= 0
FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relnamespace = current_schema()::regnamespace AND c.relname <> 'goose_db_version' ORDER BY c.relname`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var t TableReport
			if err := rows.Scan(&t.Name, &t.Rows, &t.Dead, &t.Bytes, &t.IndexBytes, &t.Analyzed); err != nil {
				return err
			}
			e.Tables = append(e.Tables, t)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return x.longest(ctx, tx, e)
	})
}

// longest finds the oldest transaction among those that this user may see.
func (x *examiner) longest(ctx context.Context, tx *sql.Tx, e *Examination) error {
	var t Transaction
	var seconds float64
	err := tx.QueryRowContext(ctx, `SELECT pid, coalesce(state, ''), extract(epoch FROM clock_timestamp() - xact_start)::float8
FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
ORDER BY xact_start LIMIT 1`).Scan(&t.PID, &t.State, &seconds)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for long transactions: %w", err)
	}
	t.Age = max(time.Duration(seconds*float64(time.Second)), 0)
	e.Longest = &t
	return nil
}
