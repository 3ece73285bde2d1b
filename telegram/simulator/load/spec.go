package load

import (
	"fmt"
	"slices"
	"time"
)

// Kind is a load.
type Kind string

// The loads.
const (
	Clean Kind = "clean" // known members write, as fast as the bot takes it
	Burst Kind = "burst" // strangers write, all at once
	Paced Kind = "paced" // so many messages a second, every second one by a stranger
	Raid  Kind = "raid"  // strangers fall upon one group, while strangers write in others
	Mixed Kind = "mixed" // a day: mostly known members, who write and edit; strangers, who join or press
	Many  Kind = "many"  // clean, with very many groups and some strangers
)

// Kinds are all of them, in the order in which they are shown.
var Kinds = []Kind{Clean, Burst, Paced, Raid, Mixed, Many}

// Spec says what a load is made of.
type Spec struct {
	Kind      Kind          `json:"kind"`
	Groups    int           `json:"groups"`
	Members   int           `json:"members"`   // known members in each group
	Messages  int           `json:"messages"`  // of known members
	Strangers int           `json:"strangers"` // each writes once
	Raiders   int           `json:"raiders"`   // the same, all in one group; Raid only
	Rate      float64       `json:"rate"`      // messages a second, 0 = all at once
	Latency   time.Duration `json:"latency"`   // of every call but getUpdates
	Reacts    bool          `json:"reacts"`    // the muted join the channel or press the button; not every bot minds
	Seed      uint64        `json:"seed"`
}

// maxAtOnce is below what Telegram keeps for a bot, so that no update is lost.
const maxAtOnce = 90_000

// Default is the usual load of a kind, its sizes multiplied by size.
func Default(kind Kind, size float64) (Spec, error) {
	if !slices.Contains(Kinds, kind) {
		return Spec{}, fmt.Errorf("no load is called %q; there are %v", kind, Kinds)
	}
	times := func(n int) int { return max(int(float64(n)*size), 1) }
	s := Spec{Kind: kind, Groups: 50, Members: 40, Seed: 1}
	switch kind {
	case Clean:
		s.Messages = min(times(80_000), maxAtOnce)
	case Burst:
		s.Strangers = times(5000)
	case Paced:
		s.Rate, s.Messages, s.Strangers, s.Latency = 100, times(1000), times(1000), 30*time.Millisecond
	case Raid:
		s.Rate, s.Strangers, s.Raiders, s.Latency, s.Reacts = 40, times(400), times(10_000), 30*time.Millisecond, true
	case Mixed:
		s.Rate, s.Messages, s.Strangers, s.Latency, s.Reacts = 300, times(5400), times(360), 30*time.Millisecond, true
	case Many:
		s.Groups, s.Members, s.Messages, s.Strangers = times(10_000), 1, min(times(80_000), maxAtOnce), times(1000)
	}
	if size < 1 {
		s.Members = max(int(float64(s.Members)*size), 2)
	}
	return s, nil
}

// Town is what the load's world is, for whoever sets up a bot in it.
type Town struct {
	BotID           int64   `json:"bot_id"`
	Token           string  `json:"token"`
	OwnerID         int64   `json:"owner_id"`
	ChannelID       int64   `json:"channel_id"`
	ChannelTitle    string  `json:"channel_title"`
	ChannelUsername string  `json:"channel_username"`
	Groups          []int64 `json:"groups"`
}

// Result is what a load measured. Times are from the moment an update was first sent to the bot until the
// call it led to reached the API: what the API then takes for it is not the bot's.
type Result struct {
	Messages   int            `json:"messages"`   // sent to the bot
	Violations int            `json:"violations"` // of these by strangers
	Seconds    float64        `json:"seconds"`    // until everything was handled
	Mute       Percentiles    `json:"mute"`
	Delete     Percentiles    `json:"delete"`
	Answer     Percentiles    `json:"answer"`
	Free       Percentiles    `json:"free"`             // from hand-out of the join to the freeing
	Quiet      *Phase         `json:"quiet,omitempty"`  // other groups before a raid
	During     *Phase         `json:"during,omitempty"` // other groups during it
	Calls      map[string]int `json:"calls"`            // by method, without getUpdates
	Polls      int            `json:"polls"`
	Lost       int            `json:"lost"` // strangers not muted, messages not deleted, presses not answered
}

// AllCalls is how many calls the API served, polls among them.
func (r Result) AllCalls() int {
	n := r.Polls
	for _, calls := range r.Calls {
		n += calls
	}
	return n
}

// Phase is what other groups felt.
type Phase struct {
	Mute   Percentiles `json:"mute"`
	Answer Percentiles `json:"answer"`
}

// Percentiles of a number of durations, milliseconds.
type Percentiles struct {
	N   int     `json:"n"`
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func percentiles(all []time.Duration) Percentiles {
	if len(all) == 0 {
		return Percentiles{}
	}
	slices.Sort(all)
	at := func(share float64) float64 {
		return float64(all[min(int(share*float64(len(all))), len(all)-1)].Microseconds()) / 1000
	}
	return Percentiles{N: len(all), P50: at(.50), P95: at(.95), P99: at(.99), Max: at(1)}
}
