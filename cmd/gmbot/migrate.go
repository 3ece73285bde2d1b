package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram"
)

// migrateCommand looks after the database's schema without running the bot.
type migrateCommand struct {
	Status      migrateStatus `cmd:"" help:"Say which version the database's schema has, and what is missing. Changes nothing."`
	Up          migrateUp     `cmd:"" help:"Bring the schema up to date. The bot does that by itself when it starts."`
	ImportGMBot migrateImport `cmd:"" name:"import-gmbot" help:"Take over the groups of a GMBot v2 (Python) from its database, which stays as it is."`
}

// databaseFlag is the one setting these commands need.
type databaseFlag struct {
	DatabaseURL string `env:"DATABASE_URL" default:"sqlite://gmbot.db" help:"Where everything is stored."`
}

func (f databaseFlag) check() error {
	if wrong := checkDatabase(f.DatabaseURL); len(wrong) > 0 {
		return wrong
	}
	return nil
}

type migrateStatus struct{ databaseFlag }

// Run is `gmbot migrate status`.
func (m *migrateStatus) Run(ctx context.Context, out io.Writer) error {
	if err := m.check(); err != nil {
		return err
	}
	s, err := persistence.SchemaOf(ctx, m.DatabaseURL)
	if err != nil {
		return databaseFault(err)
	}
	_, _ = fmt.Fprintf(out, "%s: version %d of %d\n", s.Dialect, s.Have, s.Want)
	for _, name := range s.Pending {
		_, _ = fmt.Fprintf(out, "missing: %s\n", name)
	}
	if s.Have > s.Want {
		return databaseFault(persistence.ErrSchemaNewer)
	}
	return nil
}

type migrateUp struct{ databaseFlag }

// Run is `gmbot migrate up`.
func (m *migrateUp) Run(ctx context.Context, out io.Writer) error {
	return m.open(ctx, out, func(persistence.Store) error { return (&migrateStatus{m.databaseFlag}).Run(ctx, out) })
}

func (f databaseFlag) open(ctx context.Context, out io.Writer, use func(persistence.Store) error) (err error) {
	if err := f.check(); err != nil {
		return err
	}
	store, err := persistence.Open(ctx, f.DatabaseURL, persistence.Options{Log: zerolog.New(out).Level(zerolog.WarnLevel)})
	if err != nil {
		return databaseFault(err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return use(store)
}

type migrateImport struct {
	databaseFlag
	From string `arg:"" help:"Database of the other bot: sqlite:///path or postgres://…" placeholder:"URL"`
}

// Run is `gmbot migrate import-gmbot`.
func (m *migrateImport) Run(ctx context.Context, out io.Writer) error {
	return m.open(ctx, out, func(store persistence.Store) error {
		got, err := persistence.ImportGMBot(ctx, m.From, store)
		if err != nil {
			return fmt.Errorf("import: %s", telegram.Redact(err.Error()))
		}
		_, _ = fmt.Fprintf(out, "taken over: %d groups with %d required channels\n", got.Groups, got.Channels)
		_, _ = fmt.Fprintf(out, "left alone, since they are protected here already: %d groups\n", got.Present)
		for _, reason := range got.Skipped {
			_, _ = fmt.Fprintf(out, "skipped: %s\n", reason)
		}
		_, _ = fmt.Fprintln(out, "The other bot kept no record of whom it muted. Who is muted now counts as muted by a moderator and stays so:\n"+
			"free those people by hand, or before you switch, with the other bot.")
		return nil
	})
}
