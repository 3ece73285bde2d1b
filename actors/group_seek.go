package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// seekFar is how many message ids after the last one known a lost notice is looked for: others write while
// a notice waits for its turn to be sent.
const seekFar = 40

// seek looks for a notice whose id is not known, since the answer to its sending was lost: its buttons are
// set on the ids after the last one seen before. On messages of others Telegram refuses that.
func (g *group) seek(c actor.Context, n *notice) {
	if n.seen == 0 && n.below == 0 {
		// Nothing had been seen here since the start. It stands before what is seen next, and nearer to that than
		// what else the bot wrote in its earlier lives.
		if g.highest == 0 {
			return
		}
		n.below = g.highest
	}
	n.busy = true
	n.began = g.d.clock()
	g.probe(c, n, n.nextTo(max(n.seen, n.below)))
}

// nextTo is the id to look at after another.
func (n *notice) nextTo(id int64) int64 {
	if n.below != 0 {
		return id - 1
	}
	return id + 1
}

// far: so far away no notice is looked for.
func (n *notice) far(id int64) bool {
	return id <= 0 || id > n.seen+seekFar && n.below == 0 || id < n.below-seekFar
}

func (g *group) probe(c actor.Context, n *notice, id int64) {
	for slices.Contains(g.own, id) {
		id = n.nextTo(id) // known as another message of the bot's, which could be edited, too
	}
	if g.notices[n.thread] != n || !n.lost {
		n.busy = false
		g.tendNotices(c)
		return
	}
	if n.far(id) {
		if n.began.Before(n.sure) {
			// Telegram may have sent it behind this look's back. What a later one does not find was never sent.
			n.busy, n.notYet = false, n.sure
			g.lookLater(c, max(n.sure.Sub(g.d.clock()), time.Millisecond))
			return
		}
		n.lost, n.busy, n.shown = false, false, nil // it was never sent
		g.tendNotices(c)
		return
	}
	g.request(c, &protos.Job{
		Lane: protos.Lane_LOOKUP, ChatId: g.id,
		Do: &protos.Job_EditMarkup{EditMarkup: &protos.EditMarkup{MessageId: id, Keyboard: g.noticeKeyboard(n)}},
	}, func(c actor.Context, m *protos.JobDone) {
		switch m.GetOutcome() {
		case protos.Outcome_DONE:
			g.found(c, n, id)
		case protos.Outcome_GONE, protos.Outcome_OUR_MISTAKE, protos.Outcome_NO_RIGHTS:
			g.probe(c, n, n.nextTo(id))
		default:
			n.busy, n.notYet = false, g.d.clock().Add(noticePause)
			g.lookLater(c, noticePause)
		}
	})
}

func (g *group) lookLater(c actor.Context, after time.Duration) {
	self, root := c.Self(), g.d.root
	time.AfterFunc(after, func() { root.Send(self, &noticeTick{}) })
}

// found remembers the id of a notice.
func (g *group) found(c actor.Context, n *notice, id int64) {
	n.message, n.lost, n.busy, n.shown = id, false, false, nil
	g.spoke(id)
	row := n.row(g.id)
	g.d.writer.Do(func(tx persistence.Tx) error { return tx.SaveNotice(row) }, g.logLost("notice"))
	g.tendNotices(c)
}

// spoke remembers the id of a message of the bot's, so that it is not taken for a notice that is looked for.
func (g *group) spoke(id int64) {
	if id == 0 || slices.Contains(g.own, id) {
		return
	}
	g.highest = max(g.highest, id)
	if len(g.own) >= seekFar {
		g.own = slices.Delete(g.own, 0, 1)
	}
	g.own = append(g.own, id)
}

// adopt takes a notice's id from somebody's press on it.
func (g *group) adopt(e *protos.Event) {
	if e.GetCallbackData() != callbackCheck {
		return
	}
	n, id := g.notices[e.GetThreadId()], e.GetMessageId()
	if n != nil && n.message == 0 && (n.lost || n.seen != 0) && id > n.seen && !slices.Contains(g.own, id) {
		n.message, n.lost, n.shown = id, false, nil
		g.spoke(id)
		row := n.row(g.id)
		g.d.writer.Do(func(tx persistence.Tx) error { return tx.SaveNotice(row) }, g.logLost("notice"))
	}
}
