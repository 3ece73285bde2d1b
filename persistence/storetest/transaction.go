package storetest

import (
	"context"
	"strconv"
	"sync"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

func testRollback(c on) {
	t, s := c.t, c.s
	err := s.Update(t.Context(), func(tx persistence.Tx) error {
		assert.NoError(t, tx.SetMeta("k", "v"))
		assert.NoError(t, tx.SaveFlow(flow(group, person, persistence.Muted, noon)))
		return assert.AnError
	})
	require.ErrorIs(t, err, assert.AnError)
	require.NotErrorIs(t, err, persistence.ErrUnavailable)
	assert.Empty(t, meta(t, s, "k"))
	_, err = s.Flow(t.Context(), group, person)
	require.ErrorIs(t, err, persistence.ErrNotFound)
	update(t, s, func(tx persistence.Tx) error { return tx.SetMeta("k", "later") })
	assert.Equal(t, "later", meta(t, s, "k"))
}

func testPanic(c on) {
	t, s := c.t, c.s
	assert.PanicsWithValue(t, "boom", func() {
		_ = s.Update(t.Context(), func(tx persistence.Tx) error {
			assert.NoError(t, tx.SetMeta("k", "v"))
			panic("boom")
		})
	})
	assert.Empty(t, meta(t, s, "k"))
	update(t, s, func(tx persistence.Tx) error { return tx.SetMeta("k", "later") })
	assert.Equal(t, "later", meta(t, s, "k"))
}

// testSwallowed lets a change go on after the database refused something.
func testSwallowed(c on) {
	t, s := c.t, c.s
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := s.Update(ctx, func(tx persistence.Tx) error {
		assert.NoError(t, tx.SetMeta("before", "v"))
		cancel()
		_ = tx.SetMeta("k", "v")
		_ = tx.SetMeta("after", "v")
		return nil
	})
	require.ErrorIs(t, err, persistence.ErrUnavailable)
	for _, key := range []string{"before", "k", "after"} {
		assert.Empty(t, meta(t, s, key))
	}
}

func testCanceledBefore(c on) {
	t, s := c.t, c.s
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	err := s.Update(ctx, func(persistence.Tx) error {
		ran = true
		return nil
	})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, persistence.ErrUnavailable)
	assert.False(t, ran)
	require.ErrorIs(t, s.Prune(ctx, noon), context.Canceled)
}

func testCanceledInside(c on) {
	t, s := c.t, c.s
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := s.Update(ctx, func(tx persistence.Tx) error {
		err := tx.SetMeta("k", "v")
		cancel() // the commit finds it ended
		return err
	})
	require.ErrorIs(t, err, persistence.ErrUnavailable)
	assert.Empty(t, meta(t, s, "k"))
	update(t, s, func(tx persistence.Tx) error { return tx.SetMeta("k", "later") })
	assert.Equal(t, "later", meta(t, s, "k"))
}

// testCanceledWaiting ends a change that waits for another one's turn to end.
func testCanceledWaiting(c on) {
	t, s := c.t, c.s
	inside, release, first := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		first <- s.Update(t.Context(), func(tx persistence.Tx) error {
			close(inside)
			<-release
			return tx.SaveFlow(flow(group, person, persistence.Muted, noon))
		})
	}()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 1)
	go func() {
		waiting <- s.Update(ctx, func(tx persistence.Tx) error {
			return tx.SaveFlow(flow(group, person, persistence.Freeing, noon))
		})
	}()
	cancel()
	require.ErrorIs(t, <-waiting, context.Canceled)
	close(release)
	require.NoError(t, <-first)
	got, err := s.Flow(t.Context(), group, person)
	require.NoError(t, err)
	assert.Equal(t, persistence.Muted, got.State)
}

func testReadCanceled(c on) {
	t, s := c.t, c.s
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, s.Ping(ctx))
	cancel()
	require.ErrorIs(t, s.Ping(ctx), context.Canceled)
	_, err := s.Group(ctx, group)
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, persistence.ErrNotFound)
	_, err = s.Flow(ctx, group, person)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.FlowsOfUser(ctx, person)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Ping(t.Context()))
}

func testIsolation(c on) {
	t, s := c.t, c.s
	update(t, s, func(tx persistence.Tx) error {
		assert.NoError(t, tx.SetMeta("k", "v"))
		assert.Empty(t, meta(t, s, "k"), "readers wait for the commit, and do not wait for it")
		return nil
	})
	assert.Equal(t, "v", meta(t, s, "k"))
}

const writers = 50

// each runs do in its own goroutine for every writer and waits for all.
func each(do func(i int64)) {
	var all sync.WaitGroup
	for i := range int64(writers) {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

func testConcurrentWriters(c on) {
	t, s := c.t, c.s
	each(func(i int64) {
		assert.NoError(t, s.Update(t.Context(), func(tx persistence.Tx) error {
			if err := tx.SaveFlow(flow(group, i, persistence.Checking, noon)); err != nil {
				return err
			}
			if err := tx.SetMeta(strconv.FormatInt(i, 10), "v"); err != nil {
				return err
			}
			return tx.CountDay("2026-03-04", group, "checked", 1)
		}))
		_, err := s.Flow(t.Context(), group, i)
		assert.NoError(t, err, "who wrote can read")
	})
	day, err := s.Day(t.Context(), group, "2026-03-04")
	require.NoError(t, err)
	assert.Equal(t, int64(writers), day["checked"])
	counts, err := s.CountFlows(t.Context(), group)
	require.NoError(t, err)
	assert.Equal(t, writers, counts[persistence.Checking])
}

func testConcurrentVersions(c on) {
	t, s := c.t, c.s
	var mu sync.Mutex
	versions, fresh := map[int64]bool{}, 0
	each(func(int64) {
		var version int64
		var first bool
		assert.NoError(t, s.Update(t.Context(), func(tx persistence.Tx) (err error) {
			if first, err = tx.MarkSeen(1); err != nil {
				return err
			}
			version, err = tx.SaveGroup(persistence.Group{ID: group, OwnerID: 1}, persistence.Owner{ID: 1})
			return err
		}))
		mu.Lock()
		defer mu.Unlock()
		versions[version] = true
		if first {
			fresh++
		}
	})
	assert.Len(t, versions, writers, "every save its own version")
	assert.Equal(t, 1, fresh, "one of them is the first")
}

func testClosed(c on) {
	t, s := c.t, c.s
	require.NoError(t, s.Close())
	require.NoError(t, s.Close())
	require.ErrorIs(t, s.Ping(t.Context()), persistence.ErrClosed)
	err := s.Update(t.Context(), func(persistence.Tx) error { return nil })
	require.ErrorIs(t, err, persistence.ErrClosed)
	require.ErrorIs(t, s.Prune(t.Context(), noon), persistence.ErrClosed)
}
