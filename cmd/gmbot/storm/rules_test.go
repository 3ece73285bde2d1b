package storm

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

const (
	// settle is how long the bot may need after the last trouble: the longest pause between two attempts is
	// five minutes, a breaker opens after one, and a lost right is looked for each minute.
	settle = 8 * time.Minute
	// prompt is how long it may need after an act when there is no trouble.
	prompt = 90 * time.Second
	// noticeWords are in every notice.
	noticeWords = "to write here please join"
	checkData   = "v1:check"
	adminWords  = "words of an administrator"
	perMinute   = 18
)

// The rules, by what a breach of each is called.
const (
	ruleMuted     = "muted, but in the channel"
	ruleFree      = "free, but not in the channel"
	ruleHalf      = "half restricted"
	ruleModerator = "a moderator's mute does not stand"
	ruleAdmin     = "an administrator was touched"
	ruleStranger  = "a restriction of somebody unknown"
	ruleGuess     = "muted on a guess"              // Telegram has never said outside to this process
	ruleStale     = "muted on old words"            // it has not since the event that is judged
	ruleAgainst   = "muted against Telegram's word" // it has said inside since
	ruleStored    = "done before it was stored"
	ruleTwice     = "an update was acted on twice"
	ruleLost      = "an update was lost"
	ruleNotices   = "more than one notice, or a forgotten one"
	rulePress     = "a press without an answer"
	ruleFlood     = "a 429 was ignored"
	ruleLimit     = "a limit was exceeded"
	ruleNoRow     = "muted by the bot, which does not know"
	ruleWrongRow  = "a row says what is not so"
	ruleOpenRow   = "a row is left open"
	ruleWish      = "a wish that was granted did not come true"
	ruleStore     = "the store cannot be read"
	ruleLife      = "a process does not start, or does not end"
)

// leaves looks at a call at the moment it leaves.
func (w *watch) leaves(l *life, c *call) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	if c.method != "getUpdates" {
		w.sayLocked("    %s %s %s until %d %s", c.method, w.name(c.chat), w.name(c.user), c.until, c.messages())
	}
	key := floodKey{c.chat, c.class}
	if until := w.floods[key]; !w.ofChannel(c) && now.Before(until) && now.Sub(w.toldAt[key]) > 100*time.Millisecond && w.toldTo[key] == l.n {
		w.breachLocked(ruleFlood, "%s in %s, %s before the pause is over", c.method, w.name(c.chat), until.Sub(now))
	}
	switch c.method {
	case "answerCallbackQuery":
		if _, ok := w.presses[c.press]; !ok {
			w.breachLocked(rulePress, "an answer to no press: %q", c.press)
		}
	case "deleteMessage", "deleteMessages":
		w.deletes(c)
		for _, id := range c.ids {
			by := pairKey{c.chat, w.authors[pairKey{c.chat, id}]}
			_, told := w.admins[by]
			p := w.world.pairs[by]
			w.sent[pairKey{c.chat, id}] = author{admin: p != nil && p.admin, told: told}
			if p != nil && p.erased == 0 {
				p.erased = w.world.now()
			}
		}
	case "restrictChatMember":
		w.restricts(c, now)
	case "sendMessage", "editMessageText":
		list := w.talk[c.chat]
		for len(list) > 0 && now.Sub(list[0]) >= time.Minute {
			list = list[1:]
		}
		w.talk[c.chat] = append(list, now)
		if c.chat < 0 && len(w.talk[c.chat]) > perMinute {
			w.breachLocked(ruleLimit, "%d messages within a minute in %s", len(w.talk[c.chat]), w.name(c.chat))
		}
	}
}

// deletes: what somebody wrote, and Telegram has said to this life is gone, is not deleted again, unless the end of
// that could not be stored. Whoever does has taken up an update twice.
func (w *watch) deletes(c *call) {
	for _, id := range c.ids {
		key := pairKey{c.chat, id}
		if at, ok := w.erased[key]; !ok || w.messages[key] == nil || !w.unstored.Before(at) {
			return
		}
	}
	w.breachLocked(ruleTwice, "what %s wrote in %s is deleted, and has been deleted before", w.name(c.user), w.name(c.chat))
}

