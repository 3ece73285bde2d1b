package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// How long the names and links of a group's channels are shown before they are looked at again: while
// people are shown the way, and when somebody presses, who may have found the way closed.
const (
	freshFor      = 10 * time.Minute
	freshForPress = time.Minute
)

// freshen looks up what the group's channels are called now, and whether the own links to private ones
// still lead there. Channels are followed by id; nobody is told when a link is revoked.
func (g *group) freshen(c actor.Context, old time.Duration) {
	now := g.d.clock()
	if !g.g.Enabled || now.Sub(g.fresh) < old {
		return
	}
	g.fresh = now
	for _, ch := range g.g.Channels {
		g.request(c, &protos.Job{
			Lane: protos.Lane_LOOKUP, ChatId: g.id, Do: &protos.Job_GetChat{GetChat: &protos.GetChat{ChatId: ch.ID}},
		}, func(c actor.Context, m *protos.JobDone) {
			if m.GetOutcome() == protos.Outcome_DONE {
				g.seeChannel(c, ch, m.GetChat().GetChat())
			}
		})
	}
}

// renamed takes what an update of the channel says about its name.
func (g *group) renamed(c actor.Context, now *protos.Chat) {
	for _, ch := range g.g.Channels {
		if ch.ID == now.GetId() && now.GetTitle() != "" && (ch.Title != now.GetTitle() || ch.Username != now.GetUsername()) {
			ch.Title, ch.Username = now.GetTitle(), now.GetUsername()
			g.setChannel(c, ch)
		}
	}
}

func (g *group) seeChannel(c actor.Context, ch persistence.Channel, now *protos.Chat) {
	title := now.GetTitle()
	if title == "" {
		title = ch.Title
	}
	if title != ch.Title || now.GetUsername() != ch.Username {
		ch.Title, ch.Username = title, now.GetUsername()
		g.setChannel(c, ch)
	}
	switch {
	case ch.Username != "":
	case ch.InviteLink == "":
		g.renewLink(c, ch)
	default:
		g.request(c, &protos.Job{
			Lane: protos.Lane_LOOKUP, ChatId: g.id, Do: &protos.Job_EditInviteLink{EditInviteLink: &protos.EditInviteLink{
				ChatId: ch.ID, InviteLink: ch.InviteLink, Name: linkName,
			}},
		}, func(c actor.Context, m *protos.JobDone) {
			if m.GetOutcome() == protos.Outcome_GONE || m.GetOutcome() == protos.Outcome_DONE && m.GetRevoked() {
				g.renewLink(c, ch)
			}
		})
	}
}

// renewLink makes another link of the bot's own; that of the channel's owner is left alone.
func (g *group) renewLink(c actor.Context, ch persistence.Channel) {
	g.request(c, &protos.Job{
		Lane: protos.Lane_LOOKUP, ChatId: g.id, Do: &protos.Job_CreateInviteLink{CreateInviteLink: &protos.CreateInviteLink{
			ChatId: ch.ID, Name: linkName,
		}},
	}, func(c actor.Context, m *protos.JobDone) {
		if m.GetInviteLink() != "" {
			ch.InviteLink = m.GetInviteLink()
			g.setChannel(c, ch)
		}
	})
}

// setChannel stores what a channel is called now, and has notices show it.
func (g *group) setChannel(c actor.Context, ch persistence.Channel) {
	channels := slices.Clone(g.g.Channels) // verifications look at those there were
	for i := range channels {
		if channels[i].ID == ch.ID {
			channels[i] = ch
		}
	}
	g.g.Channels, g.rules = channels, nil
	g.d.writer.Do(func(tx persistence.Tx) error { return tx.SetChannel(ch) }, g.logLost("channel"))
	for _, n := range g.notices {
		n.shown = nil
	}
	g.tendNotices(c)
}
