package persistence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// sqlTx is one change under way. After its first failed statement it does nothing more: SQLite may
// have undone the transaction by itself, and a later statement would then commit on its own.
type sqlTx struct {
	ctx    context.Context
	within context.Context // of its statements
	tx     *sql.Tx
	s      *sqlStore
	now    int64 // ms
	err    error
}

var _ Tx = (*sqlTx)(nil)

// Update runs change in one transaction; see Store. A panic in change undoes it and goes on.
func (s *sqlStore) Update(ctx context.Context, change func(Tx) error) error {
	return s.transact(ctx, "update", change)
}

func (s *sqlStore) transact(ctx context.Context, name string, change func(Tx) error) (err error) {
	start := time.Now()
	if err := s.enter(); err != nil {
		s.o.Metrics.failed(err)
		return fmt.Errorf("%s: %w", name, err)
	}
	defer s.leave()
	defer func() {
		s.o.Metrics.transacted(name, time.Since(start), err)
		s.o.failed(err)
	}()
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin %s: %w", name, fault(err))
	}
	// Undoes on error, on panic and on runtime.Goexit alike; after a commit it does nothing.
	defer tx.Rollback()
	t := &sqlTx{ctx: ctx, within: ctx, tx: tx, s: s, now: toMs(s.o.Clock())}
	if !s.dialect.postgres {
		t.within = context.WithoutCancel(ctx) // see sqlStore.within; exec looks at ctx between statements
	}
	if err := change(t); err != nil {
		return err
	}
	if t.err != nil {
		return fmt.Errorf("%w: %w", errSwallowed, t.err)
	}
	if err := tx.Commit(); err != nil {
		if s.unclear(err) {
			return fmt.Errorf("commit %s: %w: %w", name, errUnclear, fault(err))
		}
		return fmt.Errorf("commit %s: %w", name, fault(err))
	}
	return nil
}

// unclear: the server may have committed all the same. A file that could not be written was not; nor was
// what the server refused, or never got.
func (s *sqlStore) unclear(err error) bool {
	_, refused := errors.AsType[*pgconn.PgError](err)
	return s.dialect.postgres && !refused && !pgconn.SafeToRetry(err)
}

// exec runs a statement, prepared if it is one of writeStatements, and returns the rows it changed.
func (t *sqlTx) exec(text string, args ...any) (int64, error) {
	if err := t.over(); err != nil {
		return 0, err
	}
	var r sql.Result
	var err error
	if stmt := t.s.write[text]; stmt != nil {
		r, err = t.tx.StmtContext(t.within, stmt).ExecContext(t.within, args...) //nolint:sqlclosecheck // it ends with tx
	} else {
		r, err = t.tx.ExecContext(t.within, t.s.dialect.sql(text), t.s.dialect.args(args)...)
	}
	if err != nil {
		return 0, t.fail(err)
	}
	n, err := r.RowsAffected()
	return n, t.fail(err)
}

// over: nothing more is done in this transaction.
func (t *sqlTx) over() error {
	if t.err == nil {
		_ = t.fail(t.ctx.Err())
	}
	return t.err
}

// row runs a query for one row; ErrNotFound if there is none.
func (t *sqlTx) row(text string, args []any, to ...any) error {
	if err := t.over(); err != nil {
		return err
	}
	err := t.tx.QueryRowContext(t.within, t.s.dialect.sql(text), t.s.dialect.args(args)...).Scan(to...)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	return t.fail(err)
}

// run executes statements that take the same arguments, in order.
func (t *sqlTx) run(args []any, texts ...string) error {
	for _, text := range texts {
		if _, err := t.exec(text, args...); err != nil {
			return err
		}
	}
	return nil
}

func (t *sqlTx) fail(err error) error {
	if err != nil {
		t.err = fault(err)
	}
	return t.err
}

// writeStatements are those that traffic runs; they are prepared once.
func writeStatements() []string {
	list := []string{
		insertSeenUpdate, upsertFlow, insertFlow, deleteFlow, upsertSeenMember, deleteSeenMember, updateProof,
		upsertNotice, deleteNotice, upsertDue, deleteDue, upsertMeta, insertAudit,
		addWarning, deleteWarnings, upsertRemoval, deleteRemoval,
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
		selectFlowsOfGroup, selectOpenFlows, selectNotices, selectDue, selectSeenUpdate, selectExempt, selectPerson,
		selectRequestsOf, selectRequestsBefore, selectRemovals,
	}
}
