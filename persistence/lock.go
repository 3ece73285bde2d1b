package persistence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrHeld says that another program holds the lock.
var ErrHeld = errors.New("another program holds the lock")

// Lock says that this program, and no other on the same database, acts for the bot.
type Lock interface {
	// Held returns nil while the lock is certainly this program's. It may ask the database, and answers
	// within three seconds.
	Held(ctx context.Context) error
	// Release lets the next program in. Calling it twice is harmless.
	Release()
}

// lockKey is what programs of one bot agree on: the key of PostgreSQL's advisory lock.
const lockKey = 0x676d626f74 // "gmbot"

// TryLock takes the lock of a database, or returns ErrHeld. A crash of the program lets go of it: in SQLite
// it is a file lock beside the database, in PostgreSQL a session's advisory lock.
func TryLock(ctx context.Context, address string) (Lock, error) {
	scheme, rest, err := splitURL(address)
	if err != nil {
		return nil, err
	}
	switch scheme {
	case schemeSQLite:
		path, err := sqlitePath(rest)
		if err != nil {
			return nil, err
		}
		return lockBeside(path)
	case schemePostgres, "postgresql":
		return lockSession(ctx, address)
	}
	return nil, unknownScheme(scheme)
}

type fileLock struct{ file *os.File }

func lockBeside(path string) (Lock, error) {
	file, err := os.OpenFile(filepath.Clean(path)+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	if err := lockFile(file); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock %s: %w", file.Name(), ErrHeld)
	}
	return &fileLock{file}, nil
}

// Held implements Lock: the kernel takes a file lock from nobody.
func (l *fileLock) Held(context.Context) error { return nil }

// Release implements Lock.
func (l *fileLock) Release() { _ = closeLocked(l.file) }

// sessionLock lives and dies with its connection.
type sessionLock struct {
	mu   sync.Mutex
	conn *pgx.Conn
	lost error
}

func lockSession(ctx context.Context, address string) (Lock, error) {
	cfg, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, badPostgres()
	}
	delete(cfg.RuntimeParams, "pool_max_conns")
	cfg.ConnectTimeout = connectWithin
	cfg.RuntimeParams["application_name"] = "gmbot lock"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect for the lock: %w", fault(err))
	}
	var got bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(lockKey)).Scan(&got); err != nil {
		_ = conn.Close(ctx)
		return nil, fmt.Errorf("take the lock: %w", fault(err))
	}
	if !got {
		_ = conn.Close(ctx)
		return nil, fmt.Errorf("the database's advisory lock: %w", ErrHeld)
	}
	return &sessionLock{conn: conn}, nil
}

// Held implements Lock. A session that does not answer may be gone, and another's lock granted.
func (l *sessionLock) Held(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost != nil {
		return l.lost
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if _, err := l.conn.Exec(ctx, "SELECT 1"); err != nil {
		l.lost = fmt.Errorf("the lock is lost: %w", fault(err))
		return l.lost
	}
	return nil
}

// Release implements Lock.
func (l *sessionLock) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = l.conn.Close(ctx)
	l.lost = ErrHeld
}
