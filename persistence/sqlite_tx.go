package persistence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// sqliteTx is one change under way. After its first failed statement it does nothing more: SQLite may
// have undone the transaction by itself, and a later statement would then commit on its own.
type sqliteTx struct {
	ctx context.Context
	tx  *sql.Tx
	s   *sqliteStore
	now int64 // ms
	err error
}

var _ Tx = (*sqliteTx)(nil)

// Update runs change in one transaction; see Store. A panic in change undoes it and goes on.
func (s *sqliteStore) Update(ctx context.Context, change func(Tx) error) error {
	return s.transact(ctx, "update", change)
}

func (s *sqliteStore) transact(ctx context.Context, name string, change func(Tx) error) (err error) {
	start := time.Now()
	if err := s.enter(); err != nil {
		s.o.Metrics.failed(err)
		return fmt.Errorf("%s: %w", name, err)
	}
	defer s.leave()
	defer func() { s.o.Metrics.transacted(name, time.Since(start), err) }()
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin %s: %w", name, fault(err))
	}
	// Undoes on error, on panic and on runtime.Goexit alike; after a commit it does nothing.
	defer tx.Rollback()
	t := &sqliteTx{ctx: ctx, tx: tx, s: s, now: toMs(s.o.Clock())}
	if err := change(t); err != nil {
		return err
	}
	if t.err != nil {
		return fmt.Errorf("%w: %w", errSwallowed, t.err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit %s: %w", name, fault(err))
	}
	return nil
}

// exec runs a statement, prepared if it is one of writeStatements, and returns the rows it changed.
func (t *sqliteTx) exec(text string, args ...any) (int64, error) {
	if t.err != nil {
		return 0, t.err
	}
	var r sql.Result
	var err error
	if stmt := t.s.write[text]; stmt != nil {
		r, err = t.tx.StmtContext(t.ctx, stmt).ExecContext(t.ctx, args...) //nolint:sqlclosecheck // it ends with tx
	} else {
		r, err = t.tx.ExecContext(t.ctx, text, args...)
	}
	if err != nil {
		return 0, t.fail(err)
	}
	n, err := r.RowsAffected()
	return n, t.fail(err)
}

// row runs a query for one row; ErrNotFound if there is none.
func (t *sqliteTx) row(text string, args []any, to ...any) error {
	if t.err != nil {
		return t.err
	}
	err := t.tx.QueryRowContext(t.ctx, text, args...).Scan(to...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return t.fail(err)
}

// run executes statements that take the same arguments, in order.
func (t *sqliteTx) run(args []any, texts ...string) error {
	for _, text := range texts {
		if _, err := t.exec(text, args...); err != nil {
			return err
		}
	}
	return nil
}

func (t *sqliteTx) fail(err error) error {
	if err != nil {
		t.err = fault(err)
	}
	return t.err
}

// writeStatements are those that traffic runs; they are prepared once.
func writeStatements() []string {
	list := []string{
		insertSeenUpdate, upsertFlow, deleteFlow, upsertSeenMember, deleteSeenMember,
		upsertNotice, deleteNotice, upsertDue, deleteDue, upsertMeta, insertAudit,
	}
	for _, column := range Counters {
		list = append(list, addToDay(column))
	}
	return list
}

// readStatements are those that traffic runs; they are prepared once for each connection.
func readStatements() []string {
	return []string{
		selectGroup, selectGroupsRequiring, selectSeenIn, selectFlow, selectFlowsOfUser,
		selectFlowsOfGroup, selectOpenFlows, selectNotices, selectDue, selectSeenUpdate,
	}
}
