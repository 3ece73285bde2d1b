package persistence_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/persistence/storetest"
)

func open(tb testing.TB, path string) persistence.Store {
	tb.Helper()
	s, err := persistence.Open(tb.Context(), "sqlite://"+path, persistence.Options{})
	require.NoError(tb, err)
	tb.Cleanup(func() { assert.NoError(tb, s.Close()) })
	return s
}

func newStore(tb testing.TB) persistence.Store {
	tb.Helper()
	return open(tb, filepath.Join(tb.TempDir(), "gmbot.db"))
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, newStore)
}

func setMeta(t *testing.T, s persistence.Store, key, value string) {
	t.Helper()
	require.NoError(t, s.Update(t.Context(), func(tx persistence.Tx) error { return tx.SetMeta(key, value) }))
}

func getMeta(t *testing.T, s persistence.Store, key string) string {
	t.Helper()
	value, err := s.Meta(t.Context(), key)
	require.NoError(t, err)
	return value
}

func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "with space %20 ü.db")
	s := open(t, path)
	setMeta(t, s, "k", "v")
	require.NoError(t, s.Close())
	_, err := os.Stat(path + "-wal")
	require.ErrorIs(t, err, os.ErrNotExist, "a closed store is one file")

	s = open(t, path)
	assert.Equal(t, "v", getMeta(t, s, "k"))
	require.NoError(t, s.Update(t.Context(), func(tx persistence.Tx) error {
		fresh, err := tx.MarkSeen(1)
		assert.True(t, fresh)
		return err
	}))
}

// TestKilled takes the files as a kill in the middle of a change would leave them.
func TestKilled(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gmbot.db")
	after := filepath.Join(t.TempDir(), "gmbot.db")
	s := open(t, path)
	setMeta(t, s, "committed", "v")
	err := s.Update(t.Context(), func(tx persistence.Tx) error {
		assert.NoError(t, tx.SetMeta("open", "v"))
		for _, suffix := range []string{"", "-wal"} {
			b, err := os.ReadFile(path + suffix)
			assert.NoError(t, err)
			assert.NoError(t, os.WriteFile(after+suffix, b, 0o600))
		}
		return nil
	})
	require.NoError(t, err)

	s = open(t, after)
	assert.Equal(t, "v", getMeta(t, s, "committed"))
	assert.Empty(t, getMeta(t, s, "open"))
	setMeta(t, s, "open", "w")
	assert.Equal(t, "w", getMeta(t, s, "open"))
}

func TestOpenRefusesURLs(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":                                    "no scheme",
		"/var/lib/gmbot.db":                   "no scheme",
		"bot:hunter2@host/db":                 "known are postgres, sqlite",
		"hunter2 hunter2://x":                 "no scheme",
		"mysql://bot:hunter2@host/db":         "known are postgres, sqlite",
		"sqlite://":                           "no path",
		"sqlite://:memory:":                   "memory",
		"sqlite:///tmp/x.db?password=hunter2": "without parameters",
	} {
		_, err := persistence.Open(t.Context(), url, persistence.Options{})
		var wrong *persistence.URLError
		require.ErrorAs(t, err, &wrong, url)
		assert.ErrorContains(t, err, want, url)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}

func TestOpenPaths(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	s, err := persistence.Open(t.Context(), "SQLite://relative.db", persistence.Options{})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	info, err := os.Stat(filepath.Join(dir, "relative.db"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "invite links are for the owner alone")

	for path, want := range map[string]string{
		filepath.Join(dir, "missing", "x.db"):     "missing does not exist",
		filepath.Join(dir, "relative.db", "x.db"): "not a folder",
		dir: "open store",
	} {
		_, err := persistence.Open(t.Context(), "sqlite://"+path, persistence.Options{})
		assert.ErrorContains(t, err, want)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "text.db"), []byte("this is no database, whatever its name says"), 0o600))
	_, err = persistence.Open(t.Context(), "sqlite://text.db", persistence.Options{})
	assert.ErrorIs(t, err, persistence.ErrUnavailable)
}

func TestOpenCanceled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := persistence.Open(ctx, "sqlite://"+filepath.Join(t.TempDir(), "x.db"), persistence.Options{})
	assert.ErrorIs(t, err, context.Canceled)
}

// TestCloseWaits closes a store while a change is under way.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gmbot.db")
	s := open(t, path)
	inside, release, done, closed := make(chan struct{}), make(chan struct{}), make(chan error, 1), make(chan error, 1)
	go func() {
		done <- s.Update(t.Context(), func(tx persistence.Tx) error {
			close(inside)
			<-release
			return tx.SetMeta("k", "v")
		})
	}()
	<-inside
	go func() { closed <- s.Close() }()
	// Refusing is how Close shows that it has begun.
	for !errors.Is(s.Ping(t.Context()), persistence.ErrClosed) {
		runtime.Gosched()
	}
	select {
	case err := <-closed:
		t.Errorf("closed under a change: %v", err)
	default:
	}
	close(release)
	require.NoError(t, <-done)
	require.NoError(t, <-closed)
	assert.Equal(t, "v", getMeta(t, open(t, path), "k"))
}

func TestTwoStoresOneFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gmbot.db")
	a, b := open(t, path), open(t, path)
	setMeta(t, a, "k", "a")
	assert.Equal(t, "a", getMeta(t, b, "k"))
	require.NoError(t, b.Close())
	setMeta(t, a, "k", "b")
	assert.Equal(t, "b", getMeta(t, a, "k"))
}

// TestOpenTogether has several programs find the same new database at once.
func TestOpenTogether(t *testing.T) {
	t.Parallel()
	for range 2 {
		path := filepath.Join(t.TempDir(), "gmbot.db")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				s, err := persistence.Open(t.Context(), "sqlite://"+path, persistence.Options{})
				if assert.NoError(t, err) {
					assert.NoError(t, s.Close())
				}
			})
		}
		all.Wait()
	}
}
