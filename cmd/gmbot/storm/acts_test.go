package storm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// act lets somebody do something.
func (w *world) act(s step) {
	c := w.cells[s.Cell]
	user := int64(0)
	if s.P < len(c.people) {
		user = c.people[s.P]
	}
	switch s.Do {
	case "restart":
		w.w.say("RESTART of Telegram for %v", s.For)
		w.w.mu.Lock()
		w.w.faultLocked("restart", "-", pairKey{})
		w.w.hindered = time.Now().Add(s.For)
		w.w.mu.Unlock()
		w.Restart(s.For)
		return
	case "away":
		w.w.mu.Lock()
		w.w.awayUntil = time.Now().Add(s.For)
		w.w.faultLocked("store away", "-", pairKey{})
		w.w.sayLocked("AWAY is the store for %v", s.For)
		w.w.mu.Unlock()
		return
	case "clock":
		w.jumps(time.Duration(s.N)*time.Second, s.For)
		return
	case "revoke":
		w.lose(c.groups[s.G], s.For)
		return
	case "blind":
		w.lose(c.channels[s.G], s.For)
		return
	case "joinchannel", "leavechannel":
		w.moves(c, c.channels[s.G], user, s.Do == "joinchannel")
		return
	}
	g := c.groups[s.G]
	switch s.Do {
	case "rule":
		if s.N <= len(wishes[g.n].channels) {
			w.changesMind(g, "/settings", fmt.Sprintf("v1:set:need:%d", s.N), s.For)
		}
		return
	case "unprotect":
		w.changesMind(g, "/unprotect", "v1:off", s.For)
		return
	case "protect":
		names := ""
		for _, n := range wishes[g.n].channels {
			names += " @" + g.row.Channels[slices.IndexFunc(g.row.Channels, func(ch persistence.Channel) bool { return ch.ID == c.channels[n].id })].Username
		}
		w.command(g, "/protect"+names)
		return
	}
	w.does(w.pairs[pairKey{g.id, user}], s)
}

// jumps moves Telegram's clock for a while.
func (w *world) jumps(by, d time.Duration) {
	move := func(by time.Duration) {
		w.JumpClock(by)
		w.w.mu.Lock()
		defer w.w.mu.Unlock()
		w.w.ahead += by
		w.w.jumped = time.Now()
		w.w.faultLocked("clock", "-", pairKey{})
		w.w.sayLocked("CLOCK of Telegram jumps by %v", by)
	}
	move(by)
	time.AfterFunc(d, func() { move(-by) })
}

// lose takes a right from the bot for a while.
func (w *world) lose(at *place, d time.Duration) {
	if at.lacks {
		return
	}
	w.w.say("LOSE a right in %s for %v", w.w.name(at.id), d)
	w.w.mu.Lock()
	at.lacks = true
	w.w.faultLocked("right lost", "-", pairKey{})
	w.w.mu.Unlock()
	w.admit(at, false)
	time.AfterFunc(d, func() {
		w.admit(at, true)
		w.w.mu.Lock()
		defer w.w.mu.Unlock()
		at.lacks, at.healed = false, time.Now()
		w.w.sayLocked("GAIN the right in %s", w.w.name(at.id))
	})
}

// latest is how late an update about a member may come here.
const latest = 40 * time.Second

// moves lets somebody join or leave a channel.
func (w *world) moves(c *cell, ch *place, user int64, join bool) {
	if w.Member(ch.id, user).Present() == join {
		return
	}
	if join {
		_ = w.Join(ch.id, user)
	} else {
		_ = w.Leave(ch.id, user)
	}
	w.w.mu.Lock()
	defer w.w.mu.Unlock()
	w.w.sayLocked("%s %s %s", w.w.name(user), map[bool]string{true: "JOINS", false: "LEAVES"}[join], w.w.name(ch.id))
	key := pairKey{ch.id, user}
	before, now := w.w.moved[key], w.now()
	w.w.moved[key] = move{at: now, late: w.w.delayed[key] == now && now != 0}
	lately := before.late && now-before.at < latest
	for _, g := range c.groups {
		p := w.pairs[pairKey{g.id, user}]
		if !requires(g, ch) {
			continue
		}
		p.acted = w.now()
		p.changed++
		// Which of two came last the bot can only tell by Telegram's dates.
		p.blurred = lately && w.w.jumped.Sub(w.began) > before.at
		// Told when it is over, or within the second of the join, a leave is as if it had not been: the bot asks.
		if join && (lately || now-before.at < time.Second) && p.undone == ch && p.left {
			p.offended = p.owed
		}
		p.undone = nil
		if !join {
			p.undone, p.owed = ch, p.offended
		}
		switch sat := w.satisfied(p); {
		case sat:
			p.offended = false
		case !join && wishes[g.n].warnings == 0 && (p.seen || p.state != "") && w.Member(g.id, user).Present() && !ch.lacks && !p.admin && !w.w.disabled[g.id] && !p.lenient(w):
			p.offends(w, true)
		}
	}
}

