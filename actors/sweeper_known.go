package actors

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

const (
	// proofHolds is how long what was learned about a known member needs no other look.
	proofHolds = 24 * time.Hour
	// proofPage is how many groups are looked through at once for members who are due.
	proofPage = 200
	// roundEvery is how long a round that found nobody due is not repeated.
	roundEvery = time.Minute
	// checkLimit ends a look whose answer never comes.
	checkLimit = 30 * time.Second
	// unknownFor is how long a group is passed over after Telegram could not say something about one of its members:
	// such questions count against the channel's breaker, which others need.
	unknownFor = 10 * time.Minute
	// maxUnknown bounds the groups so remembered.
	maxUnknown = 10_000
	// maxLeaves bounds the leaves whose other groups wait to be asked; whoever does not fit is judged at the first
	// message.
	maxLeaves = 1000
	// maxElsewhere bounds the groups that are asked about one person who left.
	maxElsewhere = 100
)

// metaSwept holds the group where known members were asked about last; the next round goes on after it.
const metaSwept = "swept_group"

// rounds ask again about known members, the oldest proof of each group in turn, one question at a time and only
// while the sender has nothing else to do. It is a part of the sweeper.
type rounds struct {
	pace   time.Duration // between two calls; 0 = nobody is asked about
	after  int64         // the last group of the page
	page   []persistence.Proof
	ended  bool // the page was the round's last
	found  bool // the round has found somebody due
	now    *check
	tag    uint64
	timer  *time.Timer
	alive  time.Time           // when something last happened here
	held   map[int64]time.Time // groups passed over, until when
	leaves []*leftChannel
	others []elsewhere
	turn   bool // leaves and known members take turns
}

// check is the look at one known member that is under way.
type check struct {
	proof    persistence.Proof
	limit    time.Time // an older proof will not do
	group    persistence.Group
	asked    int // of the group's channels
	verdicts []protos.Verdict
	learned  int64 // Unix ms: the oldest answer
	waiting  bool
}

// elsewhere is a group that may have somebody who left one of its channels, though never seen there.
type elsewhere struct {
	group int64
	leave *leftChannel
}

type checkTick struct{}

// leftChannel tells that somebody left a channel. Its channel actor sends it, nobody answers.
type leftChannel struct{ channel, user, date int64 }

// The store's reader goroutine sends proofsFound, checkGroup and elsewhereFound.
type (
	proofsFound struct {
		list []persistence.Proof
		err  error
	}
	checkGroup struct {
		tag   uint64
		group persistence.Group
		err   error
	}
	elsewhereFound struct {
		leave  *leftChannel
		groups []int64
	}
)

// checkLate ends a look without an answer.
type checkLate struct{ tag uint64 }

// revive begins anew when an answer never came: a sender that was replaced does not give it any more.
func (s *sweeper) revive(c actor.Context) {
	r, now := &s.rounds, s.d.clock()
	if r.pace == 0 || now.Sub(r.alive) < max(2*roundEvery, 2*lookupTries*r.pace) {
		return
	}
	if r.timer != nil {
		r.timer.Stop()
	}
	r.alive, r.now = now, nil
	s.checkLater(c, 1)
}

// receiveRounds handles what belongs to the rounds.
func (s *sweeper) receiveRounds(c actor.Context) {
	r := &s.rounds
	r.alive = s.d.clock()
	switch m := c.Message().(type) {
	case *checkTick:
		s.checkTick(c)
	case *senderQuiet:
		if !m.quiet {
			s.checkLater(c, 1)
			return
		}
		s.step(c)
	case *proofsFound:
		s.onProofs(c, m)
	case *checkGroup:
		if r.now != nil && r.tag == m.tag {
			s.onCheckGroup(c, m)
		}
	case *protos.MembershipAnswer:
		if r.now != nil && r.now.waiting && r.tag == m.GetTag() {
			s.onAnswer(c, m)
		}
	case *protos.GroupSettled:
		if r.now != nil && r.tag == m.GetTag() {
			if m.GetDone() {
				s.prove(r.now.proof, time.UnixMilli(r.now.learned))
			}
			s.checkDone(c, 2) // the group has asked, too
		}
	case *checkLate:
		if r.now != nil && r.tag == m.tag {
			s.checkDone(c, lookupTries)
		}
	case *leftChannel:
		if r.pace > 0 && len(r.leaves) < maxLeaves {
			r.leaves = append(r.leaves, m)
		}
	case *elsewhereFound:
		for _, group := range m.groups {
			r.others = append(r.others, elsewhere{group: group, leave: m.leave})
		}
		s.checkLater(c, 0)
	}
}