// erases notes what Telegram says is deleted.
func (w *watch) erases(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range c.ids {
		w.erased[pairKey{c.chat, id}] = time.Now()
	}
}

// ofChannel: look-ups in channels are paused by the group that asks.
func (w *watch) ofChannel(c *call) bool {
	at := w.world.group[c.chat]
	return c.class == "ask" && at != nil && at.row.ID == 0
}

// restricts holds a mute or free to what stands in the store, and a mute to Telegram's word.
func (w *watch) restricts(c *call, now time.Time) {
	p := w.world.pairs[c.who]
	if p == nil {
		w.breachLocked(ruleStranger, "a restriction of %s in %s", w.name(c.user), w.name(c.chat))
		return
	}
	unseen := w.unseen(now)
	if p.booked = string(persistence.Freeing); !c.perms && (c.until == 0 || c.until != p.until) && p.theirs {
		return // a moderator's, which a free that came late has lifted, is put back; one of ours always has an end
	}
	if !c.perms && c.until != 0 && (unseen || c.until == p.until) {
		p.booked = string(persistence.Muting)
	}
	if c.perms || c.until == 0 || c.until != p.until && !unseen {
		if !unseen && p.state != persistence.Freeing {
			w.breachLocked(ruleStored, "%s is freed in %s while the store says %s", w.name(c.user), w.name(c.chat), stateName(p.state))
		}
		return
	}
	if !unseen && p.state != persistence.Muting {
		w.breachLocked(ruleStored, "%s is muted in %s while the store says %s", w.name(c.user), w.name(c.chat), stateName(p.state))
	}
	inside, grounds, fresh := 0, false, false
	channels := wishes[p.g.n].channels
	for _, n := range channels {
		key := pairKey{p.g.cell.channels[n].id, c.user}
		said, ok := w.words[key]
		if ok && said.inside && now.Sub(said.at) > 2*time.Second {
			inside++
		}
		if of, ok := w.outside[key]; ok {
			grounds = true
			fresh = fresh || !of.Before(p.first.Add(-time.Second))
		}
	}
	need := p.g.need()
	switch {
	case !grounds:
		w.breachLocked(ruleGuess, "%s is muted in %s, and Telegram has not said outside", w.name(c.user), w.name(c.chat))
	case now.Sub(p.g.ruled) < settle || now.Sub(w.jumped) < settle:
		// Which rule was judged by, or what came first, cannot be told.
	case !p.first.IsZero() && !fresh:
		w.breachLocked(ruleStale, "%s is muted in %s on words from before the event", w.name(c.user), w.name(c.chat))
	case inside >= need:
		w.breachLocked(ruleAgainst, "%s is muted in %s although Telegram has said inside since", w.name(c.user), w.name(c.chat))
	}
	if n := wishes[p.g.n].warnings; n > 0 && p.written <= n {
		w.breachLocked(ruleTwice, "%s is muted in %s after %d messages, of which %d are warned of", w.name(c.user), w.name(c.chat), p.written, n)
	}
}

// flood tells the bot to wait and returns for how many seconds.
func (w *watch) flood(l *life, c *call, kind string, dice *rand.Rand) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for len(w.lately) > 0 && now.Sub(w.lately[0]) > 11*time.Second {
		w.lately = w.lately[1:]
	}
	seconds := 1 + dice.IntN(20)
	if kind == longKind && len(w.lately) == 0 {
		seconds = 60 + dice.IntN(int(min(w.world.plan.Scale.Length/2, time.Hour)/time.Second))
	}
	until := now.Add(time.Duration(seconds) * time.Second)
	w.lately = append(w.lately, now)
	if len(w.lately) >= 3 && until.After(w.allPause) {
		w.allPause = until
	}
	key := floodKey{c.chat, c.class}
	w.floods[key], w.toldAt[key], w.toldTo[key] = until, now, l.n
	if until.After(w.paused[c.chat]) {
		w.paused[c.chat] = until
	}
	w.sayLocked("    wait %d s", seconds)
	return seconds
}

// floodsEnd is when the last flood is over.
func (w *watch) floodsEnd() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	end := time.Duration(0)
	for _, at := range w.paused {
		end = max(end, at.Sub(w.world.began))
	}
	return end
}

