package actors

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

const (
	shards            = 64
	membershipShards  = 16
	readers           = 8    // reads of the store at once
	readQueue         = 8192 // reads that may wait
	commandsAtOnce    = 16
	commandsMayWait   = 1024
	wakePause         = 5 * time.Millisecond // between groups taken up after a start
	routerMailbox     = 16384
	membershipMailbox = 65536
	senderMailbox     = 65536
	clerkMailbox      = 1024
)

// Options are what a System is made of. API, Store and Bot are required.
type Options struct {
	API     API
	Store   persistence.Store
	Settler Settler // may be given later by UseSettler, before the first Deliver
	Bot     *protos.User
	Log     zerolog.Logger
	// Registry takes the metrics; nil counts nothing.
	Registry prometheus.Registerer
	Clock    Clock          // nil: time.Now
	Report   func(Incident) // is told of what should not happen; it must not block. nil: nobody is told

	MessagesPerSecond      float64     // 0 = 28
	MessagesPerGroupMinute float64     // 0 = 18
	ActionsPerSecond       float64     // 0 = as fast as Telegram answers
	SweepCallsPerMinute    int         // questions about known members, 0 = none
	CacheEntries           int         // 0 = 1,000,000
	FlowsAtOnce            int         // looked at at once in one group, 0 = 32; more newcomers wait for their turn
	Shared                 SharedCache // nil: memory is all there is
	// Changes keeps what is to be stored while the database is away; nil: then nobody is muted or freed.
	Changes *persistence.Changes
	// Random draws, uniform in [0, n), the seconds that tell our mutes from others and those that are added so that
	// not all happens at once; nil: by chance.
	Random func(n int64) int64

	inject func(kind string, message any) fault // tests plant failures
}

// System is the running gate.
type System struct {
	actors  *actor.ActorSystem
	d       *deps
	store   persistence.Store
	routers [shards]slot
	members [membershipShards]slot
	sender  slot
	clerk   slot
	sweeper slot
	over    *actor.PID
	settler atomic.Pointer[Settler]
	stop    context.CancelFunc
	shared  *workPool // looks into the shared cache; nil without one
}

var (
	_ Directory = (*System)(nil)
	_ Settler   = (*System)(nil)
)

// Shard implements Directory.
func (s *System) Shard(chatID int64) *actor.PID {
	return s.routers[spread(chatID, 0)%shards].pid.Load()
}

func (s *System) allShards() []*actor.PID {
	list := make([]*actor.PID, 0, shards)
	for i := range s.routers {
		list = append(list, s.routers[i].pid.Load())
	}
	return list
}

// Membership implements Directory.
func (s *System) Membership(channelID, userID int64) *actor.PID {
	return s.members[spread(channelID, userID)%membershipShards].pid.Load()
}

// Sender implements Directory.
func (s *System) Sender() *actor.PID { return s.sender.pid.Load() }

// spread mixes ids well: Telegram's share their high digits. The constants are splitmix64's.
func spread(a, b int64) uint64 {
	x := uint64(a) + 0x9e3779b97f4a7c15*uint64(b+1)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Settled passes on to whoever UseSettler named.
func (s *System) Settled(delivery uint64) {
	if to := s.settler.Load(); to != nil {
		(*to).Settled(delivery)
	}
}

// NotDone passes on to whoever UseSettler named.
func (s *System) NotDone(delivery uint64, reason string) {
	if to := s.settler.Load(); to != nil {
		(*to).NotDone(delivery, reason)
	}
}

// UseSettler names who is told what became of events.
func (s *System) UseSettler(to Settler) { s.settler.Store(&to) }

// Start builds the tree, reads which chats matter, and takes up open work while new events may
// already come in.
func Start(ctx context.Context, o Options) (*System, error) {
	if o.API == nil || o.Store == nil || o.Bot.GetId() == 0 {
		return nil, errors.New("start the gate: API, Store and Bot are required")
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Random == nil {
		o.Random = rand.Int64N
	}
	words, err := text.New()
	if err != nil {
		return nil, err
	}
	groups, channels, err := readShards(ctx, o.Store)
	if err != nil {
		return nil, err
	}
	pauses, err := o.Store.Meta(ctx, pausesKey)
	if err != nil {
		return nil, fmt.Errorf("read pauses: %w", err)
	}
	unsigned, err := o.Store.Meta(ctx, unsignedKey)
	if err != nil {
		return nil, fmt.Errorf("read marks: %w", err)
	}
	open, err := o.Store.OpenGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("read open work: %w", err)
	}
	s := &System{store: o.Store}
	if o.Settler != nil {
		s.UseSettler(o.Settler)
	}
	s.build(o, words, readPauses(pauses))
	s.d.unsigned, _ = strconv.ParseInt(unsigned, 10, 64) // empty where none are
	for i := range s.routers {
		s.routers[i].name = strconv.Itoa(i)
		s.routers[i].produce = func() actor.Actor { return newRouter(s.d, groups[i], channels[i]) }
	}
	s.raise()
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go s.wake(life, open)
	go s.sweep(life)
	s.d.metrics.size(life, s.d, s.shared)
	return s, nil
}
