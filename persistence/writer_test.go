package persistence_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/persistence"
)

// fakeStore runs changes with a transaction that only takes Meta, and counts what it was asked.
type fakeStore struct {
	persistence.Store
	before func(ctx context.Context) error // fails a transaction before its changes

	mu           sync.Mutex
	committed    []string
	transactions int
}

type fakeTx struct {
	persistence.Tx
	keys []string
}

func (t *fakeTx) SetMeta(key, _ string) error {
	t.keys = append(t.keys, key)
	return nil
}

func (f *fakeStore) Update(ctx context.Context, change func(persistence.Tx) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.transactions++
	if f.before != nil {
		if err := f.before(ctx); err != nil {
			return err
		}
	}
	tx := &fakeTx{}
	if err := change(tx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", persistence.ErrUnavailable, err)
	}
	f.committed = append(f.committed, tx.keys...)
	return nil
}

// held is a writer whose first change waits for release, so that a test decides what is queued behind.
type held struct {
	*persistence.Writer
	release func()
}

func hold(t *testing.T, s persistence.Store, o persistence.WriterOptions) held {
	t.Helper()
	w := persistence.NewWriter(s, o)
	inside, release := make(chan struct{}), make(chan struct{})
	w.Do(func(persistence.Tx) error {
		close(inside)
		<-release
		return nil
	}, func(error) {})
	<-inside
	once := sync.OnceFunc(func() { close(release) })
	t.Cleanup(func() {
		once()
		assert.NoError(t, w.Close(context.WithoutCancel(t.Context())))
	})
	return held{w, once}
}

func put(key string) func(persistence.Tx) error {
	return func(tx persistence.Tx) error { return tx.SetMeta(key, "v") }
}

// results collects what done was called with, by name.
type results struct {
	mu  sync.Mutex
	got map[string][]error
}

func (r *results) done(name string) func(error) {
	return func(err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.got == nil {
			r.got = map[string][]error{}
		}
		r.got[name] = append(r.got[name], err)
	}
}

func (r *results) only(t *testing.T, name string) error {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	require.Len(t, r.got[name], 1, "done of %s is called once", name)
	return r.got[name][0]
}

func TestWriterGathers(t *testing.T) {
	t.Parallel()
	s, r := &fakeStore{}, &results{}
	w := hold(t, s, persistence.WriterOptions{MaxBatch: 4})
	want := []string{}
	for i := range 10 {
		key := fmt.Sprint(i)
		want = append(want, key)
		w.Do(put(key), r.done(key))
	}
	assert.Equal(t, 10, w.Depth())
	w.release()
	require.NoError(t, w.Close(t.Context()))
	assert.Equal(t, want, s.committed, "in the order they came")
	assert.Equal(t, 1+3, s.transactions, "4, 4 and 2 after the first")
	assert.Zero(t, w.Depth())
	for _, key := range want {
		assert.NoError(t, r.only(t, key))
	}
}

func TestWriterRefusesWhenFull(t *testing.T) {
	t.Parallel()
	s, r := &fakeStore{}, &results{}
	w := hold(t, s, persistence.WriterOptions{Queue: 2, Metrics: persistence.NewMetrics(prometheus.NewRegistry())})
	for _, key := range []string{"a", "b", "c"} {
		w.Do(put(key), r.done(key))
	}
	assert.ErrorIs(t, r.only(t, "c"), persistence.ErrBusy, "told before Do returned")
	w.release()
	require.NoError(t, w.Close(t.Context()))
	assert.Equal(t, []string{"a", "b"}, s.committed)
}

func TestWriterOneBadChangeHarmsOnlyItself(t *testing.T) {
	t.Parallel()
	s, r := &fakeStore{}, &results{}
	w := hold(t, s, persistence.WriterOptions{})
	w.Do(put("a"), r.done("a"))
	w.Do(func(tx persistence.Tx) error {
		assert.NoError(t, tx.SetMeta("bad", "v"))
		return assert.AnError
	}, r.done("bad"))
	w.Do(func(tx persistence.Tx) error {
		assert.NoError(t, tx.SetMeta("panic", "v"))
		panic("boom")
	}, func(err error) {
		r.done("panic")(err)
		panic("a report that panics")
	})
	w.Do(put("b"), r.done("b"))
	w.release()
	require.NoError(t, w.Close(t.Context()))
	assert.Equal(t, []string{"a", "b"}, s.committed)
	assert.NoError(t, r.only(t, "a"))
	assert.NoError(t, r.only(t, "b"))
	assert.ErrorIs(t, r.only(t, "bad"), assert.AnError)
	assert.ErrorContains(t, r.only(t, "panic"), "boom")
}

func TestWriterStoreErrorIsEverybodys(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]error{"plain": errors.New("disk on fire"), "unavailable": persistence.ErrUnavailable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, r := &fakeStore{}, &results{}
			w := hold(t, s, persistence.WriterOptions{})
			s.before = func(context.Context) error { return broken } // the store is held: nobody reads it
			for _, key := range []string{"a", "b", "c"} {
				w.Do(put(key), r.done(key))
			}
			w.release()
			require.NoError(t, w.Close(t.Context()))
			for _, key := range []string{"a", "b", "c"} {
				assert.ErrorIs(t, r.only(t, key), broken)
			}
			assert.Equal(t, 1+1, s.transactions, "not tried one by one")
			assert.Empty(t, s.committed)
		})
	}
}

