package simulator_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// hooked is an update that came to a webhook.
type hooked struct {
	at     time.Duration
	id     int64
	kind   string
	secret string
}

// hook is a bot's end of a webhook, in virtual time.
type hook struct {
	*box
	began  time.Time
	mu     sync.Mutex
	got    []hooked
	inAir  int
	most   int
	answer func(hooked) (status int, header http.Header) // nil: 200 at once
}

// RoundTrip implements http.RoundTripper.
func (h *hook) RoundTrip(r *http.Request) (*http.Response, error) {
	raw, _ := io.ReadAll(r.Body)
	var u map[string]json.RawMessage
	_ = json.Unmarshal(raw, &u)
	x := hooked{at: time.Since(h.began), secret: r.Header.Get("X-Telegram-Bot-Api-Secret-Token")}
	for key, value := range u {
		if key == "update_id" {
			_ = json.Unmarshal(value, &x.id)
		} else {
			x.kind = key
		}
	}
	h.mu.Lock()
	h.got = append(h.got, x)
	h.inAir++
	h.most = max(h.most, h.inAir)
	answer := h.answer
	h.mu.Unlock()
	status, header := http.StatusOK, http.Header{}
	if answer != nil {
		status, header = answer(x)
	}
	h.mu.Lock()
	h.inAir--
	h.mu.Unlock()
	if status == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: status, Header: header, Body: http.NoBody, Request: r}, nil
}

func withHook(t *testing.T, test func(t *testing.T, h *hook)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hook{box: &box{t: t, url: "http://simulator"}, began: time.Now()}
		h.fill(simulator.Options{Webhooks: h})
		h.client = &http.Client{Transport: h.Transport()}
		test(t, h)
		h.good("deleteWebhook", object{"drop_pending_updates": true})
		synctest.Wait()
	})
}

func (h *hook) set(more object) {
	p := object{"url": "https://bot.example/hook", "secret_token": "s3cret", "allowed_updates": []string{"message", "chat_member", "callback_query"}}
	maps.Copy(p, more)
	h.good("setWebhook", p)
	synctest.Wait()
}

// say writes, and lets be delivered what can be.
func (h *hook) say(group int64, what string) {
	h.write(group, h.olga, what)
	synctest.Wait()
}

func (h *hook) info() object { return h.good("getWebhookInfo", nil).object() }

func (h *hook) times() (list []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, x := range h.got {
		list = append(list, fmt.Sprintf("%s %s", x.kind, x.at))
	}
	return list
}

func TestWebhook_Delivers(t *testing.T) {
	t.Parallel()
	withHook(t, func(t *testing.T, h *hook) {
		group := h.box.group("can_delete_messages")
		h.write(group, h.olga, "before")
		h.set(nil)
		require.Len(t, h.got, 2, "what waited comes, too")
		h.say(group, "hello")
		require.Len(t, h.got, 3)
		assert.Equal(t, "s3cret", h.got[2].secret)
		assert.Equal(t, "message", h.got[2].kind)
		info := h.info()
		assert.Equal(t, "https://bot.example/hook", info["url"])
		assert.InDelta(t, 0, info["pending_update_count"], 0)
		assert.InDelta(t, 40, info["max_connections"], 0)
		assert.Equal(t, []any{"callback_query", "chat_member", "message"}, info["allowed_updates"])
		assert.NotContains(t, info, "last_error_date")
		assert.Equal(t, 409, h.fails("Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
			"getUpdates", object{}).status)
		h.good("deleteWebhook", nil)
		h.write(group, h.olga, "now by polling")
		assert.Len(t, h.updates(object{}), 1)
		assert.Len(t, h.got, 3)
	})
}

// One is in the air for a key; others go on; a failure holds up its own key only, first not at all, then for
// 2, 4, 8 … seconds. Source: Bot API server, WebhookActor.cpp.
func TestWebhook_OrderAndRetries(t *testing.T) {
	t.Parallel()
	withHook(t, func(t *testing.T, h *hook) {
		one, two := h.box.group(), h.box.group()
		h.drain("")
		h.set(nil)
		var ill, first atomic.Int64
		ill.Store(1)
		h.answer = func(x hooked) (int, http.Header) {
			first.CompareAndSwap(0, x.id)
			if x.id == first.Load() && ill.Load() == 1 {
				return http.StatusServiceUnavailable, nil
			}
			return http.StatusOK, nil
		}
		h.say(one, "first")
		h.say(one, "second")
		h.say(two, "elsewhere")
		assert.Equal(t, []string{"message 0s", "message 0s", "message 0s"}, h.times(), "a retry at once, and the other chat")
		assert.InDelta(t, 2, h.info()["pending_update_count"], 0)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"message 2s", "message 6s"}, h.times()[3:])
		info := h.info()
		assert.Equal(t, "Wrong response from the webhook: 503 Service Unavailable", info["last_error_message"])
		assert.InDelta(t, time.Now().Unix(), info["last_error_date"], 0)
		ill.Store(0)
		time.Sleep(8 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"message 14s", "message 14s"}, h.times()[5:])
		assert.Less(t, h.got[5].id, h.got[6].id)
		assert.InDelta(t, 0, h.info()["pending_update_count"], 0)
	})
}

