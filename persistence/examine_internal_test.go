package persistence

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence/pgtest"
)

// Whatever Examine asks runs where nothing can be changed, and where no statement takes for ever.
func TestExamine_CannotWriteAndCannotHang(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"sqlite://" + dbPath(t), pgtest.Shared(t).Database(t)} {
		s, err := Open(t.Context(), url, Options{})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		db, name, err := openBare(t.Context(), url)
		require.NoError(t, err)
		t.Cleanup(func() { _ = db.Close() })
		x := newExaminer(db, name, 100*time.Millisecond)
		for _, text := range []string{"INSERT INTO meta VALUES ('k', 'v')", "DELETE FROM meta", "CREATE TABLE other (id INTEGER)"} {
			assert.Error(t, x.inTx(t.Context(), func(tx *sql.Tx) error {
				_, err := tx.ExecContext(t.Context(), text)
				return err
			}), "%s: %s", name, text)
		}
		endless := "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 - 1 FROM n) SELECT count(*) FROM n"
		if x.dialect.postgres {
			endless = "SELECT pg_sleep(1000)"
		}
		require.NoError(t, x.inTx(t.Context(), func(tx *sql.Tx) error {
			began := time.Now()
			stmt, err := tx.PrepareContext(t.Context(), endless)
			require.NoError(t, err)
			defer func() { _ = stmt.Close() }()
			if x.dialect.postgres {
				_, err = stmt.ExecContext(t.Context())
			} else {
				_, err = x.timed(t.Context(), stmt, nil)
			}
			assert.True(t, late(t.Context(), err), "%s: %v", name, err)
			assert.Less(t, time.Since(began), 10*time.Second)
			return nil
		}))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	assert.False(t, late(ended, context.Canceled), "Ctrl-C is no slow statement")
}
