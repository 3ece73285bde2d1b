package actors

import (
	"context"
	"slices"

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
}

// maxNews bounds the joins and leaves under way in one channel; beyond it they come again.
const maxNews = 4096

// news is one join or leave on its way to the groups it concerns.
type news struct {
	e       *protos.Event
	joined  bool
	groups  []int64
	waiting map[int64]bool
	failed  bool
}

// groupsFound brings the groups a piece of news concerns. The store's reader goroutine sends it.
type groupsFound struct {
	tag     uint64
	verdict protos.Verdict
	groups  []int64
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
		ch.onVerdict(c, m)
	case *groupsFound:
		ch.onGroups(c, m)
	case *protos.GroupSettled:
		ch.onSettled(m)
	case *mayStop:
		if len(ch.open) == 0 {
			c.Respond(&idle{id: ch.id})
		}
	}
}

func (ch *channel) onEvent(c actor.Context, e *protos.Event) {
	u := e.GetAfter().GetUser()
	before, after := telegram.Present(e.GetBefore()), telegram.Present(e.GetAfter())
	if e.GetKind() != protos.EventKind_CHAT_MEMBER || u.GetId() == 0 || u.GetIsBot() || before == after {
		ch.d.settler.Settled(e.GetDelivery())
		return
	}
	if len(ch.open) >= maxNews {
		ch.d.settler.NotDone(e.GetDelivery(), "too many joins and leaves at once")
		return
	}
	ch.last++
	ch.open[ch.last] = &news{e: e, joined: after, waiting: map[int64]bool{}}
	verdict := protos.Verdict_OUTSIDE
	if after {
		verdict = protos.Verdict_INSIDE
	}
	// The question follows the push to the same actor, so its answer comes when the push is known.
	// Where the push is too old to be believed, the question goes to Telegram.
	to := ch.d.dir.Membership(ch.id, u.GetId())
	c.Send(to, &protos.MembershipPush{ChannelId: ch.id, UserId: u.GetId(), Verdict: verdict, Date: e.GetDate()})
	c.Request(to, &protos.AskMembership{ChannelId: ch.id, UserId: u.GetId(), Tag: ch.last})
}

// onVerdict looks up whom it concerns: a join those groups where the person has an open flow, a
// leave those where the person was seen.
func (ch *channel) onVerdict(c actor.Context, m *protos.MembershipAnswer) {
	n := ch.open[m.GetTag()]
	if n == nil {
		return
	}
	verdict := m.GetVerdict()
	if verdict == protos.Verdict_UNKNOWN && !n.joined {
		// Nobody is muted on a guess; whoever really left is judged at the next message.
		ch.end(m.GetTag(), "")
		return
	}
	self, root, d, tag, id, user := c.Self(), ch.d.root, ch.d, m.GetTag(), ch.id, m.GetUserId()
	ok := d.pool.Go(func(ctx context.Context) {
		groups, err := concerned(ctx, d.store, verdict, id, user)
		root.Send(self, &groupsFound{tag: tag, verdict: verdict, groups: groups, err: err})
	})
	if !ok {
		ch.end(tag, "store is busy")
	}
}

func concerned(ctx context.Context, store persistence.Reader, v protos.Verdict, channel, user int64) ([]int64, error) {
	var groups []int64
	var err error
	if v == protos.Verdict_OUTSIDE {
		if groups, err = store.SeenIn(ctx, channel, user); err != nil {
			return nil, err
		}
	}
	// Also on a leave: who is being looked at was perhaps not yet noted as seen.
	flows, err := store.FlowsOfUser(ctx, user)
	if err != nil {
		return nil, err
	}
	for _, f := range flows {
		groups = append(groups, f.GroupID)
	}
	return groups, nil
}

func (ch *channel) onGroups(c actor.Context, m *groupsFound) {
	n := ch.open[m.tag]
	if n == nil {
		return
	}
	if m.err != nil {
		ch.end(m.tag, "groups cannot be read")
		return
	}
	n.groups = slices.Compact(slices.Sorted(slices.Values(m.groups)))
	for _, id := range n.groups {
		n.waiting[id] = true
	}
	for _, id := range n.groups {
		c.Request(ch.d.dir.Shard(id), &protos.MembershipChanged{
			GroupId: id, ChannelId: ch.id, User: n.e.GetAfter().GetUser(), Verdict: m.verdict,
			Date: n.e.GetDate(), UpdateId: n.e.GetUpdateId(), Tag: m.tag,
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
