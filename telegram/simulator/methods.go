package simulator

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// method is one method of the Bot API. The world is locked while it runs.
type method func(s *Server, b *account, p params) (any, error)

// modelled are the methods that do what Telegram's do.
var modelled = map[string]method{
	"getMe":                  getMe,
	"getUpdates":             func(*Server, *account, params) (any, error) { return nil, nil }, // waits; see Server.getUpdates
	"setWebhook":             setWebhook,
	"deleteWebhook":          deleteWebhook,
	"getWebhookInfo":         getWebhookInfo,
	"getChat":                getChat,
	"getChatMember":          getChatMember,
	"getChatAdministrators":  getChatAdministrators,
	"getChatMemberCount":     getChatMemberCount,
	"restrictChatMember":     restrictChatMember,
	"banChatMember":          banChatMember,
	"unbanChatMember":        unbanChatMember,
	"promoteChatMember":      promoteChatMember,
	"sendMessage":            sendMessage,
	"editMessageText":        editMessageText,
	"editMessageReplyMarkup": editMessageReplyMarkup,
	"deleteMessage":          deleteMessage,
	"deleteMessages":         deleteMessages,
	"answerCallbackQuery":    answerCallbackQuery,
	"createChatInviteLink":   createChatInviteLink,
	"setMyCommands":          setMyCommands,
	"getMyCommands":          getMyCommands,
	"leaveChat":              leaveChat,
}

// methodNamed finds a method; names are case-insensitive.
func methodNamed(name string) (string, method) {
	if f, ok := modelled[name]; ok {
		return name, f
	}
	for known, f := range modelled {
		if strings.EqualFold(known, name) {
			return known, f
		}
	}
	return name, nil
}

func getMe(s *Server, b *account, _ params) (any, error) {
	m := s.userJSON(b.ID)
	for key, value := range map[string]bool{
		"can_join_groups": true, "can_read_all_group_messages": false, "supports_inline_queries": false,
		"can_connect_to_business": false, "has_main_web_app": false,
	} {
		m[key] = value
	}
	return m, nil
}

func setWebhook(_ *Server, b *account, p params) (any, error) {
	if p.str("url") != "" {
		return nil, apiError{code: 501, text: "Not Implemented: the simulator does not deliver webhooks"}
	}
	b.webhook = ""
	return true, nil
}

func deleteWebhook(_ *Server, b *account, p params) (any, error) {
	b.webhook = ""
	if p.boolean("drop_pending_updates") {
		b.queue = nil
	}
	return true, nil
}

func getWebhookInfo(_ *Server, b *account, _ params) (any, error) {
	return map[string]any{"url": b.webhook, "has_custom_certificate": false, "pending_update_count": len(b.queue)}, nil
}

func setMyCommands(_ *Server, b *account, p params) (any, error) {
	var list []struct{ Command, Description string }
	if json.Unmarshal(p.raw("commands"), &list) != nil {
		return nil, bad("can't parse commands: expected an Array of BotCommand")
	}
	for _, c := range list {
		if c.Command == "" || len(c.Command) > 32 || c.Description == "" || len(c.Description) > 256 {
			return nil, bad("BOT_COMMAND_INVALID")
		}
	}
	b.commands = p.raw("commands")
	return true, nil
}

func getMyCommands(_ *Server, b *account, _ params) (any, error) {
	if b.commands == nil {
		return []any{}, nil
	}
	return b.commands, nil
}

