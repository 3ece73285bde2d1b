package actors

import (
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

const (
	// noticePause is the shortest time between two sends or edits of notices in one group.
	noticePause = 4 * time.Second
	// noticeLife is how long a notice stays when its group did not say otherwise.
	noticeLife = 5 * time.Minute
	// noticeNames is how many people a notice names before it counts the rest.
	noticeNames = 5
)

// notice is the one living message of a topic that shows people the way.
type notice struct {
	thread  int64
	message int64 // 0 until Telegram has said its id
	people  []person
	shown   []int64 // whom the message names or counts now
	expires time.Time
	busy    bool // a send or edit is in the air
	ending  bool // nobody needs it: delete it
	tries   int
}

type person struct {
	id      int64
	name    string
	missing []int64
}

func (g *group) takeUpNotices(m *groupLoaded) {
	for _, row := range m.notices {
		n := &notice{thread: row.ThreadID, message: row.MessageID, expires: row.ExpiresAt, shown: row.People}
		for _, id := range row.People {
			if name, ok := m.names[id]; ok {
				n.people = append(n.people, person{id: id, name: name})
			}
		}
		g.notices[row.ThreadID] = n
	}
}

func (g *group) onNoticeAdd(c actor.Context, m *noticeAdd) {
	n := g.notices[m.thread]
	if n == nil || n.ending {
		n = &notice{thread: m.thread}
		if old := g.notices[m.thread]; old != nil {
			g.dropNotice(old)
		}
		g.notices[m.thread] = n
	}
	if !slices.ContainsFunc(n.people, func(p person) bool { return p.id == m.user.GetId() }) {
		n.people = append(n.people, person{id: m.user.GetId(), name: displayName(m.user), missing: m.missing})
	}
	n.expires = g.d.clock().Add(g.noticeLife())
	g.tendNotices(c)
}

func (g *group) noticeLife() time.Duration {
	if s := g.g.Settings.NoticeSeconds; s > 0 {
		return time.Duration(s) * time.Second
	}
	return noticeLife
}

func (g *group) onNoticeRemove(c actor.Context, m *noticeRemove) {
	for _, n := range g.notices {
		n.people = slices.DeleteFunc(n.people, func(p person) bool { return p.id == m.user })
	}
	g.tendNotices(c)
}

// tendNotices does what is due: ends what nobody needs, sends or edits one that changed.
func (g *group) tendNotices(c actor.Context) {
	now := g.d.clock()
	for _, n := range g.notices {
		if len(n.people) == 0 || !now.Before(n.expires) {
			n.ending = true
		}
		if n.ending && !n.busy {
			g.dropNotice(n)
		}
	}
	if now.Sub(g.lastSay) >= noticePause {
		if n := g.nextNotice(); n != nil {
			g.lastSay = now
			g.showNotice(c, n)
		}
	}
	g.tickNotices(c)
}

// nextNotice picks a notice whose message does not say what it should.
func (g *group) nextNotice() *notice {
	for _, n := range g.notices {
		if !n.busy && !n.ending && !slices.Equal(n.shown, n.ids()) {
			return n
		}
	}
	return nil
}

func (n *notice) ids() []int64 {
	ids := make([]int64, 0, len(n.people))
	for _, p := range n.people {
		ids = append(ids, p.id)
	}
	return ids
}

func (g *group) tickNotices(c actor.Context) {
	if len(g.notices) == 0 {
		return
	}
	now := g.d.clock()
	wait := time.Minute
	for _, n := range g.notices {
		wait = min(wait, n.expires.Sub(now))
	}
	if g.nextNotice() != nil {
		wait = min(wait, g.lastSay.Add(noticePause).Sub(now))
	}
	at := now.Add(max(wait, 50*time.Millisecond))
	if g.tickAt.After(now) && !at.Before(g.tickAt) {
		return
	}
	g.tickAt = at
	self, root := c.Self(), g.d.root
	time.AfterFunc(at.Sub(now), func() { root.Send(self, &noticeTick{}) })
}

func (n *notice) row(group int64) persistence.Notice {
	return persistence.Notice{GroupID: group, ThreadID: n.thread, MessageID: n.message, People: n.ids(), ExpiresAt: n.expires}
}

// showNotice stores that a message is about to be sent, then sends it; one that stands is edited.
func (g *group) showNotice(c actor.Context, n *notice) {
	n.busy = true
	row, self, root := n.row(g.id), c.Self(), g.d.root
	g.d.writer.Do(func(tx persistence.Tx) error { return tx.SaveNotice(row) }, func(err error) {
		root.Send(self, &noticeStored{thread: row.ThreadID, err: err})
	})
}

func (g *group) onNoticeStored(c actor.Context, m *noticeStored) {
	n := g.notices[m.thread]
	if n == nil || !n.busy {
		return
	}
	if m.err != nil || len(n.people) == 0 {
		n.busy = false
		g.tendNotices(c)
		return
	}
	n.shown = n.ids()
	html, keyboard := g.noticeText(n), g.noticeKeyboard(n)
	job := &protos.Job{Lane: protos.Lane_TALK, ChatId: g.id}
	if n.message == 0 {
		job.Do = &protos.Job_Send{Send: &protos.SendText{ThreadId: n.thread, Html: html, Keyboard: keyboard, Quiet: true}}
	} else {
		job.Do = &protos.Job_Edit{Edit: &protos.EditText{MessageId: n.message, Html: html, Keyboard: keyboard}}
	}
	g.request(c, job, func(c actor.Context, done *protos.JobDone) { g.onNoticeShown(c, n, done) })
}

func (g *group) onNoticeShown(c actor.Context, n *notice, m *protos.JobDone) {
	n.busy = false
	switch m.GetOutcome() {
	case protos.Outcome_DONE:
		n.tries = 0
		if n.message == 0 {
			n.message = m.GetMessageId()
			row := n.row(g.id)
			g.d.writer.Do(func(tx persistence.Tx) error { return tx.SaveNotice(row) }, g.logLost("notice"))
		}
	case protos.Outcome_FAILED, protos.Outcome_EXPIRED, protos.Outcome_FLOOD:
		n.tries++
		if n.tries < 5 {
			n.shown = nil
		}
	case protos.Outcome_UNCLEAR:
		// It may stand there already: a second one would be the worse harm. Buttons work on either.
	case protos.Outcome_GONE:
		// A moderator deleted it, or the topic: not fought over. New people get a new one.
		n.message = 0
	default:
		g.d.log.Warn().Int64("chat", g.id).Str("outcome", m.GetOutcome().String()).Str("error", m.GetDescription()).
			Msg("a notice could not be shown")
	}
	g.tendNotices(c)
}

func (g *group) logLost(what string) func(error) {
	return func(err error) {
		if err != nil {
			g.d.log.Error().Err(err).Int64("chat", g.id).Str("what", what).Msg("a row cannot be stored")
		}
	}
}

// dropNotice leaves a notice's message to the clerk.
func (g *group) dropNotice(n *notice) {
	if g.notices[n.thread] == n {
		delete(g.notices, n.thread)
	}
	id, thread, message, now := g.id, n.thread, n.message, g.d.clock()
	g.d.writer.Do(func(tx persistence.Tx) error {
		if message != 0 {
			// The clerk deletes it within a second, however often that takes, also after a restart.
			if err := tx.AddDue(persistence.Due{ChatID: id, MessageID: message, At: now}); err != nil {
				return err
			}
		}
		return tx.DropNotice(id, thread)
	}, g.logLost("notice"))
}

func (g *group) request(c actor.Context, job *protos.Job, then func(actor.Context, *protos.JobDone)) {
	g.lastTag++
	job.Tag = g.lastTag
	g.asked[job.GetTag()] = then
	c.Request(g.d.dir.Sender(), job)
}

func (g *group) noticeText(n *notice) string {
	var names []string
	for _, p := range n.people[:min(len(n.people), noticeNames)] {
		names = append(names, fmt.Sprintf(`<a href="tg://user?id=%d">%s</a>`, p.id, text.Name(p.name)))
	}
	return g.d.words.Notice(g.g.Settings.Language, names, len(n.people)-len(names))
}

// noticeKeyboard has a button for each channel somebody still misses, then the one to press.
func (g *group) noticeKeyboard(n *notice) []*protos.ButtonRow {
	var rows []*protos.ButtonRow
	for _, ch := range g.g.Channels {
		link := channelLink(ch)
		if link == "" || !n.misses(ch.ID) {
			continue
		}
		rows = append(rows, &protos.ButtonRow{Buttons: []*protos.Button{{Text: text.Button(ch.Title), Url: link, Style: "primary"}}})
	}
	return append(rows, &protos.ButtonRow{Buttons: []*protos.Button{{
		Text: g.d.words.Say(g.g.Settings.Language, "button.joined", nil), Data: callbackCheck, Style: "success",
	}}})
}

// misses: somebody lacks the channel, or it is not known any more who lacks what.
func (n *notice) misses(channel int64) bool {
	return slices.ContainsFunc(n.people, func(p person) bool {
		return len(p.missing) == 0 || slices.Contains(p.missing, channel)
	})
}
