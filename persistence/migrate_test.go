package persistence_test

import (
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/gmbot/gmbot/migrations"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/persistence/pgtest"
)

// place is where a test may have a database: its URL, and the same by database/sql.
type place struct {
	name    string
	dialect goose.Dialect
	files   func() (fs.FS, error)
	make    func(t *testing.T) (url string, db *sql.DB)
}

func places() []place {
	return []place{
		{"sqlite", goose.DialectSQLite3, migrations.SQLite, func(t *testing.T) (string, *sql.DB) {
			t.Helper()
			path := filepath.Join(t.TempDir(), "x.db")
			return "sqlite://" + path, sqlOpen(t, "sqlite", path)
		}},
		{"postgres", goose.DialectPostgres, migrations.Postgres, func(t *testing.T) (string, *sql.DB) {
			t.Helper()
			url := pgtest.Shared(t).Database(t)
			return url, sqlOpen(t, "pgx", url)
		}},
	}
}

func sqlOpen(t *testing.T, driver, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func everywhere(t *testing.T, test func(t *testing.T, p place)) {
	t.Helper()
	for _, p := range places() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, text := range statements {
		_, err := db.ExecContext(t.Context(), text)
		require.NoError(t, err, text)
	}
}

func TestMigrations_AreTheSameInBothDialects(t *testing.T) {
	t.Parallel()
	var names [2][]string
	for i, p := range places() {
		files, err := p.files()
		require.NoError(t, err)
		names[i], err = fs.Glob(files, "*.sql")
		require.NoError(t, err)
	}
	assert.NotEmpty(t, names[0])
	assert.Equal(t, names[0], names[1])
}

// signedMarks is the migration that notes the last mark from before marks were signed.
const signedMarks = 7

func TestMigrate_FromEveryEarlierVersionWithDataInIt(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		files, err := p.files()
		require.NoError(t, err)
		names, err := fs.Glob(files, "*.sql")
		require.NoError(t, err)
		for from := 1; from < len(names); from++ {
			t.Run(fmt.Sprint(from), func(t *testing.T) {
				t.Parallel()
				url, db := p.make(t)
				provider, err := goose.NewProvider(p.dialect, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
				require.NoError(t, err)
				_, err = provider.UpTo(t.Context(), int64(from))
				require.NoError(t, err)
				run(t, db,
					`INSERT INTO owners VALUES (7, 'olga', 1, 1)`,
					`INSERT INTO protected_groups VALUES (-5, 7, 'Old', 1, '{"notice_seconds":60}', 3, 1, 1)`,
					`INSERT INTO enforced_channels (channel_id, title, username, invite_link, created_at, updated_at) VALUES (-6, 'News', 'news', '', 1, 1)`,
					`INSERT INTO group_channel_links (group_id, channel_id, position, created_at) VALUES (-5, -6, 0, 1)`,
					`INSERT INTO flows (group_id, user_id, name, state, cause, since, rights_before, until_date, messages, thread_id, attempts, next_attempt)
						VALUES (-5, 9, 'Anna', 'muted', 'message', 1000, NULL, 99, '[4]', 0, 0, 0)`,
				)
				before, err := persistence.SchemaOf(t.Context(), url)
				require.NoError(t, err)
				assert.Equal(t, int64(from), before.Have)
				assert.Len(t, before.Pending, len(names)-from)
				require.NoError(t, db.Close())

				s, err := persistence.Open(t.Context(), url, persistence.Options{})
				require.NoError(t, err)
				defer func() { assert.NoError(t, s.Close()) }()
				g, err := s.Group(t.Context(), -5)
				require.NoError(t, err)
				assert.Equal(t, 60, g.Settings.NoticeSeconds)
				assert.Len(t, g.Channels, 1)
				f, err := s.Flow(t.Context(), -5, 9)
				require.NoError(t, err)
				assert.Equal(t, []int64{4}, f.Messages)
				unsigned, err := s.Meta(t.Context(), "unsigned_marks")
				require.NoError(t, err)
				assert.Equal(t, from < signedMarks, unsigned == "99", "the last mark that is not signed: %q", unsigned)
				after, err := persistence.SchemaOf(t.Context(), url)
				require.NoError(t, err)
				assert.Equal(t, persistence.Schema{Dialect: p.name, Have: after.Want, Want: after.Want}, after)
			})
		}
	})
}

