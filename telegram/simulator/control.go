package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// order is the body of every POST to /control/…; each act reads what it needs:
//
//	bot        username, token                    → {"id", "username", "token"}
//	user       first_name, username               → {"id"}
//	supergroup, channel, group   title, username, owner → {"id"}
//	join, leave                  chat, user
//	add, ban, unban, demote      chat, by, user
//	promote                      chat, by, user, rights ["can_…"]
//	restrict                     chat, by, user, permissions {"can_…": bool}, until (Unix s)
//	write      chat, user, text, thread, reply, origin, as_chat, comment, anonymous, bot → {"message_id"}
//	edit       chat, message, text
//	press      chat, message, user, data          → {"text", "show_alert", "url"}
//	start      user, bot
//	fault      method, chat, times, status, description, retry_after, drop, drop_after, delay_ms
//
// GET /control/messages?chat=, /control/member?chat=&user=, /control/calls?since=SEQ look at the world.
type order struct {
	Username    string      `json:"username"`
	Token       string      `json:"token"`
	FirstName   string      `json:"first_name"`
	Title       string      `json:"title"`
	Owner       int64       `json:"owner"`
	Chat        int64       `json:"chat"`
	User        int64       `json:"user"`
	By          int64       `json:"by"`
	Bot         int64       `json:"bot"`
	Rights      []string    `json:"rights"`
	Permissions Permissions `json:"permissions"`
	Until       int64       `json:"until"`
	Text        string      `json:"text"`
	Message     int64       `json:"message"`
	Data        string      `json:"data"`
	Thread      int64       `json:"thread"`
	Reply       int64       `json:"reply"`
	Origin      int64       `json:"origin"`
	AsChat      int64       `json:"as_chat"`
	Comment     bool        `json:"comment"`
	Anonymous   bool        `json:"anonymous"`
	Method      string      `json:"method"`
	Times       int         `json:"times"`
	Status      int         `json:"status"`
	Description string      `json:"description"`
	RetryAfter  int         `json:"retry_after"`
	Drop        bool        `json:"drop"`
	DropAfter   bool        `json:"drop_after"`
	DelayMs     int         `json:"delay_ms"`
}

var errNoAct = errors.New("no such act")

func (s *Server) serveControl(w http.ResponseWriter, r *http.Request) {
	act := strings.TrimPrefix(r.URL.Path, "/control/")
	var result any
	var err error
	if r.Method == http.MethodGet {
		result, err = s.look(act, r)
	} else {
		var o order
		if err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&o); err == nil {
			result, err = s.obey(r.Context(), act, o)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		code := http.StatusBadRequest
		if errors.Is(err, errNoAct) {
			code = http.StatusNotFound
		}
		w.WriteHeader(code)
		result = map[string]string{"error": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(result)
}

func (s *Server) look(act string, r *http.Request) (any, error) {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
		return n
	}
	switch act {
	case "messages":
		return s.Messages(number("chat")), nil
	case "member":
		return s.Member(number("chat"), number("user")), nil
	case "calls":
		calls := s.Calls()
		for len(calls) > 0 && calls[0].Seq <= uint64(number("since")) {
			calls = calls[1:]
		}
		return calls, nil
	}
	return nil, errNoAct
}

func (s *Server) obey(ctx context.Context, act string, o order) (any, error) {
	id := func(n int64) (any, error) { return map[string]int64{"id": n}, nil }
	done := func(err error) (any, error) { return map[string]bool{"done": err == nil}, err }
	switch act {
	case "bot":
		b := s.NewBotToken(o.Username, o.Token)
		return map[string]any{"id": b.ID, "username": b.Username, "token": b.Token}, nil
	case "user":
		return id(s.NewUser(o.FirstName, o.Username))
	case "supergroup":
		return id(s.NewSupergroup(o.Title, o.Username, o.Owner))
	case "channel":
		return id(s.NewChannel(o.Title, o.Username, o.Owner))
	case "group":
		return id(s.NewGroup(o.Title, o.Owner))
	case "join":
		return done(s.Join(o.Chat, o.User))
	case "leave":
		return done(s.Leave(o.Chat, o.User))
	case "add":
		return done(s.Add(o.Chat, o.By, o.User))
	case "ban":
		return done(s.Ban(o.Chat, o.By, o.User))
	case "unban":
		return done(s.Unban(o.Chat, o.By, o.User))
	case "promote":
		return done(s.Promote(o.Chat, o.By, o.User, Rights(o.Rights...)))
	case "demote":
		return done(s.Demote(o.Chat, o.By, o.User))
	case "restrict":
		return done(s.Restrict(o.Chat, o.By, o.User, o.Permissions, o.Until))
	case "start":
		return done(s.Start(o.User, o.Bot))
	case "edit":
		return done(s.EditMessage(o.Chat, o.Message, o.Text))
	case "write":
		n, err := s.Write(o.Chat, o.User, o.Text, o.writing)
		return map[string]int64{"message_id": n}, err
	case "press":
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		a, err := s.Press(ctx, o.Chat, o.Message, o.User, o.Data)
		return map[string]any{"text": a.Text, "show_alert": a.ShowAlert, "url": a.URL}, err
	case "fault":
		s.Fail(Fault{
			Method: o.Method, ChatID: o.Chat, Times: o.Times, Status: o.Status, Description: o.Description,
			RetryAfter: o.RetryAfter, Drop: o.Drop, DropAfter: o.DropAfter, Delay: time.Duration(o.DelayMs) * time.Millisecond,
		})
		return done(nil)
	}
	return nil, errNoAct
}

func (o order) writing(w *writing) {
	*w = writing{
		thread: o.Thread, reply: o.Reply, origin: o.Origin, asChat: o.AsChat, comment: o.Comment, anon: o.Anonymous, to: o.Bot,
	}
}
