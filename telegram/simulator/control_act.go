package simulator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// act does what an order asks for, and returns what is answered; nil is answered as done.
type act func(ctx context.Context, s *Server, o order) (any, error)

// acts are what POST /control/… does, by name.
var acts = map[string]act{
	"bot": func(_ context.Context, s *Server, o order) (any, error) {
		b := s.NewBotToken(o.Username, o.Token)
		return map[string]any{"id": b.ID, "username": b.Username, "token": b.Token}, nil
	},
	"user": func(_ context.Context, s *Server, o order) (any, error) {
		return made(s.NewUser(o.FirstName, o.Username))
	},
	"supergroup": func(_ context.Context, s *Server, o order) (any, error) {
		return made(s.NewSupergroup(o.Title, o.Username, o.Owner))
	},
	"channel": func(_ context.Context, s *Server, o order) (any, error) {
		return made(s.NewChannel(o.Title, o.Username, o.Owner))
	},
	"group": func(_ context.Context, s *Server, o order) (any, error) { return made(s.NewGroup(o.Title, o.Owner)) },

	"join": func(_ context.Context, s *Server, o order) (any, error) { return nil, s.Join(o.Chat, o.User) },
	"link": func(_ context.Context, s *Server, o order) (any, error) {
		return nil, s.JoinByLink(o.Chat, o.User, o.Link)
	},
	"leave": func(_ context.Context, s *Server, o order) (any, error) { return nil, s.Leave(o.Chat, o.User) },
	"add": func(_ context.Context, s *Server, o order) (any, error) {
		return nil, s.AddAll(o.Chat, o.By, append(o.Users, some(o.User)...)...)
	},
	"ban":   func(_ context.Context, s *Server, o order) (any, error) { return nil, s.Ban(o.Chat, o.By, o.User) },
	"unban": func(_ context.Context, s *Server, o order) (any, error) { return nil, s.Unban(o.Chat, o.By, o.User) },
	"promote": func(_ context.Context, s *Server, o order) (any, error) {
		return nil, s.Promote(o.Chat, o.By, o.User, Rights(o.Rights...))
	},
	"demote": func(_ context.Context, s *Server, o order) (any, error) { return nil, s.Demote(o.Chat, o.By, o.User) },
	"restrict": func(_ context.Context, s *Server, o order) (any, error) {
		return nil, s.Restrict(o.Chat, o.By, o.User, o.Permissions, o.Until)
	},
	"request": func(_ context.Context, s *Server, o order) (any, error) { return nil, s.RequestJoin(o.Chat, o.User) },
	"approve": func(_ context.Context, s *Server, o order) (any, error) {
		return nil, s.ApproveRequest(o.Chat, o.By, o.User)
	},

	"start":   func(_ context.Context, s *Server, o order) (any, error) { return nil, s.Start(o.User, o.Bot) },
	"block":   func(_ context.Context, s *Server, o order) (any, error) { return nil, s.Block(o.User, o.Bot) },
	"unblock": func(_ context.Context, s *Server, o order) (any, error) { return nil, s.Unblock(o.User, o.Bot) },
	"write": func(_ context.Context, s *Server, o order) (any, error) {
		n, err := s.Write(o.Chat, o.User, o.Text, o.writing)
		return map[string]int64{"message_id": n}, err
	},
	"edit": func(_ context.Context, s *Server, o order) (any, error) {
		return nil, s.EditMessage(o.Chat, o.Message, o.Text)
	},
	"press": pressed,

	"forum":   inChat(func(s *Server, o order) any { s.MakeForum(o.Chat); return nil }),
	"topic":   inChat(func(s *Server, o order) any { return map[string]int64{"id": s.CreateTopic(o.Chat, o.Title)} }),
	"close":   inChat(func(s *Server, o order) any { s.CloseTopic(o.Chat, o.Thread); return nil }),
	"rename":  inChat(func(s *Server, o order) any { s.Rename(o.Chat, o.Title); return nil }),
	"name":    inChat(func(s *Server, o order) any { s.SetUsername(o.Chat, o.Username); return nil }),
	"delete":  inChat(func(s *Server, o order) any { s.DeleteAsModerator(o.Chat, o.Message); return nil }),
	"allow":   inChat(func(s *Server, o order) any { s.SetDefaults(o.Chat, o.Permissions); return nil }),
	"hide":    inChat(func(s *Server, o order) any { s.HideMembers(o.Chat); return nil }),
	"asking":  inChat(func(s *Server, o order) any { s.JoinByAsking(o.Chat, o.On); return nil }),
	"revoke":  inChat(func(s *Server, o order) any { s.RevokeLinks(o.Chat); return nil }),
	"migrate": inChat(func(s *Server, o order) any { return map[string]int64{"id": s.Migrate(o.Chat)} }),
	"discuss": inChat(func(s *Server, o order) any { s.Link(o.Channel, o.Chat); return nil }),
	"privacy": func(_ context.Context, s *Server, o order) (any, error) { s.SetPrivacy(o.Bot, o.On); return nil, nil }, //nolint:nilnil // nothing to answer
	"mend":    func(_ context.Context, s *Server, _ order) (any, error) { s.Mend(); return nil, nil },                  //nolint:nilnil // nothing to answer
}

// Acts names what the control API does.
func Acts() []string { return slices.Sorted(maps.Keys(acts)) }

func made(id int64) (any, error) { return map[string]int64{"id": id}, nil }

func some(id int64) []int64 {
	if id == 0 {
		return nil
	}
	return []int64{id}
}

// inChat is an act on chats that have to be there.
func inChat(do func(s *Server, o order) any) act {
	return func(_ context.Context, s *Server, o order) (any, error) {
		for _, id := range append(some(o.Channel), o.Chat) {
			s.mu.Lock()
			c := s.chats[id]
			s.mu.Unlock()
			if c == nil {
				return nil, fmt.Errorf("%w: %d", ErrNoChat, id)
			}
		}
		return do(s, o), nil
	}
}

func pressed(ctx context.Context, s *Server, o order) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	a, err := s.Press(ctx, o.Chat, o.Message, o.User, o.Data)
	return map[string]any{"text": a.Text, "show_alert": a.ShowAlert, "url": a.URL}, err
}

func (s *Server) obey(ctx context.Context, name string, o order) (any, error) {
	do, ok := acts[name]
	if !ok {
		return nil, errNoAct
	}
	answer, err := do(ctx, s, o)
	if answer == nil {
		answer = map[string]bool{"done": err == nil}
	}
	return answer, err
}
