package actors

import (
	"sync"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// invoked is the actor behind a mailbox: it notes what it was handed.
type invoked struct {
	mu       sync.Mutex
	got      []any
	failures []any
	each     func(message any)
}

func (i *invoked) note(message any) {
	i.mu.Lock()
	i.got = append(i.got, message)
	i.mu.Unlock()
	if i.each != nil {
		i.each(message)
	}
}

func (i *invoked) InvokeSystemMessage(message any) { i.note(message) }
func (i *invoked) InvokeUserMessage(message any)   { i.note(message) }
func (i *invoked) EscalateFailure(reason, _ any)   { i.failures = append(i.failures, reason) }

// byHand is a dispatcher whose runs the test starts.
type byHand struct{ runs []func() }

func (b *byHand) Schedule(fn func()) { b.runs = append(b.runs, fn) }
func (b *byHand) Throughput() int    { return 300 }

func (b *byHand) run() {
	for len(b.runs) > 0 {
		fn := b.runs[0]
		b.runs = b.runs[1:]
		fn()
	}
}

func mailboxByHand(t *testing.T, bound int) (*boundedMailbox, *invoked, *byHand, *[]any) {
	t.Helper()
	var dropped []any
	m := newMailbox(bound, nil, func(message any) { dropped = append(dropped, message) })
	behind, dispatcher := &invoked{}, &byHand{}
	m.RegisterHandlers(behind, dispatcher)
	m.Start()
	return m, behind, dispatcher, &dropped
}

func TestMailbox_HandsTheNewestBackWhenFull(t *testing.T) {
	t.Parallel()
	m, a, d, dropped := mailboxByHand(t, 3)
	for i := range 5 {
		m.PostUserMessage(i)
	}
	m.PostUserMessage(nil) // the library would spin on it
	assert.Equal(t, []any{3, 4}, *dropped)
	assert.Equal(t, 3, m.UserMessageCount())
	m.PostUserMessage(&actor.PoisonPill{})
	m.PostSystemMessage("system")
	assert.Len(t, *dropped, 2, "what ends an actor always fits")
	assert.Len(t, d.runs, 1, "one run at a time")
	d.run()
	assert.Equal(t, []any{"system", 0, 1, 2, &actor.PoisonPill{}}, a.got)
	assert.Zero(t, m.UserMessageCount())
	m.PostUserMessage(6)
	d.run()
	assert.Equal(t, 6, a.got[len(a.got)-1], "room again")
	assert.Len(t, *dropped, 2)
}

func TestMailbox_SystemMessagesGoFirst(t *testing.T) {
	t.Parallel()
	m, a, d, _ := mailboxByHand(t, 100)
	a.each = func(message any) {
		if message == 1 {
			m.PostSystemMessage("from inside")
		}
	}
	for i := range 3 {
		m.PostUserMessage(i)
	}
	m.PostSystemMessage("before")
	d.run()
	assert.Equal(t, []any{"before", 0, 1, "from inside", 2}, a.got)
}

func TestMailbox_Suspended(t *testing.T) {
	t.Parallel()
	m, a, d, _ := mailboxByHand(t, 2)
	m.PostSystemMessage(&actor.SuspendMailbox{})
	m.PostUserMessage(1)
	d.run()
	m.PostUserMessage(2)
	assert.Empty(t, d.runs, "nothing to do")
	m.PostSystemMessage("system")
	d.run()
	assert.Equal(t, []any{"system"}, a.got)
	m.PostSystemMessage(&actor.ResumeMailbox{})
	d.run()
	assert.Equal(t, []any{"system", 1, 2}, a.got)
}

func TestMailbox_APanicGoesToTheSupervisor(t *testing.T) {
	t.Parallel()
	m, a, d, _ := mailboxByHand(t, 10)
	a.each = func(message any) {
		if message == 1 {
			m.PostSystemMessage(&actor.SuspendMailbox{}) // as the library does
			panic("no")
		}
	}
	for i := range 3 {
		m.PostUserMessage(i)
	}
	d.run()
	assert.Equal(t, []any{"no"}, a.failures)
	assert.Equal(t, []any{0, 1}, a.got)
	m.PostSystemMessage(&actor.ResumeMailbox{})
	d.run()
	assert.Equal(t, []any{0, 1, 2}, a.got)
}

func TestMailbox_GivesItsMemoryBack(t *testing.T) {
	t.Parallel()
	m, a, d, dropped := mailboxByHand(t, 100_000)
	for i := range 50_000 {
		m.PostUserMessage(i)
	}
	require.Greater(t, cap(m.user), 49_999)
	d.run()
	require.Len(t, a.got, 50_000)
	assert.LessOrEqual(t, cap(m.user), 64)
	assert.Nil(t, m.system)

	// A queue that is never empty does not grow either, and keeps its order.
	a.got = nil
	a.each = func(message any) {
		if n, ok := message.(int); ok && n < 50_000 {
			m.PostUserMessage(n + 10)
		}
	}
	for i := range 10 {
		m.PostUserMessage(i)
	}
	d.run()
	require.Len(t, a.got, 50_010)
	for i, message := range a.got {
		require.Equal(t, i, message)
	}
	assert.Less(t, cap(m.user), 1000)
	assert.Empty(t, *dropped)
}

func TestMailbox_ManyProducers(t *testing.T) {
	t.Parallel()
	const producers, each, bound = 8, 5000, 1000
	type numbered struct{ from, n int }
	var mu sync.Mutex
	dropped := 0
	box := newMailbox(bound, nil, func(any) {
		mu.Lock()
		defer mu.Unlock()
		dropped++
	})
	ended := make(chan struct{})
	inside := 0 // not locked: two runs at once are a race
	a := &invoked{each: func(message any) {
		inside++
		if _, last := message.(*actor.PoisonPill); last {
			close(ended)
		}
	}}
	box.RegisterHandlers(a, actor.NewDefaultDispatcher(300))
	var wg sync.WaitGroup
	for from := range producers {
		wg.Go(func() {
			for n := range each {
				box.PostUserMessage(numbered{from, n})
				if n%10 == 0 {
					box.PostSystemMessage("system")
				}
				if count := box.UserMessageCount(); count > bound {
					t.Errorf("%d messages wait", count)
				}
			}
		})
	}
	wg.Wait()
	box.PostUserMessage(&actor.PoisonPill{})
	<-ended
	last, system, user := map[int]int{}, 0, 0
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, message := range a.got {
		switch m := message.(type) {
		case numbered:
			require.Greater(t, m.n+1, last[m.from], "order of one producer")
			last[m.from] = m.n + 1
			user++
		case string:
			system++
		}
	}
	mu.Lock()
	defer mu.Unlock()
	assert.Equal(t, producers*each/10, system, "no system message is lost")
	assert.Equal(t, producers*each, user+dropped, "each was handed over or back")
	assert.Positive(t, inside)
}
