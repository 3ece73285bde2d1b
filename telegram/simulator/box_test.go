package simulator_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
	"github.com/gmbot/gmbot/telegram/simulator/schema"
)

// box is a simulated Telegram with one bot that talks to it over HTTP, and a clock that stands still.
type box struct {
	*simulator.Server
	t      *testing.T
	url    string
	client *http.Client
	bot    simulator.Bot
	olga   int64 // owns every chat
	anna   int64
	next   int64 // the offset that confirms what drain has seen
	rude   atomic.Bool

	mu  sync.Mutex
	now time.Time
}

// began is when the clock of a box stands at first.
var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// open starts a box behind a real server.
func open(t *testing.T, switches simulator.Switches) *box {
	t.Helper()
	b := &box{t: t, now: began, client: http.DefaultClient}
	b.fill(simulator.Options{Clock: b.clock, Switches: switches})
	b.serve()
	return b
}

func (b *box) serve() {
	b.t.Helper()
	srv := httptest.NewServer(b.Handler())
	b.t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	b.url = srv.URL
}

// inBubble starts a box for a synctest bubble: no sockets, and the bubble's own clock.
func inBubble(t *testing.T, switches simulator.Switches) *box {
	t.Helper()
	b := &box{t: t, url: "http://simulator"}
	b.fill(simulator.Options{Switches: switches})
	b.client = &http.Client{Transport: b.Transport()}
	return b
}

func (b *box) fill(o simulator.Options) {
	b.t.Helper()
	o.Validate = b.validator()
	b.Server = simulator.New(o)
	b.bot = b.NewBot("box_bot")
	b.olga, b.anna = b.NewUser("Olga", "olga"), b.NewUser("Anna", "")
}

// validator checks all that goes over the wire against the Bot API's description, but for requests that
// are wrong on purpose.
func (b *box) validator() func(kind, name string, raw []byte) error {
	check := schema.Checker(b.t)
	if check == nil {
		return nil
	}
	return func(kind, name string, raw []byte) error {
		if kind == "request" && b.rude.Load() {
			return nil
		}
		return check(kind, name, raw)
	}
}

func (b *box) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *box) advance(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

// group makes a supergroup of Olga's in which the bot has the rights given.
func (b *box) group(rights ...string) int64 {
	b.t.Helper()
	id := b.NewSupergroup("Talk", "", b.olga)
	require.NoError(b.t, b.Promote(id, b.olga, b.bot.ID, simulator.Rights(rights...)))
	return id
}

type object = map[string]any

// answer is what came back over the wire.
type answer struct {
	status int
	header http.Header
	raw    []byte

	OK          bool            `json:"ok"`
	Result      json.RawMessage `json:"result"`
	Code        int             `json:"error_code"`
	Description string          `json:"description"`
	Parameters  object          `json:"parameters"`
}

func (a answer) object() (o object) {
	_ = json.Unmarshal(a.Result, &o)
	return o
}

// at walks down objects and lists: at("message", "from", "id").
func at(v any, path ...any) any {
	for _, step := range path {
		switch key := step.(type) {
		case string:
			o, _ := v.(object)
			v = o[key]
		case int:
			list, _ := v.([]any)
			if key >= len(list) {
				return nil
			}
			v = list[key]
		}
	}
	return v
}

func (b *box) do(r *http.Request) (a answer) {
	b.t.Helper()
	resp, err := b.client.Do(r)
	if !assert.NoError(b.t, err) {
		return a
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	assert.NoError(b.t, err)
	a.status, a.header, a.raw = resp.StatusCode, resp.Header, body.Bytes()
	assert.NoError(b.t, json.Unmarshal(a.raw, &a), string(a.raw))
	return a
}

func (b *box) request(path, kind, body string) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+path, strings.NewReader(body))
	require.NoError(b.t, err)
	r.Header.Set("Content-Type", kind)
	return r
}

// as calls a method with a token, the parameters in a JSON body.
func (b *box) as(token, method string, p object) answer {
	b.t.Helper()
	body, err := json.Marshal(p)
	require.NoError(b.t, err)
	return b.do(b.request("/bot"+token+"/"+method, "application/json", string(body)))
}

func (b *box) call(method string, p object) answer {
	b.t.Helper()
	return b.as(b.bot.Token, method, p)
}

// good calls a method that must succeed.
func (b *box) good(method string, p object) answer {
	b.t.Helper()
	a := b.call(method, p)
	require.True(b.t, a.OK, "%s: %s", method, a.raw)
	return a
}

// raw calls a method in a way the Bot API's description may not know.
func (b *box) raw(method string, p object) answer {
	b.t.Helper()
	b.rude.Store(true)
	defer b.rude.Store(false)
	return b.call(method, p)
}

// fails calls a method that must fail with a description, as a request that may be wrong.
func (b *box) fails(description, method string, p object) answer {
	b.t.Helper()
	a := b.raw(method, p)
	assert.Equal(b.t, description, a.Description, method)
	assert.False(b.t, a.OK)
	assert.Equal(b.t, a.status, a.Code)
	return a
}

// send sends a text and returns its id.
func (b *box) send(chat int64, text string) int64 {
	b.t.Helper()
	id, _ := b.good("sendMessage", object{"chat_id": chat, "text": text}).object()["message_id"].(float64)
	return int64(id)
}

// updates polls once, as things are.
func (b *box) updates(p object) []object {
	b.t.Helper()
	var list []object
	require.NoError(b.t, json.Unmarshal(b.good("getUpdates", p).Result, &list))
	return list
}

// drain fetches and confirms what is pending, of one kind only if it is named.
func (b *box) drain(kind string) []object {
	b.t.Helper()
	var all []object
	for b.Pending(b.bot.ID) > 0 {
		for _, u := range b.updates(object{"offset": b.next}) {
			id, _ := u["update_id"].(float64)
			b.next = int64(id) + 1
			if inner, ok := u[kind].(object); ok || kind == "" {
				if kind == "" {
					inner = u
				}
				all = append(all, inner)
			}
		}
		b.advance(4 * time.Second)
		b.updates(object{"offset": b.next})
		b.advance(4 * time.Second)
	}
	return all
}

// wants asks for kinds of updates from now on, and forgets what is pending.
func (b *box) wants(kinds ...string) {
	b.t.Helper()
	b.good("getUpdates", object{"allowed_updates": kinds})
	b.advance(4 * time.Second)
	b.drain("")
}

func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func text(n any) string { return fmt.Sprint(n) }
