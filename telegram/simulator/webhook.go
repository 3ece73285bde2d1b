package simulator

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// How webhooks are delivered. Source: Bot API server, WebhookActor.cpp, Client.cpp (do_set_webhook).
const (
	hookConnections = 40          // unless the bot says otherwise
	hookSilence     = time.Minute // an answer that takes longer never comes
	hookSetPause    = time.Second // between two setWebhook
	hookGoneAfter   = 23 * time.Hour
	maxHookPause    = time.Hour // that a Retry-After may ask for
	maxHookAnswer   = 1 << 20
)

// webhook is where a bot's updates are sent.
type webhook struct {
	url     string
	secret  string
	cert    []byte
	limit   int // connections
	client  *http.Client
	ctx     context.Context //nolint:containedctx // the webhook's life: a new one, or none, ends what is in the air
	end     context.CancelFunc
	inAir   int
	lines   map[hookKey]*hookLine
	errorAt time.Time
	error   string
	goneAt  time.Time // of the first 410 since anything else
}

// hookLine is what must be delivered one after the other.
type hookLine struct {
	busy  bool
	fails int
	after time.Time // not before
}

var hookSecret = regexp.MustCompile(`^[A-Za-z0-9_-]*$`)

func setWebhook(s *Server, b *account, p params) (any, error) {
	address := p.str("url")
	if address == "" {
		return deleteWebhook(s, b, p)
	}
	if err := s.checkHook(address, p.str("secret_token")); err != nil {
		return nil, err
	}
	now := s.o.Clock()
	if now.Sub(b.hookSet) < hookSetPause {
		return nil, apiError{code: 429, text: "Too Many Requests: retry after 1", retryAfter: 1}
	}
	w := &webhook{
		url: address, secret: p.str("secret_token"), limit: int(clamp(p.integer("max_connections", hookConnections), 1, 100)), lines: map[hookKey]*hookLine{},
	}
	if f, ok := p["certificate"].(*file); ok {
		w.cert = f.data
	}
	client, err := s.hookClient(w.cert)
	if err != nil {
		return nil, err
	}
	w.client = client
	w.ctx, w.end = context.WithCancel(context.Background())
	if kinds, ok := p.list("allowed_updates"); ok {
		b.allow(kinds)
	}
	if p.boolean("drop_pending_updates") {
		b.shorten(len(b.queue))
	}
	b.unhook()
	b.hook, b.hookSet = w, now
	if b.poll != nil {
		b.poll.displaced <- displacement{text: conflictSet}
		b.poll = nil
	}
	s.deliver(b)
	return true, nil
}

// checkHook refuses what cannot be a webhook. A server that is run with --local takes http and any port.
// Source: Bot API, setWebhook, Using a Local Bot API Server; Bot API server, Client.cpp.
func (s *Server) checkHook(address, secret string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		return bad("bad webhook: Invalid URL")
	case s.o.LocalWebhooks:
	case u.Scheme != "https":
		return bad("bad webhook: An HTTPS URL must be provided for webhook")
	case u.Port() != "" && !slices.Contains([]string{"80", "88", "443", "8443"}, u.Port()):
		return bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
	}
	if len(secret) > 256 {
		return bad("secret token is too long")
	}
	if !hookSecret.MatchString(secret) {
		return bad("secret token contains unallowed characters")
	}
	return nil
}

