package storm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gmbot/gmbot/persistence"
)

// What the bot has been told by Telegram.

// told takes what an answer says.
func (w *watch) told(l *life, c *call, resp *http.Response) {
	if c.class == "delete" && resp.StatusCode == http.StatusOK && !l.dead.Load() {
		w.erases(c)
	}
	if c.method != "getChatMember" && c.method != "getUpdates" {
		return
	}
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	if resp.StatusCode != http.StatusOK || l.dead.Load() {
		return
	}
	if c.method == "getChatMember" {
		var a struct {
			Result standing `json:"result"`
		}
		if json.Unmarshal(raw, &a) == nil {
			w.hear(c.chat, a.Result, time.Now(), 0)
		}
		return
	}
	var a struct {
		Result []update `json:"result"`
	}
	if json.Unmarshal(raw, &a) != nil {
		return
	}
	for _, u := range a.Result {
		w.heard(u)
	}
}

// update is what the storm reads of one.
type update struct {
	Message *struct {
		ID   int64  `json:"message_id"`
		Chat chatID `json:"chat"`
		From chatID `json:"from"`
	} `json:"message"`
	Member *struct {
		Chat chatID   `json:"chat"`
		From chatID   `json:"from"`
		Date int64    `json:"date"`
		Old  standing `json:"old_chat_member"`
		New  standing `json:"new_chat_member"`
	} `json:"chat_member"`
	Press *struct {
		From    chatID `json:"from"`
		Message struct {
			Chat chatID `json:"chat"`
		} `json:"message"`
	} `json:"callback_query"`
}

// concerns is the chat and person that an update is about.
func (u update) concerns() pairKey {
	switch {
	case u.Message != nil:
		return pairKey{u.Message.Chat.ID, u.Message.From.ID}
	case u.Member != nil:
		return pairKey{u.Member.Chat.ID, u.Member.New.User.ID}
	case u.Press != nil:
		return pairKey{u.Press.Message.Chat.ID, u.Press.From.ID}
	}
	return pairKey{}
}

// tells says what an update is about.
func (w *watch) tells(raw []byte) string {
	var u update
	_ = json.Unmarshal(raw, &u)
	kind := "another"
	switch {
	case u.Message != nil:
		kind = "a message"
	case u.Member != nil:
		kind = "a new standing"
	case u.Press != nil:
		kind = "a press"
	}
	who := u.concerns()
	return fmt.Sprintf("%s of %s in %s", kind, w.name(who.user), w.name(who.chat))
}

// heard takes what an update tells the bot.
func (w *watch) heard(u update) {
	switch {
	case u.Message != nil:
		w.handed(u.Message.Chat.ID, u.Message.From.ID, time.Now(), true)
		w.passes(u.Message.Chat.ID, u.Message.ID)
	case u.Member != nil:
		at := time.Unix(u.Member.Date, 0).Add(-w.skew())
		w.hear(u.Member.Chat.ID, u.Member.New, at, time.Second)
		if u.Member.From.ID == w.world.bot.ID {
			return // its own act begins nothing
		}
		w.handed(u.Member.Chat.ID, u.Member.New.User.ID, at, u.opens(w.world))
	}
}

// opens: a flow may begin with it where there is none. With a moderator's unmute none does, nor with the join of a channel.
func (u update) opens(w *world) bool {
	before, after := u.Member.Old, u.Member.New
	if at := w.group[u.Member.Chat.ID]; at != nil && at.row.ID == 0 {
		return !after.present() // from a channel
	}
	return after.present() && (!before.present() || before.Status == "administrator" && after.Status != "administrator")
}

// skew is how much Telegram's clock is ahead now.
func (w *watch) skew() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ahead
}

// storeAway reports whether the store does not answer now.
func (w *watch) storeAway() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	away := time.Now().Before(w.awayUntil)
	if away {
		w.unstored = time.Now()
	}
	return away
}

// unseen reports whether what is stored may stand in a journal, where the storm does not look.
func (w *watch) unseen(now time.Time) bool {
	return w.world.plan.Traits.Kept && now.Sub(w.unstored) < unseenFor
}

// unseenFor is how long after the store's return what was kept may not have been applied yet.
const unseenFor = time.Minute

type chatID struct {
	ID int64 `json:"id"`
}

type standing struct {
	Status   string `json:"status"`
	IsMember bool   `json:"is_member"`
	User     chatID `json:"user"`
}

func (s standing) present() bool {
	return s.Status == "creator" || s.Status == "administrator" || s.Status == "member" || s.Status == "restricted" && s.IsMember
}

// hear notes Telegram's word on somebody in a channel, or as an administrator of a group. It is of some moment within the time that follows of: the
// date of an update has whole seconds, and what it tells may have come after an answer of the same second.
func (w *watch) hear(chat int64, s standing, of time.Time, within time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, key := w.world.group[chat], pairKey{chat, s.User.ID}
	switch {
	case at == nil:
		return
	case at.row.ID != 0:
		delete(w.admins, key)
		if s.Status == "administrator" {
			w.admins[key] = time.Now()
		}
		return
	}
	if old, ok := w.words[key]; !ok || !of.Add(within).Before(old.of) {
		w.words[key] = word{inside: s.present(), of: of, at: time.Now()}
	}
	if !s.present() && of.After(w.outside[key]) {
		w.outside[key] = of
	}
	for _, g := range at.cell.groups {
		p := w.world.pairs[pairKey{g.id, s.User.ID}]
		if p == nil {
			continue
		}
		for _, m := range p.judged {
			known := w.vouched(p)
			if m.known && !known {
				m.ended = time.Now()
			}
			m.known = known
		}
	}
}

// vouched: Telegram's last words to this life say that a person satisfies a group.
func (w *watch) vouched(p *pair) bool {
	return suffice(p, func(ch *place) bool { return w.words[pairKey{ch.id, p.user}].inside })
}

// handed notes that the bot has been given something that a flow may be about, and whether one may begin with it.
func (w *watch) handed(chat, user int64, at time.Time, opens bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.world.pairs[pairKey{chat, user}]; p != nil {
		p.begins(at, opens)
	}
	if place := w.world.group[chat]; place != nil && place.row.ID == 0 {
		for _, g := range place.cell.groups {
			if p := w.world.pairs[pairKey{g.id, user}]; p != nil && requires(g, place) {
				p.begins(at, opens)
			}
		}
	}
}

// excusedFor is how long who was found to be an administrator is not asked about again.
const excusedFor = 10 * time.Minute

// passes notes whether a message that is handed over is of somebody whom Telegram's words vouch for.
func (w *watch) passes(chat, id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m := w.messages[pairKey{chat, id}]; m != nil {
		told, ok := w.admins[m.by]
		p := w.world.pairs[m.by]
		m.known = m.known && m.life == w.life || ok && time.Since(told) < excusedFor || w.vouched(p)
		m.life = w.life
		if !m.known {
			p.judged = append(p.judged, m)
		}
	}
}

// begins notes what a flow may begin with, unless one is under way. What comes late, or a second time, may be from
// before what came last and began nothing, as a moderator's unmute does.
func (p *pair) begins(at time.Time, opens bool) {
	switch {
	case p.state == "" && !opens:
	case opens && at.Before(p.first):
		p.first = at // told late
	case (p.first.IsZero() || at.Before(p.first)) && (p.state == "" || p.state == persistence.Muted):
		p.first = at
	}
}
