package simulator

import (
	"slices"
	"strings"
)

// Rename gives a chat another title.
func (s *Server) Rename(chatID int64, title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chats[chatID].title = title
	s.touch()
}

// SetUsername gives a chat another @name; empty makes it private.
func (s *Server) SetUsername(chatID int64, username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	delete(s.names, strings.ToLower(c.username))
	c.username = username
	if username != "" {
		s.names[strings.ToLower(username)] = chatID
	}
	s.touch()
}

// SetLanguage sets the language of a person's client.
func (s *Server) SetLanguage(userID int64, tag string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[userID].language = tag
}

// Link makes a supergroup the discussion group of a channel.
func (s *Server) Link(channelID, groupID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chats[channelID].linked, s.chats[groupID].linked = groupID, channelID
}

// Migrate upgrades a basic group to a supergroup and returns the new id. Members keep their standing, and
// both chats get a service message. Source: Bot API server, Client.cpp.
func (s *Server) Migrate(groupID int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.chats[groupID]
	s.nextID++
	id := firstChannelID - s.nextID
	next := *old
	next.id, next.kind, next.messages, next.lastID = id, "supergroup", nil, 0
	s.chats[id] = &next
	owner := int64(0)
	for user, m := range next.members {
		if m.Status == Creator {
			owner = user
		}
	}
	s.service(old, owner, map[string]any{"migrate_to_chat_id": id})
	old.movedTo = id
	s.service(&next, owner, map[string]any{"migrate_from_chat_id": groupID})
	return id
}

// DeleteAsModerator deletes a message the way a moderator does; no bot is told.
func (s *Server) DeleteAsModerator(chatID, messageID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	if i, ok := c.index(messageID); ok {
		c.forget(c.messages[i])
		c.messages = slices.Delete(c.messages, i, i+1)
	}
	s.touch()
}

// ChangeRightsQuietly gives somebody other rights without telling any bot, as when an update is lost.
func (s *Server) ChangeRightsQuietly(chatID, userID int64, rights AdminRights) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chats[chatID].members[userID] = &Member{Status: Administrator, Rights: rights}
	s.touch()
}

// SetPrivacy turns a bot's privacy mode, which is on at first, on or off. Source: Bot API, getMe.
func (s *Server) SetPrivacy(botID int64, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bots {
		if b.ID == botID {
			b.readsAll = !on
		}
	}
}

// HideMembers shows a chat's members to its administrators only; no service messages tell of joins and leaves.
func (s *Server) HideMembers(chatID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chats[chatID].hidden = true
}

// JoinByAsking makes everybody who joins a chat by themselves ask to be let in.
func (s *Server) JoinByAsking(chatID int64, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chats[chatID].byAsking = on
}

// CloseTopic lets nobody but administrators write in a topic; DeleteTopic removes it.
func (s *Server) CloseTopic(chatID, thread int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chats[chatID].closed[thread] = true
}

// DeleteTopic removes a topic with what is in it.
func (s *Server) DeleteTopic(chatID, thread int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.chats[chatID]
	delete(c.topics, thread)
	c.messages = slices.DeleteFunc(c.messages, func(m *message) bool { return m.thread == thread || m.id == thread })
	s.touch()
}

// DeleteAccount ends a person's account. Nobody is told; messages stay.
func (s *Server) DeleteAccount(userID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[userID]
	u.deleted, u.first, u.last, u.username = true, "", "", ""
	s.touch()
}

// NoteCreation writes the service message of a group's creation, which nobody can delete.
func (s *Server) NoteCreation(chatID int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.service(s.chats[chatID], 0, map[string]any{"supergroup_chat_created": true}).id
}
