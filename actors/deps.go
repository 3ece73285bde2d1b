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
	metrics  *GateMetrics
	actors   *Metrics
	bot      *protos.User
	words    *text.Catalogue
	inject   func(kind string, message any) fault // nil outside tests
}

// markFor is how long a mute of ours lasts unless renewed. It also ends one that nobody remembers.
const markFor = 30 * 24 * time.Hour

// mark draws the until_date of a new mute: the random seconds tell it from a moderator's.
func (d *deps) mark() int64 {
	return d.clock().Add(markFor).Unix() + d.random(86400)
}

// settle tells an event's source, and whoever waits for a group, what became of a want.
func (d *deps) settle(w *want, group int64, reason string) {
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

// today is the UTC day that counters are kept under.
func (d *deps) today() string { return d.clock().UTC().Format(time.DateOnly) }
