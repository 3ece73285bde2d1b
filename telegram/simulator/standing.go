package simulator

import (
	"fmt"
	"maps"
	"time"
)

// standing is somebody's standing now: a restriction whose time is over is none.
func (c *chat) standing(userID int64) Member {
	if m := c.members[userID]; m != nil {
		return *m
	}
	return Member{Status: Left}
}

// ended turns restrictions, bans and subscriptions whose time is over into what they become. No update tells
// of it, unless the switch says so. Source: from memory.
func (s *Server) ended(c *chat, userID int64) Member {
	m := c.standing(userID)
	if m.Until == 0 || m.Until > s.now() {
		return m
	}
	next := Member{Status: Left}
	if m.Status == Restricted && m.IsMember {
		next.Status = MemberStatus
	}
	c.members[userID] = &next
	if s.o.Switches.ExpiryTells {
		s.tellMember(c, userID, userID, m, next, nil)
	}
	return next
}

// setMember changes a standing and sends the updates that the change sends. more is what they say beside.
// The world is locked.
func (s *Server) setMember(c *chat, by, userID int64, next Member, more map[string]any) {
	old := s.ended(c, userID)
	c.members[userID] = &next
	c.known[userID] = true
	if next.Status == Left {
		delete(c.members, userID)
	}
	s.tellMember(c, by, userID, old, next, more)
	if left := next.Until - s.now(); next.Until > 0 && s.o.Switches.ExpiryTells {
		time.AfterFunc(time.Duration(left)*time.Second, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.ended(c, userID)
		})
	}
}

// tellMember sends my_chat_member to the bot whom a change befalls, and chat_member to bots that administer
// the chat. The world is locked.
func (s *Server) tellMember(c *chat, by, userID int64, old, next Member, more map[string]any) {
	var body map[string]any // made when a bot is told
	about := func() map[string]any {
		if body == nil {
			body = map[string]any{
				"chat": s.chatJSON(c), "from": s.userJSON(by), "date": s.now(),
				"old_chat_member": s.memberJSON(c, userID, old), "new_chat_member": s.memberJSON(c, userID, next),
			}
			maps.Copy(body, more)
		}
		return body
	}
	for _, b := range s.bots {
		switch {
		case b.ID == userID:
			s.push(b, "my_chat_member", about())
		case by == b.ID && s.o.Switches.QuietBotRestrictions:
		case b.wants("chat_member") && c.standing(b.ID).admin():
			s.push(b, "chat_member", s.linkFor(b, about()))
		}
	}
	s.touch()
}

// enter lets somebody into a chat; more is what chat_member says beside. It reports whether that changed
// anything. The world is locked.
func (s *Server) enter(c *chat, by, userID, until int64, more map[string]any) (bool, error) {
	old := s.ended(c, userID)
	if old.Present() {
		return false, nil
	}
	next := Member{Status: MemberStatus, Until: until}
	switch old.Status {
	case Kicked:
		return false, fmt.Errorf("%w: banned", ErrMayNot)
	case Restricted:
		next = old
		next.IsMember = true
	case Creator:
		next = old
		next.Away = false
	}
	if c.requests[userID] != nil {
		s.processed(c, userID)
	}
	s.setMember(c, by, userID, next, more)
	s.tell(Event{Kind: "join", ChatID: c.id, UserID: by, Target: userID})
	return true, nil
}

// welcome leaves the service message of those who came. The world is locked.
func (s *Server) welcome(c *chat, by int64, users []int64) {
	if len(users) == 0 || c.kind == "channel" || c.hidden || s.o.Switches.NoServiceMessages {
		return
	}
	list := make([]any, 0, len(users))
	for _, id := range users {
		list = append(list, s.userJSON(id))
	}
	s.service(c, by, map[string]any{"new_chat_participant": list[0], "new_chat_member": list[0], "new_chat_members": list})
}

// expel sets the standing of somebody who is outside after it, and leaves the service message that tells
// of a present member's going, unless the chat is large or hides its members. The world is locked.
func (s *Server) expel(c *chat, by, userID int64, next Member) {
	present := s.ended(c, userID).Present()
	large := s.o.Switches.LeaveMessagesUpTo > 0 && len(c.members) > s.o.Switches.LeaveMessagesUpTo
	s.setMember(c, by, userID, next, nil)
	if present && c.kind != "channel" && !c.hidden && !large && !s.o.Switches.NoServiceMessages {
		u := s.userJSON(userID)
		s.service(c, by, map[string]any{"left_chat_participant": u, "left_chat_member": u})
	}
}

// service writes a service message and sends it to the bots that see it: those that are there, of their
// own acts only the removals. Source: Bot API server, Client.cpp (need_skip_update_message). The world is
// locked.
func (s *Server) service(c *chat, from int64, fields map[string]any) *message {
	c.lastID++
	m := &message{id: c.lastID, from: from, date: s.now(), service: fields}
	c.messages = append(c.messages, m)
	for _, b := range s.bots {
		if _, removal := fields["left_chat_member"]; c.standing(b.ID).Present() && (b.ID != from || removal) {
			s.push(b, "message", s.messageJSON(c, m))
		}
	}
	s.touch()
	return m
}
