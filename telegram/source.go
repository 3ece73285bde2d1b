package telegram

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/protos"
)

const (
	batchSize    = 100
	pollSeconds  = 50               // Telegram's longest. Source: Bot API server, Client.cpp
	settleWithin = 5 * time.Second  // an event not settled by then is handed out again
	deliveries   = 3                // then it is set aside
	finishWithin = 15 * time.Second // however long it waited behind others
	stopGrace    = 2 * time.Second  // for what is in the air when the program ends
	maxReason    = 4096             // bytes of a reason that is stored
	keepWithin   = time.Second      // while the store is away, an event not settled by then is kept
)

// Updates is the part of a Client that a Source polls.
type Updates interface {
	GetUpdates(ctx context.Context, offset int64, limit, timeoutSeconds int, allowed []string) ([]json.RawMessage, error)
}

// SourceOptions are what a Source is made of. Client, Deliver and Asides are required.
type SourceOptions struct {
	Client Updates
	// Deliver hands an event on; it must not block. Whoever gets it settles it.
	Deliver func(*protos.Event)
	// Asides stores updates nobody could finish in time, which settles them, and knows which are to be tried again.
	Asides Asides
	// Keeper keeps updates while the store is away, which settles them; nil keeps none.
	Keeper Keeper
	// Away reports whether the store does not answer now; nil means that it always does.
	Away func() bool
	// Guard is asked before each batch; its error ends the source. nil allows everything.
	Guard   func(ctx context.Context) error
	Log     zerolog.Logger
	Metrics *Metrics
	// Random draws what is added to the pause after trouble, uniform in [0, n); nil: by chance.
	Random func(n int64) int64
}

// Keeper keeps records over crashes, in order; persistence.Journal implements it.
type Keeper interface {
	// Keep returns when all records are on the disk, or an error and none is.
	Keep(records ...[]byte) error
	// Next returns at most n of the oldest records; Done forgets n of them; Len is how many there are.
	Next(n int) ([][]byte, error)
	Done(n int) error
	Len() int
}

// Source polls or takes webhooks, and owns every event until it is settled: nothing to do, or stored. Of
// polling one batch is in the air; the poll that confirms it leaves when all of it is settled, or, when some of it
// is late, after 0.6 s, and confirms what stands before that. Of webhooks many are in the air; each is
// answered when it is settled. An event that is given up, or not settled in time, is handed out again, twice at most, and then set aside, at the latest 15 s
// after it was first handed out, so that Telegram's queue always moves on. What was set aside is tried again for a day, unless it panics.
type Source struct {
	o    SourceOptions
	mu   sync.Mutex
	last uint64
	open map[uint64]*item // by delivery, also older ones of the same event
	wake chan struct{}
	left int  // in the air and not settled
	each bool // wake at each that settles, for others wait behind it

	loads chan *load    // to the goroutine that carries
	ended chan struct{} // closed when it carries no more

	taking   bool
	reason   string
	hindered string // why updates are stuck, while some are; only the carrying goroutine changes it

	hooks hooks

	deferred chan time.Time   // to whoever tries again: when the next that was set aside is due
	waiting  map[uint64]int64 // by delivery: the update that was set aside in this life, and is to be tried again
	finished map[int64]bool   // of those: settled all the same meanwhile
}

// item is one event on its way.
type item struct {
	e        *protos.Event
	raw      json.RawMessage
	attempt  uint32
	delivery uint64    // the current one
	first    time.Time // when it was first handed out
	due      time.Time // when the current delivery counts as given up
	out      bool      // handed out now
	settled  bool
	closed   bool     // settled, kept or set aside, and out of the air
	failed   string   // why the current delivery was given up
	tries    int      // how often it was set aside and tried again
	deferred bool     // it was set aside before, and is tried once
	replayed bool     // it was kept, or set aside: who remembers its id must not take it for a copy
	stuck    bool     // neither the store nor the journal took it
	older    []uint64 // handles of earlier deliveries
	load     *load
}

// NewSource makes a Source; Run starts it, or RunWebhook. It runs once.
func NewSource(o SourceOptions) *Source {
	if o.Random == nil {
		o.Random = rand.Int64N
	}
	return &Source{
		o: o, open: map[uint64]*item{}, wake: make(chan struct{}, 1), loads: make(chan *load), ended: make(chan struct{}),
		deferred: make(chan time.Time, 1), waiting: map[uint64]int64{}, finished: map[int64]bool{},
		reason: "not started", hooks: hooks{air: map[int64]*load{}, arrived: make(chan *load, hooksAtOnce)},
	}
}

// Taking reports whether updates are being taken, and if not, why.
func (s *Source) Taking() (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taking && s.hindered != "" {
		return false, s.hindered
	}
	return s.taking, s.reason
}

func (s *Source) setHindered(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hindered = reason
}

func (s *Source) setTaking(ok bool, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taking, s.reason = ok, reason
}

// Settled reports that nothing about an event can be lost any more. Any of its deliveries will do, also after it was
// set aside.
func (s *Source) Settled(delivery uint64) {
	s.mu.Lock()
	it := s.open[delivery]
	wake := it != nil && !it.settled
	if id, late := s.waiting[delivery]; late {
		s.finished[id] = true
	}
	if wake {
		it.settled = true
		s.left--
		s.o.Metrics.air(s.left)
		wake = it.load.settledOne() || s.each
	}
	s.mu.Unlock()
	if wake {
		s.rouse()
	}
}

// NotDone reports that a delivery was given up. An older one than the current changes nothing.
func (s *Source) NotDone(delivery uint64, reason string) {
	if reason == "" {
		reason = "given up"
	}
	s.mu.Lock()
	it := s.open[delivery]
	wake := it != nil && it.delivery == delivery && it.failed == ""
	if wake {
		it.failed = reason
	}
	s.mu.Unlock()
	if wake {
		s.rouse()
	}
}

// rouse has what is in the air looked through.
func (s *Source) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
