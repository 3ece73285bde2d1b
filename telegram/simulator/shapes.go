package simulator

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
)

// The shapes in which Telegram writes its things, with the legacy fields that its server still adds.
// Source: Bot API server, Client.cpp (JsonUser, JsonChat, JsonChatMember, JsonMessage).

func (s *Server) userJSON(id int64) map[string]any {
	u := s.users[id]
	if u == nil {
		switch id {
		case anonymousAdmin:
			return map[string]any{"id": id, "is_bot": true, "first_name": "Group", "username": "GroupAnonymousBot"}
		case channelBot:
			return map[string]any{"id": id, "is_bot": true, "first_name": "Channel", "username": "Channel_Bot"}
		case telegramItself:
			return map[string]any{"id": id, "is_bot": false, "first_name": "Telegram"}
		}
		return map[string]any{"id": id, "is_bot": false, "first_name": ""}
	}
	m := map[string]any{"id": id, "is_bot": u.bot, "first_name": u.first}
	putIf(m, "last_name", u.last)
	putIf(m, "username", u.username)
	putIf(m, "language_code", u.language)
	return m
}

func putIf(m map[string]any, key, value string) {
	if value != "" {
		m[key] = value
	}
}

// Ids Telegram uses for senders that are no persons.
const (
	anonymousAdmin = 1087968824
	channelBot     = 136817688
	telegramItself = 777000
)

func (s *Server) chatJSON(c *chat) map[string]any {
	m := map[string]any{"id": c.id, "type": c.kind}
	putIf(m, "username", c.username)
	if c.kind == "private" {
		if u := s.users[c.id]; u != nil {
			m["first_name"] = u.first
			putIf(m, "last_name", u.last)
		}
		return m
	}
	m["title"] = c.title
	if c.forum {
		m["is_forum"] = true
	}
	if c.kind == "group" {
		m["all_members_are_administrators"] = false
	}
	return m
}

func (s *Server) memberJSON(c *chat, id int64, mem Member) map[string]any {
	m := map[string]any{"user": s.userJSON(id), "status": mem.Status}
	switch mem.Status {
	case Creator:
		m["is_anonymous"] = mem.Anonymous
	case Administrator:
		m["can_be_edited"] = false
		m["is_anonymous"] = mem.Anonymous
		names := append(append([]string{}, rightNames...), channelRights...)
		if c.kind != "channel" {
			names = append(append([]string{}, rightNames...), groupRights...)
		}
		for _, n := range names {
			m[n] = mem.Rights[n]
		}
		m["can_manage_voice_chats"] = mem.Rights["can_manage_video_chats"]
	case Restricted:
		m["is_member"], m["until_date"] = mem.IsMember, mem.Until
		for _, n := range PermissionNames {
			m[n] = mem.Permissions[n]
		}
		m["can_send_media_messages"] = mem.Permissions["can_send_photos"]
	case Kicked:
		m["until_date"] = mem.Until
	case MemberStatus:
		if mem.Until != 0 { // a paid subscription's end. Source: Bot API, ChatMemberMember
			m["until_date"] = mem.Until
		}
	}
	return m
}

func (s *Server) messageJSON(c *chat, x *message) map[string]any {
	m := map[string]any{"message_id": x.id, "date": x.date, "chat": s.chatJSON(c)}
	if x.from != 0 {
		m["from"] = s.userJSON(x.from)
	}
	if x.senderChat != 0 {
		m["sender_chat"] = s.chatJSON(s.chats[x.senderChat])
	}
	if x.edited != 0 {
		m["edit_date"] = x.edited
	}
	if x.thread != 0 {
		m["message_thread_id"] = x.thread
		if c.forum {
			m["is_topic_message"] = true
		}
	}
	if x.whisper != 0 {
		m["ephemeral_message_id"], m["receiver_user"] = x.whisper, s.userJSON(x.receiver)
	}
	if x.viaBot != 0 {
		m["via_bot"] = s.userJSON(x.viaBot)
	}
	putIf(m, "media_group_id", x.album)
	if x.auto {
		m["is_automatic_forward"] = true
	}
	if x.origin != 0 {
		m["forward_origin"] = map[string]any{
			"type": "channel", "date": x.date, "chat": s.chatJSON(s.chats[x.origin]), "message_id": 1,
		}
	}
	if x.replyTo != 0 {
		if r := c.find(x.replyTo); r != nil {
			inner := s.messageJSON(c, r)
			delete(inner, "reply_to_message")
			m["reply_to_message"] = inner
		}
	}
	maps.Copy(m, x.service)
	if x.file != nil {
		m["document"] = x.file.json()
		putIf(m, "caption", x.text)
		if len(x.entities) > 0 {
			m["caption_entities"] = x.entities
		}
	}
	if x.service == nil && x.file == nil {
		m["text"] = x.text
		if len(x.entities) > 0 {
			m["entities"] = x.entities
		}
	}
	if x.markup != nil {
		var keyboard struct {
			Inline json.RawMessage `json:"inline_keyboard"`
		}
		if json.Unmarshal(x.markup, &keyboard) == nil && keyboard.Inline != nil {
			m["reply_markup"] = x.markup
		}
	}
	return m
}

func (c *chat) find(id int64) *message {
	if i, ok := c.index(id); ok {
		return c.messages[i]
	}
	return nil
}

// index is where a message stands; ids only grow.
func (c *chat) index(id int64) (int, bool) {
	return slices.BinarySearchFunc(c.messages, id, func(m *message, id int64) int { return cmp.Compare(m.id, id) })
}
