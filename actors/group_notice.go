package actors

import (
	"cmp"
	"fmt"
	"maps"
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
	message int64              // 0 until Telegram has said its id
	seen    int64              // highest message id in the chat before it was sent; 0 = none was known
	near    int64              // where seen is 0: a message id seen later; 0 = none was yet
	intent  persistence.Notice // as it was stored before it was sent: whom its message names, and since when it may stand
	lost    bool               // it may have been sent, its id is not known
	sure    time.Time          // of one that is lost: when it can no longer appear
	notYet  time.Time          // of one that is lost: until when it is not looked for
	look    *search            // of one that is lost: the look for it, as far as it is
	since   time.Time          // no message from before is it
	called  []string           // of one that is lost: whom its message names, as far as is known
	people  []person
	shown   []int64 // whom the message names or counts now, or is about to
	said    []int64 // whom it named or counted when Telegram last took it
	expires time.Time
	busy    bool // a send or edit is in the air
	ending  bool // nobody needs it: delete it
	tries   int
}

type person struct {
	id      int64
	name    string
	missing []int64
	reason  noticeReason
	count   int // of warnings
}

func (g *group) takeUpNotices(m *groupLoaded) {
	// Whatever is known of message ids here tells later where a notice begins to be looked for.
	for _, f := range m.open {
		g.stored = max(g.stored, slices.Max(append(f.Messages, 0)))
	}
	for _, row := range m.notices {
		g.stored = max(g.stored, row.Seen, -row.Seen, row.MessageID)
		if row.MessageID != 0 {
			g.own = append(g.own, row.MessageID)
		}
		n := &notice{
			thread: row.ThreadID, message: row.MessageID, seen: max(row.Seen, 0), near: max(-row.Seen, 0), expires: row.ExpiresAt, shown: row.People, said: row.People,
			lost: row.MessageID == 0, intent: row, sure: g.d.clock().Add(callsEnd + lateEffect), since: row.ExpiresAt.Add(-g.noticeLife()),
		}
		for _, id := range row.People {
			if name, ok := m.names[id]; ok {
				if slices.Index(row.People, id) < noticeNames {
					n.called = append(n.called, name)
				}
				n.people = append(n.people, person{id: id, name: name})
			}
		}
		put(&g.notices, row.ThreadID, n)
	}
	g.highest = g.stored
}

