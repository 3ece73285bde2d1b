package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
)

// polled is one call of GetUpdates.
type polled struct {
	at      time.Duration
	offset  int64
	limit   int
	timeout int
	allowed []string
}

// delivered is one event that was handed out.
type delivered struct {
	at       time.Duration
	id       int64
	attempt  uint32
	delivery uint64
	event    *protos.Event
}

// aside is an update that was set aside.
type aside struct {
	at     time.Duration
	id     int64
	reason string
	raw    string
	again  time.Duration // 0 = never
}

// lines collects a log that several goroutines write.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// box is a Source in a bubble of virtual time, with a queue of updates before it and a list of what it
// did behind it.
type box struct {
	t       *testing.T
	began   time.Time
	src     *Source
	log     lines
	reg     *prometheus.Registry
	end     context.CancelFunc
	done    chan struct{}
	endedAt time.Duration

	mu        sync.Mutex
	queue     []json.RawMessage
	fresh     chan struct{}
	polls     []polled
	handed    []delivered
	asides    []aside                                // each that was set aside, in order
	deferred  map[int64]Aside                        // those to be tried again
	once      bool                                   // of which nobody is told
	trouble   func(n int) error                      // of the nth poll, from 1
	onDeliver func(*protos.Event)                    // called while an event is handed out
	store     func(ctx context.Context, n int) error // of the nth attempt to set aside, from 1
	tries     int
	steps     int
	raws      func() []json.RawMessage // answers polls instead of the queue
}

// inBox runs a test with a Source that polls already, and ends it.
func inBox(t *testing.T, prepare, test func(b *box)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &box{t: t, began: time.Now(), fresh: make(chan struct{}), done: make(chan struct{}), reg: prometheus.NewRegistry()}
		b.src = NewSource(SourceOptions{
			Client: b, Deliver: b.deliver, Asides: b, Log: zerolog.New(&b.log), Metrics: NewMetrics(b.reg),
		})
		if prepare != nil {
			prepare(b)
		}
		var ctx context.Context
		ctx, b.end = context.WithCancel(t.Context())
		go func() {
			_ = b.src.Run(ctx)
			b.endedAt = time.Since(b.began)
			close(b.done)
		}()
		synctest.Wait()
		test(b)
		b.step()
		b.end()
		<-b.done
	})
}

func (b *box) GetUpdates(ctx context.Context, offset int64, limit, timeout int, allowed []string) ([]json.RawMessage, error) {
	b.mu.Lock()
	b.polls = append(b.polls, polled{time.Since(b.began), offset, limit, timeout, allowed})
	trouble, n, raws := b.trouble, len(b.polls), b.raws
	b.mu.Unlock()
	if trouble != nil {
		if err := trouble(n); err != nil {
			return nil, err
		}
	}
	if raws != nil {
		return raws(), nil
	}
	over := time.After(time.Duration(timeout) * time.Second)
	for {
		b.mu.Lock()
		b.queue = slices.DeleteFunc(b.queue, func(raw json.RawMessage) bool {
			id, err := UpdateID(raw)
			return err == nil && id < offset || err != nil && offset > 0
		})
		batch, fresh := slices.Clone(b.queue[:min(limit, len(b.queue))]), b.fresh
		b.mu.Unlock()
		if len(batch) > 0 {
			return batch, nil
		}
		select {
		case <-fresh:
		case <-over:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (b *box) deliver(e *protos.Event) {
	b.mu.Lock()
	b.handed = append(b.handed, delivered{time.Since(b.began), e.GetUpdateId(), e.GetAttempt(), e.GetDelivery(), e})
	f := b.onDeliver
	b.mu.Unlock()
	if f != nil {
		f(e)
	}
}

// SetAside implements Asides.
func (b *box) SetAside(ctx context.Context, a Aside) error {
	b.mu.Lock()
	b.tries++
	store, n := b.store, b.tries
	b.mu.Unlock()
	if store != nil {
		if err := store(ctx, n); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	one := aside{time.Since(b.began), a.ID, a.Reason, string(a.Raw), 0}
	delete(b.deferred, a.ID)
	if !a.Again.IsZero() {
		one.again = a.Again.Sub(b.began)
		if b.deferred == nil {
			b.deferred = map[int64]Aside{}
		}
		b.deferred[a.ID] = a
	}
	b.asides = append(b.asides, one)
	return nil
}

// Deferred implements Asides.
func (b *box) Deferred(_ context.Context, limit int) ([]Aside, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.once {
		return nil, nil
	}
	list := slices.SortedFunc(maps.Values(b.deferred), func(x, y Aside) int { return x.Again.Compare(y.Again) })
	return list[:min(limit, len(list))], nil
}

// Finished implements Asides.
func (b *box) Finished(_ context.Context, id int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.deferred, id)
	return nil
}

// write is update number id: a message in a chat.
func write(id, chat int64) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"update_id":%d,"message":{"message_id":%d,"date":1,"chat":{"id":%d,"type":"supergroup"}}}`, id, id, chat))
}

// arrive puts updates into Telegram's queue and lets the Source see them.
func (b *box) arrive(raws ...json.RawMessage) {
	b.t.Helper()
	b.step()
	b.mu.Lock()
	b.queue = append(b.queue, raws...)
	close(b.fresh)
	b.fresh = make(chan struct{})
	b.mu.Unlock()
	synctest.Wait()
}

// pass lets time go by.
func (b *box) pass(d time.Duration) {
	b.t.Helper()
	b.step()
	time.Sleep(d)
	synctest.Wait()
}

// step makes what the test has read and set so far come before what the Source does next.
func (b *box) step() {
	b.mu.Lock()
	b.src.mu.Lock()
	b.steps++
	b.src.mu.Unlock()
	b.mu.Unlock()
}

// latest is the current delivery of an update.
func (b *box) latest(id int64) uint64 { return b.delivery(id, 0) }

// delivery is that of an attempt at an update; 0: the last.
func (b *box) delivery(id int64, attempt uint32) uint64 {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range slices.Backward(b.handed) {
		if d.id == id && (attempt == 0 || d.attempt == attempt) {
			return d.delivery
		}
	}
	require.Failf(b.t, "never handed out", "update %d attempt %d", id, attempt)
	return 0
}

// settle settles updates by their latest deliveries.
func (b *box) settle(ids ...int64) {
	b.t.Helper()
	b.step()
	for _, id := range ids {
		b.src.Settled(b.latest(id))
	}
	synctest.Wait()
}

// give gives an update's latest delivery up.
func (b *box) give(id int64) {
	b.t.Helper()
	b.step()
	b.src.NotDone(b.latest(id), "no room")
	synctest.Wait()
}

// order lists what was handed out, as "id.attempt".
func (b *box) order() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := make([]string, 0, len(b.handed))
	for _, d := range b.handed {
		list = append(list, fmt.Sprintf("%d.%d", d.id, d.attempt))
	}
	return list
}

// offset is that of the last poll.
func (b *box) offset() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.polls[len(b.polls)-1].offset
}

// said counts lines of the log with these words.
func (b *box) said(words string) int { return strings.Count(b.log.String(), words) }

// counted is a counter's value at a label.
func (b *box) counted(name, label string) (sum float64) {
	b.t.Helper()
	families, err := b.reg.Gather()
	require.NoError(b.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetName() == "outcome" && l.GetValue() == label {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}

var errStore = errors.New("disk full at postgres://gm:hunter2@db/gm")
