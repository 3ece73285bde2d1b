package persistence

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// errSwallowed is what Update reports when a change went on after a method of Tx had failed.
var errSwallowed = errors.New("change went on after an error")

// errHeld is why a store that is held does not read.
var errHeld = errors.New("changes wait in the journal")

// errUnclear is a commit of which nobody knows whether it came about.
var errUnclear = errors.New("the commit's answer was lost")

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

func errorKinds() []string {
	return []string{
		kindBusy, kindCanceled, kindChange, kindClosed, kindConstraint, kindCorrupt, kindDisk, kindStatement, kindUnavailable,
	}
}

func errorKind(err error) string {
	var se *sqlite.Error
	var pe *pgconn.PgError
	switch {
	case errors.Is(err, ErrClosed):
		return kindClosed
	case errors.Is(err, ErrBusy):
		return kindBusy
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return kindCanceled
	case errors.As(err, &se):
		return sqliteKind(se.Code())
	case errors.As(err, &pe):
		return postgresKind(pe.Code)
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

// postgresKind sorts an SQLSTATE; its first two characters are the class.
// Source: PostgreSQL's documentation, appendix A.
func postgresKind(code string) string {
	if len(code) < 2 {
		return kindUnavailable
	}
	switch code[:2] {
	case "22", "23":
		return kindConstraint
	case "42":
		return kindStatement
	case "40", "55":
		return kindBusy
	case "53", "58":
		return kindDisk
	case "XX":
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
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		if kind := postgresKind(pe.Code); kind == kindConstraint || kind == kindStatement {
			return err
		}
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	known := errors.As(err, &se)
	if known {
		if kind := sqliteKind(se.Code()); kind == kindConstraint || kind == kindStatement {
			return err
		}
	}
	if known || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		isConnection(err) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// IsAway reports whether an error of TryLock or Open says that the server cannot be reached now, or is
// starting or stopping: it may be tried again. A wrong name, password or database is none.
func IsAway(err error) bool {
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		class := refused.Code[:min(2, len(refused.Code))]
		return class == "57" || class == "53" // operator intervention, insufficient resources
	}
	var host *net.DNSError
	if errors.As(err, &host) && host.IsNotFound {
		return false
	}
	return isConnection(err) || errors.Is(err, context.DeadlineExceeded)
}

// isConnection: the way to the server failed.
func isConnection(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &network) || errors.As(err, &connect) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) || strings.Contains(err.Error(), "conn closed")
}