func TestWebhook_RetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	withHook(t, func(t *testing.T, h *hook) {
		group := h.box.group()
		h.drain("")
		h.set(nil)
		h.answer = func(hooked) (int, http.Header) {
			return http.StatusServiceUnavailable, http.Header{"Retry-After": {"7"}}
		}
		h.write(group, h.olga, "x")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		assert.Equal(t, []string{"message 0s", "message 7s", "message 14s"}, h.times())
	})
}

// A press of a person and her message go side by side, and no more at once than the bot allows.
func TestWebhook_Connections(t *testing.T) {
	t.Parallel()
	withHook(t, func(t *testing.T, h *hook) {
		var groups []int64
		for range 5 {
			groups = append(groups, h.box.group())
		}
		h.drain("")
		h.set(object{"max_connections": 3})
		h.answer = func(hooked) (int, http.Header) { time.Sleep(time.Second); return http.StatusOK, nil }
		for _, g := range groups {
			h.write(g, h.olga, "a")
			h.write(g, h.olga, "b")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		assert.Len(t, h.got, 10)
		assert.Equal(t, 3, h.most)
	})
}

// What is in the air when the webhook goes stays in the queue.
func TestWebhook_GoneWhileInTheAir(t *testing.T) {
	t.Parallel()
	withHook(t, func(t *testing.T, h *hook) {
		group := h.box.group()
		h.drain("")
		h.set(nil)
		h.answer = func(hooked) (int, http.Header) { time.Sleep(time.Second); return http.StatusOK, nil }
		h.write(group, h.olga, "x")
		h.good("deleteWebhook", nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Len(t, h.updates(object{}), 1)
	})
}

// 410 for 23 hours takes the webhook away. Source: Bot API server, WebhookActor.cpp.
func TestWebhook_TakenAwayAfterGone(t *testing.T) {
	t.Parallel()
	withHook(t, func(t *testing.T, h *hook) {
		group := h.box.group()
		h.drain("")
		h.set(nil)
		h.answer = func(hooked) (int, http.Header) { return http.StatusGone, nil }
		h.write(group, h.olga, "x")
		time.Sleep(22 * time.Hour)
		synctest.Wait()
		assert.NotEmpty(t, h.info()["url"])
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		assert.Empty(t, h.info()["url"])
	})
}

func TestWebhook_EndsAWaitingPoll(t *testing.T) {
	t.Parallel()
	withHook(t, func(t *testing.T, h *hook) {
		waiting := h.poll(object{"timeout": 50})
		synctest.Wait()
		h.set(nil)
		assert.Equal(t, "Conflict: terminated by setWebhook request", (<-waiting).Description)
		h.fails("Too Many Requests: retry after 1", "setWebhook", object{"url": "https://bot.example/other"})
	})
}

func TestWebhook_Refused(t *testing.T) {
	t.Parallel()
	b := open(t, simulator.Switches{})
	for address, want := range map[string]string{
		"http://bot.example/":       "Bad Request: bad webhook: An HTTPS URL must be provided for webhook",
		"https://bot.example:8080/": "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443",
		"https:///":                 "Bad Request: bad webhook: Invalid URL",
	} {
		b.fails(want, "setWebhook", object{"url": address})
	}
	b.fails("Bad Request: secret token contains unallowed characters", "setWebhook", object{"url": "https://bot.example/", "secret_token": "a b"})
	b.fails("Bad Request: secret token is too long", "setWebhook", object{"url": "https://bot.example/", "secret_token": strings.Repeat("a", 257)})
}

// A self-signed certificate is believed once it was uploaded. Source: Bot API, setWebhook.
func TestWebhook_SelfSigned(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("X-Telegram-Bot-Api-Secret-Token")
	}))
	srv.StartTLS()
	t.Cleanup(srv.Close)
	b := &box{t: t, now: began, client: http.DefaultClient}
	b.fill(simulator.Options{LocalWebhooks: true, Clock: b.clock})
	b.serve()
	group := b.group()
	b.drain("")
	b.good("setWebhook", object{"url": srv.URL, "secret_token": "s"})
	b.write(group, b.olga, "x")
	require.NoError(t, b.WaitFor(t.Context(), func() bool {
		return b.good("getWebhookInfo", nil).object()["last_error_message"] == "SSL error {error:0A000086:SSL routines::certificate verify failed}"
	}))
	b.advance(time.Second)
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	require.NoError(t, w.WriteField("url", srv.URL))
	require.NoError(t, w.WriteField("secret_token", "t"))
	part, err := w.CreateFormFile("certificate", "c.pem")
	require.NoError(t, err)
	require.NoError(t, pem.Encode(part, &pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	require.NoError(t, w.Close())
	assert.Equal(t, http.StatusOK, b.do(b.request("/bot"+b.bot.Token+"/setWebhook", w.FormDataContentType(), form.String())).status)
	assert.Equal(t, "t", <-got)
	assert.Equal(t, true, b.good("getWebhookInfo", nil).object()["has_custom_certificate"])
	b.good("deleteWebhook", nil)
}
