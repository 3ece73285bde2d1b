package actors

import (
	"context"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

// channel knows which groups require one channel, and takes its joins and leaves. A router spawns it
// by need. It keeps an event until membership knows and every group concerned has what it must not lose.
type channel struct {
	d    *deps
	id   int64
	last uint64
	open map[uint64]*news
	name string // title and @name that groups were last told

	exodus exodus
}

// maxNews bounds the joins and leaves under way in one channel; beyond it they come again.
const maxNews = 4096

// news is one join or leave on its way to the groups it concerns.
type news struct {
	e       *protos.Event
	user    *protos.User
	joined  bool
	pending bool // asked to join, and waits
	groups  []int64
	waiting map[int64]bool
	failed  bool
	looked  bool // it is known, or not waited for any more, who is right: the groups are told
}

// newsLate is the moment the groups hear what Telegram pushed although nobody knows whether it is still so. The channel
// sends it to itself.
type newsLate struct{ tag uint64 }

// groupsFound brings the groups a piece of news concerns. The store's reader goroutine sends it.
type groupsFound struct {
	tag     uint64
	verdict protos.Verdict
	groups  []int64
	asked   bool // a request to join the channel is stored
	err     error
}

func newChannel(d *deps, id int64) actor.Actor {
	return &channel{d: d, id: id, open: map[uint64]*news{}}
}

// Receive handles chat_member events of the channel and the answers they need.
func (ch *channel) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Restarting, *actor.Stopping:
		for tag := range ch.open {
			ch.end(tag, "channel stopped")
		}
	case *protos.Event:
		ch.onEvent(c, m)
	case *protos.MembershipAnswer:
		ch.onVerdict(c, m.GetTag(), m.GetVerdict())
	case *newsLate:
		ch.onVerdict(c, m.tag, protos.Verdict_UNKNOWN)
	case *groupsFound:
		ch.onGroups(c, m)
	case *requestNoted:
		ch.onNoted(c, m)
	case *protos.GroupSettled:
		ch.onSettled(m)
	case *protos.AskBrake:
		ch.onAskBrake(c, m)
	case *knownCounted:
		ch.onKnown(c, m)
	case *mayStop:
		if len(ch.open)+len(ch.exodus.waiting)+ch.exodus.lately(ch.d.clock()) == 0 {
			c.Respond(&idle{id: ch.id})
		}
	}
}

func (ch *channel) onEvent(c actor.Context, e *protos.Event) {
	ch.rename(e.GetChat())
	switch e.GetKind() {
	case protos.EventKind_MY_CHAT_MEMBER:
		ch.onOwnStanding(c, e)
		return
	case protos.EventKind_JOIN_REQUEST:
		ch.onRequest(c, e)
		return
	default:
	}
	u, after, ok := moved(e)
	if !ok {
		ch.d.settler.Settled(e.GetDelivery())
		return
	}
	if len(ch.open) >= maxNews {
		ch.d.settler.NotDone(e.GetDelivery(), "too many joins and leaves at once")
		return
	}
	ch.last++
	ch.open[ch.last] = &news{e: e, user: u, joined: after, waiting: map[int64]bool{}}
	verdict := protos.Verdict_OUTSIDE
	if after {
		ch.exodus.back(u.GetId())
		verdict = protos.Verdict_INSIDE
	}
	// The question follows the push to the same actor, so its answer comes when the push is known.
	// Where the push is too old to be believed, the question goes to Telegram.
	to := ch.d.dir.Membership(ch.id, u.GetId())
	c.Send(to, &protos.MembershipPush{ChannelId: ch.id, UserId: u.GetId(), Verdict: verdict, Date: e.GetDate(), UpdateId: e.GetUpdateId()})
	c.Request(to, &protos.AskMembership{ChannelId: ch.id, UserId: u.GetId(), Tag: ch.last})
	self, root, tag := c.Self(), ch.d.root, ch.last
	time.AfterFunc(keepAfter, func() { root.Send(self, &newsLate{tag: tag}) })
}

