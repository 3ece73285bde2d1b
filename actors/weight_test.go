package actors

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// These tests measure the memory of the whole process, so they do not run beside others.

// maxAllocations of a clean message, from the poll's answer on.
const maxAllocations = 25

//nolint:paralleltest // see above
func TestWeight_ACleanMessage(t *testing.T) {
	g := newCleanGate(t)
	g.run(20)
	// The store hears who was seen, and nothing waits for that: begin when it has heard all, and let no minute pass
	// after which the bot notes that it listens.
	g.held.Store(time.Now().UnixNano())
	stored := make(chan error)
	g.s.d.writer.Do(func(persistence.Tx) error { return nil }, func(err error) { stored <- err })
	require.NoError(t, <-stored)
	const batches = 50
	commits, calls := g.store.commits.Load(), g.load.other.Load()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	g.run(batches)
	runtime.ReadMemStats(&after)
	each := float64(after.Mallocs-before.Mallocs) / (batches * cleanBatch)
	t.Logf("%.1f allocations and %d bytes a message", each, (after.TotalAlloc-before.TotalAlloc)/(batches*cleanBatch))
	assert.LessOrEqual(t, each, float64(maxAllocations))
	assert.Zero(t, g.store.commits.Load()-commits, "transactions")
	assert.Zero(t, g.load.other.Load()-calls, "calls to Telegram")
}

// heapInUse is what is in use after everything that is garbage has gone.
func heapInUse() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// manyGroups is a store with very many protected groups, of which only the ids are read.
type manyGroups struct {
	persistence.Reader
	n int64
}

func (m manyGroups) ProtectedGroups(_ context.Context, yield func(int64) bool) error {
	for id := range m.n {
		if !yield(-1_001_000_000_000 - id*7) {
			break
		}
	}
	return nil
}

func (m manyGroups) RequiredChannels(context.Context, func(int64) bool) error { return nil }

//nolint:paralleltest // see above
func TestWeight_AGroupThatSleeps(t *testing.T) {
	const groups, most = 1_000_000, 64
	none := heapInUse()
	sets, _, err := readShards(t.Context(), manyGroups{n: groups})
	require.NoError(t, err)
	each := float64(heapInUse()-none) / groups
	t.Logf("%.1f bytes a protected group that sleeps", each)
	assert.LessOrEqual(t, each, float64(most))
	runtime.KeepAlive(sets)
}

// slowAPI lets look-ups pass and has every call that changes something wait until the test ends.
type slowAPI struct{ end chan struct{} }

func (a slowAPI) Do(_ context.Context, job *protos.Job) *protos.JobDone {
	done := &protos.JobDone{Tag: job.GetTag(), SentMs: time.Now().UnixMilli()}
	if m := job.GetGetMember(); m != nil {
		done.Member = &protos.Member{Status: telegram.StatusMember}
		if m.GetChatId() == theChannel {
			done.Member.Status = telegram.StatusLeft
		}
		return done
	}
	<-a.end
	return done
}

// Each group has one stranger whose mute is on its way.
//
//nolint:paralleltest // see above
func TestWeight_AGroupWithAnOpenFlow(t *testing.T) {
	// What is made once is no group's, so there are others before.
	const groups, others, most = 1000, 200, 8 << 10
	store, err := persistence.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "gate.db"), persistence.Options{})
	require.NoError(t, err)
	require.NoError(t, store.Update(t.Context(), func(tx persistence.Tx) error {
		for n := range int64(others + groups) {
			_, err := tx.SaveGroup(persistence.Group{
				ID: -1_001_000_000_000 - n, OwnerID: theOwner, Title: "Garden talk", Enabled: true,
				Channels: []persistence.Channel{{ID: theChannel, Title: "News"}},
			}, persistence.Owner{ID: theOwner})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	began := time.Now()
	api, l := slowAPI{end: make(chan struct{})}, &ledger{settled: map[uint64]bool{}, notDone: map[uint64]string{}}
	s, err := Start(t.Context(), Options{
		API: api, Store: store, Settler: l, Bot: &protos.User{Id: theBot, IsBot: true, Username: "gate_bot"}, Log: zerolog.Nop(),
		Clock: func() time.Time { return began }, // it stands, so that no call grows old
	})
	require.NoError(t, err)
	write := func(n int64) {
		s.Deliver(&protos.Event{
			UpdateId: n + 1, Delivery: uint64(n + 1), Attempt: 1, ReceivedMs: time.Now().UnixMilli(), Kind: protos.EventKind_MESSAGE,
			Chat: &protos.Chat{Id: -1_001_000_000_000 - n, Type: "supergroup", Title: "Garden talk"},
			From: &protos.User{Id: 10_000 + n, FirstName: "Anna"}, Date: time.Now().Unix(), MessageId: 5, Text: "hello",
		})
	}
	// Of each flow the mute and the deletion wait, in the air or for that; then nothing moves any more. How long that takes
	// is the machine's affair: the test's own time limit ends a wait without end.
	await := func(flows int) {
		for calls := 0; calls != 2*flows; time.Sleep(20 * time.Millisecond) {
			got, err := s.actors.Root.RequestFuture(s.Sender(), &inspect{}, time.Minute).Result()
			require.NoError(t, err)
			if i, ok := got.(*ActorInfo); ok {
				calls = i.State["waiting"] + i.State["in the air"]
			}
		}
	}
	for n := range int64(others) {
		write(n)
	}
	await(others)
	before := heapInUse()
	for n := range int64(groups) {
		write(others + n)
	}
	await(others + groups)
	each := (heapInUse() - before) / groups
	t.Logf("%d bytes a group with one open flow", each)
	assert.LessOrEqual(t, each, int64(most))
	close(api.end)
	ctx, cancel := context.WithTimeout(context.Background(), 6*time.Second)
	defer cancel()
	require.NoError(t, s.Stop(ctx))
	require.NoError(t, store.Close())
}
