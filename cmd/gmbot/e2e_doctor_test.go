package main

import (
	"database/sql"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// An operator learns beside the running bot what the database does, and which index somebody has dropped.
func TestE2E_DoctorLooksAtTheDatabase(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, driver string
		place        func() (url, path string)
	}{
		{"sqlite", "sqlite", func() (string, string) { path := newDB(t); return "sqlite://" + path, path }},
		{"postgres", "pgx", func() (string, string) { url := newPostgres(t); return url, url }},
	} {
		url, path := c.place()
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := startTown(t, simulator.Options{})
			bot := runOn(t, w, url)
			w.protect(t)
			w.write(t, w.anna, "coins")
			w.until(t, "Anna is muted", w.muted(w.anna))
			w.settled(t)
			doctor := func(status int) string {
				t.Helper()
				p := launch(t, []string{"doctor", "--database"}, "BOT_TOKEN="+w.bot.Token, "TELEGRAM_API_URL="+w.url, "DATABASE_URL="+url)
				require.Equal(t, status, p.waitEnd(60*time.Second), p.log)
				return p.log.String()
			}
			said := doctor(0)
			t.Log("\n" + said)
			assert.NotContains(t, said, "✗")
			assert.Contains(t, said, "a bot acts on it now")
			assert.Regexp(t, `(?m)^FlowsOfUser +200 +\d+\.\d{3} +\d+\.\d{3} +\d+\.\d{3} `, said)
			assert.Regexp(t, `(?m)^flows +\d+ +[\d–]+ +[1-9]\d* +[1-9]\d*$`, said)
			for line := range strings.Lines(said) {
				assert.LessOrEqual(t, utf8.RuneCountInString(line), 121, line)
			}
			db, err := sql.Open(c.driver, path)
			require.NoError(t, err)
			defer func() { _ = db.Close() }()
			_, err = db.ExecContext(t.Context(), "DROP INDEX flows_user")
			require.NoError(t, err)
			said = doctor(1)
			assert.Contains(t, said, "✗ FlowsOfUser the index flows_user is missing or invalid\n")
			assert.Equal(t, 1, strings.Count(said, "✗"))
			assert.Zero(t, bot.terminate())
		})
	}
}
