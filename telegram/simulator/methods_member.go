package simulator

import "encoding/json"

// wantPermissions reads ChatPermissions: a missing flag is false, but for three that follow another,
// and some imply others unless each is meant on its own. Source: Bot API server, Client.cpp
// (get_chat_permissions).
func wantPermissions(p params) (Permissions, error) {
	given, ok := p.flags("permissions")
	if !ok {
		return nil, bad("can't parse permissions JSON object")
	}
	want := make(Permissions, len(PermissionNames))
	for _, name := range PermissionNames {
		want[name] = given[name]
	}
	follow := func(name, leader string) {
		if _, ok := given[name]; !ok {
			want[name] = want[leader]
		}
	}
	if !p.boolean("use_independent_chat_permissions") {
		imply(want)
	}
	follow("can_react_to_messages", "can_send_messages")
	follow("can_edit_tag", "can_pin_messages")
	follow("can_manage_topics", "can_pin_messages")
	return want, nil
}

// flags is a parameter that holds an object of truth values, in whatever way it came.
func (p params) flags(key string) (flags map[string]bool, ok bool) {
	object, ok := p[key].(map[string]any)
	if !ok {
		raw := p.raw(key)
		return flags, raw != nil && json.Unmarshal(raw, &flags) == nil
	}
	flags = make(map[string]bool, len(object))
	for name, v := range object {
		flag, ok := v.(bool)
		if !ok && v != nil {
			return nil, false
		}
		flags[name] = flag
	}
	return flags, true
}

func imply(want Permissions) {
	if want["can_send_other_messages"] || want["can_add_web_page_previews"] {
		for _, name := range PermissionNames[:7] {
			want[name] = true
		}
	}
	if want["can_send_polls"] {
		want["can_send_messages"] = true
	}
}

// until applies the rule that times too near or too far mean for ever. Source: TDLib, fix_until_date.
func (s *Server) until(p params) int64 {
	at := p.integer("until_date", 0)
	if now := s.now(); at < now+30 || at > now+366*24*3600 {
		return 0
	}
	return at
}

func restrictChatMember(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	if c.kind != "supergroup" {
		return nil, bad("method is available only for supergroups")
	}
	id, err := s.person(p)
	if err != nil {
		return nil, err
	}
	want, err := wantPermissions(p)
	if err != nil {
		return nil, err
	}
	me, old := c.standing(b.ID), s.ended(c, id)
	switch {
	case id == b.ID:
		return nil, bad("can't restrict self")
	case old.Status == Creator:
		return nil, bad("can't remove chat owner")
	case !s.met(c, id):
		return nil, bad("PARTICIPANT_ID_INVALID")
	case same(old, restrictTo(want, s.until(p), old.Present())):
		return true, nil // no call, so no right is asked for, and no update. Source: TDLib, set_channel_participant_status_impl
	case old.Status == Administrator && want.all() && me.Rights["can_promote_members"]:
		// All true is a promotion to nothing, so no right to restrict is asked for. Source: TDLib,
		// set_channel_participant_status_impl.
		s.setMember(c, b.ID, id, Member{Status: MemberStatus}, nil)
		return true, nil
	case old.Status == Administrator && want.all():
		return nil, bad("not enough rights")
	case me.Status != Administrator || !me.Rights["can_restrict_members"]:
		return nil, bad("not enough rights to restrict/unrestrict chat member")
	case old.Status == Administrator:
		return nil, bad("user is an administrator of the chat")
	}
	next := restrictTo(want, s.until(p), old.Present())
	s.setMember(c, b.ID, id, next, nil)
	kind := "restrict"
	if next.Status != Restricted {
		kind = "free"
	}
	s.tell(Event{Kind: kind, ChatID: c.id, UserID: b.ID, Target: id})
	return true, nil
}

