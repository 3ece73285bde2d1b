package storetest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
)

// absent is a store whose database can be taken away.
type absent struct {
	persistence.Store

	gone atomic.Bool
}

// Update implements persistence.Store.
func (a *absent) Update(ctx context.Context, change func(persistence.Tx) error) error {
	if a.gone.Load() {
		return fmt.Errorf("taken away: %w", persistence.ErrUnavailable)
	}
	return a.Store.Update(ctx, change)
}

// keeper is a writer with a journal of changes.
type keeper struct {
	*persistence.Writer
	t       *testing.T
	store   *absent
	path    string
	journal *persistence.Journal
}

func keep(c on) *keeper {
	c.t.Helper()
	k := &keeper{t: c.t, store: &absent{Store: c.s}, path: filepath.Join(c.t.TempDir(), "kept")}
	k.open()
	return k
}

// open begins a program's life.
func (k *keeper) open() {
	k.t.Helper()
	var err error
	k.journal, err = persistence.OpenJournal(k.path, 1<<20, nil)
	require.NoError(k.t, err)
	changes, err := persistence.TakeUp(k.t.Context(), k.store, k.journal, zerolog.Nop())
	require.NoError(k.t, err)
	k.Writer = persistence.NewWriter(k.store, persistence.WriterOptions{Changes: changes})
	k.t.Cleanup(k.end)
}

// end ends it; what is kept stays kept.
func (k *keeper) end() {
	assert.NoError(k.t, k.Close(context.WithoutCancel(k.t.Context())))
	_ = k.journal.Close()
	k.store.Hold(false)
}

func (k *keeper) do(change func(persistence.Tx) error) error {
	k.t.Helper()
	done := make(chan error, 1)
	k.Do(change, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-time.After(10 * time.Second):
		k.t.Fatal("a change is never answered")
		return nil
	}
}

// back brings the database back and waits until all is applied.
func (k *keeper) back() {
	k.t.Helper()
	k.store.gone.Store(false)
	for deadline := time.Now().Add(10 * time.Second); k.Away(); time.Sleep(5 * time.Millisecond) {
		require.True(k.t, time.Now().Before(deadline), "what was kept is applied")
	}
	require.Zero(k.t, k.journal.Len())
}

// everyCall is every call that may be kept, with rows whose every field is set.
func everyCall(tx persistence.Tx) error {
	f := flow(group, person, persistence.Muted, noon, 7, 8)
	f.Name, f.UntilDate, f.ThreadID, f.Attempts, f.NextAttempt = "Anna <&>", 1_900_000_000, 5, 3, noon.Add(time.Minute)
	f.Before = &persistence.Rights{Permissions: 5, UntilDate: 1_800_000_000}
	if _, err := tx.MarkSeen(1001); err != nil {
		return err
	}
	if _, err := tx.Warn(group, person, noon); err != nil {
		return err
	}
	return errors.Join(
		tx.SaveFlow(f), tx.SaveFlow(flow(group, person+1, persistence.Muting, noon)), tx.CloseFlow(group, person+1),
		tx.SawMember(group, person, noon), tx.SawMember(group, person+1, noon), tx.ForgetMember(group, person+1),
		tx.Exempt(persistence.Exemption{GroupID: group, UserID: person, Name: "Anna", By: 9, At: noon}),
		tx.ClearWarnings(group, person+1),
		tx.SaveRemoval(persistence.Removal{GroupID: group, UserID: person, At: noon}),
		tx.SaveRemoval(persistence.Removal{GroupID: group, UserID: person + 1, At: noon}), tx.DropRemoval(group, person+1),
		tx.SaveJoinRequest(persistence.JoinRequest{
			ChatID: channel, UserID: person, Name: "Anna", Channel: true, PrivateID: 4, MessageID: 5, Language: "de", At: noon, ExpiresAt: noon.Add(time.Hour),
		}),
		tx.DropJoinRequest(channel, person+1),
		tx.SavePause(persistence.Pause{GroupID: group, PlaceID: channel, Kind: persistence.CannotJudge, Since: noon, Told: true}),
		tx.SavePause(persistence.Pause{GroupID: group, PlaceID: group, Kind: persistence.CannotMute, Since: noon}),
		tx.DropPause(group, group, persistence.CannotMute),
		tx.SetChannel(persistence.Channel{ID: channel, Title: "New <name>", Username: "new_name", InviteLink: "https://t.me/+x"}),
		tx.SaveNotice(persistence.Notice{GroupID: group, ThreadID: 5, MessageID: 44, Seen: 43, People: []int64{person}, ExpiresAt: noon}),
		tx.SaveNotice(persistence.Notice{GroupID: group, ThreadID: 6, ExpiresAt: noon}), tx.DropNotice(group, 6),
		tx.AddDue(persistence.Due{ChatID: group, MessageID: 3, At: noon}), tx.AddDue(persistence.Due{ChatID: group, MessageID: 4, At: noon}),
		tx.DropDue(group, []int64{4}),
		tx.SetMeta("some", "thing"), tx.Audit(noon, group, 1, person, "mute", "message -100"),
		tx.CountDay("2026-03-04", group, "muted", 2),
	)
}