// moved reads an update that tells of a person who joined or left.
func moved(e *protos.Event) (u *protos.User, joined, ok bool) {
	if e.GetKind() != protos.EventKind_CHAT_MEMBER {
		return nil, false, false
	}
	u = e.GetAfter().GetUser()
	before, after := telegram.Present(e.GetBefore()), telegram.Present(e.GetAfter())
	return u, after, u.GetId() != 0 && !u.GetIsBot() && before != after
}

// pushOf is what an update tells of somebody who joined or left a channel; nil = nothing.
func pushOf(e *protos.Event) *protos.MembershipPush {
	u, joined, ok := moved(e)
	if !ok || e.GetChat().GetType() != "channel" {
		return nil
	}
	verdict := protos.Verdict_OUTSIDE
	if joined {
		verdict = protos.Verdict_INSIDE
	}
	return &protos.MembershipPush{ChannelId: e.GetChat().GetId(), UserId: u.GetId(), Verdict: verdict, Date: e.GetDate(), UpdateId: e.GetUpdateId()}
}

// onVerdict looks up whom it concerns: a join those groups where the person has an open flow, a
// leave those where the person was seen. An answer that takes long is not waited for, for the update cannot wait so
// long: the groups store that there is something to look at, and ask for themselves.
func (ch *channel) onVerdict(c actor.Context, tag uint64, verdict protos.Verdict) {
	n := ch.open[tag]
	if n == nil || n.looked {
		return
	}
	n.looked = true
	user := n.user.GetId()
	if verdict == protos.Verdict_UNKNOWN && !n.joined {
		verdict = protos.Verdict_OUTSIDE // as news, which makes the groups ask, until Telegram says
	}
	if !n.joined && verdict == protos.Verdict_OUTSIDE {
		c.Send(ch.d.sweeper(), &leftChannel{channel: ch.id, user: user, date: n.e.GetDate()})
	}
	ch.find(c, tag, verdict, user)
}

func (ch *channel) find(c actor.Context, tag uint64, verdict protos.Verdict, user int64) {
	self, root, d, id := c.Self(), ch.d.root, ch.d, ch.id
	if d.keeps && d.writer.Away() {
		root.Send(self, &groupsFound{tag: tag, verdict: verdict, err: persistence.ErrUnavailable})
		return
	}
	ok := d.pool.Go(func(ctx context.Context) {
		groups, asked, err := concerned(ctx, d.store, id, user)
		root.Send(self, &groupsFound{tag: tag, verdict: verdict, groups: groups, asked: asked, err: err})
	})
	if !ok {
		ch.end(tag, "store is busy")
	}
}

// concerned lists the groups to tell of a join or leave: where the person was seen, where somebody is being
// looked at or muted, and where a request to join waits. asked tells of a request to join the channel itself.
func concerned(ctx context.Context, store persistence.Reader, channel, user int64) (groups []int64, asked bool, err error) {
	// Who is being looked at was perhaps not yet noted as seen. Both are noted at once when that ends, so flows are read
	// first: in the other order, one that ends in between would be in neither.
	flows, err := store.FlowsOfUser(ctx, user)
	if err != nil {
		return nil, false, err
	}
	if groups, err = store.SeenIn(ctx, channel, user); err != nil {
		return nil, false, err
	}
	for _, f := range flows {
		groups = append(groups, f.GroupID)
	}
	requests, err := store.JoinRequestsOf(ctx, user)
	if err != nil {
		return nil, false, err
	}
	for _, r := range requests {
		if !r.Channel {
			groups = append(groups, r.ChatID)
		}
		asked = asked || r.Channel && r.ChatID == channel
	}
	return groups, asked, nil
}

