package main

import (
	"database/sql"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence/stalltest"
	"github.com/gmbot/gmbot/telegram/simulator"
)

func runArgs(w *town, url string) []string {
	return []string{"BOT_TOKEN=" + w.bot.Token, "TELEGRAM_API_URL=" + w.url, "DATABASE_URL=" + url}
}

// A lock that is gone while its program lives: the server ended the session, as it does after a network split.
func TestE2E_ALostLockEndsTheFirst(t *testing.T) {
	t.Parallel()
	w := startTown(t, simulator.Options{})
	url := newPostgres(t)
	first := runOn(t, w, url)
	w.protect(t)
	second := launch(t, []string{"run"}, runArgs(w, url)...)
	eventually(t, 20*time.Second, "the second stands by", func() bool { return strings.Contains(second.log.String(), "standing by") })
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	// A standby's own attempts come and go; its lock must not be the one that is taken.
	_, err = db.ExecContext(t.Context(), `SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()`)
	require.NoError(t, err)
	second.waitReady()
	assert.NotZero(t, first.waitEnd(30*time.Second), "the first ends")
	assert.Contains(t, first.log.String(), "another program has taken over")
	id := w.write(t, w.anna, "coins")
	w.until(t, "the second acts", func() bool { return w.gone(id)() && w.muted(w.anna)() })
	w.settled(t)
	assert.Equal(t, 1, w.mutes(w.anna))
	assert.Zero(t, second.terminate())
}

func TestE2E_Standby(t *testing.T) {
	t.Parallel()
	for name, db := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { return "sqlite://" + newDB(t) },
		"PostgreSQL": newPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := startTown(t, simulator.Options{})
			url := db(t)
			first := runOn(t, w, url)
			w.protect(t)
			second := launch(t, []string{"run"}, runArgs(w, url)...)
			eventually(t, 20*time.Second, "the second stands by", func() bool {
				code, why := second.get("/ready")
				return code == http.StatusServiceUnavailable && strings.Contains(why, "standby")
			})
			id := w.write(t, w.anna, "coins")
			w.until(t, "the first still acts", func() bool { return w.gone(id)() && w.muted(w.anna)() })
			first.kill()
			assert.Less(t, stalltest.Took(func() {
				require.NoError(t, w.Join(w.channel, w.anna), "while nobody listens")
				second.waitReady()
			}), 5*time.Second, "takes over")
			w.until(t, "who joined in between is free", w.free(w.anna))
			assert.Equal(t, 1, strings.Count(second.log.String(), "standing by"), "one line")

			third := launch(t, []string{"run"}, runArgs(w, url)...)
			eventually(t, 20*time.Second, "a third stands by", func() bool { code, _ := third.get("/ready"); return code == http.StatusServiceUnavailable })
			assert.Zero(t, second.terminate(), "a rolling restart")
			third.waitReady()
			require.NoError(t, w.Leave(w.channel, w.anna))
			w.until(t, "and nothing is lost", w.muted(w.anna))
			assert.Zero(t, third.terminate())
		})
	}
}
