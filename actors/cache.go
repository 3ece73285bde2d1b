package actors

import (
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
	Verdict   protos.Verdict // INSIDE or OUTSIDE; nothing else is kept
	LearnedMs int64          // Unix ms: when the question left, or Telegram's date of the push
	UntilMs   int64          // Unix ms: believed until then
	Pushed    bool
}

type membershipKey struct{ channel, user int64 }

// MembershipCache holds verdicts in memory, bounded in number. It is safe for concurrent use: groups
// read it, and only membership actors write.
type MembershipCache struct {
	entries *otter.Cache[membershipKey, MembershipEntry]
}

// NewMembershipCache makes a cache of at most bound entries; 0 means a million.
func NewMembershipCache(bound int) *MembershipCache {
	if bound <= 0 {
		bound = defaultCacheEntries
	}
	return &MembershipCache{entries: otter.Must(&otter.Options[membershipKey, MembershipEntry]{MaximumSize: bound})}
}

// Look returns the believed entry of a person in a channel. It takes tens of nanoseconds.
func (c *MembershipCache) Look(channelID, userID int64, now time.Time) (MembershipEntry, bool) {
	e, ok := c.entries.GetIfPresent(membershipKey{channelID, userID})
	if !ok || now.UnixMilli() >= e.UntilMs {
		return MembershipEntry{}, false
	}
	return e, true
}

// Len is how many entries there are, about.
func (c *MembershipCache) Len() int { return c.entries.EstimatedSize() }

func (c *MembershipCache) put(k membershipKey, e MembershipEntry) { c.entries.Set(k, e) }

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
