package persistence

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/rueidis"
	"github.com/rs/zerolog"
	"google.golang.org/protobuf/proto"

	"github.com/gmbot/gmbot/protos"
)

const (
	// sharedWithin bounds a look into the shared cache, which somebody's message waits for; nobody's waits for a
	// visitor's, which lasts as long as any other command.
	sharedWithin = 50 * time.Millisecond
	// sharedRetry is how often a cache that is away is tried, and sharedConnect how long each time.
	sharedRetry   = time.Second
	sharedConnect = time.Second
	// listenEvery is how often the program notes that it is listening, and listenFor how old that note may
	// be for what was pushed before to be believed: Telegram keeps updates for 24 h.
	listenEvery = time.Minute
	listenFor   = 24 * time.Hour
	// sharedQueue bounds the changes on their way to the cache.
	sharedQueue = 4096
)

// SharedOptions are what a shared cache is made of.
type SharedOptions struct {
	// URL is redis://, rediss:// or unix://, as rueidis.ParseURL reads it.
	URL string
	// Bot separates bots that share a server; Updates names the kinds of updates asked of Telegram: with
	// other ones nothing pushed before is complete.
	Bot     int64
	Updates []string
	// Changed is told of keys that another program has changed; it must not block.
	Changed func(channelID, userID int64)
	// Visitor is for a program that does not listen to Telegram: it decides nothing about what is believed,
	// and teaches by Learn only.
	Visitor bool
	// LookWithin bounds a look; 0 is 50 ms, and a second for a visitor.
	LookWithin time.Duration
	Registry   prometheus.Registerer // nil counts nothing
	Log        zerolog.Logger
}

// SharedCache keeps beliefs about memberships in Redis, for the next program and for those beside it. It is
// optional at each moment: while the server is missing, hangs or is full, looks are misses that cost
// nothing, and it is used again by itself. Its methods are safe for concurrent use.
//
// What was pushed is only complete while every push arrives here. So all keys begin with a generation,
// and a new one begins whenever a change could have been missed: after any failure, after 24 hours in
// which nobody noted to be listening, and when other kinds of updates are asked for.
type SharedCache struct {
	o       SharedOptions
	option  rueidis.ClientOption
	up      atomic.Bool
	late    atomic.Bool   // a look was late: until the server answers a ping, looks are misses at once
	ping    chan struct{} // asks for one
	metrics *SharedMetrics
	changes chan change
	giveUp  context.CancelFunc
	ended   sync.WaitGroup

	mu     sync.RWMutex
	client rueidis.Client
	prefix string
}

type change struct {
	channel, user int64
	belief        *protos.Belief // nil: forget it
}

// CheckRedisURL says whether an address can be read; its error holds nothing of the address.
func CheckRedisURL(address string) error {
	if _, err := rueidis.ParseURL(address); err != nil {
		return errors.New("is no Redis address")
	}
	return nil
}

