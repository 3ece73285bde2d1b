package persistence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// sqlStore is a Store in SQLite or PostgreSQL, by the same statements. In a SQLite file one connection
// writes, so that no writer ever waits for another of the same process; a few others read, each its own
// snapshot (write-ahead log). In PostgreSQL writer and reader are one pool.
type sqlStore struct {
	o      Options
	writer *sql.DB
	reader *sql.DB
	// write and read hold prepared statements by their text; what is not there is prepared on each use.
	write map[string]*sql.Stmt
	read  map[string]*sql.Stmt

	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup // calls under way
	close  func() error

	held atomic.Bool // see Hold

	dialect  dialect
	shutdown func() // ends what is under writer; nil where there is nothing
}

var _ Store = (*sqlStore)(nil)

func openSQLite(ctx context.Context, path string, o Options) (Store, error) {
	path, err := sqliteFile(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &sqlStore{o: o}
	s.close = sync.OnceValue(s.shut)
	if err := s.open(ctx, path); err != nil {
		_ = s.shut()
		return nil, fmt.Errorf("open store %s: %w", path, fault(err))
	}
	return s, nil
}

// sqliteFile makes the path absolute and the file, if it is new, readable by its owner alone: it will
// hold invite links.
func sqliteFile(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	folder := filepath.Dir(path)
	info, err := os.Stat(folder)
	if errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("the folder %s does not exist; make it first: %w", folder, err)
	}
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s is not a folder", folder)
	}
	// An existing file is left alone: opening and closing it here would end locks another store of this
	// process holds on it.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return path, nil
	}
	if err != nil {
		return "", err
	}
	return path, f.Close()
}

func (s *sqlStore) open(ctx context.Context, path string) error {
	var err error
	if s.writer, err = openPool(path, 1, url.Values{
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)",
			"journal_size_limit(67108864)",
		},
	}); err != nil {
		return err
	}
	if err := s.awaitDurable(ctx); err != nil {
		return err
	}
	if err := migrateUp(ctx, s.writer, schemeSQLite, s.o.Log); err != nil {
		return err
	}
	if s.reader, err = openPool(path, s.o.Readers, url.Values{
		"_pragma": {"busy_timeout(5000)", "query_only(1)"},
	}); err != nil {
		return err
	}
	s.o.Metrics.watch("writer", sqlPool(s.writer))
	s.o.Metrics.watch("reader", sqlPool(s.reader))
	if s.write, err = prepare(ctx, s.writer, writeStatements()); err != nil {
		return err
	}
	s.read, err = prepare(ctx, s.reader, readStatements())
	return err
}

