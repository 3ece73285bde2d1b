package actors

import (
	"context"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/protos"
)

const (
	// brakeWindow is the time in which those who turned outside are counted together.
	brakeWindow = 10 * time.Minute
	// brakeAtLeast is how many may always turn outside in it without anybody being asked.
	brakeAtLeast = 20
	// brakeShare of the known members may, where that is more: one in twenty.
	brakeShare = 20
	// knownFor is how long a count of the known members is used.
	knownFor = time.Minute
	// maxTurned bounds who is counted; with so many the brake is on whatever the channel's size.
	maxTurned = 65_536
)

// exodus counts the known members of one channel who turned outside lately, by whatever path it was
// learned: a purge by mistake, or Telegram saying "left" of everybody, looks like people leaving.
type exodus struct {
	at      map[int64]time.Time // by user, for brakeWindow
	known   int64
	counted time.Time // when known was read; zero = never
	reading bool
	waiting []brakeAsk
}

type brakeAsk struct {
	to  *actor.PID
	ask *protos.AskBrake
}

// knownCounted brings how many members of the channel are known. The store's reader goroutine sends it.
type knownCounted struct {
	known int64
	err   error
}

// turned counts somebody who was known to be in the channel and is not any more.
func (x *exodus) turned(user int64, now time.Time) {
	x.lately(now)
	if x.at == nil {
		x.at = map[int64]time.Time{}
	}
	if _, ok := x.at[user]; !ok && len(x.at) < maxTurned {
		x.at[user] = now
	}
}

// lately drops whose turn is long ago and returns how many remain.
func (x *exodus) lately(now time.Time) int {
	for id, at := range x.at {
		if now.Sub(at) > brakeWindow {
			delete(x.at, id)
		}
	}
	return len(x.at)
}

// back forgets somebody who is in the channel again.
func (x *exodus) back(user int64) { delete(x.at, user) }

// braked reports whether too many turned outside for it to be believed without asking.
func (x *exodus) braked() bool {
	return int64(len(x.at)) > max(brakeAtLeast, x.known/brakeShare)
}

func (ch *channel) onAskBrake(c actor.Context, m *protos.AskBrake) {
	x, now := &ch.exodus, ch.d.clock()
	x.turned(m.GetUserId(), now)
	if len(x.at) <= brakeAtLeast || !x.counted.IsZero() && now.Sub(x.counted) < knownFor {
		answerBrake(c, brakeAsk{c.Sender(), m}, x.braked())
		return
	}
	if len(x.waiting) >= maxNews {
		answerBrake(c, brakeAsk{c.Sender(), m}, true) // whoever is held looks again soon
		return
	}
	x.waiting = append(x.waiting, brakeAsk{c.Sender(), m})
	if x.reading {
		return
	}
	x.reading = true
	self, root, d, id := c.Self(), ch.d.root, ch.d, ch.id
	ok := d.pool.Go(func(ctx context.Context) {
		known, err := d.store.CountSeen(ctx, id)
		root.Send(self, &knownCounted{known: known, err: err})
	})
	if !ok {
		root.Send(self, &knownCounted{err: context.Canceled})
	}
}

// onKnown answers those who wait. A count that cannot be read leaves the one before, or none.
func (ch *channel) onKnown(c actor.Context, m *knownCounted) {
	x := &ch.exodus
	x.reading = false
	if m.err == nil {
		x.known, x.counted = m.known, ch.d.clock()
	}
	waiting := x.waiting
	x.waiting = nil
	for _, a := range waiting {
		answerBrake(c, a, x.braked())
	}
}

func answerBrake(c actor.Context, a brakeAsk, braked bool) {
	if a.to != nil {
		c.Send(a.to, &protos.BrakeAnswer{ChannelId: a.ask.GetChannelId(), Tag: a.ask.GetTag(), Braked: braked})
	}
}
