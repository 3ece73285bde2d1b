package actors

import (
	"context"
	"errors"
	"fmt"
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
	Clock    Clock // nil: time.Now

	MessagesPerSecond      float64 // 0 = 28
	MessagesPerGroupMinute float64 // 0 = 18
	ActionsPerSecond       float64 // 0 = as fast as Telegram answers
	CacheEntries           int     // 0 = 1,000,000

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
	over    *actor.PID
	settler atomic.Pointer[Settler]
	stop    context.CancelFunc
}

var (
	_ Directory = (*System)(nil)
	_ Settler   = (*System)(nil)
)

// Shard implements Directory.
func (s *System) Shard(chatID int64) *actor.PID {
	return s.routers[spread(chatID, 0)%shards].pid.Load()
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
	words, err := text.New()
	if err != nil {
		return nil, err
	}
	groups, channels, err := readShards(ctx, o.Store)
	if err != nil {
		return nil, err
	}
	open, err := o.Store.OpenGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("read open work: %w", err)
	}
	s := &System{store: o.Store}
	if o.Settler != nil {
		s.UseSettler(o.Settler)
	}
	s.build(o, words)
	for i := range s.routers {
		s.routers[i].name = strconv.Itoa(i)
		s.routers[i].produce = func() actor.Actor { return newRouter(s.d, groups[i], channels[i]) }
	}
	s.raise()
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go s.wake(life, open)
	go s.sweep(life)
	return s, nil
}
