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
	// sweepOpen looks at most are waited for, each for sweepPatience before it is asked for again, sweepTries times at
	// most. What a group could not store is asked for again sooner.
	sweepOpen     = 500
	sweepPatience = time.Minute
	sweepSoon     = 5 * time.Second
	sweepTries    = 20
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
	walked   bool // to the end of the list; what is open is waited for
	open     map[uint64]sweepLook
	lastTag  uint64
	idle     time.Time // when the rows that end soon were last looked through
	noted    time.Time
	ticker   *time.Timer
	since    time.Time // nothing that Telegram told was missed from then on
	rounds   rounds
}

// sweepLook is a look at somebody muted that was asked for, and is not stored yet.
type sweepLook struct {
	row   persistence.MutedAt
	at    time.Time
	tries int
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
		s.rounds.tag, s.lastTag = rand.Uint64(), rand.Uint64() // an answer to a question of an earlier life must fit none of this one
		s.open = map[uint64]sweepLook{}
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
	case *protos.GroupSettled:
		if !s.onStored(m) {
			s.receiveRounds(c)
		}
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
		if s.waits(c, now) {
			s.later(c)
			return
		}
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
	s.sweeping, s.walked, s.after = true, false, persistence.MutedAt{}
	clear(s.open)
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
		if s.sweeping {
			s.look(c, sweepLook{row: row})
		} else { // what is not renewed is found again soon
			s.d.root.Send(s.d.dir.Shard(row.GroupID), &protos.TimeCame{GroupId: row.GroupID, UserId: row.UserID, Muted: true})
		}
	}
	if len(m.rows) < sweepAtOnce {
		// The end of the list; it begins again with the next look for mutes that end soon.
		s.after, s.idle, s.walked = persistence.MutedAt{}, s.d.clock(), s.sweeping
	}
}

// look asks a group to look at somebody muted, and to say when that is stored: a crash forgets what only was asked.
func (s *sweeper) look(c actor.Context, look sweepLook) {
	s.lastTag++
	look.at, look.tries = s.d.clock(), look.tries+1
	s.open[s.lastTag] = look
	c.Request(s.d.dir.Shard(look.row.GroupID), &protos.TimeCame{
		GroupId: look.row.GroupID, UserId: look.row.UserID, Muted: true, Tag: s.lastTag,
	})
}

// onStored takes a group's word on a look, and reports whether it is one of these.
func (s *sweeper) onStored(m *protos.GroupSettled) bool {
	look, ok := s.open[m.GetTag()]
	switch {
	case !ok:
	case m.GetDone():
		delete(s.open, m.GetTag())
	default:
		look.at = look.at.Add(sweepSoon - sweepPatience)
		s.open[m.GetTag()] = look
	}
	return ok
}

// waits asks again for what was not stored in time, and reports whether what is open has to be waited for. When nothing
// is at the end of the list, everybody has been looked at.
func (s *sweeper) waits(c actor.Context, now time.Time) bool {
	for tag, look := range s.open {
		if now.Sub(look.at) < sweepPatience {
			continue
		}
		delete(s.open, tag)
		if look.tries < sweepTries {
			s.look(c, look)
			continue
		}
		s.d.log.Warn().Int64("chat", look.row.GroupID).Msg("somebody muted could not be looked at")
	}
	if s.walked && len(s.open) == 0 {
		s.sweeping, s.walked, s.noted = false, false, time.Time{}
	}
	return s.walked || len(s.open) >= sweepOpen || !s.sweeping
}
