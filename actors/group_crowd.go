package actors

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// When very many people nobody has met write in one group at once, a few of them are looked at at a time, and the
// others wait for their turn: without an actor, a question or a timer, as rows that say checking. Their updates are
// settled by that row, so nothing that comes after them waits, and after a crash they are taken up like any open
// flow. More at once would not be done sooner: what a chat may have in the air is bounded, and whoever waits there
// grows old, takes a hundred times the memory, and the processor from the groups next door.

const (
	// maxLooked is how many flows of a group may be on their way at once before newcomers wait for their turn: as many
	// questions as a chat may have in the air where others wait, twice.
	maxLooked = 32
	// maxCrowd bounds those who wait in one group; beyond it events come again later.
	maxCrowd = 20_000
)

// crowd is who waits for a turn in one group.
type crowd struct {
	people map[int64]*newcomer
	order  []int64 // whose turn it is first; some may have had it
	rests  int     // flows that only time or somebody's act wakes: they do not count as being looked at
	more   bool    // the store has more open flows than were taken up
}

// newcomer is somebody who waits for a turn.
type newcomer struct {
	row     persistence.Flow // as the store has it, or is about to
	trigger trigger
	at      int64   // Unix ms: when the last of what the row says was read
	ours    bool    // the row began here, so that nobody else changes it
	saving  bool    // it is being stored: until then nothing may be done about it
	next    []*want // what came meanwhile
}

// crowdStored reports what became of a newcomer's row. The store's writer sends it.
type crowdStored struct {
	user int64
	w    *want // nil once settled
	made bool  // the row is in the store
	old  bool  // the update was done in an earlier life
	err  error
}

func (m *crowdStored) events() []*protos.Event {
	if m.w == nil {
		return nil
	}
	return m.w.events()
}

// flowRests tells the group that a verification waits for a time, or does not any more. The verification sends it.
type flowRests struct {
	user int64
	on   bool
}

// crowded: no further newcomer may be looked at now.
func (g *group) crowded() bool { return len(g.kids)-g.crowd.rests >= g.d.looked }

// queueUp takes a want of somebody whose turn has not come, and reports whether it did.
func (g *group) queueUp(c actor.Context, w *want) bool {
	n := g.crowd.people[w.user.GetId()]
	switch {
	case n != nil && n.saving:
		if len(n.next) >= maxWaiting {
			g.refuse(w, "too many events for one person")
			return true
		}
		n.next = append(n.next, w)
	case n != nil && n.ours && mayWait(w):
		g.addTo(c, n, w)
	case n != nil:
		g.turn(c, n)
		return false
	case !g.crowded() || !mayWait(w) || g.d.writer.Away():
		return false
	case len(g.crowd.people) >= maxCrowd:
		g.refuse(w, "too many people in one group")
	default:
		g.welcome(c, w)
	}
	return true
}

// mayWait: that somebody wrote or joined can be told by a row alone.
func mayWait(w *want) bool {
	return w.event != nil && (w.trigger == byMessage && w.event.GetKind() == protos.EventKind_MESSAGE || w.trigger == byJoin)
}

// welcome stores the row of somebody new. Where there is one already, more is to be known than this.
func (g *group) welcome(c actor.Context, w *want) {
	n := &newcomer{trigger: w.trigger, at: w.at, ours: true, saving: true, row: persistence.Flow{
		GroupID: g.id, UserID: w.user.GetId(), Name: displayName(w.user), State: persistence.Checking, Cause: w.trigger.cause(),
		Since: g.d.clock(),
	}}
	n.take(w)
	g.wait(n)
	row, m, self, d := n.row, &crowdStored{user: w.user.GetId(), w: w}, c.Self(), g.d
	d.writer.Do(func(tx persistence.Tx) (err error) {
		m.old = false
		if m.made, err = tx.NewFlow(row); err != nil || !m.made {
			return err
		}
		fresh, err := tx.MarkSeen(w.event.GetUpdateId())
		if err != nil || fresh {
			return err
		}
		m.old = true
		return tx.CloseFlow(row.GroupID, row.UserID)
	}, func(err error) {
		if m.err = err; err == nil && m.made {
			d.settle(w, row.GroupID, "")
			m.w = nil
		}
		d.root.Send(self, m)
	})
}

