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
}

// System is the running gate.
type System struct {
	actors  *actor.ActorSystem
	d       *deps
	store   persistence.Store
	routers []*actor.PID
	members []*actor.PID
	sender  *actor.PID
	clerk   *actor.PID
	settler atomic.Pointer[Settler]
	stop    context.CancelFunc
}

var (
	_ Directory = (*System)(nil)
	_ Settler   = (*System)(nil)
)

// Shard implements Directory.
func (s *System) Shard(chatID int64) *actor.PID { return s.routers[spread(chatID, 0)%shards] }

// Membership implements Directory.
func (s *System) Membership(channelID, userID int64) *actor.PID {
	return s.members[spread(channelID, userID)%membershipShards]
}

// Sender implements Directory.
func (s *System) Sender() *actor.PID { return s.sender }

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
	s := &System{store: o.Store}
	if o.Settler != nil {
		s.UseSettler(o.Settler)
	}
	s.build(o, words)
	for i := range shards {
		r := func() actor.Actor { return newRouter(s.d, groups[i], channels[i]) }
		s.routers = append(s.routers, s.spawn("router", strconv.Itoa(i), r, routerMailbox))
	}
	s.clerk = s.spawn("clerk", "", func() actor.Actor { return &clerk{d: s.d} }, 1024)
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	open, err := o.Store.OpenGroups(ctx)
	if err != nil {
		stop()
		return nil, fmt.Errorf("read open work: %w", err)
	}
	go s.wake(life, open)
	go s.sweep(life)
	return s, nil
}
