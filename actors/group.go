package actors

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
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
	// maxNamesHere bounds the @names a group remembers of who wrote lately.
	maxNamesHere = 2000
	// maxNoted bounds the people a group remembers to have told the store of.
	maxNoted = 10_000
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

	rules    *rules         // see rulesNow
	kids     map[int64]*kid // by user
	crowd    crowd
	excused  map[int64]time.Time
	notices  map[int64]*notice // by topic
	asked    map[uint64]func(actor.Context, *protos.JobDone)
	lastTag  uint64
	running  map[int64]bool // update ids of commands under way
	commands []pending
	leaving  bool      // stopping: children end with it
	lastSay  time.Time // when a notice was last sent or edited
	tickAt   time.Time // when the next look at notices is due

	exempt   map[int64]bool
	noted    map[int64]time.Time // known people, and when the store heard of them
	names    map[string]int64    // lower-case @name → person seen here lately
	pauses   map[place]*pause
	looking  map[int64]bool     // places asked about now
	linked   int64              // the channel whose discussion group this is
	linkedAt time.Time          // when Telegram said so; zero = not yet
	fresh    time.Time          // when the channels' names and links were last looked at
	highest  int64              // message id seen
	first    int64              // message id seen since this actor began
	stored   int64              // the highest message id in the rows it began with
	seeking  *notice            // the one that is being looked for
	speaking int                // messages on their way that are no notices
	parting  map[int64]struct{} // messages of notices whose end is not stored yet
	own      []int64            // the last messages of the bot whose ids are known; see spoke
	requests map[int64]*request
	writing  map[int64]struct{} // who asked to join, and is just being written to
	verdicts map[uint64]func(actor.Context, *protos.MembershipAnswer)
	decided  map[int64]int64       // by user: Telegram's date of the last act of somebody else's, Unix seconds
	covered  map[int64]covered     // by user, see noteCovered
	left     map[int64]leftOver    // by user: what the last flow left
	released map[int64]time.Time   // channels whose people really left, until when
	panels   map[int64]*protos.Job // by message: an edit is on its way; the one that follows it, or nil
}

// kid is a verification child.
type kid struct {
	user     int64
	pid      *actor.PID
	seat     *seat
	sent     uint64
	draining bool
	rests    bool // see flowRests
	buf      []*want
}

// newGroup makes its maps when they are first written: most of a group's stay empty, and there are many groups.
func newGroup(d *deps, id int64) actor.Actor {
	return &group{d: d, id: id, lastTag: rand.Uint64()} // an answer to an earlier one's question must fit none of its own
}

// put writes to a map, which is made by need.
func put[M ~map[K]V, K comparable, V any](m *M, key K, value V) {
	if *m == nil {
		*m = M{}
	}
	(*m)[key] = value
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
	case *protos.MembershipAnswer:
		if then := g.verdicts[m.GetTag()]; then != nil {
			delete(g.verdicts, m.GetTag())
			then(c, m)
		}
	case *actor.Terminated:
		g.onTerminated(c, m)
	case *pressWaits:
		if !g.loaded {
			g.tellHeld(c)
		}
	case *flowDone:
		g.onFlowDone(c, m)
	case *answerOut:
		g.onAnswerOut(c, m)
	case *panelOut:
		g.onPanelOut(c, m)
	case *mayStop:
		if g.loaded && len(g.kids)+len(g.notices)+len(g.running)+len(g.requests)+len(g.pauses)+len(g.asked)+len(g.crowd.people)+len(g.parting) == 0 {
			c.Respond(&idle{id: g.id})
		}
	case *inspectChat:
		c.Respond(&chatMemory{group: g.memory()})
	case *protos.GroupChanged:
		g.recheck = g.recheck || m.GetRelaxed()
		g.load(c)
	case *reload:
		g.recheck = g.recheck || m.recheck
		if m.user != 0 {
			g.held = append(g.held, &lookAtUser{user: m.user})
		}
		g.load(c)
	default:
		switch news := m.(type) {
		case *protos.MembershipChanged:
			m = &membershipNews{m: news, from: c.Sender()}
		case *protos.TimeCame:
			m = &timeNews{m: news, from: c.Sender()}
		}
		if !g.loaded {
			g.hold(c, m)
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
	case *membershipNews:
		g.onMembershipChanged(c, m.m, m.from)
	case *recheckPage:
		g.onRecheckPage(c, m)
	case *crowdStored:
		g.onCrowdStored(c, m)
	case *flowRests:
		g.rests(c, m)
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
	case *noticeEnded:
		g.onNoticeEnded(c, m)
	case *protos.JoinedAway:
		g.onJoinedAway(c, m)
	case *lookAtUser:
		g.give(c, &want{trigger: byHint, user: &protos.User{Id: m.user}})
	case *excused:
		g.excuse(m)
	case *exempted:
		put(&g.exempt, m.user, true)
	case *trouble:
		g.onTrouble(c, m)
	case *pauseTick:
		g.lookAtPauses(c)
	case *braked:
		g.onBraked(c, m)
	case *protos.BrakePressed:
		g.onBrakePressed(c, m.GetEvent())
	case *protos.PlaceChanged:
		if m.GetChannel() != nil {
			g.renamed(c, m.GetChannel())
			return
		}
		g.lookAt(c, m.GetPlaceId())
	case *movedTo:
		g.move(c, g.id, m.id, nil)
	case *protos.RequestPressed:
		g.onRequestPressed(c, m.GetEvent())
	case *lookAtRequest:
		g.takeUpRequest(c, m.user)
	case *requestStored:
		g.onRequestStored(c, m)
	case *timeNews:
		g.onTimeCame(c, m.m, m.from)
	}
}

