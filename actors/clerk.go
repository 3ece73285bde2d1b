package actors

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

const (
	clerkEvery = time.Second
	pruneEvery = time.Hour
	// dueBatch is how many delayed deletions are taken up at once.
	dueBatch = 500
	// deleteBatch is how many messages one deleteMessages takes. Source: Bot API, deleteMessages.
	deleteBatch = 100
)

// clerk carries out delayed acts of the store when their time comes, and has the store pruned. There
// is one; the system starts it. An act is struck from the store when Telegram has done it.
type clerk struct {
	d       *deps
	lastTag uint64
	open    map[uint64][]persistence.Due
	inHand  map[int64]bool // Due.ID
	tries   map[int64]int
	singly  map[int64]bool      // Due.ID: one of a batch that was refused
	notYet  map[int64]time.Time // Due.ID: when it is tried again
	told    map[timeKey]time.Time
	pruned  time.Time
	ticker  *time.Timer
}

type clerkTick struct{}

// dueFound brings what is due. The store's reader goroutine sends it.
type dueFound struct {
	due      []persistence.Due
	removals []persistence.Removal
	requests []persistence.JoinRequest
	err      error
}

// Receive handles its own ticks, what the store found, and what Telegram answered.
func (k *clerk) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		k.open, k.inHand, k.tries = map[uint64][]persistence.Due{}, map[int64]bool{}, map[int64]int{}
		k.notYet, k.singly = map[int64]time.Time{}, map[int64]bool{}
		k.told, k.lastTag = map[timeKey]time.Time{}, rand.Uint64()
		k.pruned = k.d.clock()
		k.later(c)
	case *actor.Stopping, *actor.Restarting:
		if k.ticker != nil {
			k.ticker.Stop()
		}
	case *clerkTick:
		k.look(c)
	case *dueFound:
		k.onDue(c, m)
	case *protos.JobDone:
		k.onDone(m)
	}
}

func (k *clerk) later(c actor.Context) {
	self, root := c.Self(), k.d.root
	k.ticker = time.AfterFunc(clerkEvery, func() { root.Send(self, &clerkTick{}) })
}

func (k *clerk) look(c actor.Context) {
	self, d, now := c.Self(), k.d, k.d.clock()
	prune := now.Sub(k.pruned) >= pruneEvery
	if prune {
		k.pruned = now
	}
	ok := d.pool.Go(func(ctx context.Context) {
		d.root.Send(self, readDue(ctx, d.store, now))
		if p, ok := d.store.(interface {
			Prune(ctx context.Context, now time.Time) error
		}); ok && prune {
			if err := p.Prune(ctx, now); err != nil {
				d.log.Warn().Err(err).Msg("the store cannot be pruned")
			}
		}
	})
	if !ok {
		k.later(c)
	}
}

func readDue(ctx context.Context, store persistence.Reader, now time.Time) *dueFound {
	f := &dueFound{}
	if f.due, f.err = store.DueBefore(ctx, now, dueBatch); f.err != nil {
		return f
	}
	if f.removals, f.err = store.RemovalsBefore(ctx, now, dueBatch); f.err != nil {
		return f
	}
	f.requests, f.err = store.JoinRequestsBefore(ctx, now, dueBatch)
	return f
}

// tellAgain is how long the clerk waits before it tells a group once more of something it did not finish.
const tellAgain = time.Minute

// tell brings groups what they stored for later.
func (k *clerk) tell(m *dueFound) {
	for _, r := range m.removals {
		k.tellGroup(&protos.TimeCame{GroupId: r.GroupID, UserId: r.UserID})
	}
	for _, r := range m.requests {
		if r.Channel {
			k.d.writer.Do(func(tx persistence.Tx) error { return tx.DropJoinRequest(r.ChatID, r.UserID) }, func(error) {
				// It comes again at the next look.
			})
			continue
		}
		k.tellGroup(&protos.TimeCame{GroupId: r.ChatID, UserId: r.UserID, Request: true})
	}
}

type timeKey struct {
	group, user int64
	request     bool
}

func (k *clerk) tellGroup(m *protos.TimeCame) {
	key, now := timeKey{m.GetGroupId(), m.GetUserId(), m.GetRequest()}, k.d.clock()
	if at, ok := k.told[key]; ok && now.Sub(at) < tellAgain {
		return
	}
	if len(k.told) >= 4*dueBatch {
		clear(k.told)
	}
	k.told[key] = now
	k.d.root.Send(k.d.dir.Shard(m.GetGroupId()), m)
}

func (k *clerk) onDue(c actor.Context, m *dueFound) {
	defer k.later(c)
	if m.err != nil {
		if !k.d.writer.Away() { // which is said once, elsewhere
			k.d.log.Warn().Err(m.err).Msg("delayed acts cannot be read")
		}
		return
	}
	k.tell(m)
	now := k.d.clock()
	byChat := map[int64][]persistence.Due{}
	for _, due := range m.due {
		if !k.inHand[due.ID] && !now.Before(k.notYet[due.ID]) && len(byChat[due.ChatID]) < deleteBatch {
			byChat[due.ChatID] = append(byChat[due.ChatID], due)
		}
	}
	for _, list := range byChat {
		var together []persistence.Due
		for _, due := range list {
			if k.singly[due.ID] {
				k.deletes(c, []persistence.Due{due})
				continue
			}
			together = append(together, due)
		}
		if len(together) > 0 {
			k.deletes(c, together)
		}
	}
}

// deletes asks for messages of one chat to be deleted.
func (k *clerk) deletes(c actor.Context, list []persistence.Due) {
	job := &protos.DeleteMessages{}
	for _, due := range list {
		k.inHand[due.ID] = true
		job.MessageIds = append(job.MessageIds, due.MessageID)
	}
	k.lastTag++
	k.open[k.lastTag] = list
	c.Request(k.d.dir.Sender(), &protos.Job{
		Lane: protos.Lane_DELETE, ChatId: list[0].ChatID, Tag: k.lastTag, Do: &protos.Job_Delete{Delete: job},
	})
}

// maxDueAge ends a deletion that Telegram keeps failing: then it cannot be done any more. Source: Bot API,
// deleteMessage.
const maxDueAge = 48 * time.Hour

func (k *clerk) onDone(m *protos.JobDone) {
	list := k.open[m.GetTag()]
	if len(list) == 0 {
		return
	}
	delete(k.open, m.GetTag())
	again, spoilt := false, false
	switch m.GetOutcome() {
	case protos.Outcome_DONE:
	case protos.Outcome_UNCLEAR, protos.Outcome_FLOOD, protos.Outcome_FAILED, protos.Outcome_EXPIRED:
		again = true
	default:
		spoilt = len(list) > 1 // one that may not be deleted, as somebody else's while the right is lost, spoils all
	}
	var ids []int64
	now := k.d.clock()
	for _, due := range list {
		delete(k.inHand, due.ID)
		if spoilt {
			k.singly[due.ID] = true
			continue
		}
		if again && now.Sub(due.At) < maxDueAge {
			k.notYet[due.ID] = now.Add(backoff(k.tries[due.ID]))
			k.tries[due.ID]++
			continue
		}
		delete(k.tries, due.ID)
		delete(k.notYet, due.ID)
		delete(k.singly, due.ID)
		ids = append(ids, due.MessageID)
	}
	if len(ids) == 0 {
		return
	}
	chat := list[0].ChatID
	k.d.writer.Do(func(tx persistence.Tx) error { return tx.DropDue(chat, ids) }, func(err error) {
		if err != nil {
			k.d.log.Warn().Err(err).Msg("delayed acts cannot be struck off")
		}
	})
}