func TestMigrate_ANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		url, db := p.make(t)
		s, err := persistence.Open(t.Context(), url, persistence.Options{})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		run(t, db, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, `+map[string]string{"sqlite": "1", "postgres": "true"}[p.name]+`)`)
		_, err = persistence.Open(t.Context(), url, persistence.Options{})
		require.ErrorIs(t, err, persistence.ErrSchemaNewer)
	})
}

func TestSchemaOf_ChangesNothing(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		url, db := p.make(t)
		s, err := persistence.SchemaOf(t.Context(), url)
		require.NoError(t, err)
		assert.Zero(t, s.Have)
		assert.Len(t, s.Pending, int(s.Want))
		if p.name == "sqlite" {
			_, err := os.Stat(url[len("sqlite://"):])
			require.ErrorIs(t, err, os.ErrNotExist)
			return
		}
		var tables int
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`).Scan(&tables))
		assert.Zero(t, tables)
	})
}

// The tables of the older bot as it made them.
var oldTables = []string{
	`CREATE TABLE owners (user_id BIGINT PRIMARY KEY, username VARCHAR(255), created_at TIMESTAMP, updated_at TIMESTAMP)`,
	`CREATE TABLE protected_groups (group_id BIGINT PRIMARY KEY, owner_id BIGINT NOT NULL, title VARCHAR(255),
		enabled BOOLEAN NOT NULL, params JSON, created_at TIMESTAMP, updated_at TIMESTAMP)`,
	`CREATE TABLE enforced_channels (channel_id BIGINT PRIMARY KEY, title VARCHAR(255), invite_link TEXT, created_at TIMESTAMP, updated_at TIMESTAMP)`,
	`CREATE TABLE group_channel_links (id INTEGER PRIMARY KEY, group_id BIGINT, channel_id BIGINT, created_at TIMESTAMP, updated_at TIMESTAMP)`,
}

func TestImportGMBot(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p place) {
		from, db := p.make(t)
		run(t, db, oldTables...)
		run(t, db,
			`INSERT INTO owners VALUES (7, 'olga', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP), (8, NULL, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)`,
			`INSERT INTO protected_groups VALUES (-1001, 7, 'Talk', true, '{}', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP),
				(-1002, 8, NULL, false, '{}', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP), (-1003, 99, 'No owner', true, '{}', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)`,
			`INSERT INTO enforced_channels VALUES (-2001, 'News', 'https://t.me/+abc', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP), (-2002, 'Shop', NULL, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)`,
			`INSERT INTO group_channel_links VALUES (1, -1001, -2002, NULL, NULL), (2, -1001, -2001, NULL, NULL), (3, -1002, -2001, NULL, NULL), (4, -1002, -2999, NULL, NULL)`,
		)
		require.NoError(t, db.Close())
		s := newStore(t)
		got, err := persistence.ImportGMBot(t.Context(), from, s)
		require.NoError(t, err)
		assert.Equal(t, 2, got.Groups)
		assert.Equal(t, 3, got.Channels)
		assert.Len(t, got.Skipped, 2)
		g, err := s.Group(t.Context(), -1001)
		require.NoError(t, err)
		assert.True(t, g.Enabled)
		assert.Equal(t, int64(7), g.OwnerID)
		assert.Equal(t, []persistence.Channel{{ID: -2002, Title: "Shop"}, {ID: -2001, Title: "News", InviteLink: "https://t.me/+abc"}}, g.Channels)
		g, err = s.Group(t.Context(), -1002)
		require.NoError(t, err)
		assert.False(t, g.Enabled)

		// A second time changes nothing, not even what was changed here meanwhile.
		require.NoError(t, s.Update(t.Context(), func(tx persistence.Tx) error { return tx.SetGroupEnabled(-1002, true) }))
		got, err = persistence.ImportGMBot(t.Context(), from, s)
		require.NoError(t, err)
		assert.Zero(t, got.Groups)
		assert.Equal(t, 2, got.Present)
		g, err = s.Group(t.Context(), -1002)
		require.NoError(t, err)
		assert.True(t, g.Enabled)
	})
}

func TestImportGMBot_SaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	_, err := persistence.ImportGMBot(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "none.db"), s)
	require.ErrorContains(t, err, "does not exist")
	other := filepath.Join(t.TempDir(), "other.db")
	run(t, sqlOpen(t, "sqlite", other), `CREATE TABLE x (y)`)
	_, err = persistence.ImportGMBot(t.Context(), "sqlite://"+other, s)
	require.ErrorContains(t, err, "not a GMBot's tables")
}