// checkLater goes on when the given number of calls has been paid for.
func (s *sweeper) checkLater(c actor.Context, calls int) {
	s.checkIn(c, time.Duration(calls)*s.rounds.pace)
}

func (s *sweeper) checkIn(c actor.Context, wait time.Duration) {
	if s.rounds.pace == 0 {
		return
	}
	self, root := c.Self(), s.d.root
	s.rounds.timer = time.AfterFunc(wait, func() { root.Send(self, &checkTick{}) })
}

func (s *sweeper) checkTick(c actor.Context) {
	if s.noted.IsZero() || s.taking != nil && !s.taking() || s.d.writer.Away() {
		s.checkIn(c, max(s.rounds.pace, lookThroughEvery)) // what updates will tell is not asked for
		return
	}
	c.Request(s.d.dir.Sender(), &askQuiet{})
}

// step does the next thing that may cost a call.
func (s *sweeper) step(c actor.Context) {
	r := &s.rounds
	if r.now != nil {
		s.askNext(c)
		return
	}
	r.turn = !r.turn
	if r.turn && s.lookElsewhere(c) {
		return
	}
	for len(r.page) > 0 {
		p := r.page[0]
		r.page = r.page[1:]
		limit, due := s.isDue(p)
		switch {
		case !due:
		case p.Open: // muted, or being looked at
			s.prove(p, s.d.clock())
		default:
			s.check(c, p, limit)
			return
		}
	}
	if r.ended {
		idle := !r.found
		r.ended, r.found = false, false
		if idle {
			s.checkIn(c, roundEvery)
			return
		}
	}
	store, after := s.d.store, r.after
	s.fetch(c, func(ctx context.Context) any {
		list, err := store.OldestProofs(ctx, after, proofPage)
		return &proofsFound{list: list, err: err}
	})
}

func (s *sweeper) fetch(c actor.Context, f func(ctx context.Context) any) {
	self, root := c.Self(), s.d.root
	if !s.d.pool.Go(func(ctx context.Context) { root.Send(self, f(ctx)) }) {
		s.rounds.now = nil
		s.checkIn(c, lookThroughEvery)
	}
}

func (s *sweeper) onProofs(c actor.Context, m *proofsFound) {
	r := &s.rounds
	if m.err != nil {
		s.d.writer.Suspect(m.err)
		s.checkIn(c, lookThroughEvery)
		return
	}
	r.page = m.list
	if r.ended = len(m.list) < proofPage; r.ended {
		r.after = math.MinInt64
	} else {
		r.after = m.list[len(m.list)-1].GroupID
	}
	for _, p := range m.list {
		_, due := s.isDue(p)
		r.found = r.found || due
	}
	s.checkIn(c, min(r.pace, lookThroughEvery))
}

// isDue: the proof is more than a day old, and joins and leaves may have been missed since.
func (s *sweeper) isDue(p persistence.Proof) (limit time.Time, due bool) {
	limit = s.since
	if p.Since.After(limit) {
		limit = p.Since
	}
	if day := s.d.clock().Add(-proofHolds); day.Before(limit) {
		limit = day
	}
	if s.d.clock().Before(s.rounds.held[p.GroupID]) {
		return limit, false
	}
	return limit, p.UserID != 0 && !p.Since.IsZero() && !p.Paused && p.At.Before(limit)
}

func (s *sweeper) check(c actor.Context, p persistence.Proof, limit time.Time) {
	r, store := &s.rounds, s.d.store
	r.tag++
	r.now = &check{proof: p, limit: limit, learned: math.MaxInt64}
	tag := r.tag
	s.fetch(c, func(ctx context.Context) any {
		g, err := store.Group(ctx, p.GroupID)
		return &checkGroup{tag: tag, group: g, err: err}
	})
}

func (s *sweeper) onCheckGroup(c actor.Context, m *checkGroup) {
	k := s.rounds.now
	if m.err != nil || !m.group.Enabled || len(m.group.Channels) == 0 {
		s.checkDone(c, 1)
		return
	}
	k.group, k.verdicts = m.group, make([]protos.Verdict, len(m.group.Channels))
	s.askNext(c)
}

// askNext asks about the next channel. Evidence from before the last gap in what Telegram told will not do.
func (s *sweeper) askNext(c actor.Context) {
	r := &s.rounds
	k := r.now
	r.tag++
	k.waiting = true
	c.Request(s.d.dir.Membership(k.group.Channels[k.asked].ID, k.proof.UserID), &protos.AskMembership{
		ChannelId: k.group.Channels[k.asked].ID, UserId: k.proof.UserID, ForChatId: k.proof.GroupID,
		NotBeforeMs: max(k.proof.Since.UnixMilli(), s.since.UnixMilli(), s.d.clock().Add(-proofHolds).UnixMilli()), Tag: r.tag,
	})
	s.expectBy(c)
}