// rename tells the groups that require this channel what it is called now, if that is not what is stored.
func (ch *channel) rename(now *protos.Chat) {
	name := now.GetTitle() + "\x00" + now.GetUsername()
	if now.GetTitle() == "" || name == ch.name {
		return
	}
	ch.name = name
	root, d, id := ch.d.root, ch.d, ch.id
	d.pool.Go(func(ctx context.Context) {
		groups, err := d.store.GroupsRequiring(ctx, id)
		if err != nil || len(groups) == 0 {
			return // told with the next event after a restart, and found out where it is shown
		}
		g, err := d.store.Group(ctx, groups[0])
		if err != nil || slices.ContainsFunc(g.Channels, func(c persistence.Channel) bool {
			return c.ID == id && c.Title == now.GetTitle() && c.Username == now.GetUsername()
		}) {
			return
		}
		d.fanOut(groups, func(group int64, shard *actor.PID) {
			root.Send(shard, &protos.PlaceChanged{GroupId: group, PlaceId: id, Channel: now})
		})
	})
}

// onOwnStanding tells every group that needs this channel that the bot's rights in it changed. What is not
// told is found out: a group that cannot judge looks again each minute. Of joins and leaves Telegram tells
// administrators alone: from when the bot is none any more, memory of who is in the channel is worth nothing, or who
// leaves unheard and then does something would be judged by it; and when it is one again, everybody muted is asked about.
func (ch *channel) onOwnStanding(c actor.Context, e *protos.Event) {
	back := telegram.IsAdmin(e.GetAfter()) && !telegram.IsAdmin(e.GetBefore())
	if back || !telegram.IsAdmin(e.GetAfter()) {
		ch.d.cache.distrust(ch.id, ch.d.clock())
	}
	root, d, id := ch.d.root, ch.d, ch.id
	ok := d.pool.Go(func(ctx context.Context) {
		groups, err := d.store.GroupsRequiring(ctx, id)
		if err != nil {
			d.writer.Suspect(err)
			d.settler.NotDone(e.GetDelivery(), "groups cannot be read")
			return
		}
		if back {
			d.askAll(groups, id, e)
			return
		}
		d.fanOut(groups, func(group int64, shard *actor.PID) {
			root.Send(shard, &protos.PlaceChanged{GroupId: group, PlaceId: id})
		})
		d.settler.Settled(e.GetDelivery())
	})
	if !ok {
		d.settler.NotDone(e.GetDelivery(), "store is busy")
	}
	_ = c
}

const (
	// fanOutAtOnce is how many groups are told of a channel's news at once, and fanOutPause how long the next wait:
	// each wakes, reads its rows and asks Telegram something.
	fanOutAtOnce = 50
	fanOutPause  = 250 * time.Millisecond
)

// fanOut tells groups, a few at a time. What a restart keeps from being told stands in the store, or is found out.
func (d *deps) fanOut(groups []int64, tell func(group int64, shard *actor.PID)) {
	if d.pool.ctx.Err() != nil {
		return
	}
	n := min(len(groups), fanOutAtOnce)
	for _, group := range groups[:n] {
		tell(group, d.dir.Shard(group))
	}
	if rest := groups[n:]; len(rest) > 0 {
		time.AfterFunc(fanOutPause, func() { d.fanOut(rest, tell) })
	}
}

// askAll has everybody muted in some groups asked about. Their rows say so before the event settles.
func (d *deps) askAll(groups []int64, place int64, e *protos.Event) {
	d.writer.Do(func(tx persistence.Tx) error {
		for _, group := range groups {
			if _, err := tx.FreeAll(group); err != nil {
				return err
			}
			// Who left meanwhile was not told either.
			if err := tx.DropPause(group, place, persistence.CannotJudge); err != nil {
				return err
			}
		}
		return nil
	}, func(err error) {
		if err != nil {
			d.settler.NotDone(e.GetDelivery(), "not stored: "+err.Error())
			return
		}
		d.fanOut(groups, func(group int64, shard *actor.PID) {
			d.root.Send(shard, &protos.Wake{GroupId: group})
			d.root.Send(shard, &protos.GroupChanged{GroupId: group})
			d.root.Send(shard, &protos.PlaceChanged{GroupId: group, PlaceId: place})
		})
		d.settler.Settled(e.GetDelivery())
	})
}

