package actors

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

const (
	// maxHeld bounds the messages that wait while a group reads its rows.
	maxHeld = 1024
	// maxFlows bounds the verifications alive in one group; beyond it events come again later.
	maxFlows = 20_000
	// excuseFor is how long an administrator's messages pass without a look-up.
	excuseFor = 10 * time.Minute
	// reloadAfter is how long a group waits before it reads its rows again after a failure.
	reloadAfter = time.Second
)

// group owns everything about one protected chat: settings, required channels, the open notices and
// its verification children. A router spawns it by need and passivates it when it is idle.
type group struct {
	d  *deps
	id int64

	loaded  bool
	loading bool
	again   bool // rows changed while they were being read
	recheck bool // look at every muted person once the rows are read
	g       persistence.Group
	held    []any

	kids     map[int64]*kid // by user
	byPID    map[string]*kid
	excused  map[int64]time.Time
	notices  map[int64]*notice // by topic
	asked    map[uint64]func(actor.Context, *protos.JobDone)
	lastTag  uint64
	running  map[int64]bool // update ids of commands under way
	commands []pending
	leaving  bool      // stopping: children end with it
	lastSay  time.Time // when a notice was last sent or edited
	tickAt   time.Time // when the next look at notices is due
}

// kid is a verification child.
type kid struct {
	user     int64
	pid      *actor.PID
	seat     *seat
	sent     uint64
	draining bool
	buf      []*want
}

func newGroup(d *deps, id int64) actor.Actor {
	return &group{
		d: d, id: id, kids: map[int64]*kid{}, byPID: map[string]*kid{}, excused: map[int64]time.Time{},
		notices: map[int64]*notice{}, asked: map[uint64]func(actor.Context, *protos.JobDone){}, running: map[int64]bool{},
	}
}

// Receive handles events of the chat, news of its channels, and its children.
func (g *group) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		g.load(c)
	case *actor.Restarting, *actor.Stopping:
		g.leaving = true
		g.giveUp()
	case *groupLoaded:
		g.onLoaded(c, m)
	case *protos.JobDone:
		if then := g.asked[m.GetTag()]; then != nil {
			delete(g.asked, m.GetTag())
			then(c, m)
		}
	case *actor.Terminated:
		g.onTerminated(c, m)
	case *flowDone:
		g.onFlowDone(c, m)
	case *mayStop:
		if g.loaded && len(g.kids) == 0 && len(g.notices) == 0 && len(g.running) == 0 {
			c.Respond(&idle{id: g.id})
		}
	case *reload:
		g.recheck = g.recheck || m.recheck
		g.load(c)
	default:
		if !g.loaded {
			g.hold(m)
			return
		}
		g.handle(c, m)
	}
}

// handle is what needs the group's rows.
func (g *group) handle(c actor.Context, msg any) {
	switch m := msg.(type) {
	case *protos.Event:
		g.onEvent(c, m)
	case *protos.MembershipChanged:
		g.onMembershipChanged(c, m)
	case *recheckPage:
		g.onRecheckPage(c, m)
	case *commandDone:
		g.onCommandDone(c, m)
	case *noticeAdd:
		g.onNoticeAdd(c, m)
	case *noticeRemove:
		g.onNoticeRemove(c, m)
	case *noticeStored:
		g.onNoticeStored(c, m)
	case *noticeTick:
		g.tendNotices(c)
	case *excused:
		g.excuse(m.user)
	}
}

func (g *group) hold(m any) {
	if len(g.held) >= maxHeld {
		g.refuse(m, "group is still being read")
		return
	}
	g.held = append(g.held, m)
}

// refuse reports a message that will not be handled, so that it comes again.
func (g *group) refuse(m any, reason string) {
	switch m := m.(type) {
	case *protos.Event:
		g.d.settler.NotDone(m.GetDelivery(), reason)
	case *want:
		g.d.settle(m, g.id, reason)
	}
}

func (g *group) giveUp() {
	for _, m := range g.held {
		g.refuse(m, "group stopped")
	}
	g.held = nil
	for _, k := range g.kids {
		for _, w := range k.buf {
			g.refuse(w, "group stopped")
		}
		k.buf = nil
	}
}

// load reads the group's rows; while that lasts, messages are held.
func (g *group) load(c actor.Context) {
	if g.loading {
		g.again = true
		return
	}
	g.loading = true
	self, root, id := c.Self(), g.d.root, g.id
	ok := g.d.pool.Go(func(ctx context.Context) { root.Send(self, readGroup(ctx, g.d.store, id)) })
	if !ok {
		root.Send(self, &groupLoaded{err: persistence.ErrBusy})
	}
}

// maxOpen bounds the open flows a group takes up at once; the rest follow when it is read again.
const maxOpen = 1000

func readGroup(ctx context.Context, store persistence.Reader, id int64) *groupLoaded {
	l := &groupLoaded{names: map[int64]string{}}
	var err error
	if l.group, err = store.Group(ctx, id); err == nil {
		l.found = true
	} else if !errors.Is(err, persistence.ErrNotFound) {
		return &groupLoaded{err: err}
	}
	if l.notices, err = store.Notices(ctx, id); err != nil {
		return &groupLoaded{err: err}
	}
	for _, n := range l.notices {
		for _, user := range n.People {
			if f, err := store.Flow(ctx, id, user); err == nil {
				l.names[user] = f.Name
			}
		}
	}
	if l.open, err = store.OpenFlowsOfGroup(ctx, id, maxOpen); err != nil {
		return &groupLoaded{err: err}
	}
	return l
}

