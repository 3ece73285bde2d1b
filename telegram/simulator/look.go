package simulator

import (
	"context"
	"encoding/json"
	"slices"
)

// Message is a living message, for those who look at the world.
type Message struct {
	ID          int64
	From        int64
	Text        string
	Entities    json.RawMessage
	ReplyMarkup json.RawMessage
	ThreadID    int64
	ReplyTo     int64
	Service     bool
	Edited      bool
}

// Messages lists a chat's messages that are still there, oldest first.
func (s *Server) Messages(chatID int64) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	if c == nil {
		return nil
	}
	list := make([]Message, 0, len(c.messages))
	for _, m := range c.messages {
		list = append(list, Message{
			ID: m.id, From: m.from, Text: m.text, Entities: mustJSON(m.entities), ReplyMarkup: m.markup, ThreadID: m.thread,
			ReplyTo: m.replyTo, Service: m.service != nil, Edited: m.edited != 0,
		})
	}
	return list
}

// Member says somebody's standing in a chat.
func (s *Server) Member(chatID, userID int64) Member {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	if c == nil {
		return Member{Status: Left}
	}
	return s.ended(c, userID)
}

// Name is what a person or chat is called.
func (s *Server) Name(id int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.users[id]; u != nil {
		return u.first
	}
	if c := s.chats[id]; c != nil {
		return c.title
	}
	return ""
}

// Calls lists the calls of bots, oldest first, as far as they are remembered.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// CallsOf lists the calls of one method.
func (s *Server) CallsOf(method string) []Call {
	return slices.DeleteFunc(s.Calls(), func(c Call) bool { return c.Method != method })
}

// ResetCalls forgets the calls so far.
func (s *Server) ResetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// WaitFor returns when cond holds; it looks again at each change of the world.
func (s *Server) WaitFor(ctx context.Context, cond func() bool) error {
	for {
		s.mu.Lock()
		changed := s.watch()
		s.mu.Unlock()
		if cond() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WaitCall returns the first remembered call that matches, waiting for it.
func (s *Server) WaitCall(ctx context.Context, match func(Call) bool) (found Call, err error) {
	err = s.WaitFor(ctx, func() bool {
		calls := s.Calls()
		if i := slices.IndexFunc(calls, match); i >= 0 {
			found = calls[i]
			return true
		}
		return false
	})
	return found, err
}

// ChatView is a chat as a page shows it.
type ChatView struct {
	ID       int64
	Kind     string
	Title    string
	Members  []MemberView
	Messages []MessageView
}

// MemberView is a member as a page shows one.
type MemberView struct {
	ID     int64
	Name   string
	Status string
}

// MessageView is a message as a page shows it.
type MessageView struct{ From, Text string }

// Chats lists the groups and channels of the world.
func (s *Server) Chats() []ChatView {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []ChatView
	for _, c := range s.chats {
		if c.kind == "private" {
			continue
		}
		v := ChatView{ID: c.id, Kind: c.kind, Title: c.title}
		for id := range c.members {
			v.Members = append(v.Members, MemberView{ID: id, Name: s.users[id].first, Status: s.ended(c, id).Status})
		}
		slices.SortFunc(v.Members, func(a, b MemberView) int { return int(a.ID - b.ID) })
		for _, m := range c.messages {
			if m.service == nil {
				from, _ := s.userJSON(m.from)["first_name"].(string)
				v.Messages = append(v.Messages, MessageView{From: from, Text: m.text})
			}
		}
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b ChatView) int { return int(b.ID - a.ID) })
	return list
}