// pendingFor is how long an unanswered request to join a channel is remembered: Telegram does not tell
// bots when somebody takes it back or is declined.
const pendingFor = 7 * 24 * time.Hour

// onRequest remembers that somebody asked to join the channel, which some groups count as joined.
func (ch *channel) onRequest(c actor.Context, e *protos.Event) {
	if len(ch.open) >= maxNews {
		ch.d.settler.NotDone(e.GetDelivery(), "too many requests at once")
		return
	}
	ch.last++
	tag := ch.last
	ch.open[tag] = &news{e: e, user: e.GetFrom(), joined: true, pending: true, waiting: map[int64]bool{}}
	self, root, now := c.Self(), ch.d.root, ch.d.clock()
	row := persistence.JoinRequest{
		ChatID: ch.id, UserID: e.GetFrom().GetId(), Name: displayName(e.GetFrom()), Channel: true, At: now, ExpiresAt: now.Add(pendingFor),
	}
	ch.d.writer.Do(func(tx persistence.Tx) error { return tx.SaveJoinRequest(row) }, func(err error) {
		root.Send(self, &requestNoted{tag: tag, err: err})
	})
}

// requestNoted reports that a request to join the channel is durable. The store's writer sends it.
type requestNoted struct {
	tag uint64
	err error
}

func (ch *channel) onNoted(c actor.Context, m *requestNoted) {
	n := ch.open[m.tag]
	switch {
	case n == nil:
	case m.err != nil:
		ch.end(m.tag, "request not stored")
	default:
		ch.find(c, m.tag, protos.Verdict_UNKNOWN, n.user.GetId())
	}
}

func (ch *channel) onGroups(c actor.Context, m *groupsFound) {
	n := ch.open[m.tag]
	if n == nil {
		return
	}
	if m.err != nil {
		ch.d.writer.Suspect(m.err)
		ch.tellAwake(n, m.verdict)
		ch.end(m.tag, "groups cannot be read")
		return
	}
	if m.asked && n.joined && !n.pending {
		id, user := ch.id, n.user.GetId()
		ch.d.writer.Do(func(tx persistence.Tx) error { return tx.DropJoinRequest(id, user) }, func(error) {
			// It is forgotten by itself after a week; who joined counts as joined anyhow.
		})
	}
	n.groups = slices.Compact(slices.Sorted(slices.Values(m.groups)))
	for _, id := range n.groups {
		n.waiting[id] = true
	}
	for _, id := range n.groups {
		c.Request(ch.d.dir.Shard(id), &protos.MembershipChanged{
			GroupId: id, ChannelId: ch.id, User: n.user, Verdict: m.verdict,
			Date: n.e.GetDate(), UpdateId: n.e.GetUpdateId(), Tag: m.tag, Pending: n.pending,
		})
	}
	if len(n.groups) == 0 {
		ch.end(m.tag, "")
	}
}

func (ch *channel) onSettled(m *protos.GroupSettled) {
	n := ch.open[m.GetTag()]
	if n == nil || !n.waiting[m.GetGroupId()] {
		return
	}
	delete(n.waiting, m.GetGroupId())
	n.failed = n.failed || !m.GetDone()
	if len(n.waiting) > 0 {
		return
	}
	if n.failed {
		ch.end(m.GetTag(), "a group could not store it")
		return
	}
	ch.end(m.GetTag(), "")
}

// end settles a piece of news; a reason means it comes again.
func (ch *channel) end(tag uint64, reason string) {
	n := ch.open[tag]
	delete(ch.open, tag)
	if reason == "" {
		ch.d.settler.Settled(n.e.GetDelivery())
		return
	}
	ch.d.settler.NotDone(n.e.GetDelivery(), reason)
}
