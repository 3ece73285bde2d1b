package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/gmbot/gmbot/telegram/simulator"
)

const (
	// calm is the shortest time between two looks at the world, so that a raid is a few pictures a second.
	calm = 120 * time.Millisecond
	// heartbeat tells a proxy and the browser that the stream lives.
	heartbeat = 15 * time.Second
	// maxCalls is how many calls a picture brings; of more only the newest.
	maxCalls = 40
)

// call is one call of the bot's, for the log beside the chats.
type call struct {
	Seq    uint64          `json:"seq"`
	At     int64           `json:"at"` // Unix milliseconds
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`
	Status int             `json:"status"`
	Error  string          `json:"error,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	TookMs float64         `json:"took_ms"`
	Note   string          `json:"note,omitempty"` // the call in words
}

// calls is a picture's share of the log.
type calls struct {
	List    []call `json:"list"`
	Skipped int    `json:"skipped,omitempty"`
}

// serveLive streams what one person sees of one chat, as server-sent events: an event for each part of the
// page that changed.
func (p *Page) serveLive(w http.ResponseWriter, r *http.Request) {
	me, chat, thread := number(r, "me"), number(r, "chat"), number(r, "topic")
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	last := map[string][]byte{}
	seq := uint64(number(r, "seq"))
	for {
		changed := p.o.Sim.Changed()
		var out bytes.Buffer
		seq = p.picture(&out, last, me, chat, thread, seq)
		if out.Len() == 0 {
			out.WriteString(": alive\n\n")
		}
		_ = control.SetWriteDeadline(time.Now().Add(heartbeat))
		if _, err := w.Write(out.Bytes()); err != nil || control.Flush() != nil {
			return
		}
		if !p.rest(r, calm, nil) || !p.rest(r, heartbeat, changed) {
			return
		}
	}
}

// rest waits for a time or until something changes; false: the stream is over.
func (p *Page) rest(r *http.Request, d time.Duration, changed <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-r.Context().Done():
		return false
	case <-p.life.Done():
		return false
	}
	return true
}

// picture writes an event for each part that differs from the last one, and returns the newest call's number.
func (p *Page) picture(out *bytes.Buffer, last map[string][]byte, me, chat, thread int64, seq uint64) uint64 {
	part := func(name string, body any) {
		raw, err := json.Marshal(body)
		if err != nil || bytes.Equal(raw, last[name]) {
			return
		}
		last[name] = raw
		event(out, name, raw)
	}
	part("people", p.people())
	part("rooms", p.rooms(me, chat))
	part("members", p.members(chat))
	part("keyboard", p.keyboard(me, chat))
	part("posts", p.posts(me, chat, thread))
	part("raid", p.raiding())
	list, skipped := p.o.Sim.CallsAfter(seq, maxCalls)
	if len(list) == 0 {
		return seq
	}
	body := calls{Skipped: skipped}
	for _, c := range list {
		body.List = append(body.List, p.call(c))
	}
	if raw, err := json.Marshal(body); err == nil {
		event(out, "calls", []byte(hide(string(raw))))
	}
	return list[len(list)-1].Seq
}

func event(out *bytes.Buffer, name string, raw []byte) {
	fmt.Fprintf(out, "event: %s\ndata: %s\n\n", name, raw)
}

func (p *Page) call(c simulator.Call) call {
	v := call{
		Seq: c.Seq, At: c.At.UnixMilli(), Method: c.Method, Status: c.Status, Error: c.Error, TookMs: float64(c.Took.Microseconds()) / 1000,
		Result: short(c.Result), Note: p.inWords(c),
	}
	if raw, err := json.Marshal(c.Params); err == nil {
		v.Params = short(raw)
	}
	return v
}

// maxShown bounds what of a call's parameters or answer is shown, bytes.
const maxShown = 4096

func short(raw json.RawMessage) json.RawMessage {
	if len(raw) <= maxShown {
		return raw
	}
	cut, err := json.Marshal(clip(string(raw), maxShown/4))
	if err != nil {
		return nil
	}
	return cut
}

// inWords says what a call is about: whom it concerns and where.
func (p *Page) inWords(c simulator.Call) string {
	id := func(key string) int64 {
		var n int64
		if _, err := fmt.Sscan(fmt.Sprint(c.Params[key]), &n); err != nil {
			return 0
		}
		return n
	}
	words := p.o.Sim.Name(id("user_id"))
	if place := p.o.Sim.Name(id("chat_id")); place != "" {
		if words != "" {
			words += " · "
		}
		words += place
	}
	return words
}