// reach finds the chat a parameter names and what the bot may know of it.
func (s *Server) reach(b *account, p params) (*chat, error) {
	name := p.str("chat_id")
	var c *chat
	if at, ok := strings.CutPrefix(name, "@"); ok {
		c = s.chats[s.names[strings.ToLower(at)]]
	} else if id, err := strconv.ParseInt(name, 10, 64); err == nil {
		c = s.chats[id]
		if c == nil && s.users[id] != nil {
			c = s.private(id)
		}
	}
	switch {
	case name == "":
		return nil, bad("chat_id is empty")
	case c == nil:
		return nil, bad("chat not found")
	case c.movedTo != 0:
		return nil, apiError{
			code: 400, migrateTo: c.movedTo, text: "Bad Request: group chat was upgraded to a supergroup chat",
		}
	case c.kind == "private":
		return c, nil
	}
	m := c.standing(b.ID)
	word := map[string]string{"channel": "channel", "supergroup": "supergroup", "group": "group"}[c.kind]
	switch {
	case m.Status == Kicked:
		return nil, forbidden("bot was kicked from the " + word + " chat")
	case !m.Present() && c.username == "" && c.known[b.ID]:
		return nil, forbidden("bot is not a member of the " + word + " chat")
	case !m.Present() && c.username == "":
		return nil, bad("chat not found")
	}
	return c, nil
}

// person reads user_id.
func (s *Server) person(p params) (int64, error) {
	id := p.integer("user_id", 0)
	if id <= 0 {
		return 0, bad("invalid user_id specified")
	}
	if s.users[id] == nil {
		return 0, bad("PARTICIPANT_ID_INVALID")
	}
	return id, nil
}

func getChat(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	m := s.chatJSON(c)
	m["accent_color_id"], m["max_reaction_count"] = 0, 11
	m["accepted_gift_types"] = map[string]any{
		"unlimited_gifts": false, "limited_gifts": false, "unique_gifts": false, "premium_subscription": false, "gifts_from_channels": false,
	}
	if c.kind == "supergroup" || c.kind == "group" {
		m["permissions"] = c.defaults
	}
	if c.linked != 0 {
		m["linked_chat_id"] = c.linked
	}
	return m, nil
}

func getChatMember(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	id, err := s.person(p)
	if err != nil {
		return nil, err
	}
	if c.kind == "channel" && !c.standing(b.ID).admin() {
		return nil, bad("member list is inaccessible")
	}
	return s.memberJSON(c, id, s.ended(c, id)), nil
}

func getChatAdministrators(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	if c.kind == "private" {
		return nil, bad("there are no administrators in the private chat")
	}
	list := []any{}
	for id, m := range c.members {
		if m.admin() && (s.users[id] == nil || !s.users[id].bot || id == b.ID) {
			list = append(list, s.memberJSON(c, id, *m))
		}
	}
	return list, nil
}

func getChatMemberCount(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, m := range c.members {
		if m.Present() {
			n++
		}
	}
	return n, nil
}

func leaveChat(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	s.expel(c, b.ID, b.ID, Member{Status: Left})
	return true, nil
}

// maxLinkName is how much of a link's name is kept, characters. Source: TDLib, DialogInviteLinkManager.
const maxLinkName = 32

func createChatInviteLink(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	if m := c.standing(b.ID); m.Status != Creator && !m.Rights["can_invite_users"] {
		return nil, bad("not enough rights to manage chat invite link")
	}
	request, most := p.boolean("creates_join_request"), clamp(p.integer("member_limit", 0), 0, 99999)
	if request && most > 0 {
		return nil, bad("member limit can't be specified for links requiring administrator approval")
	}
	name := []rune(strings.TrimSpace(p.str("name")))
	name = name[:min(len(name), maxLinkName)]
	s.seq++
	l := &inviteLink{link: fmt.Sprintf("https://t.me/+Sim%013d", s.seq), name: string(name), creator: b.ID, request: request}
	c.links[l.link] = l
	m := map[string]any{
		"invite_link": l.link, "creator": s.userJSON(b.ID), "creates_join_request": l.request, "is_primary": false, "is_revoked": false,
	}
	putIf(m, "name", l.name)
	if most > 0 {
		m["member_limit"] = most
	}
	if at := p.integer("expire_date", 0); at > 0 {
		m["expire_date"] = at
	}
	return m, nil
}
