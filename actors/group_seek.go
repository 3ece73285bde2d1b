package actors

import (
	"html"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

const (
	// seekFar is how many message ids beyond those known a lost notice is looked for: others write while a notice
	// waits for its turn to be sent, and what they write may be told later than it is written.
	seekFar = 40
	// seekMost bounds the ids that are looked at in one search.
	seekMost = 300
	// seekTurns is how often one message is asked about that Telegram says to have such buttons already.
	seekTurns = 4
	// clocksApart is how far Telegram's clock may be from this one, and then some.
	clocksApart = time.Minute
	// callsEnd is when a call of an earlier life can no longer be on its way: telegram.Client gives up after that time.
	callsEnd = 15 * time.Second
)

// search is a look for a notice whose id is not known, since the answer to its sending was lost. Its buttons are set
// on the messages around; on those of others Telegram refuses that.
type search struct {
	began time.Time
	ids   []int64 // still to look at
	turns int     // how often the first of them was asked about
}

// seek goes on with the look for a lost notice. There is one at a time in a group: two would find the same message.
func (g *group) seek(c actor.Context, n *notice) {
	if g.seeking != nil {
		return
	}
	if g.speaking > 0 { // what is being said could be edited, too
		n.notYet = g.d.clock().Add(noticePause)
		g.lookLater(c, noticePause)
		return
	}
	if n.look == nil {
		ids := g.whereAbouts(n)
		if len(ids) == 0 {
			return // nothing has been seen here since the start
		}
		n.look = &search{began: g.d.clock(), ids: ids}
	}
	n.busy, g.seeking = true, n
	g.probe(c, n)
}

// whereAbouts are the ids that a lost notice may have, the likeliest first. Where none was known when it was sent, it is
// near what was seen here first, and may stand before it or after it: updates come late.
func (g *group) whereAbouts(n *notice) (ids []int64) {
	if n.seen != 0 {
		for id := n.seen + 1; id <= max(g.highest, n.seen)+seekFar && len(ids) < seekMost; id++ {
			ids = append(ids, id)
		}
		return ids
	}
	for _, near := range []int64{g.first, g.stored} {
		for off := int64(1); near != 0 && off <= seekFar; off++ {
			for _, id := range []int64{near - off, near + off} {
				if id > 0 && !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
		}
	}
	return ids
}

// probe looks at the next message.
func (g *group) probe(c actor.Context, n *notice) {
	for n.lost && len(n.look.ids) > 0 && g.knows(n.look.ids[0]) {
		n.look.next() // another message of the bot's, which could be edited, too
	}
	switch {
	case !n.lost: // somebody's press has told its id
		g.endSeek(c, n)
		return
	case len(n.look.ids) > 0:
	case n.look.began.Before(n.sure):
		// Telegram may have sent it behind this look's back. What a later one does not find was never sent.
		n.look = nil
		g.seekLater(c, n, max(n.sure.Sub(g.d.clock()), time.Millisecond))
		return
	default:
		n.lost, n.shown = false, nil // it was never sent
		g.endSeek(c, n)
		return
	}
	id := n.look.ids[0]
	g.request(c, &protos.Job{
		Lane: protos.Lane_LOOKUP, ChatId: g.id,
		Do: &protos.Job_EditMarkup{EditMarkup: &protos.EditMarkup{MessageId: id, Keyboard: g.probeKeyboard(n)}},
	}, func(c actor.Context, m *protos.JobDone) { g.onProbed(c, n, id, m) })
}

// probeKeyboard looks otherwise each time, so that Telegram has something to change, and tells what it changed.
func (g *group) probeKeyboard(n *notice) []*protos.ButtonRow {
	rows := g.noticeKeyboard(n)
	if n.look.turns%2 == 0 {
		rows[len(rows)-1].Buttons[0].Style = ""
	}
	return rows
}

func (s *search) next() { s.ids, s.turns = s.ids[1:], 0 }

func (g *group) onProbed(c actor.Context, n *notice, id int64, m *protos.JobDone) {
	stands := m.GetStands()
	switch outcome := m.GetOutcome(); {
	case !n.lost || g.knows(id): // it has become known meanwhile
		g.probe(c, n)
	case outcome == protos.Outcome_GONE || outcome == protos.Outcome_OUR_MISTAKE || outcome == protos.Outcome_NO_RIGHTS:
		n.look.next()
		g.probe(c, n)
	case outcome != protos.Outcome_DONE:
		g.seekLater(c, n, noticePause)
	case stands == nil && n.look.turns < seekTurns:
		n.look.turns++
		g.probe(c, n)
	case g.speaking > 0:
		g.seekLater(c, n, noticePause) // it may be what is being said
	case stands == nil:
		g.found(n, id)
		g.endSeek(c, n)
	default:
		g.stands(c, n, id, stands)
	}
}

// stands judges a message of the bot's that a look for a notice has come upon.
func (g *group) stands(c actor.Context, n *notice, id int64, s *protos.Stands) {
	of := g.notices[s.GetThreadId()]
	switch {
	case of != nil && of.lost && id > of.seen && g.couldBe(of, s):
		g.found(of, id)
	case of != nil && of.message == 0 && g.couldBe(of, s): // its sending will be answered
		of.shown = nil // its buttons may be others now
	default:
		// What else the bot wrote gets no buttons that mean nothing there. A notice does not stand before what is older.
		g.spoke(id)
		n.look.ids = slices.DeleteFunc(n.look.ids, func(other int64) bool { return n.after(s) && other < id })
		g.request(c, &protos.Job{
			Lane: protos.Lane_LOOKUP, ChatId: g.id, Do: &protos.Job_EditMarkup{EditMarkup: &protos.EditMarkup{MessageId: id}},
		}, func(c actor.Context, _ *protos.JobDone) { g.probe(c, n) })
		return
	}
	if n.lost {
		n.look.next()
	}
	g.probe(c, n)
}

// after: the notice was sent after a message.
func (n *notice) after(s *protos.Stands) bool {
	return time.Unix(s.GetDate(), 0).Before(n.since.Add(-clocksApart))
}

// couldBe: a message may be the notice. It is not as old as others, says what notices say, and names one of those whom the
// notice named, as far as they are known.
func (g *group) couldBe(n *notice, s *protos.Stands) bool {
	if n.after(s) || !g.d.words.IsNotice(s.GetText()) {
		return false
	}
	words := text.Letters(s.GetText())
	return len(n.called) == 0 || slices.ContainsFunc(n.called, func(name string) bool {
		return strings.Contains(words, text.Letters(html.UnescapeString(text.Name(name))))
	})
}

// knows reports whether a message is known as one of the bot's.
func (g *group) knows(id int64) bool {
	if slices.Contains(g.own, id) {
		return true
	}
	for _, n := range g.notices {
		if n.message == id {
			return true
		}
	}
	return false
}

func (g *group) endSeek(c actor.Context, n *notice) {
	n.look, n.busy, g.seeking = nil, false, nil
	g.tendNotices(c)
}

// seekLater lets a look rest, and others begin.
func (g *group) seekLater(c actor.Context, n *notice, after time.Duration) {
	n.busy, n.notYet, g.seeking = false, g.d.clock().Add(after), nil
	g.lookLater(c, after)
	g.tendNotices(c)
}

func (g *group) lookLater(c actor.Context, after time.Duration) {
	self, root := c.Self(), g.d.root
	time.AfterFunc(after, func() { root.Send(self, &noticeTick{}) })
}

// found remembers the id of a notice.
func (g *group) found(n *notice, id int64) {
	n.message, n.lost, n.look, n.shown = id, false, nil, nil
	g.spoke(id)
	row := n.row(g.id)
	g.d.writer.Do(func(tx persistence.Tx) error { return tx.SaveNotice(row) }, g.logLost("notice"))
}

// sees notes the id of a message in this chat.
func (g *group) sees(id int64) {
	g.highest = max(g.highest, id)
	if g.first != 0 || id == 0 {
		return
	}
	g.first = id
	for _, n := range g.notices {
		// The next program may see nothing here, and has to know where to look.
		if n.message == 0 && n.seen == 0 && n.near == 0 && (n.lost || n.busy && !n.since.IsZero()) {
			n.near = id
			row := n.intent
			row.Seen = -id
			g.d.writer.Do(func(tx persistence.Tx) error { return tx.SaveNotice(row) }, g.logLost("notice"))
		}
	}
}

// spoke remembers the id of a message of the bot's, so that it is not taken for a notice that is looked for.
func (g *group) spoke(id int64) {
	if id == 0 || slices.Contains(g.own, id) {
		return
	}
	g.sees(id)
	if len(g.own) >= seekFar {
		g.own = slices.Delete(g.own, 0, 1)
	}
	g.own = append(g.own, id)
}

// adopt takes a notice's id from somebody's press on it. One that nobody knows of goes.
func (g *group) adopt(e *protos.Event) {
	id := e.GetMessageId()
	if e.GetCallbackData() != callbackCheck || id == 0 || e.GetCallbackDate() == 0 || g.knows(id) {
		return
	}
	n := g.notices[e.GetThreadId()]
	switch {
	case n == nil || n.message != 0 || n.seen != 0 && id <= n.seen:
	case n.seen == 0 && time.Unix(e.GetCallbackDate(), 0).Before(n.since.Add(-clocksApart)):
	case n.lost:
		g.found(n, id)
		return
	default:
		return // its sending will be answered
	}
	row := persistence.Due{ChatID: g.id, MessageID: id, At: g.d.clock()}
	g.d.writer.Do(func(tx persistence.Tx) error { return tx.AddDue(row) }, g.logLost("end of a notice"))
}