// does is what a person does in a group, or a moderator about one.
func (w *world) does(p *pair, s step) {
	m := w.Member(p.g.id, p.user)
	name := func() string { return w.w.name(p.user) + " in " + w.w.name(p.g.id) }
	outside := !w.believed(p) && !w.off(p.g) && !p.lenient(w)
	var did string
	switch {
	case s.Do == "join" && !m.Present():
		if w.Join(p.g.id, p.user) != nil {
			return
		}
		did = "JOINS"
		p.mark(w, func() {
			if p.offended = false; outside && wishes[p.g.n].warnings == 0 {
				p.offends(w, false)
			}
		})
	case s.Do == "leave" && m.Present() && !p.admin:
		_ = w.Leave(p.g.id, p.user)
		did = "LEAVES"
		p.mark(w, func() { p.offended = false })
	case s.Do == "write":
		did = w.writes(p, s, outside)
	case s.Do == "press":
		w.presses(p)
	case s.Do == "mute" && m.Present() && !p.admin:
		p.mark(w, func() { p.theirs = true; p.changed++ })
		until := int64(0)
		if w.plan.Traits.Terms && s.N%2 == 0 {
			until = time.Now().Add(time.Duration(3+s.N%27) * 24 * time.Hour).Unix()
		}
		_ = w.Restrict(p.g.id, w.moira, p.user, simulator.Permissions{}, until)
		did = "is MUTED by a moderator"
	case s.Do == "unmute" && m.Status == simulator.Restricted:
		p.mark(w, func() { p.theirs, p.offended, p.pardoned = false, false, w.now(); p.changed++ })
		_ = w.Restrict(p.g.id, w.moira, p.user, simulator.AllPermissions(), 0)
		did = "is UNMUTED by a moderator"
	case s.Do == "promote" && m.Present() && !p.admin && !p.theirs:
		p.mark(w, func() { p.admin, p.offended, p.raised = true, false, w.now(); p.changed++ })
		_ = w.Promote(p.g.id, w.olga, p.user, simulator.Rights("can_pin_messages"))
		did = "is PROMOTED"
	case s.Do == "demote" && p.admin:
		p.mark(w, func() {
			p.admin, p.offended = false, false
			p.changed++
			if outside && wishes[p.g.n].warnings == 0 {
				p.offends(w, false)
			}
		})
		_ = w.Demote(p.g.id, w.olga, p.user)
		did = "is DEMOTED"
	}
	if did != "" {
		w.w.say("%s %s", name(), did)
	}
}

func (p *pair) mark(w *world, f func()) {
	w.w.mu.Lock()
	defer w.w.mu.Unlock()
	p.acted = w.now()
	f()
}

// offends: the person does what is judged. The watch is locked.
func (p *pair) offends(w *world, left bool) {
	p.offended, p.at, p.left = true, w.now(), left
}

// lenient: a moderator has unmuted the person a moment ago, and word of that may come after what follows.
func (p *pair) lenient(w *world) bool {
	return w.plan.Traits.Terms && p.pardoned != 0 && w.now()-p.pardoned < time.Minute
}

// off: nothing is asked of anybody there now.
func (w *world) off(g *place) bool {
	w.w.mu.Lock()
	defer w.w.mu.Unlock()
	return w.w.disabled[g.id]
}

func (w *world) writes(p *pair, s step, outside bool) string {
	words, options := fmt.Sprintf("words %d", s.N), []simulator.WriteOption{}
	if p.admin {
		words = adminWords
	}
	if p.g.topic != 0 && s.N%3 == 0 {
		options = append(options, simulator.InThread(p.g.topic))
	}
	id, err := w.Write(p.g.id, p.user, words, options...)
	if err != nil {
		return ""
	}
	p.mark(w, func() {
		w.w.authors[pairKey{p.g.id, id}] = p.user
		w.w.lastID[p.g.id] = id
		p.written++
		w.w.messages[pairKey{p.g.id, id}] = &written{by: pairKey{p.g.id, p.user}, at: w.now(), outside: outside && !p.admin, changed: p.changed}
		if outside && !p.admin && wishes[p.g.n].warnings == 0 {
			p.offends(w, false)
		}
	})
	return fmt.Sprintf("WRITES %d", id)
}

// presses presses the button of the group's notice, if there is one.
func (w *world) presses(p *pair) {
	message := int64(0)
	for _, m := range w.Messages(p.g.id) {
		if m.From == w.bot.ID && strings.Contains(string(m.ReplyMarkup), checkData) {
			message = m.ID
		}
	}
	if message == 0 {
		return
	}
	w.w.say("%s PRESSES in %s", w.w.name(p.user), w.w.name(p.g.id))
	at, awake := time.Now(), w.awake()
	w.burial.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 16*time.Second)
		defer cancel()
		_, err := w.Press(ctx, p.g.id, message, p.user, checkData)
		w.w.mu.Lock()
		defer w.w.mu.Unlock()
		aged := w.w.jumped.After(at) // Telegram's clock moved, by which the press is too old to be answered
		if err != nil && awake && !aged && at.Sub(w.w.hindered) > 20*time.Second && at.Sub(w.w.queues[p.user].until) > 20*time.Second {
			w.w.breachLocked(rulePress, "%s pressed in %s and got no answer: %v", w.w.name(p.user), w.w.name(p.g.id), err)
		}
	})
}
