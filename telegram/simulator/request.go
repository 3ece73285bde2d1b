package simulator

import "fmt"

// petitioner finds who asked to join. Source: Telegram's back end, for the codes.
func (s *Server) petitioner(b *account, p params) (*chat, int64, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, 0, err
	}
	id, err := s.person(p)
	if err != nil {
		return nil, 0, err
	}
	if err := mayInvite(c, b, "join requests"); err != nil {
		return nil, 0, err
	}
	switch _, ok := c.requests[id]; {
	case ok:
		return c, id, nil
	case c.standing(id).Present():
		return nil, 0, s.remembered("USER_ALREADY_PARTICIPANT")
	case c.asked[id]:
		return nil, 0, s.remembered("HIDE_REQUESTER_MISSING") // handled already, or taken back
	}
	return nil, 0, bad("USER_ID_INVALID") // never asked
}

func approveChatJoinRequest(s *Server, b *account, p params) (any, error) {
	c, id, err := s.petitioner(b, p)
	if err != nil {
		return nil, err
	}
	s.approve(c, b.ID, id)
	return true, nil
}

func (s *Server) approve(c *chat, by, id int64) {
	more := map[string]any{"via_join_request": true}
	if l := c.requests[id]; l.link != "" {
		more["invite_link"] = s.linkJSON(l)
	}
	s.processed(c, id)
	next := Member{Status: MemberStatus}
	if old := s.ended(c, id); old.Status == Restricted {
		next = old
		next.IsMember = true
	}
	s.setMember(c, by, id, next, more)
	s.welcome(c, id, []int64{id}) // from the one who joins. Source: Bot API server, Client.cpp
	s.tell(Event{Kind: "approve", ChatID: c.id, UserID: by, Target: id})
}

// processed ends a request, and with it the time in which bots may write to who asked. Source: Bot API,
// ChatJoinRequest.
func (s *Server) processed(c *chat, id int64) {
	delete(c.requests, id)
	clear(s.users[id].open)
}

func declineChatJoinRequest(s *Server, b *account, p params) (any, error) {
	c, id, err := s.petitioner(b, p)
	if err != nil {
		return nil, err
	}
	s.processed(c, id)
	c.declined[id] = true
	s.tell(Event{Kind: "decline", ChatID: c.id, UserID: b.ID, Target: id})
	return true, nil
}

// RequestJoin lets a person ask to join a chat, as by a link of its owner that creates requests.
// user_chat_id is the person's private chat, where a bot that saw the request may write for five minutes.
func (s *Server) RequestJoin(chatID, userID int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.both(chatID, userID)
	if err != nil {
		return err
	}
	owner := int64(0)
	for id, m := range c.members {
		if m.Status == Creator {
			owner = id
		}
	}
	l := &inviteLink{} // of a chat where everybody has to ask there is no link
	if !c.byAsking {
		l = s.newLink(c, owner, "", true)
	}
	return s.ask(c, userID, l)
}

// ask puts a request to join. The world is locked.
func (s *Server) ask(c *chat, userID int64, l *inviteLink) error {
	if m := s.ended(c, userID); m.Present() || m.Status == Kicked {
		return fmt.Errorf("%w: a member already, or banned", ErrMayNot)
	}
	if c.declined[userID] && s.o.Switches.DeclinedForGood {
		return fmt.Errorf("%w: was declined", ErrMayNot)
	}
	c.requests[userID], c.asked[userID] = l, true
	body := map[string]any{
		"chat": s.chatJSON(c), "from": s.userJSON(userID), "user_chat_id": userID, "date": s.now(),
	}
	if l.link != "" {
		body["invite_link"] = s.linkJSON(l)
	}
	for _, b := range s.bots {
		if m := c.standing(b.ID); m.Status == Administrator && m.Rights["can_invite_users"] {
			s.users[userID].asked(b.ID, s.clock())
			s.push(b, "chat_join_request", s.linkFor(b, body))
		}
	}
	s.tell(Event{Kind: "request", ChatID: c.id, UserID: userID, Target: userID})
	s.touch()
	return nil
}

// WithdrawRequest lets a person take the request back; nobody is told.
func (s *Server) WithdrawRequest(chatID, userID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.chats[chatID]; c != nil {
		delete(c.requests, userID)
	}
}

// ApproveRequest lets an administrator let somebody in.
func (s *Server) ApproveRequest(chatID, by, userID int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.both(chatID, userID)
	if err != nil {
		return err
	}
	if c.requests[userID] == nil {
		return fmt.Errorf("%w: nobody asked", ErrMayNot)
	}
	s.approve(c, by, userID)
	return nil
}

// Requests lists who waits to be let into a chat.
func (s *Server) Requests(chatID int64) (list []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.chats[chatID]; c != nil {
		for id := range c.requests {
			list = append(list, id)
		}
	}
	return list
}
