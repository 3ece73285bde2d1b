package persistence_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/persistence"
)

func openJournal(t *testing.T, path string, size int64) *persistence.Journal {
	t.Helper()
	j, err := persistence.OpenJournal(path, size, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func next(t require.TestingT, j *persistence.Journal, n int) (list []string) {
	records, err := j.Next(n)
	require.NoError(t, err)
	for _, r := range records {
		list = append(list, string(r))
	}
	return list
}

func TestJournal_KeepsInOrderOverARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	j := openJournal(t, path, 0)
	require.NoError(t, j.Keep([]byte("a"), []byte("b")))
	require.NoError(t, j.Keep([]byte("c"), nil))
	assert.Equal(t, []string{"a", "b"}, next(t, j, 2))
	require.NoError(t, j.Done(1))
	require.NoError(t, j.Close())
	j = openJournal(t, path, 0)
	assert.Equal(t, []string{"b", "c", ""}, next(t, j, 9))
	assert.Equal(t, 3, j.Len())
	require.NoError(t, j.Done(3))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Zero(t, info.Size(), "an empty journal is an empty file")
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestJournal_IsBounded(t *testing.T) {
	t.Parallel()
	j := openJournal(t, filepath.Join(t.TempDir(), "j"), 100)
	require.NoError(t, j.Keep(make([]byte, 60)))
	require.ErrorIs(t, j.Keep(make([]byte, 60)), persistence.ErrJournalFull)
	require.ErrorIs(t, j.Keep(make([]byte, 1), make([]byte, 60)), persistence.ErrJournalFull, "all or nothing")
	assert.Equal(t, 1, j.Len())
	require.NoError(t, j.Done(1))
	require.NoError(t, j.Keep(make([]byte, 60)))
}

func TestJournal_CutsOffWhatACrashTore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	j := openJournal(t, path, 0)
	require.NoError(t, j.Keep([]byte("whole")))
	require.NoError(t, j.Keep([]byte("torn in the middle")))
	require.NoError(t, j.Close())
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for cut := len(whole) - 1; cut > len(whole)-len("torn in the middle")-9; cut-- {
		require.NoError(t, os.WriteFile(path, whole[:cut], 0o600))
		j, err := persistence.OpenJournal(path, 0, nil)
		require.NoError(t, err)
		assert.Equal(t, []string{"whole"}, next(t, j, 9))
		require.NoError(t, j.Keep([]byte("after")))
		assert.Equal(t, []string{"whole", "after"}, next(t, j, 9))
		require.NoError(t, j.Close())
	}
	flipped := append([]byte{}, whole...)
	flipped[len(flipped)-1] ^= 1
	require.NoError(t, os.WriteFile(path, flipped, 0o600))
	assert.Equal(t, []string{"whole"}, next(t, openJournal(t, path, 0), 9))
}

func TestJournal_BelongsToOneProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	j := openJournal(t, path, 0)
	_, err := persistence.OpenJournal(path, 0, nil)
	require.Error(t, err)
	require.NoError(t, j.Close())
	openJournal(t, path, 0)
}

func TestProperty_JournalIsAQueueOverRestarts(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		path := filepath.Join(folder, fmt.Sprint(round))
		j, err := persistence.OpenJournal(path, 4096, nil)
		require.NoError(t, err)
		var model []string
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				r := fmt.Sprint(i)
				if j.Keep([]byte(r)) == nil {
					model = append(model, r)
				}
			case 2:
				n := rapid.IntRange(0, 5).Draw(t, "done")
				require.NoError(t, j.Done(n))
				model = model[min(n, len(model)):]
			case 3:
				require.NoError(t, j.Close())
				j, err = persistence.OpenJournal(path, 4096, nil)
				require.NoError(t, err)
			}
			if len(model) == 0 {
				model = nil
			}
			require.Equal(t, model, next(t, j, 100))
		}
		require.NoError(t, j.Close())
	})
}

// A program that starts another one copies its descriptors for an instant, and with them file locks.
func TestJournal_IsFreeAtOnceAlthoughProgramsStartMeanwhile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "j")
	stop := make(chan struct{})
	var starting sync.WaitGroup
	for range 4 {
		starting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command("true").Run() //nolint:noctx // ends by itself
				}
			}
		})
	}
	defer starting.Wait()
	defer close(stop)
	for range 200 {
		j, err := persistence.OpenJournal(path, 4096, nil)
		require.NoError(t, err)
		require.NoError(t, j.Close())
	}
}