// hookClient trusts the certificate that was uploaded, if one was, and nobody else then.
func (s *Server) hookClient(cert []byte) (*http.Client, error) {
	client := &http.Client{
		Timeout: hookSilence, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if s.o.Webhooks != nil {
		client.Transport = s.o.Webhooks
		return client, nil
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if cert != nil {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(cert) {
			return nil, bad("bad webhook: invalid certificate")
		}
	}
	client.Transport = &http.Transport{TLSClientConfig: trust, MaxIdleConnsPerHost: 100, IdleConnTimeout: 90 * time.Second}
	return client, nil
}

func deleteWebhook(_ *Server, b *account, p params) (any, error) {
	b.unhook()
	if p.boolean("drop_pending_updates") {
		b.shorten(len(b.queue))
	}
	return true, nil
}

// unhook ends a webhook; what was in the air stays in the queue.
func (b *account) unhook() {
	if b.hook == nil {
		return
	}
	b.hook.end()
	b.hook.client.CloseIdleConnections()
	b.hook = nil
	for i := range b.queue {
		b.queue[i].sent = false
	}
}

func getWebhookInfo(s *Server, b *account, _ params) (any, error) {
	b.expire(s.clock())
	info := map[string]any{"url": "", "has_custom_certificate": false, "pending_update_count": len(b.queue)}
	if b.allowed != nil {
		kinds := []string{}
		for kind := range b.allowed {
			kinds = append(kinds, kind)
		}
		slices.Sort(kinds)
		info["allowed_updates"] = kinds
	}
	w := b.hook
	if w == nil {
		return info, nil
	}
	info["url"], info["has_custom_certificate"], info["max_connections"] = w.url, w.cert != nil, w.limit
	if !w.errorAt.IsZero() {
		info["last_error_date"], info["last_error_message"] = w.errorAt.Unix(), w.error
	}
	return info, nil
}

// hookKey names what is delivered one after the other.
type hookKey struct {
	kind string
	id   int64
}

// lineOf says what an update is delivered in order with: messages of a chat, what concerns a person's
// standing or presses of one person, the bot's own standing in a chat. Source: Bot API server, Client.cpp
// (add_update and its callers).
func lineOf(kind string, body map[string]any) hookKey {
	chat, user := about(body)
	switch kind {
	case "callback_query":
		return hookKey{"press", user}
	case "chat_member", "chat_join_request":
		return hookKey{"standing", user}
	case "my_chat_member":
		return hookKey{"own", chat}
	}
	return hookKey{"chat", chat}
}

// deliver sends what may be sent now: of each line the oldest, unless that waits, and no more at once than
// the bot allows. The world is locked.
func (s *Server) deliver(b *account) {
	w := b.hook
	if w == nil {
		return
	}
	now := time.Now()
	if away := s.back.Sub(s.o.Clock()); away > 0 {
		s.deliverIn(b, w, away)
		return
	}
	b.expire(s.clock())
	passed := map[hookKey]bool{}
	for i := range b.queue {
		q := &b.queue[i]
		if w.inAir >= w.limit {
			return
		}
		if passed[q.line] {
			continue
		}
		passed[q.line] = true
		line := w.line(q.line)
		if q.sent || line.busy {
			continue
		}
		if wait := line.after.Sub(now); wait > 0 {
			continue // a timer is set for it
		}
		q.sent, line.busy = true, true
		w.inAir++
		if q.handed != nil {
			s.o.OnHand(*q.handed)
			q.handed = nil
		}
		go s.carry(b, w, *q)
	}
}

func (w *webhook) line(key hookKey) *hookLine {
	if w.lines[key] == nil {
		w.lines[key] = &hookLine{}
	}
	return w.lines[key]
}

// deliverIn looks again after a while. The world is locked.
func (s *Server) deliverIn(b *account, w *webhook, wait time.Duration) {
	time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if b.hook == w {
			s.deliver(b)
		}
	})
}

// carry sends one update and sees to what becomes of it.
func (s *Server) carry(b *account, w *webhook, q queued) {
	status, pause, err := w.send(q.raw)
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.hook != w {
		return
	}
	w.inAir--
	line := w.line(q.line)
	line.busy = false
	if err == nil && status >= 200 && status < 300 {
		w.goneAt = time.Time{}
		b.drop(func(o queued) bool { return o.id == q.id })
		delete(w.lines, q.line)
		s.deliver(b)
		s.touch()
		return
	}
	w.failed(s.clock(), status, err)
	if status == http.StatusGone && s.clock().Sub(w.goneAt) > hookGoneAfter {
		b.unhook()
		s.touch()
		return
	}
	for i := range b.queue {
		if b.queue[i].id == q.id {
			b.queue[i].sent = false
		}
	}
	wait := pause
	if wait == 0 {
		wait = backoff(line.fails)
	}
	line.fails++
	line.after = time.Now().Add(wait)
	s.deliverIn(b, w, wait)
	s.deliver(b) // the slot is free for another line
	s.touch()
}

// backoff is how long the next attempt waits: not at all, then 2, 4, 8 … seconds, up to one or two minutes.
func backoff(fails int) time.Duration {
	if fails == 0 {
		return 0
	}
	longest := time.Minute + rand.N(time.Minute)
	return min(time.Second<<min(fails, 10), longest)
}

// send posts an update. pause is what a Retry-After asks for. An answer that names a method has Telegram carry
// that out, which is not modelled.
func (w *webhook) send(raw []byte) (status int, pause time.Duration, err error) {
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.url, bytes.NewReader(raw))
	if err != nil {
		return 0, 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	if w.secret != "" {
		r.Header.Set("X-Telegram-Bot-Api-Secret-Token", w.secret)
	}
	resp, err := w.client.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		pause = min(time.Duration(seconds)*time.Second, maxHookPause)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxHookAnswer))
	return resp.StatusCode, pause, err
}

func (w *webhook) failed(now time.Time, status int, err error) {
	w.errorAt = now
	var tlsFault *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &tlsFault):
		w.error = "SSL error {error:0A000086:SSL routines::certificate verify failed}"
	case errors.Is(err, syscall.ECONNREFUSED):
		w.error = "Connection refused"
	case errors.As(err, &timeout) && timeout.Timeout():
		w.error = "Read timeout expired"
	case err != nil:
		w.error = "Connection closed"
	default:
		w.error = fmt.Sprintf("Wrong response from the webhook: %d %s", status, http.StatusText(status))
	}
	switch {
	case status != http.StatusGone:
		w.goneAt = time.Time{}
	case w.goneAt.IsZero():
		w.goneAt = now
	}
}

// DropWebhook takes a bot's webhook away, as if it had called deleteWebhook.
func (s *Server) DropWebhook(botID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bots {
		if b.ID == botID {
			b.unhook()
		}
	}
}