// TestWriterStoreFailsAmongChanges has the database fail inside a change: that is not the change's fault.
func TestWriterStoreFailsAmongChanges(t *testing.T) {
	t.Parallel()
	s, r := &fakeStore{}, &results{}
	w := hold(t, s, persistence.WriterOptions{})
	w.Do(func(persistence.Tx) error { return assert.AnError }, r.done("bad"))
	w.Do(func(persistence.Tx) error { return fmt.Errorf("save: %w", persistence.ErrUnavailable) }, r.done("hit"))
	w.Do(put("a"), r.done("a"))
	w.release()
	require.NoError(t, w.Close(t.Context()))
	assert.ErrorIs(t, r.only(t, "bad"), assert.AnError)
	assert.ErrorIs(t, r.only(t, "hit"), persistence.ErrUnavailable)
	assert.ErrorIs(t, r.only(t, "a"), persistence.ErrUnavailable, "the rest is not tried against a store that is away")
	assert.Equal(t, 1+3, s.transactions)
}

func TestWriterCloses(t *testing.T) {
	t.Parallel()
	s, r := &fakeStore{}, &results{}
	w := hold(t, s, persistence.WriterOptions{})
	w.Do(put("a"), r.done("a"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.Close(ended), context.Canceled)
	w.Do(put("late"), r.done("late"))
	assert.ErrorIs(t, r.only(t, "late"), persistence.ErrClosed, "told before Do returned")
	w.release()
	for range 2 {
		require.NoError(t, w.Close(t.Context()))
	}
	assert.ErrorIs(t, r.only(t, "a"), persistence.ErrClosed, "given up when the first Close's time was over")
	assert.Empty(t, s.committed)
	assert.NoError(t, w.Close(ended), "closed is closed")
}

func TestWriterTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, r := &fakeStore{}, &results{}
		s.before = func(ctx context.Context) error {
			<-ctx.Done()
			return fmt.Errorf("%w: %w", persistence.ErrUnavailable, ctx.Err())
		}
		w := persistence.NewWriter(s, persistence.WriterOptions{Timeout: 3 * time.Second})
		start := time.Now()
		w.Do(put("a"), r.done("a"))
		require.NoError(t, w.Close(t.Context()))
		assert.ErrorIs(t, r.only(t, "a"), context.DeadlineExceeded)
		assert.NotErrorIs(t, r.only(t, "a"), persistence.ErrClosed)
		assert.Equal(t, 3*time.Second, time.Since(start))
	})
}

// TestWriterDoInsideDone queues from done, as an actor's answer may.
func TestWriterDoInsideDone(t *testing.T) {
	t.Parallel()
	s := &fakeStore{}
	w := persistence.NewWriter(s, persistence.WriterOptions{Queue: 1})
	done := make(chan error, 1)
	w.Do(put("a"), func(error) { w.Do(put("b"), func(err error) { done <- err }) })
	require.NoError(t, <-done)
	require.NoError(t, w.Close(t.Context()))
	assert.Equal(t, []string{"a", "b"}, s.committed)
}

// TestWriterProperty lets several goroutines queue good and failing changes in any order.
func TestWriterProperty(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		w := persistence.NewWriter(s, persistence.WriterOptions{
			Queue:    rapid.IntRange(1, 64).Draw(rt, "queue"),
			MaxBatch: rapid.IntRange(1, 8).Draw(rt, "batch"),
		})
		lanes := rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]string{"good", "bad", "panic"}), 0, 12), 1, 4).Draw(rt, "lanes")
		r := &results{}
		var all sync.WaitGroup
		for lane, kinds := range lanes {
			all.Go(func() {
				for i, kind := range kinds {
					key := fmt.Sprintf("%d/%d/%d", run, lane, i)
					w.Do(countOnce(int64(run), key, kind), r.done(key))
				}
			})
		}
		all.Wait()
		if err := w.Close(context.Background()); err != nil {
			rt.Fatal(err)
		}
		good := int64(0)
		for lane, kinds := range lanes {
			for i, kind := range kinds {
				key := fmt.Sprintf("%d/%d/%d", run, lane, i)
				if checkResult(rt, s, r, key, kind) {
					good++
				}
			}
		}
		day, err := s.Day(context.Background(), int64(run), "2026-03-04")
		if err != nil || day["checked"] != good {
			rt.Fatalf("%d changes reported as committed, %d counted (%v)", good, day["checked"], err)
		}
	})
}

// countOnce leaves a key and one more in a counter, then ends as its kind says.
func countOnce(group int64, key, kind string) func(persistence.Tx) error {
	return func(tx persistence.Tx) error {
		if err := tx.SetMeta(key, "v"); err != nil {
			return err
		}
		if err := tx.CountDay("2026-03-04", group, "checked", 1); err != nil {
			return err
		}
		switch kind {
		case "bad":
			return assert.AnError
		case "panic":
			panic("boom")
		}
		return nil
	}
}

// checkResult compares what done was told with what is stored, and reports whether it was committed.
func checkResult(rt *rapid.T, s persistence.Store, r *results, key, kind string) bool {
	value, err := s.Meta(context.Background(), key)
	if err != nil {
		rt.Fatal(err)
	}
	if len(r.got[key]) != 1 {
		rt.Fatalf("done of %s was called %d times", key, len(r.got[key]))
	}
	told := r.got[key][0]
	if stored := value != ""; stored != (told == nil) {
		rt.Fatalf("%s was told %v, stored is %t", key, told, stored)
	}
	if busy := errors.Is(told, persistence.ErrBusy); !busy && (told == nil) != (kind == "good") {
		rt.Fatalf("a %s change was told %v", kind, told)
	}
	return told == nil
}
