package persistence

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// errSwallowed is what Update reports when a change went on after a method of Tx had failed.
var errSwallowed = errors.New("change went on after an error")

// The kinds of errors_total.
const (
	kindBusy        = "busy"        // locked by somebody else, or the writer's queue is full
	kindCanceled    = "canceled"    // the context ended
	kindChange      = "change"      // a change's own error
	kindClosed      = "closed"      // the store or its writer was closed
	kindConstraint  = "constraint"  // the rows did not allow it
	kindCorrupt     = "corrupt"     // the file is damaged
	kindDisk        = "disk"        // full, read-only or failing
	kindStatement   = "statement"   // a statement the database does not accept
	kindUnavailable = "unavailable" // anything else the database could not do
)

func errorKind(err error) string {
	var se *sqlite.Error
	switch {
	case errors.Is(err, ErrClosed):
		return kindClosed
	case errors.Is(err, ErrBusy):
		return kindBusy
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return kindCanceled
	case errors.As(err, &se):
		return sqliteKind(se.Code())
	case errors.Is(err, ErrUnavailable):
		return kindUnavailable
	}
	return kindChange
}

// sqliteKind sorts a result code of SQLite; its low byte is the primary code.
// Source: https://www.sqlite.org/rescode.html
func sqliteKind(code int) string {
	switch code & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH:
		return kindConstraint
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_RANGE, sqlite3.SQLITE_MISUSE:
		return kindStatement
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return kindBusy
	case sqlite3.SQLITE_INTERRUPT:
		return kindCanceled
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return kindDisk
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return kindCorrupt
	}
	return kindUnavailable
}

// fault marks an error of the driver with ErrUnavailable unless the statement itself is to blame.
func fault(err error) error {
	if err == nil || errors.Is(err, ErrUnavailable) || errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var se *sqlite.Error
	known := errors.As(err, &se)
	if known {
		if kind := sqliteKind(se.Code()); kind == kindConstraint || kind == kindStatement {
			return err
		}
	}
	if known || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}