// addTo stores what else somebody who waits has done. The row is nobody else's for as long as it waits.
func (g *group) addTo(c actor.Context, n *newcomer, w *want) {
	if len(n.row.Messages) >= maxWaiting {
		g.refuse(w, "too many events for one person")
		return
	}
	n.take(w)
	n.saving, n.at, n.trigger = true, max(n.at, w.at), max(n.trigger, w.trigger)
	row, self, d := n.row, c.Self(), g.d
	m := &crowdStored{user: row.UserID, made: true}
	d.writer.Do(func(tx persistence.Tx) error {
		if fresh, err := tx.MarkSeen(w.event.GetUpdateId()); err != nil || !fresh {
			return err
		}
		return tx.SaveFlow(row)
	}, func(err error) {
		reason := ""
		if err != nil {
			reason = "not stored: " + err.Error()
		}
		d.settle(w, row.GroupID, reason)
		d.root.Send(self, m)
	})
}

// take notes in the row what a want is about; see verification.note.
func (n *newcomer) take(w *want) {
	if w.trigger == byJoin {
		n.row.Cause = byJoin.cause() // Telegram's word on it may come after the first message
		return
	}
	if id := w.event.GetMessageId(); !slices.Contains(n.row.Messages, id) {
		n.row.Messages = append(slices.Clone(n.row.Messages), id)
	}
	n.row.ThreadID = w.event.GetThreadId()
}

// wait gives somebody the last place.
func (g *group) wait(n *newcomer) {
	put(&g.crowd.people, n.row.UserID, n)
	g.crowd.order = append(g.crowd.order, n.row.UserID)
	g.d.metrics.crowd(1)
}

func (g *group) onCrowdStored(c actor.Context, m *crowdStored) {
	n := g.crowd.people[m.user]
	if n == nil || !n.saving {
		if m.w != nil { // a group before this one wanted to know
			g.give(c, m.w)
		}
		return
	}
	n.saving = false
	next := n.next
	n.next = nil
	switch {
	case m.made && !m.old:
	case m.made:
		// An earlier life did all of this; what the store says of it now is taken up.
		g.goes(n)
		g.give(c, &want{trigger: byResume, user: &protos.User{Id: m.user}})
	default:
		// There is a row already, or the store failed: then it takes the whole of a verification.
		g.goes(n)
		g.giveNow(c, m.w)
	}
	for _, w := range next {
		g.give(c, w)
	}
	g.turns(c)
}

// turns has those looked at whose turn it is.
func (g *group) turns(c actor.Context) {
	for len(g.crowd.order) > 0 && !g.crowded() {
		n := g.crowd.people[g.crowd.order[0]]
		if n != nil && n.saving {
			return
		}
		g.crowd.order = g.crowd.order[1:]
		if n != nil {
			g.turn(c, n)
		}
	}
	if len(g.crowd.order) == 0 {
		g.crowd.order = nil
		if g.crowd.more && !g.crowded() {
			g.crowd.more = false
			g.load(c)
		}
	}
}

// turn has somebody looked at whose row is stored.
func (g *group) turn(c actor.Context, n *newcomer) {
	g.goes(n)
	g.giveNow(c, &want{
		trigger: n.trigger, noted: true, user: &protos.User{Id: n.row.UserID, FirstName: n.row.Name}, at: n.at,
	})
}

func (g *group) goes(n *newcomer) {
	delete(g.crowd.people, n.row.UserID)
	g.d.metrics.crowd(-1)
}

// takeUp has open flows looked at that the store has, each when its turn comes.
func (g *group) takeUp(c actor.Context, open []persistence.Flow) {
	taken := false
	for _, f := range open {
		switch {
		case g.kids[f.UserID] != nil || g.crowd.people[f.UserID] != nil:
			continue
		case g.crowded():
			g.wait(&newcomer{trigger: byResume, row: persistence.Flow{UserID: f.UserID, Name: f.Name}})
		default:
			g.giveNow(c, &want{trigger: byResume, user: &protos.User{Id: f.UserID, FirstName: f.Name}})
		}
		taken = true
	}
	g.crowd.more = taken && len(open) >= maxOpen
}

// disperse gives up what waits for a row to be stored; those who wait stand in the store.
func (g *group) disperse() {
	for _, n := range g.crowd.people {
		for _, w := range n.next {
			g.refuse(w, "group stopped")
		}
	}
	g.d.metrics.crowd(-len(g.crowd.people))
	g.crowd = crowd{}
}

// rests notes whether a flow waits for a time.
func (g *group) rests(c actor.Context, m *flowRests) {
	k := g.kids[m.user]
	switch {
	case k == nil:
	case !m.on:
		g.wakes(k)
	case !k.rests:
		k.rests = true
		g.crowd.rests++
		g.turns(c)
	}
}

// gone forgets a child that ended.
func (g *group) gone(c actor.Context, k *kid) {
	delete(g.kids, k.user)
	g.wakes(k)
	g.turns(c)
}

func (g *group) wakes(k *kid) {
	if k.rests {
		k.rests = false
		g.crowd.rests--
	}
}
