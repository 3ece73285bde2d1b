package actors

import (
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// deps is what the gate's actors are given once, at start. All of it is safe for concurrent use.
type deps struct {
	dir     Directory
	settler Settler
	store   persistence.Reader
	writer  *persistence.Writer
	cache   *MembershipCache
	pool    *workPool // reads of the store
	// commands has its own goroutines: a command waits for Telegram.
	commands *workPool
	root     *actor.RootContext
	clock    Clock
	random   func(n int64) int64 // uniform in [0, n)
	log      zerolog.Logger
	metrics  *Metrics
	report   func(Incident) // nil: nobody is told
	bot      *protos.User
	words    *text.Catalogue
	unsigned int64                                // marks up to here may be from before marks were signed, see mayBeOurs; 0 = none is
	looked   int                                  // flows of a group that may be on their way at once
	keeps    bool                                 // changes are kept while the database is away
	shards   func() []*actor.PID                  // all of them
	sweeper  func() *actor.PID                    // looks where nobody hurries
	inject   func(kind string, message any) fault // nil outside tests
	super    *supervision
}

// settle tells an event's source, and whoever waits for a group, what became of a want.
func (d *deps) settle(w *want, group int64, reason string) {
	if w.kept {
		return
	}
	done := reason == ""
	if w.event != nil {
		if done {
			d.settler.Settled(w.event.GetDelivery())
		} else {
			d.settler.NotDone(w.event.GetDelivery(), reason)
		}
	}
	if w.ackTo != nil {
		d.root.Send(w.ackTo, &protos.GroupSettled{GroupId: group, Tag: w.ackTag, Done: done})
	}
	w.event, w.ackTo = nil, nil
}

// proof is since when it is known that somebody satisfies a group's channels, or does not: an "inside" may come
// from memory, an "outside" was asked just now. Zero = it is not known.
func (d *deps) proof(v protos.Verdict, channels []persistence.Channel, user int64) time.Time {
	now := d.clock()
	if v == protos.Verdict_UNKNOWN {
		return time.Time{}
	}
	oldest := now.UnixMilli()
	for _, ch := range channels {
		if e, ok := d.cache.Look(ch.ID, user, now); ok && e.Verdict == v {
			oldest = min(oldest, e.LearnedMs)
		}
	}
	return time.UnixMilli(oldest)
}

// today is the UTC day that counters are kept under.
func (d *deps) today() string { return d.clock().UTC().Format(time.DateOnly) }