// OpenShared starts a shared cache. It does not wait for the server; the error is that of the address.
func OpenShared(o SharedOptions) (*SharedCache, error) {
	option, err := rueidis.ParseURL(o.URL)
	if err != nil {
		return nil, errors.New("is no Redis address")
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &SharedCache{o: o, option: option, changes: make(chan change, sharedQueue), ping: make(chan struct{}, 1), giveUp: cancel}
	switch {
	case o.LookWithin > 0:
	case o.Visitor:
		s.o.LookWithin = sharedConnect
	default:
		s.o.LookWithin = sharedWithin
	}
	s.metrics = NewSharedMetrics(o.Registry)
	s.option.ForceSingleClient = true
	s.option.DisableRetry = true
	s.option.AlwaysPipelining = true
	s.option.PipelineMultiplex = -1 // one connection: what is written comes back to all others, in order
	s.option.ConnWriteTimeout = sharedConnect
	s.option.Dialer = net.Dialer{Timeout: sharedConnect, KeepAlive: 5 * time.Second}
	s.option.ClientTrackingOptions = []string{"PREFIX", s.root() + "m:", "BCAST", "NOLOOP"}
	s.option.OnInvalidations = s.invalidated
	s.ended.Go(func() { s.run(ctx) })
	return s, nil
}

func (s *SharedCache) root() string { return "gmbot:" + strconv.FormatInt(s.o.Bot, 10) + ":" }

// Up reports whether the cache is used now.
func (s *SharedCache) Up() bool { return s.up.Load() }

// Look returns what is believed about a person in a channel. It takes LookWithin at most.
func (s *SharedCache) Look(ctx context.Context, channelID, userID int64) (*protos.Belief, bool) {
	if !s.up.Load() || s.late.Load() {
		return nil, false
	}
	client, key := s.at(channelID, userID)
	within, cancel := context.WithTimeout(ctx, s.o.LookWithin)
	defer cancel()
	value, err := client.Do(within, client.B().Get().Key(key).Build()).AsBytes()
	switch {
	case err == nil:
	case rueidis.IsRedisNil(err) || ctx.Err() != nil:
		return nil, false
	case errors.Is(err, context.DeadlineExceeded):
		// A machine that was busy for a moment has lost no change. Whether the server is away, a ping finds out.
		s.late.Store(true)
		select {
		case s.ping <- struct{}{}:
		default:
		}
		return nil, false
	default:
		s.down(err)
		return nil, false
	}
	var b protos.Belief
	if proto.Unmarshal(value, &b) != nil {
		return nil, false
	}
	return &b, true
}

// Put notes a belief, and Drop forgets one, without waiting. What does not fit begins a new generation.
func (s *SharedCache) Put(channelID, userID int64, b *protos.Belief) {
	s.enqueue(change{channelID, userID, b})
}

// Drop forgets what is believed about a person in a channel; see Put.
func (s *SharedCache) Drop(channelID, userID int64) { s.enqueue(change{channelID, userID, nil}) }

// Learn tells what was asked of Telegram, where nothing is known, and returns when the server has it. What the
// program that listens knows is newer, and stays.
func (s *SharedCache) Learn(ctx context.Context, channelID, userID int64, b *protos.Belief) error {
	left := time.Until(time.UnixMilli(b.GetUntilMs()))
	if left <= 0 {
		return nil
	}
	value, err := proto.Marshal(b)
	if err != nil {
		return fmt.Errorf("encode a belief: %w", err)
	}
	client, key := s.at(channelID, userID)
	return s.bounded(ctx, func(ctx context.Context) error {
		err := client.Do(ctx, client.B().Set().Key(key).Value(rueidis.BinaryString(value)).Nx().Px(left).Build()).Error()
		if rueidis.IsRedisNil(err) {
			return nil
		}
		return err
	})
}

// Mark returns what SetMark noted under a name in this generation; "" if nothing.
func (s *SharedCache) Mark(ctx context.Context, name string) (value string, err error) {
	client, key := s.mark(name)
	err = s.bounded(ctx, func(ctx context.Context) error {
		value, err = client.Do(ctx, client.B().Get().Key(key).Build()).ToString()
		if rueidis.IsRedisNil(err) {
			return nil
		}
		return err
	})
	return value, err
}

// SetMark notes something beside the beliefs of this generation, and returns when the server has it; "" forgets it.
func (s *SharedCache) SetMark(ctx context.Context, name, value string, keep time.Duration) error {
	client, key := s.mark(name)
	command := client.B().Set().Key(key).Value(value).Px(keep).Build()
	if value == "" {
		command = client.B().Del().Key(key).Build()
	}
	return s.bounded(ctx, func(ctx context.Context) error { return client.Do(ctx, command).Error() })
}

// mark is a key outside the prefix whose changes others are told of.
func (s *SharedCache) mark(name string) (rueidis.Client, string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.client, s.root() + "mark:" + strings.TrimPrefix(s.prefix, s.root()+"m:") + name
}

func (s *SharedCache) enqueue(c change) {
	if !s.up.Load() {
		return // a new generation begins when it is used again
	}
	select {
	case s.changes <- c:
		s.metrics.queued(len(s.changes))
	default:
		s.down(errors.New("too many changes at once"))
	}
}

// Close ends it. Keys stay for the next program.
func (s *SharedCache) Close() {
	s.giveUp()
	s.ended.Wait()
}

func (s *SharedCache) at(channel, user int64) (rueidis.Client, string) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.client, s.prefix + strconv.FormatInt(channel, 10) + ":" + strconv.FormatInt(user, 10)
}

// down stops using the cache until run has begun a new generation.
func (s *SharedCache) down(err error) {
	if s.up.Swap(false) {
		s.metrics.isUp(false)
		// Errors of the client name addresses at most, never a password.
		s.o.Log.Warn().Str("error", err.Error()).Msg("the shared cache does not answer and is not used")
	}
}

// run connects, writes what is queued, notes that it is listening, and begins again after each failure.
func (s *SharedCache) run(ctx context.Context) {
	s.metrics.isUp(false)
	for failed, said := false, false; ctx.Err() == nil; failed = true {
		if err := s.connect(ctx, failed); err == nil {
			s.late.Store(false)
			s.up.Store(true)
			s.metrics.isUp(true)
			s.o.Log.Info().Msg("the shared cache is used")
			s.write(ctx)
			s.up.Store(false)
			s.metrics.isUp(false)
			said = false
		} else if !said && ctx.Err() == nil {
			said = true
			s.o.Log.Warn().Str("error", err.Error()).Msg("the shared cache cannot be used, trying again")
		}
		s.disconnect()
		select {
		case <-ctx.Done():
		case <-time.After(sharedRetry):
		}
	}
}