func (g *group) onNoticeAdd(c actor.Context, m *noticeAdd) {
	if g.g.Settings.Quiet || g.g.Settings.DryRun || !g.g.Enabled {
		return
	}
	g.freshen(c, freshFor)
	n := g.notices[m.thread]
	if n == nil {
		n = &notice{thread: m.thread}
		put(&g.notices, m.thread, n)
	}
	n.ending = false // one that was to go, but whose message is still on its way, is taken over
	p := person{id: m.user, name: m.name, missing: m.missing, reason: m.reason, count: m.count}
	if i := slices.IndexFunc(n.people, func(old person) bool { return old.id == p.id }); i < 0 {
		n.people = append(n.people, p)
	} else {
		if old := n.people[i]; old.reason != p.reason || p.reason == noticeWarn && old.count != p.count {
			n.shown = nil // it says something else now
		}
		n.people[i] = p
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
		if len(n.people) == 0 || !now.Before(n.expires) || !g.g.Enabled {
			n.ending = true
		}
		switch {
		case n.busy:
		case n.lost && now.Before(n.notYet):
		case n.lost:
			g.seek(c, n)
		case n.ending:
			g.dropNotice(c, n)
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
		if !n.busy && !n.lost && !n.ending && !n.upToDate() {
			return n
		}
	}
	return nil
}

// upToDate: the message names and counts whom it should. It is asked for each of very many who come at once.
func (n *notice) upToDate() bool {
	return slices.EqualFunc(n.shown, n.people, func(id int64, p person) bool { return id == p.id })
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
	at := now.Add(g.untilNotices(now))
	if g.tickAt.After(now) && !at.Before(g.tickAt) {
		return
	}
	g.tickAt = at
	self, root := c.Self(), g.d.root
	time.AfterFunc(at.Sub(now), func() { root.Send(self, &noticeTick{}) })
}

// untilNotices is how long the notices need not be looked at. One whose time is over, and that stays, has no
// message that is known yet, or an answer about it is awaited: what comes then looks at it, and this only makes sure.
func (g *group) untilNotices(now time.Time) time.Duration {
	wait := time.Minute
	for _, n := range g.notices {
		left := n.expires.Sub(now)
		if left <= 0 {
			left = noticePause
		}
		wait = min(wait, left)
	}
	if g.nextNotice() != nil {
		wait = min(wait, g.lastSay.Add(noticePause).Sub(now))
	}
	return max(wait, 50*time.Millisecond)
}

func (n *notice) row(group int64) persistence.Notice {
	return persistence.Notice{
		GroupID: group, ThreadID: n.thread, MessageID: n.message, Seen: cmp.Or(n.seen, -n.near), People: n.ids(), ExpiresAt: n.expires,
	}
}

// showNotice stores that a message is about to be sent, then sends it; one that stands is edited.
func (g *group) showNotice(c actor.Context, n *notice) {
	n.busy = true
	if n.message == 0 {
		n.seen, n.near, n.since, n.look = g.highest, 0, g.d.clock(), nil
	}
	row, parting, self, root := n.row(g.id), slices.Collect(maps.Keys(g.parting)), c.Self(), g.d.root
	if n.message == 0 {
		n.intent = row
	}
	if planted("notice without intent") {
		root.Send(self, &noticeStored{thread: row.ThreadID})
		return
	}
	now := g.d.clock()
	g.d.writer.Do(func(tx persistence.Tx) error {
		// Another one's row is overwritten by this, though its end may not have been stored.
		for _, id := range parting {
			if err := tx.AddDue(persistence.Due{ChatID: row.GroupID, MessageID: id, At: now}); err != nil {
				return err
			}
		}
		return tx.SaveNotice(row)
	}, func(err error) {
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
		n.called = nil
		for _, p := range n.people[:min(len(n.people), noticeNames)] {
			n.called = append(n.called, p.name)
		}
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
		g.d.metrics.step(stepShown, newcomers(n.said, n.shown))
		n.tries, n.said = 0, n.shown
		if n.message == 0 {
			n.message = m.GetMessageId()
			g.spoke(n.message)
			row := n.row(g.id)
			g.d.writer.Do(func(tx persistence.Tx) error { return tx.SaveNotice(row) }, g.logLost("notice"))
		}
	case protos.Outcome_FAILED, protos.Outcome_EXPIRED, protos.Outcome_FLOOD:
		n.tries++
		if n.tries < 5 {
			n.shown = nil
		}
	case protos.Outcome_UNCLEAR:
		// A new one may stand there already, and a second would be the worse harm: it is looked for first.
		// An edit may be made twice.
		n.lost, n.sure = n.message == 0, g.d.clock().Add(lateEffect)
		n.tries++
		if n.tries < 5 {
			n.shown = nil
		}
	case protos.Outcome_GONE:
		// A moderator deleted it, or the topic is gone: not fought over. Only new people get a new one.
		old := n.said
		if n.message == 0 {
			old = n.ids()
		}
		n.people = slices.DeleteFunc(n.people, func(p person) bool { return slices.Contains(old, p.id) })
		n.message, n.said, n.shown = 0, nil, nil
	default:
		g.d.log.Warn().Int64("chat", g.id).Str("outcome", m.GetOutcome().String()).Str("error", m.GetDescription()).
			Msg("a notice could not be shown")
	}
	g.tendNotices(c)
}

// newcomers counts who is in now and was not in before. Who comes later stands behind, so that both begin alike.
func newcomers(before, now []int64) (n int) {
	for len(before) > 0 && len(now) > 0 && before[0] == now[0] {
		before, now = before[1:], now[1:]
	}
	for _, id := range now {
		if !slices.Contains(before, id) {
			n++
		}
	}
	return n
}

func (g *group) logLost(what string) func(error) {
	return func(err error) {
		if err != nil {
			g.d.log.Error().Err(err).Int64("chat", g.id).Str("what", what).Msg("a row cannot be stored")
		}
	}
}

// dropNotice leaves a notice's message to the clerk.
func (g *group) dropNotice(c actor.Context, n *notice) {
	if g.notices[n.thread] == n {
		delete(g.notices, n.thread)
	}
	if n.message != 0 {
		put(&g.parting, n.message, struct{}{})
	}
	g.endNotice(c, n)
}

// endNotice stores the end of a notice. Where another stands in its place by now, that keeps the row.
func (g *group) endNotice(c actor.Context, n *notice) {
	id, thread, message, now, self, root := g.id, n.thread, n.message, g.d.clock(), c.Self(), g.d.root
	row := g.notices[thread] == nil
	g.d.writer.Do(func(tx persistence.Tx) error {
		if message != 0 {
			// The clerk deletes it within a second, however often that takes, also after a restart.
			if err := tx.AddDue(persistence.Due{ChatID: id, MessageID: message, At: now}); err != nil {
				return err
			}
		}
		if !row {
			return nil
		}
		return tx.DropNotice(id, thread)
	}, func(err error) {
		if err == nil {
			root.Send(self, &noticeEnded{n: n})
			return
		}
		time.AfterFunc(noticePause, func() { root.Send(self, &noticeEnded{n: n, err: err}) })
	})
}

func (g *group) onNoticeEnded(c actor.Context, m *noticeEnded) {
	n := m.n
	switch {
	case m.err == nil:
		delete(g.parting, n.message)
	case g.notices[n.thread] == nil:
		delete(g.parting, n.message)
		put(&g.notices, n.thread, n) // it stays until its end can be stored
		g.tendNotices(c)
	case n.message != 0:
		g.endNotice(c, n)
	}
}

func (g *group) request(c actor.Context, job *protos.Job, then func(actor.Context, *protos.JobDone)) {
	g.lastTag++
	job.Tag = g.lastTag
	put(&g.asked, job.GetTag(), then)
	c.Request(g.d.dir.Sender(), job)
}

func (g *group) noticeText(n *notice) string {
	var names []string
	lang, reason := g.g.Settings.Language, n.people[0].reason
	for _, p := range n.people {
		if p.reason != reason || reason == "" {
			reason = noticeMixed
			break
		}
	}
	for _, p := range n.people[:min(len(n.people), noticeNames)] {
		name := fmt.Sprintf(`<a href="tg://user?id=%d">%s</a>`, p.id, text.Name(p.name))
		if p.reason == noticeWarn {
			name = g.d.words.Say(lang, "notice.warned", map[string]any{
				"Name": text.HTML(name), "Count": p.count, "Most": max(g.g.Settings.Warnings, 1),
			})
		}
		names = append(names, name)
	}
	return g.d.words.Notice(lang, string(reason), names, len(n.people)-len(names), g.g.Settings.GraceMinutes)
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
