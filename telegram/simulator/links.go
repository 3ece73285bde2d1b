package simulator

import (
	"fmt"
	"maps"
	"strings"
)

// mayInvite: links and requests to join need the right to invite. Source: TDLib.
func mayInvite(c *chat, b *account, what string) error {
	if m := c.standing(b.ID); m.Status != Creator && !m.Rights["can_invite_users"] {
		return bad("not enough rights to manage chat " + what)
	}
	return nil
}

func (s *Server) linkJSON(l *inviteLink) map[string]any {
	m := map[string]any{
		"invite_link": l.link, "creator": s.userJSON(l.creator), "creates_join_request": l.request, "is_primary": l.primary, "is_revoked": l.revoked,
	}
	putIf(m, "name", l.name)
	if l.most > 0 {
		m["member_limit"] = l.most
	}
	if l.expires > 0 {
		m["expire_date"] = l.expires
	}
	return m
}

// linkFor hides the second half of an update's invite link from bots that did not make it. Source: Bot API,
// ChatInviteLink.
func (s *Server) linkFor(b *account, body map[string]any) map[string]any {
	l, ok := body["invite_link"].(map[string]any)
	if !ok {
		return body
	}
	creator, _ := l["creator"].(map[string]any)
	link, _ := l["invite_link"].(string)
	if creator["id"] == b.ID {
		return body
	}
	l, body = maps.Clone(l), maps.Clone(body)
	l["invite_link"] = link[:len(link)-8] + "…"
	body["invite_link"] = l
	return body
}

func createChatInviteLink(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	if err := mayInvite(c, b, "invite link"); err != nil {
		return nil, err
	}
	request, most := p.boolean("creates_join_request"), clamp(p.integer("member_limit", 0), 0, 99999)
	if request && most > 0 {
		return nil, bad("member limit can't be specified for links requiring administrator approval")
	}
	l := s.newLink(c, b.ID, linkName(p), request)
	l.most, l.expires = most, p.integer("expire_date", 0)
	return s.linkJSON(l), nil
}

// exportChatInviteLink makes a new primary link of the bot's, which revokes the one before. Source: Bot API,
// exportChatInviteLink.
func exportChatInviteLink(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	if err := mayInvite(c, b, "invite link"); err != nil {
		return nil, err
	}
	if before := c.primary[b.ID]; before != nil {
		before.revoked = true
	}
	l := s.newLink(c, b.ID, "", false)
	l.primary = true
	c.primary[b.ID] = l
	return l.link, nil
}

// maxLinkName is how much of a link's name is kept, characters. Source: TDLib, DialogInviteLinkManager.
const maxLinkName = 32

func linkName(p params) string {
	name := []rune(strings.TrimSpace(p.str("name")))
	return string(name[:min(len(name), maxLinkName)])
}

func (s *Server) newLink(c *chat, by int64, name string, request bool) *inviteLink {
	s.seq++
	l := &inviteLink{link: fmt.Sprintf("https://t.me/+Sim%013d", s.seq), name: name, creator: by, request: request}
	c.links[l.link] = l
	return l
}

// ownLink finds a link of the bot's; links of others are not its to change.
func (s *Server) ownLink(b *account, p params) (*inviteLink, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	if err := mayInvite(c, b, "invite link"); err != nil {
		return nil, err
	}
	l := c.links[p.str("invite_link")]
	if l == nil || l.creator != b.ID {
		return nil, bad("INVITE_HASH_EXPIRED")
	}
	return l, nil
}

// editChatInviteLink changes a link that stands; a revoked one cannot be changed.
func editChatInviteLink(s *Server, b *account, p params) (any, error) {
	l, err := s.ownLink(b, p)
	if err != nil {
		return nil, err
	}
	if l.revoked {
		return nil, bad("INVITE_HASH_EXPIRED")
	}
	l.name, l.request = linkName(p), p.boolean("creates_join_request")
	l.most, l.expires = clamp(p.integer("member_limit", 0), 0, 99999), p.integer("expire_date", 0)
	return s.linkJSON(l), nil
}

func revokeChatInviteLink(s *Server, b *account, p params) (any, error) {
	l, err := s.ownLink(b, p)
	if err != nil {
		return nil, err
	}
	l.revoked = true
	return s.linkJSON(l), nil
}

// JoinByLink lets a person open an invite link: it lets them in, or asks for them.
func (s *Server) JoinByLink(chatID, userID int64, link string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.both(chatID, userID)
	if err != nil {
		return err
	}
	l := c.links[link]
	switch {
	case l == nil || l.revoked || l.expires > 0 && s.now() >= l.expires || l.most > 0 && l.used >= l.most:
		return fmt.Errorf("%w: the link leads nowhere", ErrMayNot)
	case l.request:
		return s.ask(c, userID, l)
	}
	joined, err := s.enter(c, userID, userID, 0, map[string]any{"invite_link": s.linkJSON(l)})
	if joined {
		l.used++
		s.welcome(c, userID, []int64{userID})
	}
	return err
}

// RevokeLinks lets an administrator revoke every invite link of a chat; nobody is told.
func (s *Server) RevokeLinks(chatID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.chats[chatID]; c != nil {
		for _, l := range c.links {
			l.revoked = true
		}
	}
}

// LinkWorks reports whether an invite link leads into a chat.
func (s *Server) LinkWorks(chatID int64, link string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	return c != nil && c.links[link] != nil && !c.links[link].revoked
}
