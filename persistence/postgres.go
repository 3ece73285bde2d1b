package persistence

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	// postgresConns is how many connections the pool has, unless the URL says otherwise (pool_max_conns).
	postgresConns = 20
	// connectWithin bounds one attempt to connect, unless the URL says otherwise (connect_timeout).
	connectWithin = 5 * time.Second
	// readWithin bounds a read, so that a server that hangs is noticed; long lists may take longWithin.
	readWithin = 5 * time.Second
	longWithin = 2 * time.Minute
)

var poolParam = regexp.MustCompile(`[?&]pool_max_conns=`)

// openPostgres opens a Store in PostgreSQL. The URL is libpq's, with pgxpool's pool_ parameters. A server
// that does not answer is an error; once opened, the store outlives any absence of its server.
func openPostgres(ctx context.Context, url string, o Options) (Store, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, badPostgres()
	}
	if !poolParam.MatchString(url) {
		cfg.MaxConns = postgresConns
	}
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = connectWithin
	}
	params := cfg.ConnConfig.RuntimeParams
	params["application_name"] = "gmbot"
	params["synchronous_commit"] = "on" // what is settled must survive the server's crash
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", fault(err))
	}
	o.Metrics.watch("postgres", pgxPool(pool))
	db := stdlib.OpenDBFromPool(pool)
	s := &sqlStore{o: o, writer: db, dialect: dialect{name: schemePostgres, postgres: true}, shutdown: pool.Close}
	s.reader = db
	s.close = sync.OnceValue(s.shut)
	if err := s.openPostgres(ctx); err != nil {
		_ = s.close()
		return nil, fmt.Errorf("open store postgres://%s:%d/%s: %w", cfg.ConnConfig.Host, cfg.ConnConfig.Port, cfg.ConnConfig.Database, err)
	}
	return s, nil
}

// badPostgres does not repeat the parser's words: they hold parts of the URL.
func badPostgres() error {
	return &URLError{Scheme: schemePostgres, Reason: "it cannot be read; for example postgres://user:password@host:5432/database"}
}

func (s *sqlStore) openPostgres(ctx context.Context) error {
	var fsync, commit string
	if err := s.writer.QueryRowContext(ctx, "SELECT current_setting('fsync'), current_setting('synchronous_commit')").Scan(&fsync, &commit); err != nil {
		return fault(err)
	}
	if commit != "on" {
		return fmt.Errorf("synchronous_commit is %s, not on: commits would not be durable", commit)
	}
	if fsync != "on" {
		s.o.Log.Warn().Msg("the server runs with fsync=off: a power cut loses what was stored")
	}
	return migrateUp(ctx, s.writer, schemePostgres, s.o.Log)
}
