package storm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"path"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// wire is the way of one life to Telegram. All trouble with calls is made here, so that it can be told
// apart by person and flow, and left out one by one.
type wire struct {
	l  *life
	to http.RoundTripper
}

// call is one call on its way.
type call struct {
	method  string
	body    []byte
	chat    int64
	user    int64
	who     pairKey // the flow it concerns
	class   string
	perms   bool  // a restriction that is none
	until   int64 // of a restriction
	press   string
	ids     []int64 // messages to delete
	message int64   // to edit
	sent    time.Time
}

// messages are those that a call names.
func (c *call) messages() string {
	list := c.ids
	if c.message != 0 {
		list = []int64{c.message}
	}
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprintf("#%d", list)
}

// The kinds of trouble with calls.
const (
	refusedKind = "refused"  // no connection
	brokenKind  = "broken"   // before the effect
	lostKind    = "lost"     // after the effect, its answer
	lateKind    = "late"     // the effect comes after the client has given up
	errorKind   = "500"      // Telegram's own words
	proxyKind   = "502"      // a page of a proxy before it
	sorryKind   = "500 lied" // after the effect
	floodKind   = "429"
	longKind    = "429 long"
	slowKind    = "slow"
)

var callKinds = []string{
	refusedKind, brokenKind, lostKind, lateKind, errorKind, proxyKind, sorryKind, floodKind, longKind, slowKind,
}

var mention = regexp.MustCompile(`tg://user\?id=(\d+)`)

// mentioned is who comes last in a text that names people.
func mentioned(text string) int64 {
	all := mention.FindAllStringSubmatch(text, -1)
	if len(all) == 0 {
		return 0
	}
	user, _ := strconv.ParseInt(all[len(all)-1][1], 10, 64)
	return user
}

func (x *wire) parse(r *http.Request) (*call, error) {
	c := &call{method: path.Base(r.URL.Path), sent: time.Now()}
	if r.Body != nil {
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		c.body = raw
	}
	var p struct {
		Chat    json.RawMessage `json:"chat_id"`
		User    int64           `json:"user_id"`
		IDs     []int64         `json:"message_ids"`
		ID      int64           `json:"message_id"`
		Text    string          `json:"text"`
		Press   string          `json:"callback_query_id"`
		Until   int64           `json:"until_date"`
		Granted map[string]bool `json:"permissions"`
	}
	_ = json.Unmarshal(c.body, &p)
	if json.Unmarshal(p.Chat, &c.chat) != nil { // asked by its @name, as a command says it
		c.chat = x.l.w.named(p.Chat)
	}
	c.user, c.press, c.until = p.User, p.Press, p.Until
	for _, ok := range p.Granted {
		c.perms = c.perms || ok
	}
	w := &x.l.w.w
	switch c.method {
	case "restrictChatMember", "banChatMember":
		c.class = "restrict"
	case "getChatMember", "getChat", "getChatAdministrators", "getChatMemberCount":
		c.class = "ask"
		if c.user == x.l.w.bot.ID {
			c.user = 0
		}
	case "deleteMessages", "deleteMessage":
		c.class = "delete"
		if c.ids = p.IDs; len(c.ids) == 0 {
			c.ids = []int64{p.ID}
		}
		c.user = w.author(c.chat, c.ids[0])
	case "sendMessage", "editMessageText", "editMessageReplyMarkup":
		c.class, c.message = "talk", p.ID
		c.user = w.concerns(c.chat, p.ID, p.Text)
	case "answerCallbackQuery":
		c.class = "answer"
		c.chat, c.user = w.presser(p.Press)
	default:
		c.class = c.method
	}
	c.who = pairKey{c.chat, c.user}
	return c, nil
}

// named is the channel that has an @name; 0 = none has. Many channels have one flood each, also where they are asked
// about by that.
func (w *world) named(raw json.RawMessage) int64 {
	for _, c := range w.cells {
		for _, ch := range c.channels {
			if string(raw) == `"@`+ch.name+`"` {
				return ch.id
			}
		}
	}
	return 0
}

// RoundTrip implements http.RoundTripper.
func (x *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	l, w := x.l, &x.l.w.w
	if l.dead.Load() {
		w.refused.Add(1)
		return nil, syscall.ECONNREFUSED
	}
	c, err := x.parse(r)
	if err != nil {
		return nil, err
	}
	w.leaves(l, c)
	d := l.w.fate(l, c.method, c.who)
	if d != nil && d.How == "before" {
		l.die(d.Down)
		return nil, syscall.ECONNREFUSED
	}
	kind, dice := w.trouble(c)
	resp, err := x.meet(r.Context(), r, c, kind, dice)
	if d != nil {
		l.die(d.Down)
	}
	if l.dead.Load() {
		return nil, errDead
	}
	return resp, err
}

// latency is what a call takes anyhow.
func latency(dice *rand.Rand) time.Duration {
	if dice.IntN(20) == 0 {
		return rand2(dice, time.Second)
	}
	return 15*time.Millisecond + rand2(dice, 40*time.Millisecond)
}