func (s *sweeper) expectBy(c actor.Context) {
	self, root, tag := c.Self(), s.d.root, s.rounds.tag
	s.rounds.timer = time.AfterFunc(checkLimit, func() { root.Send(self, &checkLate{tag: tag}) })
}

func (s *sweeper) onAnswer(c actor.Context, m *protos.MembershipAnswer) {
	r := &s.rounds
	k := r.now
	k.waiting = false
	r.timer.Stop()
	k.verdicts[k.asked] = m.GetVerdict()
	k.asked++
	if m.GetVerdict() != protos.Verdict_UNKNOWN {
		k.learned = min(k.learned, m.GetLearnedMs())
	}
	verdict := judge(k.verdicts, k.group.Settings.Need)
	switch {
	case verdict == protos.Verdict_INSIDE:
		s.d.metrics.swept(verdict)
		s.prove(k.proof, time.UnixMilli(k.learned))
		s.checkDone(c, 1)
	case verdict == protos.Verdict_OUTSIDE:
		s.d.metrics.swept(verdict)
		s.tell(c, k.proof.GroupID, m.GetChannelId(), k.proof.UserID, m.GetLearnedMs()/1000)
	case k.asked < len(k.verdicts):
		s.checkLater(c, 1)
	default:
		s.d.metrics.swept(verdict)
		// Others of the group come first; this one stays due.
		if len(r.held) >= maxUnknown {
			clear(r.held)
		}
		r.held[k.proof.GroupID] = s.d.clock().Add(unknownFor)
		s.prove(k.proof, k.limit.Add(-time.Millisecond))
		s.checkDone(c, lookupTries)
	}
}

// tell has a group judge somebody as when Telegram tells of a leave.
func (s *sweeper) tell(c actor.Context, group, channel, user, date int64) {
	s.rounds.tag++
	c.Request(s.d.dir.Shard(group), &protos.MembershipChanged{
		GroupId: group, ChannelId: channel, User: &protos.User{Id: user}, Verdict: protos.Verdict_OUTSIDE, Date: date, Tag: s.rounds.tag,
	})
	s.expectBy(c)
}

func (s *sweeper) checkDone(c actor.Context, calls int) {
	s.rounds.now = nil
	s.rounds.timer.Stop()
	s.checkLater(c, calls)
}

// prove notes what was learned, and how far the round has come.
func (s *sweeper) prove(p persistence.Proof, at time.Time) {
	if p.GroupID == 0 || p.UserID == 0 {
		return
	}
	s.d.writer.Do(func(tx persistence.Tx) error {
		if err := tx.Proved(p.GroupID, p.UserID, at); err != nil {
			return err
		}
		return tx.SetMeta(metaSwept, strconv.FormatInt(p.GroupID, 10))
	}, func(err error) {
		if err != nil {
			s.d.log.Warn().Err(err).Msg("what was learned of a known member is not stored, it is asked again")
		}
	})
}

// lookElsewhere has a group where somebody who left a channel was never seen look for that person, and reports
// whether there was one to ask.
func (s *sweeper) lookElsewhere(c actor.Context) bool {
	r, store := &s.rounds, s.d.store
	if len(r.others) > 0 {
		next := r.others[0]
		r.others = r.others[1:]
		r.now = &check{waiting: true, learned: next.leave.date * 1000}
		s.tell(c, next.group, next.leave.channel, next.leave.user, next.leave.date)
		return true
	}
	if len(r.leaves) == 0 {
		return false
	}
	l := r.leaves[0]
	r.leaves = r.leaves[1:]
	s.fetch(c, func(ctx context.Context) any {
		return &elsewhereFound{leave: l, groups: notSeenIn(ctx, store, l)}
	})
	return true
}

// notSeenIn lists groups that require the channel and never saw the person; none for who was seen nowhere, and is
// judged at the first message.
func notSeenIn(ctx context.Context, store persistence.Reader, l *leftChannel) (groups []int64) {
	seen, err := store.SeenIn(ctx, l.channel, l.user)
	if err != nil || len(seen) == 0 {
		return nil
	}
	all, err := store.GroupsRequiring(ctx, l.channel)
	if err != nil {
		return nil
	}
	here := map[int64]bool{}
	for _, id := range seen {
		here[id] = true
	}
	for _, id := range all {
		if !here[id] && len(groups) < maxElsewhere {
			groups = append(groups, id)
		}
	}
	return groups
}
