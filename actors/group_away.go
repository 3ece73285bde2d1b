package actors

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// maxLeft bounds the muted people of whom a router remembers in which groups they are.
const maxLeft = 50_000

// leftMuted tells a router whether a person's flow in a group ended as a mute that stands. The group sends it.
type leftMuted struct {
	group, user int64
	muted       bool
}

// newSeat is what a verification begins with: what the group remembers of the person.
func (g *group) newSeat(user int64) *seat {
	left, known := g.left[user]
	_, seen := g.noted[user]
	if !known && !seen {
		return &seat{}
	}
	return &seat{gone: left.gone, memory: &memory{row: left.row, known: known, seen: seen || left.row.State == persistence.Muted}}
}

// onJoinedAway looks at somebody muted here who joined a required channel while the store cannot be asked
// whom that concerns.
func (g *group) onJoinedAway(c actor.Context, m *protos.JoinedAway) {
	if g.g.Enabled && g.requires(m.GetChannelId()) {
		g.give(c, &want{trigger: byHint, user: m.GetUser()})
	}
}

func isPress(e *protos.Event) bool {
	return e.GetKind() == protos.EventKind_CALLBACK && e.GetCallbackData() == callbackCheck
}

// tellHeld says to everybody whose press waits for the group's rows that it takes longer. Their presses are
// not done by that.
func (g *group) tellHeld(c actor.Context) {
	for _, m := range g.held {
		if e, ok := m.(*protos.Event); ok && isPress(e) {
			words := g.d.words.Press(e.GetFrom().GetLanguageCode(), "press.checking", nil)
			c.Send(g.d.dir.Sender(), answerJob(e, words, true))
		}
	}
}

// leftHere remembers where somebody is muted.
func (r *router) leftHere(m *leftMuted) {
	groups := r.left[m.user]
	at := slices.Index(groups, m.group)
	switch {
	case m.muted && (at >= 0 || groups == nil && len(r.left) >= maxLeft):
		// Whoever does not fit is freed when the database is back.
	case m.muted:
		r.left[m.user] = append(groups, m.group)
	case at >= 0 && len(groups) == 1:
		delete(r.left, m.user)
	case at >= 0:
		r.left[m.user] = slices.Delete(groups, at, at+1)
	}
}

// onJoinedAway passes the news to the groups awake that have muted the person.
func (r *router) onJoinedAway(c actor.Context, m *protos.JoinedAway) {
	for _, id := range r.left[m.GetUser().GetId()] {
		if r.kids[id] != nil {
			r.pass(c, id, "group", m)
		}
	}
}

// tellAwake has whoever joined freed where memory alone knows of the mute. The news itself is given up, and
// is told in full when the database is back.
func (ch *channel) tellAwake(n *news, verdict protos.Verdict) {
	if !ch.d.keeps || !n.joined || n.pending || verdict == protos.Verdict_OUTSIDE {
		return
	}
	for _, shard := range ch.d.shards() {
		ch.d.root.Send(shard, &protos.JoinedAway{ChannelId: ch.id, User: n.user})
	}
}