func openPool(path string, conns int, params url.Values) (*sql.DB, error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+params.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

// awaitDurable waits while another program is making the same new file: SQLite's own patience does not
// cover the change of the journal mode.
func (s *sqlStore) awaitDurable(ctx context.Context) error {
	for deadline := time.Now().Add(openWithin); ; {
		err := s.assertDurable(ctx)
		if err == nil || errorKind(err) != kindBusy || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// openWithin bounds the wait for other programs that open the same file.
const openWithin = 5 * time.Second

// assertDurable reads back what commits rest on: a build or a file system that cannot give it is found
// here, not after a power cut.
func (s *sqlStore) assertDurable(ctx context.Context) error {
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := s.writer.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return fmt.Errorf("read pragma %s: %w", pragma, err)
		}
		if got != want {
			return fmt.Errorf("pragma %s is %s, not %s: commits would not be durable", pragma, got, want)
		}
	}
	return nil
}

func prepare(ctx context.Context, db *sql.DB, queries []string) (map[string]*sql.Stmt, error) {
	stmts := make(map[string]*sql.Stmt, len(queries))
	for _, q := range queries {
		stmt, err := db.PrepareContext(ctx, q) //nolint:sqlclosecheck // it lives as long as db, which closes it
		if err != nil {
			return nil, fmt.Errorf("prepare %q: %w", q, err)
		}
		stmts[q] = stmt
	}
	return stmts, nil
}

// Close ends the store after the calls under way. It must not be called from inside one.
func (s *sqlStore) Close() error { return s.close() }

func (s *sqlStore) shut() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.inside.Wait()
	var errs []error
	// The writer goes last: the last connection to close moves the log into the file, and readers may not.
	if s.reader != nil && s.reader != s.writer {
		errs = append(errs, s.reader.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	if s.shutdown != nil {
		s.shutdown()
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// enter counts a call in, unless the store is closed; leave counts it out.
func (s *sqlStore) enter() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.inside.Add(1)
	return nil
}

func (s *sqlStore) leave() { s.inside.Done() }

// Ping asks both a reader and the file for an answer.
func (s *sqlStore) Ping(ctx context.Context) error {
	return s.reads(ctx, "ping", func(ctx context.Context) error {
		var n int
		return s.one(ctx, "SELECT count(*) FROM meta", nil, &n)
	})
}

// reads runs one method of Reader: counted, measured, and its error named.
func (s *sqlStore) reads(ctx context.Context, name string, do func(context.Context) error) error {
	start := time.Now()
	err := s.enter()
	if err == nil {
		defer s.leave()
		if err = s.current(ctx, name); err == nil {
			within, cancel := s.within(ctx, name)
			err = fault(do(within))
			cancel()
		}
	}
	s.o.Metrics.queried(name, time.Since(start), err)
	s.o.failed(err)
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// Hold implements Store.
func (s *sqlStore) Hold(on bool) { s.held.Store(on) }

// current: while promised changes stand only in a journal, rows are not what they should be.
func (s *sqlStore) current(ctx context.Context, name string) error {
	if s.held.Load() && name != "meta" && name != "ping" {
		return fmt.Errorf("%w: %w", errHeld, ErrUnavailable)
	}
	return fault(ctx.Err())
}

// within bounds a read of a server. One of a file needs no bound, and but for the long ones it is not even told of
// the end of ctx: to listen for that would cost the driver more than most reads take.
func (s *sqlStore) within(ctx context.Context, name string) (context.Context, context.CancelFunc) {
	long := name == "protected_groups" || name == "required_channels" || name == "open_groups"
	switch {
	case !s.dialect.postgres && long:
		return ctx, func() {}
	case !s.dialect.postgres:
		return context.WithoutCancel(ctx), func() {}
	case long:
		return context.WithTimeout(ctx, longWithin)
	default:
		return context.WithTimeout(ctx, readWithin)
	}
}

// query runs a prepared statement of the readers, or any other text.
func (s *sqlStore) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if stmt := s.read[text]; stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	return s.reader.QueryContext(ctx, s.dialect.sql(text), s.dialect.args(args)...)
}

// one scans the first row into to; ErrNotFound if there is none.
func (s *sqlStore) one(ctx context.Context, text string, args []any, to ...any) error {
	rows, err := s.query(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		if err := rows.Err(); err != nil {
			return err
		}
		return ErrNotFound
	}
	if err := rows.Scan(to...); err != nil {
		return err
	}
	return rows.Err()
}

// each calls yield with every row until it returns false or an error.
func (s *sqlStore) each(ctx context.Context, text string, args []any, yield func(*sql.Rows) (bool, error)) error {
	rows, err := s.query(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if more, err := yield(rows); err != nil || !more {
			return err
		}
	}
	return rows.Err()
}

// ids lists the single integer column of a query.
func (s *sqlStore) ids(ctx context.Context, text string, args ...any) (list []int64, err error) {
	err = s.eachID(ctx, text, args, func(id int64) bool {
		list = append(list, id)
		return true
	})
	return list, err
}

func (s *sqlStore) eachID(ctx context.Context, text string, args []any, yield func(int64) bool) error {
	return s.each(ctx, text, args, func(rows *sql.Rows) (bool, error) {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return false, err
		}
		return yield(id), nil
	})
}
