package persistence_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

// BenchmarkWriter stores a flow and marks its update, as a violation does, from many goroutines at once.
func BenchmarkWriter(b *testing.B) {
	s, err := persistence.Open(b.Context(), "sqlite://"+filepath.Join(b.TempDir(), "gmbot.db"), persistence.Options{})
	require.NoError(b, err)
	w := persistence.NewWriter(s, persistence.WriterOptions{})
	since := time.Now()
	var all sync.WaitGroup
	slots := make(chan struct{}, 1024)
	for i := int64(0); b.Loop(); i++ {
		slots <- struct{}{}
		all.Add(1)
		w.Do(func(tx persistence.Tx) error {
			if _, err := tx.MarkSeen(i); err != nil {
				return err
			}
			return tx.SaveFlow(persistence.Flow{GroupID: -i % 100, UserID: i, State: persistence.Checking, Since: since, Messages: []int64{i}})
		}, func(err error) {
			if err != nil {
				b.Error(err)
			}
			<-slots
			all.Done()
		})
	}
	all.Wait()
	require.NoError(b, w.Close(context.Background()))
	require.NoError(b, s.Close())
}

// BenchmarkFlow reads one row.
func BenchmarkFlow(b *testing.B) {
	s := newStore(b)
	require.NoError(b, s.Update(b.Context(), func(tx persistence.Tx) error {
		return tx.SaveFlow(persistence.Flow{GroupID: 1, UserID: 1, State: persistence.Checking})
	}))
	for b.Loop() {
		if _, err := s.Flow(b.Context(), 1, 1); err != nil {
			b.Fatal(err)
		}
	}
}
