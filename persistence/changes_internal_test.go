package persistence

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lastWord is a store whose transactions fail in a way of the test's choice, after the change ran.
type lastWord struct {
	Store

	err error
}

func (s *lastWord) Update(ctx context.Context, change func(Tx) error) error {
	if s.err != nil {
		return s.err
	}
	return s.Store.Update(ctx, change)
}

func TestWriter_WhatMayHaveBeenStoredIsNotKept(t *testing.T) {
	t.Parallel()
	sqlite, err := Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "x.db"), Options{})
	require.NoError(t, err)
	defer func() { _ = sqlite.Close() }()
	j, err := OpenJournal(filepath.Join(t.TempDir(), "kept"), 1<<20, nil)
	require.NoError(t, err)
	defer func() { _ = j.Close() }()
	s := &lastWord{Store: sqlite}
	changes, err := TakeUp(t.Context(), s, j, zerolog.Nop())
	require.NoError(t, err)
	w := NewWriter(s, WriterOptions{Changes: changes})
	do := func() error {
		done := make(chan error, 1)
		w.Do(func(tx Tx) error { return tx.SetMeta("a", "b") }, func(err error) { done <- err })
		return <-done
	}
	s.err = fmt.Errorf("commit: %w: %w", errUnclear, ErrUnavailable)
	require.ErrorIs(t, do(), errUnclear, "whoever asked for it has to look")
	require.Zero(t, j.Len())
	require.NoError(t, do(), "what follows is kept")
	require.Equal(t, 1, j.Len())
	require.NoError(t, w.Close(t.Context()))
}

func TestUnclear(t *testing.T) {
	t.Parallel()
	server, file := &sqlStore{dialect: dialect{postgres: true}}, &sqlStore{}
	assert.True(t, server.unclear(errors.New("connection reset")))
	assert.True(t, server.unclear(context.DeadlineExceeded))
	assert.False(t, server.unclear(&pgconn.PgError{Code: "53100"}), "the server refused it")
	assert.False(t, file.unclear(errors.New("disk is full")), "what a file could not take is not in it")
}

func TestIsAway(t *testing.T) {
	t.Parallel()
	for code, away := range map[string]bool{"57P03": true, "57P01": true, "53300": true, "3D000": false, "28P01": false, "XX000": false} {
		assert.Equal(t, away, IsAway(fault(&pgconn.PgError{Code: code})), code)
	}
	assert.False(t, IsAway(&URLError{Reason: "nonsense"}))
	assert.False(t, IsAway(ErrSchemaNewer))
	assert.True(t, IsAway(fault(context.DeadlineExceeded)))
}

func TestWriter_AFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	opened, err := Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "x.db"), Options{})
	require.NoError(t, err)
	defer func() { _ = opened.Close() }()
	s, ok := opened.(*sqlStore)
	require.True(t, ok)
	j, err := OpenJournal(filepath.Join(t.TempDir(), "kept"), 8<<20, nil)
	require.NoError(t, err)
	defer func() { _ = j.Close() }()
	changes, err := TakeUp(t.Context(), s, j, zerolog.Nop())
	require.NoError(t, err)
	w := NewWriter(s, WriterOptions{Changes: changes})
	room := func(pages int) {
		_, err := s.writer.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages))
		require.NoError(t, err)
	}
	room(1) // no less than it has: from here on it cannot grow
	long := strings.Repeat("x", 1<<16)
	for i := range 20 {
		done := make(chan error, 1)
		w.Do(func(tx Tx) error { return tx.SetMeta(fmt.Sprint("long", i), long) }, func(err error) { done <- err })
		require.NoError(t, <-done, "what the disk has no room for is kept")
	}
	require.True(t, w.Away())
	require.NotZero(t, j.Len())
	room(1 << 30)
	for deadline := time.Now().Add(10 * time.Second); w.Away(); time.Sleep(5 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), "it is used again by itself")
	}
	for i := range 20 {
		value, err := s.Meta(t.Context(), fmt.Sprint("long", i))
		require.NoError(t, err)
		assert.Equal(t, long, value)
	}
	require.NoError(t, w.Close(t.Context()))
}
