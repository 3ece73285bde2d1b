package simulator

import "time"

// mishap applies the faults of updates to one that is about to be queued; queue puts it into the queue. It
// reports whether the update is dealt with. The world is locked.
func (s *Server) mishap(b *account, kind string, body map[string]any, queue func()) (dealt bool) {
	chat, user := about(body)
	now := s.o.Clock()
	for _, r := range s.faults {
		if ofCall(r.Kind) || r.Kind == FaultRestart || r.Kind == FaultClock ||
			r.Update != "" && r.Update != kind && (r.Update != Service || !isService(body)) {
			continue
		}
		dice, ok := s.meets(r, kind, chat, user, now)
		if !ok {
			continue
		}
		s.injected(Injected{Kind: r.Kind, Update: kind, ChatID: chat, UserID: user, BotID: b.ID})
		length := r.For.draw(dice)
		switch r.Kind {
		case FaultDuplicate:
			queue()
			s.later(length, queue)
		case FaultDelay:
			s.later(length, queue)
		default: // missing
		}
		return true
	}
	return false
}

// later queues an update after a while. The world is locked.
func (s *Server) later(wait time.Duration, queue func()) {
	if wait <= 0 {
		queue()
		return
	}
	time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		queue()
	})
}

// isService: a message that tells of a join or a leave.
func isService(body map[string]any) bool {
	return body["new_chat_members"] != nil || body["left_chat_member"] != nil
}

// about says which chat and person an update is about.
func about(body map[string]any) (chat, user int64) {
	id := func(of map[string]any, key string) int64 {
		inner, _ := of[key].(map[string]any)
		n, _ := inner["id"].(int64)
		return n
	}
	if m, ok := body["message"].(map[string]any); ok { // a press
		return id(m, "chat"), id(body, "from")
	}
	chat, user = id(body, "chat"), id(body, "from")
	for _, key := range []string{"new_chat_member", "left_chat_member"} {
		m, _ := body[key].(map[string]any)
		if n := max(id(m, "user"), id(body, key)); n != 0 {
			user = n
		}
	}
	return chat, user
}
