package simulator

import "encoding/json"

// wantPermissions reads ChatPermissions: a missing flag is false, but for three that follow another,
// and some imply others unless each is meant on its own. Source: Bot API server, Client.cpp
// (get_chat_permissions).
func wantPermissions(p params) (Permissions, error) {
	var given map[string]bool
	raw := p.raw("permissions")
	if raw == nil || json.Unmarshal(raw, &given) != nil {
		return nil, bad("can't parse permissions JSON object")
	}
	want := Permissions{}
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
	case old.Status == Administrator && want.all() && me.Rights["can_promote_members"]:
		// All true is a promotion to nothing, so no right to restrict is asked for. Source: TDLib,
		// set_channel_participant_status_impl.
		s.setMember(c, b.ID, id, Member{Status: MemberStatus})
		return true, nil
	case old.Status == Administrator && want.all():
		return nil, bad("not enough rights")
	case me.Status != Administrator || !me.Rights["can_restrict_members"]:
		return nil, bad("not enough rights to restrict/unrestrict chat member")
	case old.Status == Administrator:
		return nil, bad("user is an administrator of the chat")
	}
	next := restrictTo(want, s.until(p), old.Present())
	if same(old, next) {
		return true, nil // no call, no update. Source: TDLib, set_channel_participant_status_impl
	}
	s.setMember(c, b.ID, id, next)
	kind := "restrict"
	if next.Status != Restricted {
		kind = "free"
	}
	s.tell(Event{Kind: kind, ChatID: c.id, UserID: b.ID, Target: id})
	return true, nil
}

func same(a, b Member) bool {
	return a.Status == b.Status && a.IsMember == b.IsMember && a.Until == b.Until && a.Permissions.equal(b.Permissions)
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
	next := Member{Status: MemberStatus}
	if len(rights) > 0 {
		next = Member{Status: Administrator, Rights: rights, promotedBy: b.ID}
	}
	s.setMember(c, b.ID, id, next)
	return true, nil
}
