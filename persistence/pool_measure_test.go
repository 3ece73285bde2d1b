package persistence_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/persistence/pgtest"
)

// TestMeasure_AMillionGroups fills PostgreSQL with a million groups, three million links and a million muted
// people, which takes minutes, and measures what a start and a look-up cost then. It runs when
// MEASURE=1 is set.
func TestMeasure_AMillionGroups(t *testing.T) {
	if os.Getenv("MEASURE") == "" {
		t.Skip("takes minutes; set MEASURE=1 to run it")
	}
	url := pgtest.Start(t).Database(t)
	s, err := persistence.Open(t.Context(), url, persistence.Options{})
	require.NoError(t, err)
	const n = 1_000_000
	db := sqlOpen(t, "pgx", url)
	run(t, db,
		`INSERT INTO owners SELECT i, '', 0, 0 FROM generate_series(1, 1000) i`,
		fmt.Sprintf(`INSERT INTO protected_groups SELECT -1000000000000 - i, 1 + i %% 1000, 'Group ' || i, 1, '{}', 1, 0, 0 FROM generate_series(1, %d) i`, n),
		fmt.Sprintf(`INSERT INTO enforced_channels SELECT -1500000000000 - i, 'Channel ' || i, 'channel_' || i, '', 0, 0 FROM generate_series(1, %d) i`, n/10),
		fmt.Sprintf(`INSERT INTO group_channel_links (group_id, channel_id, position, created_at)
			SELECT -1000000000000 - i, -1500000000000 - (1 + (i * 7 + p * 31) %% %d), p, 0 FROM generate_series(1, %d) i, generate_series(0, 2) p ON CONFLICT DO NOTHING`, n/10, n),
		fmt.Sprintf(`INSERT INTO flows SELECT -1000000000000 - i, i, 'Anna', 'muted', 'message', 0, NULL, 2000000000 + i, '[]', 0, 0, 0 FROM generate_series(1, %d) i`, n),
		`ANALYZE`,
	)
	require.NoError(t, s.Close())

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	s, err = persistence.Open(t.Context(), url, persistence.Options{})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	ids := map[int64]struct{}{}
	require.NoError(t, s.ProtectedGroups(t.Context(), func(id int64) bool { ids[id] = struct{}{}; return true }))
	channels := map[int64]struct{}{}
	require.NoError(t, s.RequiredChannels(t.Context(), func(id int64) bool { channels[id] = struct{}{}; return true }))
	open, err := s.OpenGroups(t.Context())
	require.NoError(t, err)
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Len(t, ids, n)
	require.Empty(t, open, "muted rows are no open work")
	t.Logf("start: %d groups and %d channels read in %s, heap grew by %d MiB", len(ids), len(channels), took.Round(time.Millisecond), (after.HeapAlloc-before.HeapAlloc)>>20)
	require.Less(t, took, 10*time.Second)

	times := make([]time.Duration, 0, 20_000)
	for range cap(times) {
		began := time.Now()
		_, err := s.Group(t.Context(), -1000000000000-1-rand.Int64N(n))
		times = append(times, time.Since(began))
		require.NoError(t, err)
	}
	slices.Sort(times)
	t.Logf("group look-up: p50 %s, p99 %s", times[len(times)/2], times[len(times)*99/100])
	runtime.KeepAlive(ids)
	require.Less(t, times[len(times)*99/100], 2*time.Millisecond)
}