func (g *group) onLoaded(c actor.Context, m *groupLoaded) {
	g.loading = false
	if m.err != nil {
		g.d.log.Warn().Err(m.err).Int64("chat", g.id).Msg("a group's rows cannot be read, trying again")
		self, root := c.Self(), g.d.root
		time.AfterFunc(reloadAfter, func() { root.Send(self, &reload{}) })
		return
	}
	if g.again {
		g.again = false
		g.load(c)
		return
	}
	first := !g.loaded
	g.loaded, g.g = true, m.group
	if first {
		g.takeUpNotices(m)
	}
	for _, f := range m.open {
		if g.kids[f.UserID] == nil {
			g.give(c, &want{trigger: byResume, user: &protos.User{Id: f.UserID, FirstName: f.Name}})
		}
	}
	if g.recheck || first && m.found && !m.group.Enabled {
		// With protection off nobody stays muted by us, whatever a crash left behind.
		g.recheck = false
		g.recheckFrom(c, 0)
	}
	held := g.held
	g.held = nil
	for _, h := range held {
		g.handle(c, h)
	}
	g.tendNotices(c)
}

// channels are the group's requirements; none when its protection is off.
func (g *group) channels() []persistence.Channel {
	if !g.g.Enabled {
		return nil
	}
	return g.g.Channels
}

// give hands a want to the verification that owns the person, which is spawned by need.
func (g *group) give(c actor.Context, w *want) {
	k := g.kids[w.user.GetId()]
	if k == nil {
		if len(g.kids) >= maxFlows {
			g.refuse(w, "too many open flows in one group")
			return
		}
		k = &kid{user: w.user.GetId(), seat: &seat{}}
		g.kids[k.user] = k
		g.spawn(c, k)
	}
	if k.draining {
		if len(k.buf) >= maxWaiting {
			g.refuse(w, "too many events for one person")
			return
		}
		k.buf = append(k.buf, w)
		return
	}
	g.sendWant(c, k, w)
}

func (g *group) sendWant(c actor.Context, k *kid, w *want) {
	k.sent++
	w.seq, w.channels = k.sent, slices.Clone(g.channels())
	c.Send(k.pid, w)
}

func (g *group) spawn(c actor.Context, k *kid) {
	d, id, user, s := g.d, g.id, k.user, k.seat
	props := propsFor("verification", func() actor.Actor {
		return &verification{d: d, group: id, userID: user, seat: s}
	}, 256, d.supervision())
	k.pid = c.SpawnPrefix(props, "v"+itoa(user))
	g.byPID[k.pid.GetId()] = k
}

// onFlowDone ends a child that has nothing to do, unless something was sent to it since.
func (g *group) onFlowDone(c actor.Context, m *flowDone) {
	k := g.kids[m.user]
	if k == nil || k.draining || k.sent != m.handled {
		return
	}
	k.draining = true
	c.Poison(k.pid)
}

func (g *group) onTerminated(c actor.Context, m *actor.Terminated) {
	k := g.byPID[m.Who.GetId()]
	if k == nil || g.leaving {
		return
	}
	delete(g.byPID, m.Who.GetId())
	failed := !k.draining
	if len(k.buf) == 0 && !failed {
		delete(g.kids, k.user)
		return
	}
	if failed {
		// Stopped for failing too often: its row, if any, is taken up again after a pause.
		delete(g.kids, k.user)
		g.d.log.Error().Int64("chat", g.id).Msg("a verification was stopped for failing")
		self, root := c.Self(), g.d.root
		time.AfterFunc(5*time.Second, func() { root.Send(self, &reload{}) })
		return
	}
	buf := k.buf
	k.buf, k.draining, k.sent, k.seat = nil, false, 0, &seat{}
	g.spawn(c, k)
	for _, w := range buf {
		g.sendWant(c, k, w)
	}
}

// recheckFrom looks at every person the bot muted here, a page at a time.
func (g *group) recheckFrom(c actor.Context, after int64) {
	self, root, d, id := c.Self(), g.d.root, g.d, g.id
	ok := d.pool.Go(func(ctx context.Context) {
		flows, err := d.store.FlowsOfGroup(ctx, id, after, 200)
		root.Send(self, &recheckPage{flows: flows, err: err})
	})
	if !ok {
		time.AfterFunc(reloadAfter, func() { root.Send(self, &reload{recheck: true}) })
	}
}

func (g *group) onRecheckPage(c actor.Context, m *recheckPage) {
	if m.err != nil {
		self, root := c.Self(), g.d.root
		time.AfterFunc(reloadAfter, func() { root.Send(self, &reload{recheck: true}) })
		return
	}
	for _, f := range m.flows {
		g.give(c, &want{trigger: byHint, user: &protos.User{Id: f.UserID, FirstName: f.Name}})
	}
	if n := len(m.flows); n == 200 {
		g.recheckFrom(c, m.flows[n-1].UserID)
	}
}

func (g *group) excuse(user int64) {
	if len(g.excused) > 1000 {
		clear(g.excused)
	}
	g.excused[user] = g.d.clock().Add(excuseFor)
}
