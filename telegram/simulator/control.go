package simulator

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// order is the body of every POST to /control/…; each act reads what it needs. docs/simulator.md lists them.
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
	Link        string      `json:"link"`
	Users       []int64     `json:"users"`
	On          bool        `json:"on"`
	Channel     int64       `json:"channel"`
}

var errNoAct = errors.New("no such act")

func (s *Server) serveControl(w http.ResponseWriter, r *http.Request) {
	act := strings.TrimPrefix(r.URL.Path, "/control/")
	var result any
	var err error
	body := http.MaxBytesReader(w, r.Body, maxBody)
	switch {
	case r.Method == http.MethodGet:
		result, err = s.look(act, r)
	case act == "fault":
		var faults []Fault
		if faults, err = ReadFaults(body); err == nil {
			for _, f := range faults {
				s.Fail(f)
			}
			result = map[string]int{"faults": len(faults)}
		}
	default:
		var o order
		if err = json.NewDecoder(body).Decode(&o); err == nil {
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
	case "faults":
		return s.Injected(), nil
	}
	return nil, errNoAct
}

func (o order) writing(w *writing) {
	*w = writing{
		thread: o.Thread, reply: o.Reply, origin: o.Origin, asChat: o.AsChat, comment: o.Comment, anon: o.Anonymous, to: o.Bot,
	}
}
