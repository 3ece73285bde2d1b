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
	"setChatPermissions":     setChatPermissions,
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
	"exportChatInviteLink":   exportChatInviteLink,
	"editChatInviteLink":     editChatInviteLink,
	"revokeChatInviteLink":   revokeChatInviteLink,
	"approveChatJoinRequest": approveChatJoinRequest,
	"declineChatJoinRequest": declineChatJoinRequest,
	"banChatSenderChat":      banChatSenderChat,
	"unbanChatSenderChat":    unbanChatSenderChat,
	"sendDocument":           sendDocument,

	"deleteEphemeralMessage":   deleteEphemeralMessage,
	"editEphemeralMessageText": editEphemeralMessageText,

	"getFile":       getFile,
	"setMyCommands": setMyCommands,
	"getMyCommands": getMyCommands,
	"leaveChat":     leaveChat,
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
		"can_join_groups": true, "can_read_all_group_messages": b.readsAll, "supports_inline_queries": false,
		"can_connect_to_business": false, "has_main_web_app": false,
	} {
		m[key] = value
	}
	return m, nil
}

func setMyCommands(_ *Server, b *account, p params) (any, error) {
	var list []struct{ Command, Description string }
	if json.Unmarshal(p.raw("commands"), &list) != nil {
		return nil, bad("can't parse commands: expected an Array of BotCommand")
	}
	if len(list) > 100 {
		return nil, bad("BOT_COMMANDS_TOO_MUCH")
	}
	for _, c := range list {
		if c.Command == "" || len(c.Command) > 32 || c.Description == "" || len(c.Description) > 256 {
			return nil, bad("BOT_COMMAND_INVALID")
		}
	}
	if b.commands == nil {
		b.commands = map[string]json.RawMessage{}
	}
	b.commands[commandsKey(p)] = p.raw("commands")
	return true, nil
}

func getMyCommands(_ *Server, b *account, p params) (any, error) {
	if list := b.commands[commandsKey(p)]; list != nil {
		return list, nil
	}
	return []any{}, nil
}

// commandsKey names the scope and language of a list of commands, which are kept apart. Source: Bot API,
// BotCommandScope.
func commandsKey(p params) string {
	var scope struct {
		Type string          `json:"type"`
		Chat json.RawMessage `json:"chat_id"`
		User int64           `json:"user_id"`
	}
	if json.Unmarshal(p.raw("scope"), &scope) != nil || scope.Type == "" {
		scope.Type = "default"
	}
	return fmt.Sprint(scope.Type, string(scope.Chat), scope.User, p.str("language_code"))
}

// named finds a chat by what a parameter calls it; nil where there is none.
func (s *Server) named(name string) *chat {
	if at, ok := strings.CutPrefix(name, "@"); ok {
		return s.chats[s.names[strings.ToLower(at)]]
	}
	id, err := strconv.ParseInt(name, 10, 64)
	if err != nil {
		return nil
	}
	if c := s.chats[id]; c != nil || s.users[id] == nil {
		return c
	}
	return s.private(id)
}

// reach finds the chat a parameter names and what the bot may know of it.
func (s *Server) reach(b *account, p params) (*chat, error) {
	name := p.str("chat_id")
	c := s.named(name)
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

// met reports whether Telegram knows somebody well enough to be asked about in a chat: of those who were
// never there it may not at first. Source: tdlib/telegram-bot-api issue 802.
func (s *Server) met(c *chat, id int64) bool {
	if s.o.Switches.UnknownAtFirst == 0 || c.known[id] || c.members[id] != nil {
		return true
	}
	now := s.clock()
	first, ok := c.firstAsk[id]
	if !ok {
		first, c.firstAsk[id] = now, now
	}
	return now.Sub(first) >= s.o.Switches.UnknownAtFirst
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
	if c.byAsking {
		m["join_by_request"] = true
	}
	if c.hidden {
		m["has_hidden_members"] = true
	}
	if l := c.primary[b.ID]; l != nil {
		m["invite_link"] = l.link
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
	me, mem := c.standing(b.ID), s.ended(c, id)
	switch {
	case c.kind == "channel" && !me.admin():
		return nil, bad("member list is inaccessible")
	case c.hidden && !me.admin() && id != b.ID:
		return nil, bad("CHAT_ADMIN_REQUIRED")
	case !s.met(c, id):
		return nil, bad("PARTICIPANT_ID_INVALID")
	case mem.Status == Restricted && !me.admin() && id != b.ID:
		mem = restrictTo(AllPermissions(), 0, mem.IsMember) // restrictions are shown to administrators. Source: tdlib/td issue 241
	}
	return s.asked(b, me, s.memberJSON(c, id, mem), mem), nil
}

// asked adds to a member what depends on who asks: may the bot edit this administrator? Source: Bot API,
// ChatMemberAdministrator.
func (s *Server) asked(b *account, me Member, m map[string]any, of Member) map[string]any {
	if of.Status == Administrator {
		m["can_be_edited"] = of.promotedBy == b.ID && me.Rights["can_promote_members"]
	}
	return m
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
			list = append(list, s.asked(b, c.standing(b.ID), s.memberJSON(c, id, *m), *m))
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