// satisfied reports whether a person is where the group wants it.
func (w *world) satisfied(p *pair) bool {
	return suffice(p, func(ch *place) bool { return w.Member(ch.id, p.user).Present() })
}

// believed reports whether what Telegram last told this life of a person satisfies the group, though it is so no
// more: in a channel where the bot is no administrator nobody is told who leaves, and nobody can be asked.
func (w *world) believed(p *pair) bool {
	return suffice(p, func(ch *place) bool {
		w.w.mu.Lock()
		told := ch.lacks && w.w.words[pairKey{ch.id, p.user}].inside
		w.w.mu.Unlock()
		return told || w.Member(ch.id, p.user).Present()
	})
}

// suffice reports whether being in the channels that inside names satisfies the group.
func suffice(p *pair, inside func(*place) bool) bool {
	n, list := 0, wishes[p.g.n].channels
	for _, ch := range list {
		if inside(p.g.cell.channels[ch]) {
			n++
		}
	}
	return n >= p.g.need()
}

// need is how many of its channels a group wants people to be in.
func (g *place) need() int {
	if n := g.row.Settings.Need; n > 0 {
		return min(n, len(wishes[g.n].channels))
	}
	return len(wishes[g.n].channels)
}

// wrong says what is not as it should be with a person in a group; "" = nothing.
func (w *world) wrong(p *pair) string {
	m := w.Member(p.g.id, p.user)
	muted := m.Status == simulator.Restricted && !m.Permissions["can_send_messages"]
	sat, free := w.satisfied(p), p.exempt || w.w.disabled[p.g.id]
	switch {
	case p.theirs && !muted:
		return ruleModerator
	case p.theirs:
		return ""
	case p.admin && m.Status != simulator.Administrator:
		return ruleAdmin
	case p.admin:
		return ""
	case p.offended && !sat && !free && m.Present() && !muted && !p.blurred:
		return ruleFree
	case muted && m.Until != 0 && (sat || free):
		return ruleMuted
	case m.Status == simulator.Restricted && !muted:
		return ruleHalf
	}
	return ""
}

// excused: something lately gave reason for what is wrong.
func (w *world) excused(p *pair) bool {
	now := time.Now()
	late := func(at time.Time) bool { return now.Sub(at) < settle }
	if w.now()-p.acted < prompt || p.g.lacks || late(p.g.healed) || late(w.w.paused[p.g.id]) || late(w.w.allPause) {
		return true
	}
	if p.unheard && now.Sub(w.w.back) < rounds || late(w.w.back) || late(p.g.ruled) {
		return true
	}
	for _, n := range wishes[p.g.n].channels {
		ch := p.g.cell.channels[n]
		if ch.lacks || late(ch.healed) || late(w.w.paused[ch.id]) {
			return true
		}
	}
	return false
}

// check looks at everything, at the end of a calm.
func (w *watch) check() {
	if at := w.world.now() % (gale + calm); at < gale+settle+time.Minute {
		return
	}
	if w.world.asleep() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(false)
}

func (w *watch) look(final bool) {
	for key, p := range w.world.pairs {
		if what := w.world.wrong(p); what != "" && (final || !w.world.excused(p)) {
			m := w.world.Member(key.chat, key.user)
			w.breachLocked(what, "%s in %s is %s until %d, row %s until %d", w.name(key.user), w.name(key.chat), m.Status, m.Until, stateName(p.state), p.until)
		}
	}
	for _, c := range w.world.cells {
		for _, g := range c.groups {
			if time.Since(w.paused[g.id]) > settle && time.Since(w.allPause) > settle && (final || time.Since(w.back) > settle) {
				w.notices(g, final)
			}
		}
	}
}