// setChatPermissions changes what everybody may; what single people may not stays as it is, unless the switch
// says otherwise. Source: Bot API, setChatPermissions; inferred, for the latter.
func setChatPermissions(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	want, err := wantPermissions(p)
	if err != nil {
		return nil, err
	}
	if me := c.standing(b.ID); me.Status != Administrator || !me.Rights["can_restrict_members"] {
		return nil, bad("not enough rights to change chat permissions")
	}
	s.allow(c, want)
	return true, nil
}

// SetDefaults lets an administrator change what everybody in a chat may.
func (s *Server) SetDefaults(chatID int64, p Permissions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allow(s.chats[chatID], p)
}

// allow changes a chat's defaults. The world is locked.
func (s *Server) allow(c *chat, p Permissions) {
	c.defaults = p
	if !s.o.Switches.UnlockFrees || !p.all() {
		return
	}
	for id, m := range c.members {
		if m.Status == Restricted {
			next := restrictTo(p, 0, m.IsMember)
			c.members[id] = &next
		}
	}
}

func same(a, b Member) bool {
	return a.Status == b.Status && a.Present() == b.Present() && a.IsMember == b.IsMember && a.Until == b.Until && a.Permissions.equal(b.Permissions)
}

func (s *Server) mayBan(c *chat, b *account, id int64) error {
	me, old := c.standing(b.ID), s.ended(c, id)
	switch {
	case c.kind == "private":
		return bad("can't ban members in private chats")
	case old.Status == Creator:
		return bad("can't remove chat owner")
	case me.Status != Administrator || !me.Rights["can_restrict_members"]:
		return bad("not enough rights to restrict/unrestrict chat member")
	case old.Status == Administrator:
		return bad("user is an administrator of the chat")
	}
	return nil
}

func banChatMember(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	id, err := s.person(p)
	if err != nil {
		return nil, err
	}
	if err := s.mayBan(c, b, id); err != nil {
		return nil, err
	}
	s.expel(c, b.ID, id, Member{Status: Kicked, Until: s.until(p)})
	return true, nil
}

// unbanChatMember removes people who are present, unless only_if_banned. Source: Bot API.
func unbanChatMember(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	id, err := s.person(p)
	if err != nil {
		return nil, err
	}
	if err := s.mayBan(c, b, id); err != nil {
		return nil, err
	}
	old := s.ended(c, id)
	if old.Status != Kicked && (p.boolean("only_if_banned") || old.Status == Left) {
		return true, nil
	}
	s.expel(c, b.ID, id, Member{Status: Left})
	return true, nil
}

func promoteChatMember(s *Server, b *account, p params) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	id, err := s.person(p)
	if err != nil {
		return nil, err
	}
	me := c.standing(b.ID)
	if !me.admin() || !me.Rights["can_promote_members"] {
		return nil, bad("not enough rights")
	}
	rights := AdminRights{}
	for key := range p {
		if p.boolean(key) {
			rights[key] = true
		}
	}
	old := s.ended(c, id)
	if old.Status == Creator {
		return nil, bad("can't remove chat owner")
	}
	next := Member{Status: MemberStatus}
	if len(rights) > 0 {
		next = Member{Status: Administrator, Rights: rights, promotedBy: b.ID, Anonymous: rights["is_anonymous"]}
	}
	s.setMember(c, b.ID, id, next, nil)
	return true, nil
}

func banChatSenderChat(s *Server, b *account, p params) (any, error) { return s.banSender(b, p, true) }

func unbanChatSenderChat(s *Server, b *account, p params) (any, error) {
	return s.banSender(b, p, false)
}

func (s *Server) banSender(b *account, p params, on bool) (any, error) {
	c, err := s.reach(b, p)
	if err != nil {
		return nil, err
	}
	me, id := c.standing(b.ID), p.integer("sender_chat_id", 0)
	switch {
	case c.kind != "supergroup" && c.kind != "channel":
		return nil, bad("method is available only for supergroup and channel chats")
	case me.Status != Administrator || !me.Rights["can_restrict_members"]:
		return nil, bad("not enough rights to restrict/unrestrict chat member")
	case s.chats[id] == nil:
		return nil, bad("PARTICIPANT_ID_INVALID")
	}
	c.banned[id] = on
	return true, nil
}