// told is all that everyCall changed, as it is read.
func told(c on) []any {
	c.t.Helper()
	ctx := c.t.Context()
	var list []any
	add := func(v any, err error) {
		require.NoError(c.t, err)
		list = append(list, v)
	}
	add(orNil(c.s.Flow(ctx, group, person)))
	add(orNil(c.s.Flow(ctx, group, person+1)))
	add(orNil(c.s.Person(ctx, group, person)))
	add(orNil(c.s.Person(ctx, group, person+1)))
	add(orNil(c.s.Exemptions(ctx, group, 0, 9)))
	add(orNil(c.s.RemovalsBefore(ctx, noon, 9)))
	add(orNil(c.s.JoinRequestsOf(ctx, person)))
	add(orNil(c.s.Pauses(ctx, group)))
	add(orNil(c.s.Group(ctx, group)))
	add(orNil(c.s.Notices(ctx, group)))
	due, err := c.s.DueBefore(ctx, noon, 9)
	for i := range due {
		due[i].ID = 0
	}
	add(due, err)
	add(orNil(c.s.Meta(ctx, "some")))
	add(orNil(c.s.AuditOf(ctx, group, person, 9)))
	add(orNil(c.s.Day(ctx, group, "2026-03-04")))
	add(orNil(c.s.Seen(ctx, 1001)))
	return list
}

func orNil[T any](v T, err error) (any, error) {
	if errors.Is(err, persistence.ErrNotFound) {
		return nil, nil //nolint:nilnil // there is none
	}
	return v, err
}

func testKeptChanges(c on) {
	save(c.t, c.s, group, true, channel)
	k := keep(c)
	k.store.gone.Store(true)
	require.NoError(c.t, k.do(everyCall), "what cannot be stored is kept")
	require.True(c.t, k.Away())
	_, err := c.s.Flow(c.t.Context(), group, person)
	require.ErrorIs(c.t, err, persistence.ErrUnavailable, "and nobody reads what is not true any more")
	for i := range 300 { // several transactions of them, in order
		require.NoError(c.t, k.do(func(tx persistence.Tx) error { return tx.SetMeta("last", fmt.Sprint(i)) }))
	}
	k.back()
	assert.Equal(c.t, "299", meta(c.t, c.s, "last"))
	got := told(c)

	// The same, done directly.
	require.NoError(c.t, c.s.Update(c.t.Context(), func(tx persistence.Tx) error {
		if _, err := tx.ForgetPerson(person); err != nil {
			return err
		}
		return errors.Join(tx.CloseFlow(group, person), tx.DropRemoval(group, person), tx.DropNotice(group, 5))
	}))
	assert.NotEqual(c.t, got, told(c), "the comparison can fail")
	assert.Equal(c.t, wanted(c), got)
}

// wanted is what everyCall makes of an empty store.
func wanted(c on) []any {
	c.t.Helper()
	g, err := c.s.Group(c.t.Context(), group)
	require.NoError(c.t, err)
	f := flow(group, person, persistence.Muted, noon, 7, 8)
	f.Name, f.UntilDate, f.ThreadID, f.Attempts, f.NextAttempt = "Anna <&>", 1_900_000_000, 5, 3, noon.Add(time.Minute)
	f.Before = &persistence.Rights{Permissions: 5, UntilDate: 1_800_000_000}
	require.Equal(c.t, "New <name>", g.Channels[0].Title)
	return []any{
		f, nil,
		persistence.Person{
			HasFlow: true, Flow: f, Warnings: 1, WarnedAt: noon, Seen: true, Requested: []int64{channel},
		},
		persistence.Person{},
		[]persistence.Exemption{{GroupID: group, UserID: person, Name: "Anna", By: 9, At: noon}},
		[]persistence.Removal{{GroupID: group, UserID: person, At: noon}},
		[]persistence.JoinRequest{{
			ChatID: channel, UserID: person, Name: "Anna", Channel: true, PrivateID: 4, MessageID: 5, Language: "de", At: noon, ExpiresAt: noon.Add(time.Hour),
		}},
		[]persistence.Pause{{GroupID: group, PlaceID: channel, Kind: persistence.CannotJudge, Since: noon, Told: true}},
		g,
		[]persistence.Notice{{GroupID: group, ThreadID: 5, MessageID: 44, Seen: 43, People: []int64{person}, ExpiresAt: noon}},
		[]persistence.Due{{ChatID: group, MessageID: 3, At: noon}},
		"thing",
		[]persistence.AuditEntry{{At: noon, GroupID: group, ActorID: 1, UserID: person, Action: "mute", Detail: "message -100"}},
		map[string]int64{"checked": 0, "muted": 2, "verified": 0, "left_again": 0},
		true,
	}
}

