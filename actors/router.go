package actors

import (
	"container/list"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/protos"
)

const (
	// idleAfter is how long a child sleeps before it is passivated.
	idleAfter = 5 * time.Minute
	// sweepEvery is how often a router looks for sleepy children.
	sweepEvery = time.Minute
	// seenIDs is how many update ids a router remembers to know one that comes again.
	seenIDs = 2048
	// kidBuffer bounds what waits for a child that is being replaced.
	kidBuffer = 1024
)

// router is one shard: it drops what concerns no protected chat, removes duplicates, keeps the order
// within a chat, and hands each event to the child that owns it. It alone holds its children's PIDs.
type router struct {
	d        *deps
	groups   map[int64]struct{} // protected
	channels map[int64]struct{} // required by some group
	kids     map[int64]*entry
	byPID    map[string]*entry
	lru      *list.List
	seen     map[int64]struct{}
	order    []int64 // ring of seen, once it is full
	at       int
	leaving  *actor.PID        // who asked for the drain
	left     map[int64][]int64 // muted person → groups here where that is so, for the time the database is away
}

// entry is a child: a group, a channel or a private chat, told apart by its id's owner.
type entry struct {
	id       int64
	kind     string
	pid      *actor.PID
	last     time.Time
	el       *list.Element
	draining bool
	failures int
	buf      []any
	from     []*actor.PID // senders of buf
}

// newRouter makes a router of its shard's sets, which outlive it when it is restarted: they know what
// was protected since the program began.
func newRouter(d *deps, groups, channels map[int64]struct{}) *router {
	return &router{
		d: d, groups: groups, channels: channels,
		kids: map[int64]*entry{}, byPID: map[string]*entry{}, lru: list.New(),
		seen: map[int64]struct{}{}, left: map[int64][]int64{},
	}
}

// Receive handles what enters the shard and the life of its children.
func (r *router) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *protos.Event:
		r.onEvent(c, m)
	case *ping:
		c.Respond(&pong{})
	case *protos.MembershipChanged:
		r.toGroup(c, m.GetGroupId(), m)
	case *protos.Wake:
		r.pass(c, m.GetGroupId(), "group", nil)
	case *protos.PlaceChanged:
		r.pass(c, m.GetGroupId(), "group", m)
	case *protos.GroupChanged:
		if r.kids[m.GetGroupId()] != nil { // one that sleeps reads its rows when it wakes
			r.pass(c, m.GetGroupId(), "group", m)
		}
	case *protos.TimeCame:
		r.pass(c, m.GetGroupId(), "group", m)
	case *protos.RequestPressed:
		r.pass(c, m.GetGroupId(), "group", m)
	case *protos.BrakePressed:
		r.pass(c, m.GetGroupId(), "group", m)
	case *protos.AskBrake:
		r.pass(c, m.GetChannelId(), "channel", m)
	case *protos.ProtectionChanged:
		r.onProtection(m)
	case *protos.JoinedAway:
		r.onJoinedAway(c, m)
	case *leftMuted:
		r.leftHere(m)
	case *inspectChat:
		r.onInspect(c, m)
	case *sweepKids:
		r.sweep(c)
	case *idle:
		r.onIdle(c, m)
	case *actor.Terminated:
		r.onTerminated(c, m)
	case *drain:
		r.drain(c)
	case *entry:
		r.revive(c, m)
	}
}

// toGroup passes a message that its sender wants acknowledged.
func (r *router) toGroup(c actor.Context, id int64, m *protos.MembershipChanged) {
	if _, ok := r.groups[id]; !ok && r.kids[id] == nil {
		c.Respond(&protos.GroupSettled{GroupId: id, Tag: m.GetTag(), Done: true})
		return
	}
	r.pass(c, id, "group", m)
}

