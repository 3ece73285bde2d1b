package storm

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/gmbot/gmbot/persistence"
)

// command has the owner write one in a group.
func (w *world) command(g *place, words string) {
	id, err := w.Write(g.id, w.olga, words)
	if err != nil {
		return
	}
	w.w.mu.Lock()
	defer w.w.mu.Unlock()
	w.w.lastID[g.id] = id
	w.w.authors[pairKey{g.id, id}] = w.olga
	w.w.sayLocked("OLGA in %s: %s", w.w.name(g.id), words)
}

// changesMind has the owner ask for a panel and press a button on it some time later.
func (w *world) changesMind(g *place, command, data string, wait time.Duration) {
	w.command(g, command)
	w.burial.Go(func() {
		time.Sleep(wait)
		for range 4 {
			if message := w.button(g, data); message != 0 {
				w.ownerPresses(g, message, data)
				return
			}
			time.Sleep(3 * time.Second)
		}
	})
}

// button finds the last message of the bot with such a button.
func (w *world) button(g *place, data string) (message int64) {
	for _, m := range w.Messages(g.id) {
		if m.From == w.bot.ID && strings.Contains(string(m.ReplyMarkup), `"`+data+`"`) {
			message = m.ID
		}
	}
	return message
}

func (w *world) ownerPresses(g *place, message int64, data string) {
	w.w.mu.Lock()
	g.wished = nil // until the bot says yes, either may be so
	w.w.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 16*time.Second)
	defer cancel()
	answer, err := w.Press(ctx, g.id, message, w.olga, data)
	w.w.mu.Lock()
	defer w.w.mu.Unlock()
	w.w.sayLocked("OLGA presses %s in %s: %q %v", data, w.w.name(g.id), answer.Text, err)
	need := 0
	if n, _ := fmt.Sscanf(data, "v1:set:need:%d", &need); n == 1 && err == nil && answer.Text == "" {
		g.wished = &need
	}
}

// rulesAre takes what the store says of a group.
func (w *watch) rulesAre(row persistence.Group) {
	g := w.world.group[row.ID]
	if g == nil || g.row.ID == 0 {
		return
	}
	changed := g.row.Settings.Need != row.Settings.Need
	g.row = row
	if w.disabled[row.ID] == row.Enabled {
		w.enabledIs(row.ID, row.Enabled)
		changed = false
	}
	if changed {
		w.newRules(g)
	}
}

// newRules: who is satisfied by them owes nothing any more, and what was written before is judged by either.
func (w *watch) newRules(g *place) {
	g.ruled = time.Now()
	w.sayLocked("RULES of %s: enabled %v, %d are enough", w.name(g.id), g.row.Enabled, g.need())
	for key, p := range w.world.pairs {
		if key.chat != g.id {
			continue
		}
		p.changed++
		p.acted = w.world.now()
		if w.disabled[g.id] || w.world.satisfied(p) {
			p.offended = false
		}
	}
}

// returns is the bot's first moment after more than a day. What Telegram has thrown away meanwhile nobody can judge,
// whatever it still tells of the same people: who came unheard and then left a channel was never seen in the group.
// Whose mute a moderator or a promotion has lifted unheard is found without it. That somebody has decided for the person is all that
// the bot can tell from that, and who leaves a channel after it is let be, as if the unmute had been heard.
func (w *watch) returns() {
	w.back = time.Now()
	gone := w.world.now() - expiry
	for _, p := range w.world.pairs {
		lifted := max(p.pardoned, p.raised)
		if p.left && p.state != "" && lifted >= absentFrom-time.Minute && lifted <= gone+time.Minute {
			p.offended = false
		}
		if p.at > gone+time.Minute || p.at < absentFrom-time.Minute {
			continue
		}
		p.unheard = p.left && p.offended
		p.offended = p.unheard
	}
	for key, m := range w.messages {
		if m.at <= gone+time.Minute && m.at >= absentFrom-time.Minute {
			delete(w.messages, key)
		}
	}
	w.sayLocked("BACK after more than a day")
}
