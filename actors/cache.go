package actors

import (
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/gmbot/gmbot/protos"
)

// How long a verdict is believed. What Telegram pushes is complete while the bot listens, so it holds
// long; what was asked may have changed since.
const (
	believePush    = 24 * time.Hour
	believeInside  = 600 * time.Second
	believeOutside = 60 * time.Second
	// believeSpread: entries made together must not end together.
	believeSpread = 0.15
)

// defaultCacheEntries bounds the cache unless set otherwise.
const defaultCacheEntries = 1_000_000

// MembershipEntry is what is known about one person in one channel.
type MembershipEntry struct {
	Verdict   protos.Verdict // INSIDE or OUTSIDE; nothing else is believed
	Doubted   uint32         // the end of the id of an update that is not weighed yet; 0 = none. See doubt
	LearnedMs int64          // Unix ms: when the question left, or Telegram's date of the push
	UntilMs   int64          // Unix ms: believed until then
	Pushed    bool
	Contested bool   // an update that was weighed stands against it, and only Telegram can say who is right; then Doubted is set
	TookMs    uint32 // until the answer came: it may be of any moment of that time
}

type membershipKey struct{ channel, user int64 }

// MembershipCache holds verdicts in memory, bounded in number. It is safe for concurrent use: groups
// read it, and only membership actors write what is believed.
type MembershipCache struct {
	bound   int
	entries *otter.Cache[membershipKey, MembershipEntry]
	blind   atomic.Pointer[map[int64]int64] // by channel, Unix ms; see distrust
}

// NewMembershipCache makes a cache of at most bound entries; 0 means a million.
func NewMembershipCache(bound int) *MembershipCache {
	if bound <= 0 {
		bound = defaultCacheEntries
	}
	return &MembershipCache{bound: bound, entries: otter.Must(&otter.Options[membershipKey, MembershipEntry]{MaximumSize: bound})}
}

// Look returns the believed entry of a person in a channel. It takes tens of nanoseconds.
func (c *MembershipCache) Look(channelID, userID int64, now time.Time) (MembershipEntry, bool) {
	e, ok := c.last(channelID, userID, now)
	if !ok || e.Doubted != 0 {
		return MembershipEntry{}, false
	}
	return e, true
}

// last is like Look, and returns entries that are in doubt, too.
func (c *MembershipCache) last(channelID, userID int64, now time.Time) (MembershipEntry, bool) {
	e, ok := c.entries.GetIfPresent(membershipKey{channelID, userID})
	if !ok || now.UnixMilli() >= e.UntilMs {
		return MembershipEntry{}, false
	}
	if blind := c.blind.Load(); blind != nil && e.LearnedMs <= (*blind)[channelID] {
		return MembershipEntry{}, false
	}
	return e, true
}

// distrust ends the belief in what is known of a channel until now: for a time Telegram did not tell of its
// joins and leaves. Channel actors call it, seldom.
func (c *MembershipCache) distrust(channelID int64, now time.Time) {
	for {
		old := c.blind.Load()
		next := map[int64]int64{}
		if old != nil {
			for id, at := range *old {
				if now.Sub(time.UnixMilli(at)) < 2*believePush { // later there is nothing left to distrust
					next[id] = at
				}
			}
		}
		next[channelID] = now.UnixMilli()
		if c.blind.CompareAndSwap(old, &next) {
			return
		}
	}
}

// doubtFor is how long something is known to be in doubt of which nothing else is known.
const doubtFor = time.Minute

// doubt ends the belief in what is known of a person until a membership actor has weighed what an update tells: a
// message that was written after it takes another way here, and must not be judged by what was true before. It is
// called where updates are in their order.
func (c *MembershipCache) doubt(channelID, userID, updateID int64, now time.Time) {
	c.entries.Compute(membershipKey{channelID, userID}, func(e MembershipEntry, found bool) (MembershipEntry, otter.ComputeOp) {
		if !found || now.UnixMilli() >= e.UntilMs {
			e = MembershipEntry{UntilMs: now.Add(doubtFor).UnixMilli()}
		}
		e.Doubted = doubtOf(updateID)
		return e, otter.WriteOp
	})
}

func doubtOf(updateID int64) uint32 { return max(uint32(updateID), 1) } // its end will do

// inDoubt returns which update stands against what is known, or was; 0 = none does.
func (c *MembershipCache) inDoubt(k membershipKey) uint32 {
	e, _ := c.entries.GetIfPresent(k)
	return e.Doubted
}

// distrustOne puts what is known in doubt until something newer is learned.
func (c *MembershipCache) distrustOne(k membershipKey, doubt uint32) {
	c.entries.ComputeIfPresent(k, func(e MembershipEntry) (MembershipEntry, otter.ComputeOp) {
		e.Contested = true
		if e.Doubted == 0 {
			e.Doubted = doubt
		}
		return e, otter.WriteOp
	})
}

// confirm ends the doubt of an update that says what is known. Where another stands against that, it goes on: what is
// told a second time does not say which of the two came last.
func (c *MembershipCache) confirm(k membershipKey, doubt uint32) {
	c.entries.ComputeIfPresent(k, func(e MembershipEntry) (MembershipEntry, otter.ComputeOp) {
		if e.Contested || e.Doubted != doubt {
			return e, otter.CancelOp
		}
		e.Doubted = 0
		return e, otter.WriteOp
	})
}

// blindUntil is until when Telegram did not tell of a channel's joins and leaves, Unix ms; 0 = no such time is known.
func (c *MembershipCache) blindUntil(channelID int64) int64 {
	if blind := c.blind.Load(); blind != nil {
		return (*blind)[channelID]
	}
	return 0
}

// Len is how many entries there are, about.
func (c *MembershipCache) Len() int { return c.entries.EstimatedSize() }

// put keeps an entry that is newer than a doubt; another doubt stands.
func (c *MembershipCache) put(k membershipKey, e MembershipEntry, doubt uint32) {
	c.entries.Compute(k, func(old MembershipEntry, _ bool) (MembershipEntry, otter.ComputeOp) {
		if e.Doubted, e.Contested = old.Doubted, old.Contested; e.Doubted == doubt {
			e.Doubted, e.Contested = 0, false
		}
		return e, otter.WriteOp
	})
}

func (c *MembershipCache) drop(k membershipKey) { c.entries.Invalidate(k) }

// believeFor says how long a verdict holds; spread is uniform in [0, 1).
func believeFor(v protos.Verdict, pushed bool, spread float64) time.Duration {
	base := believeOutside
	switch {
	case pushed:
		base = believePush
	case v == protos.Verdict_INSIDE:
		base = believeInside
	}
	return time.Duration(float64(base) * (1 - believeSpread + 2*believeSpread*spread))
}