func (r *router) onEvent(c actor.Context, e *protos.Event) {
	if r.leaving != nil {
		r.d.settler.NotDone(e.GetDelivery(), "stopping")
		return
	}
	if e.GetAttempt() <= 1 && !r.fresh(e.GetUpdateId()) {
		r.d.metrics.passed("duplicate")
		if push := pushOf(e); push != nil {
			// It has put in doubt what it told the first time.
			c.Send(r.d.dir.Membership(push.GetChannelId(), push.GetUserId()), push)
		}
		r.d.settler.Settled(e.GetDelivery())
		return
	}
	kind := r.concerns(e)
	if kind == "" {
		r.d.metrics.passed("unconcerned")
		r.d.settler.Settled(e.GetDelivery())
		return
	}
	r.pass(c, e.GetChat().GetId(), kind, e)
}

// fresh remembers an update id and reports whether it was new.
func (r *router) fresh(id int64) bool {
	if _, ok := r.seen[id]; ok && !planted("seen updates forgotten") {
		return false
	}
	r.seen[id] = struct{}{}
	if len(r.order) < seenIDs {
		r.order = append(r.order, id)
		return true
	}
	delete(r.seen, r.order[r.at])
	r.order[r.at] = id
	r.at = (r.at + 1) % seenIDs
	return true
}

// concerns says which kind of child owns an event, or "" if nobody needs to see it.
func (r *router) concerns(e *protos.Event) string {
	id := e.GetChat().GetId()
	switch e.GetChat().GetType() {
	case "private":
		if e.GetKind() == protos.EventKind_MESSAGE || e.GetKind() == protos.EventKind_CALLBACK {
			return "person"
		}
	case "channel":
		if _, ok := r.channels[id]; ok {
			switch e.GetKind() {
			case protos.EventKind_CHAT_MEMBER, protos.EventKind_MY_CHAT_MEMBER, protos.EventKind_JOIN_REQUEST:
				return "channel"
			default:
			}
		}
	case "group", "supergroup":
		if _, ok := r.groups[id]; ok || r.kids[id] != nil {
			return "group"
		}
		switch e.GetKind() {
		case protos.EventKind_CALLBACK, protos.EventKind_MY_CHAT_MEMBER, protos.EventKind_MIGRATED:
			return "group"
		case protos.EventKind_MESSAGE:
			if _, ok := parseCommand(e, r.d.bot.GetUsername()); ok {
				return "group"
			}
		default:
		}
	}
	return ""
}

func (r *router) onProtection(m *protos.ProtectionChanged) {
	set := r.groups
	if m.GetChannel() {
		set = r.channels
	}
	if m.GetActive() {
		set[m.GetChatId()] = struct{}{}
		return
	}
	delete(set, m.GetChatId())
}

// pass hands a message to a child, which is spawned by need. A nil message only wakes it.
func (r *router) pass(c actor.Context, id int64, kind string, m any) {
	k := r.kids[id]
	if k == nil {
		k = &entry{id: id, kind: kind}
		k.el = r.lru.PushFront(k)
		r.kids[id] = k
		r.spawn(c, k)
	}
	k.last = r.d.clock()
	r.lru.MoveToFront(k.el)
	switch {
	case m == nil:
	case k.draining || k.pid == nil:
		r.buffer(k, c.Sender(), m)
	case c.Sender() != nil:
		c.RequestWithCustomSender(k.pid, m, c.Sender())
	default:
		c.Send(k.pid, m)
	}
}

func (r *router) buffer(k *entry, from *actor.PID, m any) {
	if len(k.buf) >= kidBuffer {
		r.refuse(m, "chat is being restarted")
		return
	}
	k.buf, k.from = append(k.buf, m), append(k.from, from)
}

// refuse reports an update that will not be handled, so that it comes again.
func (r *router) refuse(m any, reason string) {
	switch m := m.(type) {
	case *protos.Event:
		r.d.settler.NotDone(m.GetDelivery(), reason)
	case *protos.BrakePressed:
		r.d.settler.NotDone(m.GetEvent().GetDelivery(), reason)
	case *protos.RequestPressed:
		r.d.settler.NotDone(m.GetEvent().GetDelivery(), reason)
	}
}