// connect makes a client and says which generation counts.
func (s *SharedCache) connect(ctx context.Context, failed bool) error {
	client, err := rueidis.NewClient(s.option)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.client = client
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, sharedConnect)
	defer cancel()
	generation := ""
	if !failed || s.o.Visitor {
		note, err := client.Do(ctx, client.B().Get().Key(s.root()+"listening").Build()).ToString()
		if err != nil && !rueidis.IsRedisNil(err) {
			return err
		}
		generation = s.generationOf(note)
	}
	found := generation != ""
	if !found {
		generation = rand.Text()[:8]
	}
	s.mu.Lock()
	s.prefix = s.root() + "m:" + generation + ":"
	s.mu.Unlock()
	for len(s.changes) > 0 { // of the generation before
		<-s.changes
	}
	if found && s.o.Visitor {
		return nil
	}
	return s.listening(ctx, generation)
}

// generationOf reads a note: when somebody last listened, to which updates, and the generation.
func (s *SharedCache) generationOf(note string) string {
	parts := strings.SplitN(note, "|", 3)
	if len(parts) != 3 || parts[2] != strings.Join(s.o.Updates, ",") {
		return ""
	}
	ms, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || time.Since(time.UnixMilli(ms)) > listenFor {
		return ""
	}
	return parts[1]
}

func (s *SharedCache) listening(ctx context.Context, generation string) error {
	note := fmt.Sprintf("%d|%s|%s", time.Now().UnixMilli(), generation, strings.Join(s.o.Updates, ","))
	return s.client.Do(ctx, s.client.B().Set().Key(s.root()+"listening").Value(note).Build()).Error()
}

func (s *SharedCache) disconnect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		// Looks under way end with an error at once.
		s.client.Close()
	}
}

// write carries changes to the server, those that came meanwhile together, until something fails.
func (s *SharedCache) write(ctx context.Context) {
	ticker := time.NewTicker(listenEvery)
	defer ticker.Stop()
	watch := time.NewTicker(sharedRetry)
	defer watch.Stop()
	for s.up.Load() {
		var err error
		select {
		case <-ctx.Done():
			return
		case c := <-s.changes:
			err = s.apply(ctx, c)
		case <-ticker.C:
			if s.o.Visitor {
				continue
			}
			err = s.bounded(ctx, func(ctx context.Context) error {
				return s.listening(ctx, strings.Split(s.prefix, ":")[3])
			})
		case <-watch.C:
			err = s.answers(ctx)
		case <-s.ping:
			err = s.answers(ctx)
		}
		if err != nil && ctx.Err() == nil {
			s.down(err)
		}
	}
}

// answers waits for a ping's answer, after which looks are worth their time.
func (s *SharedCache) answers(ctx context.Context) error {
	err := s.bounded(ctx, func(ctx context.Context) error { return s.client.Do(ctx, s.client.B().Ping().Build()).Error() })
	if err == nil {
		s.late.Store(false)
	}
	return err
}

func (s *SharedCache) bounded(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, sharedConnect)
	defer cancel()
	return do(ctx)
}

func (s *SharedCache) apply(ctx context.Context, first change) error {
	commands := make(rueidis.Commands, 0, 1+len(s.changes))
	add := func(c change) {
		_, key := s.at(c.channel, c.user)
		left := time.Duration(0)
		var value []byte
		if c.belief != nil {
			left = time.Until(time.UnixMilli(c.belief.GetUntilMs()))
			value, _ = proto.Marshal(c.belief) // plain fields always encode
		}
		if left <= 0 {
			commands = append(commands, s.client.B().Del().Key(key).Build())
			return
		}
		// A script could compare with what is there, but Redis tells its caller of it as of somebody else's
		// change. The membership actors weigh evidence, and one program writes.
		commands = append(commands, s.client.B().Set().Key(key).Value(rueidis.BinaryString(value)).Px(left).Build())
	}
	add(first)
	for len(commands) < 256 && len(s.changes) > 0 {
		add(<-s.changes)
	}
	s.metrics.queued(len(s.changes))
	return s.bounded(ctx, func(ctx context.Context) error {
		for _, r := range s.client.DoMulti(ctx, commands...) {
			if err := r.Error(); err != nil {
				return err
			}
		}
		return nil
	})
}

// invalidated hears of keys that another program changed. The client calls it in order; nil means that
// some may have been missed, and then nothing is known to have changed: beliefs end by themselves.
func (s *SharedCache) invalidated(keys []rueidis.RedisMessage) {
	for _, m := range keys {
		key, err := m.ToString()
		if err != nil || s.o.Changed == nil {
			continue
		}
		parts := strings.Split(key, ":")
		if len(parts) != 6 {
			continue
		}
		channel, errChannel := strconv.ParseInt(parts[4], 10, 64)
		user, errUser := strconv.ParseInt(parts[5], 10, 64)
		if errChannel == nil && errUser == nil {
			s.o.Changed(channel, user)
		}
	}
}
