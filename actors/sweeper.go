package actors

import (
	"context"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

const (
	// lookThroughEvery and sweepAtOnce are the sweeper's budget: so many people are asked about in that time,
	// which nobody feels.
	lookThroughEvery = time.Second
	sweepAtOnce      = 5
	// renewBefore is how long before its end a mute is given again.
	renewBefore = 5 * 24 * time.Hour
	// renewEvery is how often mutes near their end are looked for.
	renewEvery = time.Minute
	// listenFor is how long Telegram keeps updates for a bot that is away. Source: Bot API, "Getting updates".
	listenFor = 24 * time.Hour
)

// Keys of the store's meta table.
const (
	metaListened = "last_listening" // Unix ms
	metaSweeping = "sweeping"       // "1" while muted rows are being looked through
	metaUpdates  = "allowed_updates"
	metaPushed   = "pushed_since" // Unix ms: nothing that Telegram told was missed from then on
)

// sweeper looks again at muted people when nobody else would: mutes that end soon are given again, since their
// end sends no update; and after a time in which updates were lost, everybody muted is asked about once. Known members
// are asked about again in rounds.
// There is one; the system starts it.
type sweeper struct {
	d        *deps
	taking   func() bool
	known    bool      // the store's notes were read
	listened time.Time // zero: never
	sweeping bool      // all rows are looked through, not only those that end soon
	after    persistence.MutedAt
	idle     time.Time // when the rows that end soon were last looked through
	noted    time.Time
	ticker   *time.Timer
	since    time.Time // nothing that Telegram told was missed from then on
	rounds   rounds
}

type sweepTick struct{}

// sweepNotes brings what an earlier life noted, mutedFound the next rows. The store's reader goroutine sends
// them.
type (
	sweepNotes struct {
		listened, sweeping, updates, pushed, swept string
		err                                        error
	}
	mutedFound struct {
		rows []persistence.MutedAt
		err  error
	}
)

// Receive handles its own ticks and what the store found.
func (s *sweeper) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		s.later(c)
		s.rounds.held, s.rounds.alive = map[int64]time.Time{}, s.d.clock()
		s.rounds.tag = rand.Uint64() // an answer to a question of an earlier life must fit none of this one
		s.checkLater(c, 1)
	case *actor.Stopping, *actor.Restarting:
		for _, t := range []*time.Timer{s.ticker, s.rounds.timer} {
			if t != nil {
				t.Stop()
			}
		}
	case *sweepTick:
		s.tick(c)
	case *sweepNotes:
		s.onNotes(c, m)
	case *mutedFound:
		s.onFound(c, m)
	default:
		s.receiveRounds(c)
	}
}

func (s *sweeper) later(c actor.Context) {
	self, root := c.Self(), s.d.root
	wait := lookThroughEvery
	if s.known && !s.sweeping && s.after == (persistence.MutedAt{}) {
		wait = renewEvery / 4 // nothing to do but to note that updates are taken
	}
	s.ticker = time.AfterFunc(wait, func() { root.Send(self, &sweepTick{}) })
}

func (s *sweeper) tick(c actor.Context) {
	d, now := s.d, s.d.clock()
	if !s.known {
		s.read(c, func(ctx context.Context) any {
			n := &sweepNotes{}
			for key, to := range map[string]*string{
				metaListened: &n.listened, metaSweeping: &n.sweeping, metaUpdates: &n.updates, metaPushed: &n.pushed, metaSwept: &n.swept,
			} {
				if *to, n.err = d.store.Meta(ctx, key); n.err != nil {
					return n
				}
			}
			return n
		})
		return
	}
	s.listen(now)
	s.revive(c)
	if !s.sweeping && now.Sub(s.idle) < renewEvery {
		s.later(c)
		return
	}
	before := now.Add(renewBefore).Unix()
	if s.sweeping {
		before = math.MaxInt64
	}
	after := s.after
	s.read(c, func(ctx context.Context) any {
		rows, err := d.store.MutedFlows(ctx, before, after, sweepAtOnce)
		return &mutedFound{rows: rows, err: err}
	})
}

func (s *sweeper) read(c actor.Context, f func(ctx context.Context) any) {
	self, root := c.Self(), s.d.root
	if !s.d.pool.Go(func(ctx context.Context) { root.Send(self, f(ctx)) }) {
		s.later(c)
	}
}

func (s *sweeper) onNotes(c actor.Context, m *sweepNotes) {
	defer s.later(c)
	if m.err != nil {
		return
	}
	s.known = true
	if ms, err := strconv.ParseInt(m.listened, 10, 64); err == nil {
		s.listened = time.UnixMilli(ms)
	}
	s.since, s.rounds.after = s.d.clock(), math.MinInt64
	if ms, err := strconv.ParseInt(m.pushed, 10, 64); err == nil && m.updates == updatesNow() {
		s.since = time.UnixMilli(ms)
	}
	if id, err := strconv.ParseInt(m.swept, 10, 64); err == nil {
		s.rounds.after, s.rounds.found = id, true // the rest of a round says nothing about a whole one
	}
	if m.sweeping == "1" || m.updates != "" && m.updates != updatesNow() {
		s.begin("the last look was not finished, or other updates are asked for")
	}
}

func updatesNow() string { return strings.Join(telegram.AllowedUpdates(), ",") }

// listen notes each minute that updates are being taken; a gap in that longer than Telegram keeps them means
// that joins may have been missed.
func (s *sweeper) listen(now time.Time) {
	if now.Sub(s.noted) < time.Minute || s.taking != nil && !s.taking() {
		return
	}
	if !s.listened.IsZero() && now.Sub(s.listened) > listenFor {
		s.since = now
		s.begin("updates were lost")
	}
	s.noted, s.listened = now, now
	sweeping, pushed := "", strconv.FormatInt(s.since.UnixMilli(), 10)
	if s.sweeping {
		sweeping = "1"
	}
	s.d.writer.Do(func(tx persistence.Tx) error {
		for key, value := range map[string]string{
			metaListened: strconv.FormatInt(now.UnixMilli(), 10), metaSweeping: sweeping, metaUpdates: updatesNow(),
			metaPushed: pushed,
		} {
			if err := tx.SetMeta(key, value); err != nil {
				return err
			}
		}
		return nil
	}, func(err error) {
		if err != nil {
			s.d.log.Warn().Err(err).Msg("it cannot be noted that updates are taken")
		}
	})
}

func (s *sweeper) begin(why string) {
	s.sweeping, s.after = true, persistence.MutedAt{}
	s.d.log.Info().Str("because", why).Msg("everybody muted is asked about once")
}

func (s *sweeper) onFound(c actor.Context, m *mutedFound) {
	defer s.later(c)
	if m.err != nil {
		s.d.writer.Suspect(m.err)
		return
	}
	for _, row := range m.rows {
		s.after = row
		s.d.root.Send(s.d.dir.Shard(row.GroupID), &protos.TimeCame{GroupId: row.GroupID, UserId: row.UserID, Muted: true})
	}
	if len(m.rows) < sweepAtOnce {
		// The end of the list; it begins again with the next look for mutes that end soon.
		s.after, s.idle = persistence.MutedAt{}, s.d.clock()
		if s.sweeping {
			s.sweeping, s.noted = false, time.Time{}
		}
	}
}