func testKeptOnce(c on) {
	k := keep(c)
	k.store.gone.Store(true)
	count := func(tx persistence.Tx) error {
		return errors.Join(tx.CountDay("2026-03-04", group, "muted", 1), tx.SaveFlow(flow(group, person, persistence.Muted, noon)))
	}
	require.NoError(c.t, k.do(count))
	records, err := k.journal.Next(1)
	require.NoError(c.t, err)
	require.NoError(c.t, k.journal.Keep(records...), "applied, but not struck off before a crash")
	k.end()
	k.store.gone.Store(false)
	k.open()
	day, err := c.s.Day(c.t.Context(), group, "2026-03-04")
	require.NoError(c.t, err)
	assert.Equal(c.t, int64(1), day["muted"])

	// An update that was done in an earlier life counts nothing again, but the row is what was promised.
	k.store.gone.Store(true)
	update(c.t, c.s, func(tx persistence.Tx) error { _, err := tx.MarkSeen(77); return err })
	require.NoError(c.t, k.do(func(tx persistence.Tx) error {
		if _, err := tx.MarkSeen(77); err != nil {
			return err
		}
		return errors.Join(tx.CountDay("2026-03-04", group, "muted", 1), tx.SaveFlow(flow(group, person, persistence.Freeing, noon)))
	}))
	k.back()
	day, err = c.s.Day(c.t.Context(), group, "2026-03-04")
	require.NoError(c.t, err)
	assert.Equal(c.t, int64(1), day["muted"])
	f, err := c.s.Flow(c.t.Context(), group, person)
	require.NoError(c.t, err)
	assert.Equal(c.t, persistence.Freeing, f.State)
}

func testKeptNotEverything(c on) {
	k := keep(c)
	k.store.gone.Store(true)
	own := errors.New("its own fault")
	require.ErrorIs(c.t, k.do(func(persistence.Tx) error { return own }), own)
	for name, change := range map[string]func(persistence.Tx) error{
		"a group": func(tx persistence.Tx) error {
			_, err := tx.SaveGroup(persistence.Group{ID: 1}, persistence.Owner{})
			return err
		},
		"a swallowed":   func(tx persistence.Tx) error { _ = tx.MoveGroup(1, 2); return tx.SetMeta("a", "b") },
		"everybody":     func(tx persistence.Tx) error { _, err := tx.FreeAll(group); return err },
		"a panic":       func(persistence.Tx) error { panic("oh") },
		"a put aside":   func(tx persistence.Tx) error { return tx.PutAside(persistence.SetAside{UpdateID: 1}) },
		"a drop aside":  func(tx persistence.Tx) error { return tx.DropAside(1) },
		"an unexempt":   func(tx persistence.Tx) error { _, err := tx.Unexempt(group, person); return err },
		"a long record": func(tx persistence.Tx) error { return tx.SetMeta("long", string(make([]byte, 2<<20))) },
	} {
		require.Error(c.t, k.do(change), name)
	}
	require.Zero(c.t, k.journal.Len(), "nothing of them is kept")
	k.back()
	assert.Empty(c.t, meta(c.t, c.s, "a"))
}

func testKeptByAnother(c on) {
	save(c.t, c.s, group, true, channel)
	k := keep(c)
	k.store.gone.Store(true)
	mute := func(user, until int64) persistence.Flow {
		f := flow(group, user, persistence.Muted, noon)
		f.UntilDate = until
		return f
	}
	require.NoError(c.t, k.do(func(tx persistence.Tx) error {
		return errors.Join(tx.SaveFlow(mute(person, 100)), tx.SaveFlow(mute(person+1, 100)), tx.CloseFlow(group, person+2), tx.SetMeta("some", "old"))
	}))
	// Another program takes over, and goes on with its own truth.
	another, err := persistence.OpenJournal(filepath.Join(c.t.TempDir(), "another"), 1<<20, nil)
	require.NoError(c.t, err)
	defer func() { _ = another.Close() }()
	c.s.Hold(false)
	_, err = persistence.TakeUp(c.t.Context(), c.s, another, zerolog.Nop())
	require.NoError(c.t, err)
	saveFlows(c.t, c.s, mute(person+1, 200), mute(person+2, 200))

	k.store.gone.Store(false)
	for deadline := time.Now().Add(10 * time.Second); !k.Superseded(); time.Sleep(5 * time.Millisecond) {
		require.True(c.t, time.Now().Before(deadline), "the first finds out that it is not alone")
	}
	require.True(c.t, k.Away())
	require.Equal(c.t, 1, k.journal.Len(), "and applies nothing")
	k.end()
	k.open()
	f, err := c.s.Flow(c.t.Context(), group, person)
	require.NoError(c.t, err)
	assert.Equal(c.t, persistence.Freeing, f.State, "a mute that nobody knows of is looked at")
	assert.Equal(c.t, int64(100), f.UntilDate)
	for _, user := range []int64{person + 1, person + 2} {
		f, err := c.s.Flow(c.t.Context(), group, user)
		require.NoError(c.t, err)
		assert.Equal(c.t, int64(200), f.UntilDate, "what the other one knows stands")
	}
	assert.Empty(c.t, meta(c.t, c.s, "some"))
}
