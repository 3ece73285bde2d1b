package persistence

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/migrations"
)

// Schema says how far a database's schema is.
type Schema struct {
	Dialect string   // sqlite or postgres
	Have    int64    // the database's version; 0 = empty
	Want    int64    // this program's
	Pending []string // files that Open would apply, oldest first
}

// SchemaOf reads how far the schema at a URL is, and changes nothing. A SQLite file that is not there yet
// counts as empty. Errors are those of Open.
func SchemaOf(ctx context.Context, address string) (Schema, error) {
	db, dialect, err := openBare(ctx, address)
	if err != nil {
		return Schema{}, err
	}
	if db == nil {
		return emptySchema(dialect)
	}
	defer func() { _ = db.Close() }()
	s := Schema{Dialect: dialect}
	// The provider would make its table; a database without one is empty.
	var one int
	if err := db.QueryRowContext(ctx, "SELECT 1 FROM goose_db_version LIMIT 1").Scan(&one); err != nil {
		if pingErr := db.PingContext(ctx); pingErr != nil {
			return Schema{}, fmt.Errorf("read schema version: %w", fault(pingErr))
		}
		return emptySchema(dialect)
	}
	provider, err := providerOf(db, dialect)
	if err != nil {
		return Schema{}, err
	}
	if s.Have, s.Want, err = provider.GetVersions(ctx); err != nil {
		return Schema{}, fmt.Errorf("read schema version: %w", fault(err))
	}
	for _, source := range provider.ListSources() {
		if source.Version > s.Have {
			s.Pending = append(s.Pending, source.Path)
		}
	}
	return s, nil
}

func emptySchema(dialect string) (Schema, error) {
	s := Schema{Dialect: dialect}
	files, err := migrationsOf(dialect)
	if err != nil {
		return s, err
	}
	names, err := fs.Glob(files, "*.sql")
	s.Pending, s.Want = names, int64(len(names))
	return s, err
}

// openBare opens a database as it stands; nil where there is none yet.
func openBare(ctx context.Context, address string) (db *sql.DB, dialect string, err error) {
	scheme, rest, err := splitURL(address)
	if err != nil {
		return nil, "", err
	}
	switch scheme {
	case schemeSQLite:
		path, err := sqlitePath(rest)
		if err != nil {
			return nil, "", err
		}
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil, schemeSQLite, nil
		}
		db, err = openPool(path, 1, url.Values{"mode": {"ro"}})
		return db, schemeSQLite, err
	case schemePostgres, "postgresql":
		cfg, err := pgx.ParseConfig(address)
		if err != nil {
			return nil, "", badPostgres()
		}
		cfg.ConnectTimeout = connectWithin
		db = stdlib.OpenDB(*cfg)
		if err := db.PingContext(ctx); err != nil {
			_ = db.Close()
			return nil, "", fmt.Errorf("open store: %w", fault(err))
		}
		return db, schemePostgres, nil
	}
	return nil, "", unknownScheme(scheme)
}

func migrationsOf(dialect string) (fs.FS, error) {
	if dialect == schemePostgres {
		return migrations.Postgres()
	}
	return migrations.SQLite()
}

func providerOf(db *sql.DB, dialect string) (*goose.Provider, error) {
	files, err := migrationsOf(dialect)
	if err != nil {
		return nil, fmt.Errorf("find migrations: %w", err)
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger())}
	kind := goose.DialectSQLite3
	if dialect == schemePostgres {
		kind = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 120))
		if err != nil {
			return nil, fmt.Errorf("prepare migrations: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(kind, db, files, options...)
	if err != nil {
		return nil, fmt.Errorf("prepare migrations: %w", err)
	}
	return provider, nil
}

// migrateUp brings the schema up to date. It touches nothing when a newer program was here before. In
// PostgreSQL it works under an advisory lock: of two programs that start at once one migrates and the other
// waits; in SQLite the file's own lock does that.
func migrateUp(ctx context.Context, db *sql.DB, dialect string, log zerolog.Logger) error {
	provider, err := providerOf(db, dialect)
	if err != nil {
		return err
	}
	for before := int64(-1); ; {
		have, want, err := provider.GetVersions(ctx)
		if err != nil {
			return fmt.Errorf("read schema version: %w", err)
		}
		if have > want {
			return fmt.Errorf("schema version %d, program knows %d: %w", have, want, ErrSchemaNewer)
		}
		results, err := provider.Up(ctx)
		for _, r := range results {
			log.Info().Int64("version", r.Source.Version).Dur("took", r.Duration).Msg("schema migrated")
		}
		if err == nil {
			return nil
		}
		// Another program may have applied the same migration in between: then there is progress to see.
		if have == before {
			return fmt.Errorf("migrate: %w", err)
		}
		before = have
	}
}
