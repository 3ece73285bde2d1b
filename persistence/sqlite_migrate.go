package persistence

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pressly/goose/v3"
	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/migrations"
)

// migrateSQLite brings the schema up to date. It touches nothing when a newer program was here before.
func migrateSQLite(ctx context.Context, db *sql.DB, log zerolog.Logger) error {
	files, err := migrations.SQLite()
	if err != nil {
		return fmt.Errorf("find migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
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