func (x *wire) meet(ctx context.Context, r *http.Request, c *call, kind string, dice *rand.Rand) (*http.Response, error) {
	w := &x.l.w.w
	if c.method != "getUpdates" {
		if err := sleep(ctx, latency(dice)/2); err != nil && kind == "" {
			kind = lostKind // it has left
		}
	}
	switch kind {
	case refusedKind:
		return nil, syscall.ECONNREFUSED
	case brokenKind:
		return nil, io.ErrUnexpectedEOF
	case lostKind:
		_, _ = x.effect(context.WithoutCancel(ctx), r, c)
		return nil, io.ErrUnexpectedEOF
	case lateKind:
		if c.method == "getUpdates" {
			return nil, io.ErrUnexpectedEOF
		}
		after, gone := rand2(dice, 20*time.Second), dice.IntN(2) == 0
		hold := time.Duration(0)
		if gone { // the client waits in vain, and Telegram acts after that
			hold = 15 * time.Second
		}
		life := context.WithoutCancel(ctx)
		time.AfterFunc(hold+after, func() { _, _ = x.effect(life, r, c) }) //nolint:bodyclose // it is in memory
		_ = sleep(ctx, hold)
		return nil, io.ErrUnexpectedEOF
	case errorKind:
		return answer(r, http.StatusInternalServerError, `{"ok":false,"error_code":500,"description":"Internal Server Error"}`), nil
	case proxyKind:
		return answer(r, http.StatusBadGateway, `<html><body>502 Bad Gateway</body></html>`), nil
	case sorryKind:
		_, _ = x.effect(context.WithoutCancel(ctx), r, c)
		return answer(r, http.StatusInternalServerError, `{"ok":false,"error_code":500,"description":"Internal Server Error: sent"}`), nil
	case floodKind, longKind:
		after := w.flood(x.l, c, kind, dice)
		text := fmt.Sprintf(`{"ok":false,"error_code":429,"description":"Too Many Requests: retry after %d","parameters":{"retry_after":%d}}`, after, after)
		return answer(r, http.StatusTooManyRequests, text), nil
	case slowKind:
		if err := sleep(ctx, rand2(dice, 8*time.Second)); err != nil {
			return nil, err
		}
	}
	resp, err := x.effect(ctx, r, c)
	if err != nil {
		return nil, err
	}
	w.told(x.l, c, resp)
	if c.method != "getUpdates" {
		_ = sleep(ctx, latency(dice)/2)
	}
	return resp, nil
}

// effect lets Telegram do what is asked.
func (x *wire) effect(ctx context.Context, r *http.Request, c *call) (*http.Response, error) {
	in := r.Clone(ctx)
	in.Body = io.NopCloser(bytes.NewReader(c.body))
	return x.to.RoundTrip(in)
}

func answer(r *http.Request, status int, text string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{},
		Body: io.NopCloser(bytes.NewReader([]byte(text))), ContentLength: int64(len(text)), Request: r,
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// trouble says what befalls a call. It depends on the seed, on the call, and on how often there was one like
// it, so that leaving one out changes no other's luck.
func (w *watch) trouble(c *call) (string, *rand.Rand) {
	w.mu.Lock()
	key := fmt.Sprint(c.method, c.chat, c.user)
	w.times[key]++
	n := w.times[key]
	calm := !stormy(w.world.now()) || w.enough.Load()
	wished, id := "", ""
	if !calm {
		wished, id = w.granted(c.method, w.state(c.who))
	}
	w.mu.Unlock()
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, w.world.plan.Seed, key, n)
	luck := h.Sum64()
	dice := rand.New(rand.NewPCG(w.world.plan.Seed, luck))
	if wished != "" {
		w.fault(wished, c.method, c.who, c.chat, id)
		return wished, dice
	}
	if calm || dice.Float64() >= w.world.plan.Scale.Trouble {
		return "", dice
	}
	kind := callKinds[dice.IntN(len(callKinds))]
	if kind == longKind && dice.IntN(4) > 0 {
		kind = floodKind
	}
	if late := w.world.plan.Scale.Late; late > 0 && c.method == "restrictChatMember" && dice.Float64() < late {
		kind = lateKind
	}
	switch {
	case c.method == "answerCallbackQuery" && (kind == floodKind || kind == longKind):
		kind = lostKind // there is no limit on answers. Source: the simulator's facts, limits
	case c.method == "getMe" && (kind == floodKind || kind == longKind):
		kind = errorKind // asked once in a life, which may be short
	case c.method == "getUpdates" && kind == longKind:
		kind = floodKind
	}
	if c.method == "getUpdates" && dice.IntN(4) > 0 {
		return "", dice
	}
	if id = "f" + strconv.FormatUint(luck, 36); !w.world.only.happens(id) {
		return "", dice
	}
	w.fault(kind, c.method, c.who, c.chat, id)
	return kind, dice
}

// diskFails says whether a commit does that concerns somebody.
func (w *watch) diskFails(who pairKey) bool {
	w.mu.Lock()
	w.times["commit"]++
	n := w.times["commit"]
	calm := !stormy(w.world.now()) || w.enough.Load()
	wished, wish := "", ""
	if !calm {
		wished, wish = w.granted("commit", w.state(who))
	}
	w.mu.Unlock()
	if wished != "" {
		w.fault(wished, "commit", who, who.chat, wish)
		return true
	}
	dice := rand.New(rand.NewPCG(w.world.plan.Seed, uint64(n)))
	id := "c" + strconv.Itoa(n)
	if calm || dice.IntN(w.world.plan.Scale.Fails) > 0 || !w.world.only.happens(id) {
		return false
	}
	w.fault("fails", "commit", who, who.chat, id)
	return true
}
