package persistence_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/persistence/pgtest"
	"github.com/gmbot/gmbot/persistence/storetest"
)

func TestMain(m *testing.M) {
	code := m.Run()
	pgtest.Cleanup()
	os.Exit(code)
}

func openPostgres(tb testing.TB, url string) persistence.Store {
	tb.Helper()
	// Fifty tests at once share one server.
	s, err := persistence.Open(tb.Context(), url+"&pool_max_conns=6", persistence.Options{})
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, s.Close()) })
	return s
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.Shared(t)
	storetest.Run(t, func(tb testing.TB) persistence.Store {
		tb.Helper()
		return openPostgres(tb, server.Database(tb))
	})
}

func TestPostgres_OpenTogether(t *testing.T) {
	t.Parallel()
	url := pgtest.Shared(t).Database(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := persistence.Open(t.Context(), url+"&pool_max_conns=3", persistence.Options{})
			if assert.NoError(t, err) {
				assert.NoError(t, s.Close())
			}
		})
	}
	all.Wait()
}

func TestPostgres_ReconnectsAfterTheServerCrashed(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := openPostgres(t, server.Database(t))
	setMeta(t, s, "k", "before")
	server.Kill()
	err := s.Update(t.Context(), func(tx persistence.Tx) error { return tx.SetMeta("k", "lost") })
	require.ErrorIs(t, err, persistence.ErrUnavailable)
	_, err = s.Meta(t.Context(), "k")
	require.ErrorIs(t, err, persistence.ErrUnavailable)
	server.Run(t)
	assert.Equal(t, "before", getMeta(t, s, "k"), "the pool mends itself")
	setMeta(t, s, "k", "after")
	assert.Equal(t, "after", getMeta(t, s, "k"))
}

func TestPostgres_AFrozenServerIsNoticed(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	s := openPostgres(t, server.Database(t))
	setMeta(t, s, "k", "before")
	server.Freeze()
	defer server.Thaw()
	began := time.Now()
	_, err := s.Meta(t.Context(), "k")
	require.ErrorIs(t, err, persistence.ErrUnavailable)
	assert.Less(t, time.Since(began), 15*time.Second)
	server.Thaw()
	assert.Equal(t, "before", getMeta(t, s, "k"))
}

func TestPostgres_SaysWhatIsWrongWithoutThePassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://bot:hunter2@localhost:notaport/db", "postgres://bot:hunter2@localhost/db?pool_max_conns=many",
		"postgres://bot:hunter2@127.0.0.1:1/db?connect_timeout=1", "postgresql://bot:hunter2@127.0.0.1:1/db?sslmode=maybe",
	} {
		_, err := persistence.Open(t.Context(), url, persistence.Options{})
		require.Error(t, err, url)
		assert.NotContains(t, err.Error(), "hunter2", url)
	}
}
