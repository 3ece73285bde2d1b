package actors

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// mailboxLoad counts what waits in all mailboxes of one kind. Its nil pointer counts nothing.
type mailboxLoad struct {
	messages atomic.Int64
	waited   prometheus.Observer
}

// timeEvery: one message in so many is timed, since reading the clock costs more than all the rest.
const timeEvery = 16

func (l *mailboxLoad) add(n int) {
	if l != nil {
		l.messages.Add(int64(n))
	}
}

// timing is one message of a mailbox whose wait is measured; its zero value measures none.
type timing struct {
	posted, taken uint64 // messages since the mailbox began
	timed         uint64 // which of them is timed, counted from 1; 0 = none
	at            int64  // Unix ns
}

func (t *timing) post(l *mailboxLoad) {
	if l == nil {
		return
	}
	t.posted++
	if t.timed == 0 && t.posted%timeEvery == 1 {
		t.timed, t.at = t.posted, time.Now().UnixNano()
	}
}

func (t *timing) take(l *mailboxLoad) {
	if l == nil {
		return
	}
	t.taken++
	if t.taken == t.timed {
		l.waited.Observe(since(time.Duration(time.Now().UnixNano() - t.at)))
		t.timed = 0
	}
}
