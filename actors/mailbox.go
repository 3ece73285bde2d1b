package actors

import (
	"runtime"
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// boundedMailbox holds at most bound user messages: the newest that does not fit is handed to onDrop.
// The library's own bounded mailboxes spin a core when they are full; this one gives its memory back
// after a burst and ignores nil, which would make the library spin too.
type boundedMailbox struct {
	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher
	bound      int
	onDrop     func(message any)
	work       func()       // run, made once
	load       *mailboxLoad // nil counts nothing

	mu        sync.Mutex
	user      []any // from head on
	head      int
	system    []any
	running   bool
	suspended bool
	timing    timing
}

var _ actor.Mailbox = (*boundedMailbox)(nil)

// yieldAfter is how many messages an actor handles before others get the thread.
const yieldAfter = 300

// newMailbox makes a mailbox of at most bound user messages, which count in load.
func newMailbox(bound int, load *mailboxLoad, onDrop func(message any)) *boundedMailbox {
	return &boundedMailbox{bound: bound, load: load, onDrop: onDrop}
}

// RegisterHandlers implements actor.Mailbox.
func (m *boundedMailbox) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.invoker, m.dispatcher, m.work = invoker, dispatcher, m.run
}

// Start implements actor.Mailbox.
func (m *boundedMailbox) Start() {}

// UserMessageCount implements actor.Mailbox.
func (m *boundedMailbox) UserMessageCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.user) - m.head
}

// PostUserMessage implements actor.Mailbox. It never blocks.
func (m *boundedMailbox) PostUserMessage(message any) {
	if message == nil {
		return
	}
	_, poison := message.(*actor.PoisonPill)
	m.mu.Lock()
	if !poison && len(m.user)-m.head >= m.bound {
		m.mu.Unlock()
		m.onDrop(message)
		return
	}
	m.user = append(m.user, message)
	m.load.add(1)
	m.timing.post(m.load)
	m.schedule(!m.suspended)
}

// PostSystemMessage implements actor.Mailbox. It never blocks and has no bound.
func (m *boundedMailbox) PostSystemMessage(message any) {
	m.mu.Lock()
	m.system = append(m.system, message)
	m.schedule(true)
}

// schedule ends the critical section, and starts a run if none is under way.
func (m *boundedMailbox) schedule(wanted bool) {
	start := wanted && !m.running && m.dispatcher != nil
	m.running = m.running || start
	m.mu.Unlock()
	if start {
		m.dispatcher.Schedule(m.work)
	}
}

func (m *boundedMailbox) run() {
	for n := 1; ; n++ {
		message, system, ok := m.take()
		if !ok {
			return
		}
		m.invoke(message, system)
		if n%yieldAfter == 0 {
			runtime.Gosched()
		}
	}
}

// take picks the next message: system messages first, and none of the others while suspended.
func (m *boundedMailbox) take() (message any, system, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.system) > 0 {
		message = m.system[0]
		m.system = m.system[1:]
		if len(m.system) == 0 {
			m.system = nil
		}
		return message, true, true
	}
	if m.suspended || m.head == len(m.user) {
		m.running = false
		return nil, false, false
	}
	message = m.user[m.head]
	m.user[m.head] = nil
	m.head++
	m.load.add(-1)
	m.timing.take(m.load)
	m.shrink()
	return message, false, true
}

// shrink gives back what a burst took.
func (m *boundedMailbox) shrink() {
	switch {
	case m.head == len(m.user) && cap(m.user) > 64:
		m.user, m.head = nil, 0
	case m.head == len(m.user):
		m.user, m.head = m.user[:0], 0
	case m.head >= 64 && m.head*2 >= len(m.user):
		rest := copy(m.user, m.user[m.head:])
		clear(m.user[rest:])
		m.user, m.head = m.user[:rest], 0
	}
}

// invoke hands a message to the actor; a panic goes to its supervisor.
func (m *boundedMailbox) invoke(message any, system bool) {
	defer func() {
		if reason := recover(); reason != nil {
			m.invoker.EscalateFailure(reason, message)
		}
	}()
	if !system {
		m.invoker.InvokeUserMessage(message)
		return
	}
	switch message.(type) {
	case *actor.SuspendMailbox:
		m.suspend(true)
	case *actor.ResumeMailbox:
		m.suspend(false)
	case *actor.Stop:
		m.disown()
		m.invoker.InvokeSystemMessage(message)
	default:
		m.invoker.InvokeSystemMessage(message)
	}
}

// disown counts no more: what is still here when the actor stops nobody will take, or takes for nothing.
func (m *boundedMailbox) disown() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.load.add(m.head - len(m.user))
	m.load = nil
}

func (m *boundedMailbox) suspend(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suspended = on
}