func (g *group) hold(c actor.Context, m any) {
	if press, ok := m.(*protos.Event); ok && isPress(press) {
		self, root := c.Self(), g.d.root
		time.AfterFunc(pressLimit, func() { root.Send(self, &pressWaits{}) })
	}
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
	case *crowdStored:
		if m.w != nil {
			g.d.settle(m.w, g.id, reason)
		}
	case *protos.BrakePressed:
		g.d.settler.NotDone(m.GetEvent().GetDelivery(), reason)
	case *protos.RequestPressed:
		g.d.settler.NotDone(m.GetEvent().GetDelivery(), reason)
	case *membershipNews:
		g.d.settle(&want{ackTo: m.from, ackTag: m.m.GetTag()}, g.id, reason)
	case *timeNews:
		g.d.settle(&want{ackTo: m.from, ackTag: m.m.GetTag()}, g.id, reason)
	}
}

func (g *group) giveUp() {
	for _, m := range g.held {
		g.refuse(m, "group stopped")
	}
	g.held = nil
	for _, r := range g.requests {
		r.giveUp(g)
	}
	for _, k := range g.kids {
		for _, w := range k.buf {
			g.refuse(w, "group stopped")
		}
		k.buf = nil
	}
	g.disperse()
}

// load reads the group's rows; while that lasts, messages are held.
func (g *group) load(c actor.Context) {
	if g.loading {
		g.again = true
		return
	}
	g.loading = true
	self, root, id := c.Self(), g.d.root, g.id
	if g.d.keeps && g.d.writer.Away() {
		root.Send(self, &groupLoaded{err: persistence.ErrUnavailable})
		return
	}
	ok := g.d.pool.Go(func(ctx context.Context) { root.Send(self, readGroup(ctx, g.d.store, id)) })
	if !ok {
		root.Send(self, &groupLoaded{err: persistence.ErrBusy})
	}
}

// maxOpen bounds the open flows a group reads at once; the rest follow when those are done.
const maxOpen = 1000

// maxExempt bounds a group's exemptions.
const maxExempt = 5000

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
	exempt, err := store.Exemptions(ctx, id, 0, maxExempt)
	if err != nil {
		return &groupLoaded{err: err}
	}
	for _, e := range exempt {
		l.exempt = append(l.exempt, e.UserID)
	}
	if l.pauses, err = store.Pauses(ctx, id); err != nil {
		return &groupLoaded{err: err}
	}
	return l
}