func (r *router) spawn(c actor.Context, k *entry) {
	d, id := r.d, k.id
	var produce actor.Producer
	switch k.kind {
	case "group":
		produce = func() actor.Actor { return newGroup(d, id) }
	case "channel":
		produce = func() actor.Actor { return newChannel(d, id) }
	default:
		produce = func() actor.Actor { return newPerson(d, id) }
	}
	k.pid = c.SpawnPrefix(propsFor(k.kind, produce, 4096, d.supervision()), k.kind+itoa(id))
	r.byPID[k.pid.GetId()] = k
}

// onInspect passes a question on to a group that is awake; waking one up would change what is seen.
func (r *router) onInspect(c actor.Context, m *inspectChat) {
	k := r.kids[m.id]
	if k == nil || k.pid == nil || k.draining || k.kind != "group" {
		c.Respond(&chatMemory{})
		return
	}
	c.RequestWithCustomSender(k.pid, m, c.Sender())
}

// sweep asks children that slept long enough whether they may go.
func (r *router) sweep(c actor.Context) {
	now := r.d.clock()
	for el := r.lru.Back(); el != nil; el = el.Prev() {
		k, ok := el.Value.(*entry)
		if !ok || now.Sub(k.last) < idleAfter {
			return
		}
		if !k.draining && k.pid != nil {
			c.Request(k.pid, &mayStop{})
		}
	}
}

// onIdle ends a child that agreed, unless something was sent to it since.
func (r *router) onIdle(c actor.Context, m *idle) {
	k := r.kids[m.id]
	if k == nil || k.draining || k.pid == nil || r.d.clock().Sub(k.last) < idleAfter {
		return
	}
	k.draining = true
	r.d.metrics.slept(k.kind)
	c.Poison(k.pid)
}

func (r *router) onTerminated(c actor.Context, m *actor.Terminated) {
	k := r.byPID[m.Who.GetId()]
	if k == nil {
		return
	}
	delete(r.byPID, m.Who.GetId())
	k.pid = nil
	switch {
	case r.leaving != nil:
		r.forget(k)
		r.maybeDrained(c)
	case k.draining && len(k.buf) == 0:
		r.forget(k)
	case k.draining:
		r.revive(c, k)
	default:
		// Stopped for failing too often: it comes back after a pause that grows.
		k.failures++
		r.d.metrics.failed(k.kind)
		r.d.log.Error().Int64("chat", k.id).Str("kind", k.kind).Int("failures", k.failures).Msg("an actor was stopped for failing")
		self, root := c.Self(), r.d.root
		time.AfterFunc(min(time.Duration(k.failures)*500*time.Millisecond, 10*time.Second), func() { root.Send(self, k) })
	}
}

// revive replaces a child that ended and gives it what waited.
func (r *router) revive(c actor.Context, k *entry) {
	if r.kids[k.id] != k || k.pid != nil || r.leaving != nil {
		return
	}
	buf, from := k.buf, k.from
	k.buf, k.from, k.draining = nil, nil, false
	r.spawn(c, k)
	for i, m := range buf {
		if from[i] != nil {
			c.RequestWithCustomSender(k.pid, m, from[i])
			continue
		}
		c.Send(k.pid, m)
	}
}

func (r *router) forget(k *entry) {
	for _, m := range k.buf {
		r.refuse(m, "stopping")
	}
	delete(r.kids, k.id)
	r.lru.Remove(k.el)
}

func (r *router) drain(c actor.Context) {
	r.leaving = c.Sender()
	for _, k := range r.kids {
		if k.pid == nil {
			r.forget(k)
			continue
		}
		if !k.draining {
			k.draining = true
			c.Poison(k.pid)
		}
	}
	r.maybeDrained(c)
}

func (r *router) maybeDrained(c actor.Context) {
	if r.leaving != nil && len(r.kids) == 0 {
		c.Send(r.leaving, &drained{})
		c.Stop(c.Self())
	}
}