// notices: at most one in a topic, and none when its time is over.
func (w *watch) notices(g *place, final bool) {
	by, last, ids := map[int64]int{}, map[int64]int64{}, map[int64][]int64{}
	for _, m := range w.world.Messages(g.id) {
		if m.From == w.world.bot.ID && strings.Contains(m.Text, noticeWords) {
			by[m.ThreadID]++
			last[m.ThreadID] = m.ID
			ids[m.ThreadID] = append(ids[m.ThreadID], m.ID)
		}
	}
	for topic, n := range by {
		switch {
		case time.Since(g.ruled) < settle:
		case n > 1:
			w.breachLocked(ruleNotices, "%d notices in %s, topic %d: %d", n, w.name(g.id), topic, ids[topic])
		case final && (w.lastID[g.id] >= last[topic] || !w.sought(g, topic)):
			w.breachLocked(ruleNotices, "a notice in %s, topic %d, was forgotten: %d", w.name(g.id), topic, ids[topic])
		}
	}
}

// sought reports whether the store remembers a lost notice that cannot be looked for: no message of the group was known
// when it was sent. It is looked for when one is; where none comes any more, Telegram tells nobody its id.
func (w *watch) sought(g *place, topic int64) bool {
	list, _ := w.world.life.store.Store.Notices(context.Background(), g.id)
	return slices.ContainsFunc(list, func(n persistence.Notice) bool {
		return n.ThreadID == topic && n.MessageID == 0 && n.Seen == 0
	})
}

// final looks when all trouble is long over.
func (w *watch) final() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(true)
	for key, m := range w.messages {
		p := w.world.pairs[m.by]
		if m.outside && !m.known && !p.was && p.changed == m.changed && !w.disabled[key.chat] {
			for _, left := range w.world.Messages(key.chat) {
				if left.ID == key.user {
					w.breachLocked(ruleLost, "what %s wrote in %s at %s still stands", w.name(m.by.user), w.name(m.by.chat), m.at)
				}
			}
		}
	}
	w.rows()
	for _, g := range w.world.group {
		if g.wished != nil && g.row.Settings.Need != *g.wished {
			w.breachLocked(ruleWish, "%s has it that %d are enough, and the bot had said yes to %d", w.name(g.id), g.row.Settings.Need, *g.wished)
		}
	}
}

// rows holds the store to the world.
func (w *watch) rows() {
	store := w.world.life.store.Store
	ctx := context.Background()
	for id, g := range w.world.group {
		if g.row.ID == 0 {
			continue
		}
		flows, err := store.FlowsOfGroup(ctx, id, 0, 10_000)
		if err != nil {
			w.breachLocked(ruleStore, "flows cannot be read: %v", err)
			return
		}
		have := map[int64]bool{}
		for _, f := range flows {
			m := w.world.Member(id, f.UserID)
			have[f.UserID] = true
			if f.State != persistence.Muted || len(f.Messages) > 0 {
				w.breachLocked(ruleOpenRow, "%s in %s is left %s with %d messages", w.name(f.UserID), w.name(id), f.State, len(f.Messages))
			} else if m.Status != simulator.Restricted || m.Until != f.UntilDate {
				w.breachLocked(ruleWrongRow, "%s in %s is muted until %d in the store, and in Telegram %s until %d", w.name(f.UserID), w.name(id), f.UntilDate, m.Status, m.Until)
			}
		}
		for key, p := range w.world.pairs {
			if m := w.world.Member(id, key.user); key.chat == id && !p.theirs && !have[key.user] && m.Status == simulator.Restricted && m.Until != 0 {
				w.breachLocked(ruleNoRow, "%s in %s is muted by the bot, which does not know", w.name(key.user), w.name(id))
			}
		}
		list, _ := store.Notices(ctx, id)
		for _, n := range list {
			if n.MessageID != 0 || n.Seen != 0 {
				w.breachLocked(ruleNotices, "the row of a notice in %s is left: %+v", w.name(id), n)
			}
		}
	}
	later, err := store.Deferred(ctx, 100)
	if err != nil {
		w.breachLocked(ruleStore, "what was set aside cannot be read: %v", err)
	}
	for _, a := range later {
		w.breachLocked(ruleLost, "update %d, %s, still waits to be tried again: %s", a.UpdateID, w.tells(a.Raw), a.Reason)
	}
	if due, _ := store.DueBefore(ctx, time.Now().Add(time.Hour), 100); len(due) > 0 {
		w.breachLocked(ruleOpenRow, "%d delayed deletions are left", len(due))
	}
}