func (g *group) onLoaded(c actor.Context, m *groupLoaded) {
	g.loading = false
	if m.err != nil {
		g.d.writer.Suspect(m.err)
		if g.d.writer.Away() {
			// What waits here is kept for later, instead of holding up everybody else.
			g.tellHeld(c)
			for _, h := range g.held {
				g.refuse(h, awayReason)
			}
			g.held = nil
		}
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
	g.loaded, g.g, g.rules = true, m.group, nil
	g.exempt = nil
	for _, id := range m.exempt {
		put(&g.exempt, id, true)
	}
	if first {
		g.fresh = g.d.clock()
		g.takeUpNotices(m)
		g.takeUpPauses(c, m.pauses)
	}
	g.takeUp(c, m.open)
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

// give hands a want to the verification that owns the person, when it is the person's turn.
func (g *group) give(c actor.Context, w *want) {
	if g.kids[w.user.GetId()] == nil && g.queueUp(c, w) {
		return
	}
	g.giveNow(c, w)
}

// giveNow hands a want to the verification that owns the person, which is spawned by need.
func (g *group) giveNow(c actor.Context, w *want) {
	k := g.kids[w.user.GetId()]
	if k == nil {
		if len(g.kids) >= maxFlows {
			g.refuse(w, "too many open flows in one group")
			return
		}
		k = &kid{user: w.user.GetId(), seat: g.newSeat(w.user.GetId())}
		put(&g.kids, k.user, k)
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
	w.seq = k.sent
	w.rules, w.exempt = g.rulesNow(), g.exempt[k.user]
	c.Send(k.pid, w)
}

// rulesNow are the group's wishes, the same value for everybody for as long as they do not change. Where a brake is
// on, they change with time.
func (g *group) rulesNow() *rules {
	if g.rules == nil || g.rules.braked != nil || len(g.pauses)+len(g.released) > 0 {
		g.rules = &rules{channels: g.channels(), wishes: g.g.Settings}
		g.rules.braked, g.rules.released = g.brakes()
	}
	return g.rules
}

func (g *group) spawn(c actor.Context, k *kid) {
	d, id, user, s := g.d, g.id, k.user, k.seat
	props := propsFor("verification", func() actor.Actor {
		return &verification{d: d, group: id, userID: user, seat: s, lastTag: rand.Uint64()}
	}, 256, d.supervision())
	k.pid = c.SpawnPrefix(props, kidPrefix+itoa(user)+kidSuffix)
}

// What stands before and behind the person's id in the last part of a verification's name.
const (
	kidPrefix = "v"
	kidSuffix = "_"
)

// kidOf reads in a verification's name whose flow it is; 0 = it is none. A map of names would take more than all
// else that a group keeps of a flow.
func kidOf(pid *actor.PID) int64 {
	name := pid.GetId()
	name = strings.TrimPrefix(name[strings.LastIndexByte(name, '/')+1:], kidPrefix)
	id, _, _ := strings.Cut(name, kidSuffix)
	user, _ := atoi(id)
	return user
}

// onFlowDone ends a child that has nothing to do, unless something was sent to it since.
func (g *group) onFlowDone(c actor.Context, m *flowDone) {
	k := g.kids[m.user]
	if k == nil || k.draining || k.sent != m.handled {
		return
	}
	k.draining = true
	g.d.metrics.slept("verification")
	if !m.blind {
		g.remark(c, m)
	}
	c.Poison(k.pid)
}

func (g *group) onTerminated(c actor.Context, m *actor.Terminated) {
	k := g.kids[kidOf(m.Who)]
	if k == nil || k.pid.GetId() != m.Who.GetId() || g.leaving {
		return
	}
	failed := !k.draining
	if len(k.buf) == 0 && !failed {
		g.gone(c, k)
		return
	}
	if failed {
		// Stopped for failing too often: its row, if any, is taken up again after a pause.
		g.gone(c, k)
		g.d.metrics.failed("verification")
		g.d.log.Error().Int64("chat", g.id).Msg("a verification was stopped for failing")
		self, root := c.Self(), g.d.root
		time.AfterFunc(5*time.Second, func() { root.Send(self, &reload{}) })
		return
	}
	buf := k.buf
	g.wakes(k)
	k.buf, k.draining, k.sent, k.seat = nil, false, 0, g.newSeat(k.user)
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

func (g *group) excuse(m *excused) {
	if m.no {
		delete(g.excused, m.user)
		return
	}
	if k := g.kids[m.user]; k != nil && k.sent != m.seen {
		return
	}
	if len(g.excused) > 1000 {
		clear(g.excused)
	}
	put(&g.excused, m.user, g.d.clock().Add(excuseFor))
}
