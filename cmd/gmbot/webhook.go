package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram"
)

const (
	hookConnections = 100 // Telegram's most. Source: Bot API, setWebhook
	hookLookEvery   = time.Minute
	hookLookAgain   = 5 * time.Second  // after trouble that may pass
	hookRefused     = 30 * time.Second // after Telegram refused what was asked
	hookMark        = "webhook_set"    // where the store keeps a mark of what was set
)

// webhookEnd is the bot's end of a webhook: its address is open from the start, and answers 503 until
// updates are taken.
type webhookEnd struct {
	handler *telegram.Webhook
	cert    []byte // to be uploaded; nil: it is trusted without, or a proxy has it
	said    string // what was last logged as trouble
	errorAt int64  // of the last failed delivery that was logged
}

// openWebhook listens on WEBHOOK_ADDR. Without WEBHOOK_URL it does nothing, and end is nil.
func openWebhook(ctx context.Context, set *settings, m *telegram.Metrics, log zerolog.Logger) (end *webhookEnd, stop func(context.Context), err error) {
	if set.WebhookURL == "" {
		return nil, func(context.Context) {}, nil
	}
	end = &webhookEnd{handler: telegram.NewWebhook(set.WebhookSecret, m)}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", set.WebhookAddr)
	if err != nil {
		return nil, nil, settingErrors{{"WEBHOOK_ADDR", "cannot be listened on: " + set.WebhookAddr, "name a free one, for example :8443 or 127.0.0.1:8443"}}
	}
	if set.WebhookCertFile != "" {
		c := &certificate{certFile: set.WebhookCertFile, keyFile: set.WebhookKeyFile}
		current, err := c.load()
		if err != nil {
			_ = l.Close()
			return nil, nil, settingErrors{{"WEBHOOK_CERT_FILE", "cannot be used", err.Error()}}
		}
		end.cert = selfSigned(current)
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.load() }})
	}
	return end, serve(ctx, l, end.handler, answerWithin, log), nil
}

// certificate is read from its files, and read again when they change.
type certificate struct {
	certFile, keyFile string
	mu                sync.Mutex
	current           *tls.Certificate
	changed           time.Time
}

// load returns the newest certificate that can be read.
func (c *certificate) load() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.certFile)
	if c.current != nil && (err != nil || info.ModTime().Equal(c.changed)) {
		return c.current, nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	switch {
	case err == nil && info != nil:
		c.current, c.changed = &pair, info.ModTime()
	case c.current == nil:
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return c.current, nil
}

// selfSigned is the certificate in PEM, if nobody but itself vouches for it: then Telegram has to be given it.
func selfSigned(c *tls.Certificate) []byte {
	if !bytes.Equal(c.Leaf.RawIssuer, c.Leaf.RawSubject) {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Leaf.Raw})
}

// takeWebhooks is the bot's life with webhooks.
func (b *bot) takeWebhooks(ctx context.Context, source *telegram.Source) error {
	b.hook.handler.To(source)
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { b.watchWebhook(ctx, source) })
	defer watching.Wait()
	defer cancel()
	return source.RunWebhook(ctx)
}

// watchWebhook has Telegram send updates here, and goes on to see that it does.
func (b *bot) watchWebhook(ctx context.Context, source *telegram.Source) {
	source.SetTaking(false, "the webhook is not set yet")
	for fails := 0; ctx.Err() == nil; {
		wait := hookLookEvery
		err := b.ensureWebhook(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			fails = 0
			b.hook.said = ""
			source.SetTaking(true, "")
		default:
			fails++
			var words string
			words, wait = explainWebhook(err)
			if taking, _ := source.Taking(); !taking || fails > 1 { // once may be chance
				source.SetTaking(false, words)
			}
			if words != b.hook.said {
				b.hook.said = words
				b.log.Warn().Str("error", telegram.Redact(err.Error())).Msg(words)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func explainWebhook(err error) (words string, wait time.Duration) {
	switch telegram.Classify(err) { //nolint:exhaustive // the others are trouble that passes
	case protos.Outcome_UNAUTHORIZED:
		return "Telegram refuses BOT_TOKEN: it was revoked, or belongs to another API server", hookRefused
	case protos.Outcome_OUR_MISTAKE:
		return "Telegram refuses WEBHOOK_URL: it must be able to reach it under that name", hookRefused
	case protos.Outcome_FLOOD:
		return "Telegram asks for a pause in setting the webhook", max(hookLookAgain, telegram.RetryAfter(err))
	}
	return "Telegram does not answer about the webhook, trying again", hookLookAgain
}

// ensureWebhook sets the webhook when Telegram has another, and says what it could not deliver.
func (b *bot) ensureWebhook(ctx context.Context) error {
	info, err := b.client.WebhookInfo(ctx)
	if err != nil {
		return err
	}
	wish := telegram.WebhookSettings{URL: b.set.WebhookURL, Secret: b.set.WebhookSecret, MaxConnections: hookConnections, Certificate: b.hook.cert}
	why := b.differs(ctx, info, wish)
	b.undelivered(info)
	if why == "" {
		return nil
	}
	if err := b.client.SetWebhook(ctx, wish); err != nil {
		return err
	}
	b.log.Info().Str("because", why).Msg("the webhook is set")
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails. Source: crypto/rand
	mark := markOf(salt, wish)
	if err := b.store.Update(ctx, func(tx persistence.Tx) error { return tx.SetMeta(hookMark, mark) }); err != nil {
		// Without the mark it is set again at the next look.
		b.log.Warn().Str("error", telegram.Redact(err.Error())).Msg("that the webhook is set cannot be stored")
	}
	return nil
}

// differs says why the webhook has to be set, or nothing. Telegram does not show the secret; that the same one
// is set is known by the mark, and that another is, by answers of 401.
func (b *bot) differs(ctx context.Context, info *telegram.WebhookInfo, wish telegram.WebhookSettings) string {
	switch {
	case info.URL == "":
		return "there was none"
	case info.URL != wish.URL:
		return "there was another"
	case info.Certificate != (wish.Certificate != nil):
		return "its certificate is another"
	case info.MaxConnections != wish.MaxConnections:
		return "it allowed another number of connections"
	case !sameKinds(info.Allowed, telegram.AllowedUpdates()):
		return "it sent other updates"
	case info.LastErrorDate > b.hook.errorAt && info.LastErrorDate >= b.began.Unix() && strings.Contains(info.LastError, " 401 "):
		return "Telegram shows another secret"
	}
	mark, err := b.store.Meta(ctx, hookMark)
	if err != nil && b.running.Load().Away() {
		return "" // it is not known, and the next look will tell
	}
	salt, _, _ := strings.Cut(mark, ":")
	if raw, err := hex.DecodeString(salt); err != nil || mark == "" || mark != markOf(raw, wish) {
		return "its secret or certificate may be another"
	}
	return ""
}

// markOf tells one setting of a webhook from another, and the secret to nobody.
func markOf(salt []byte, w telegram.WebhookSettings) string {
	h := hmac.New(sha256.New, salt)
	for _, part := range [][]byte{[]byte(w.URL), []byte(w.Secret), w.Certificate} {
		_, _ = fmt.Fprintf(h, "%d:", len(part))
		_, _ = h.Write(part)
	}
	return hex.EncodeToString(salt) + ":" + hex.EncodeToString(h.Sum(nil))
}

func sameKinds(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// undelivered logs Telegram's trouble with this program, each once.
func (b *bot) undelivered(info *telegram.WebhookInfo) {
	if info.LastErrorDate <= b.hook.errorAt || info.LastErrorDate < b.began.Unix() {
		return
	}
	b.hook.errorAt = info.LastErrorDate
	b.log.Warn().Str("error", telegram.Redact(info.LastError)).Time("at", time.Unix(info.LastErrorDate, 0)).Int64("pending", info.Pending).
		Msg("Telegram could not deliver an update to WEBHOOK_URL, and tries again")
}

// checkWebhook finds the faults in what webhooks need.
func (s *settings) checkWebhook() (wrong settingErrors) {
	add := func(bad bool, name, what, cure string) {
		if bad {
			wrong = append(wrong, settingError{name, what, cure})
		}
	}
	if s.WebhookURL == "" {
		return nil
	}
	what, cure := wrongWebhook(s.WebhookURL, s.TelegramAPIURL)
	add(what != "", "WEBHOOK_URL", what, cure)
	add(s.WebhookSecret == "", "WEBHOOK_SECRET", "is not set, and webhooks need one", "for example the output of `openssl rand -hex 32`")
	_, _, err := net.SplitHostPort(s.WebhookAddr)
	add(err != nil, "WEBHOOK_ADDR", "is no address", "for example :8443 or 127.0.0.1:8443")
	add(s.WebhookCertFile == "" && s.WebhookKeyFile != "", "WEBHOOK_CERT_FILE", "is not set, but WEBHOOK_KEY_FILE is", "set both, or none behind a proxy that speaks https")
	add(s.WebhookCertFile != "" && s.WebhookKeyFile == "", "WEBHOOK_KEY_FILE", "is not set, but WEBHOOK_CERT_FILE is", "set both, or none behind a proxy that speaks https")
	if s.WebhookCertFile == "" || s.WebhookKeyFile == "" {
		return wrong
	}
	_, certErr := os.Stat(s.WebhookCertFile)
	add(certErr != nil, "WEBHOOK_CERT_FILE", "cannot be read", "name the PEM file of the certificate, for example fullchain.pem")
	_, keyErr := os.Stat(s.WebhookKeyFile)
	add(keyErr != nil, "WEBHOOK_KEY_FILE", "cannot be read", "name the PEM file of the certificate's key, for example privkey.pem")
	if certErr == nil && keyErr == nil {
		_, err := tls.LoadX509KeyPair(s.WebhookCertFile, s.WebhookKeyFile)
		add(err != nil, "WEBHOOK_CERT_FILE", "is no certificate in PEM with the key of WEBHOOK_KEY_FILE", "for example fullchain.pem, with privkey.pem as the key")
	}
	return wrong
}

// wrongWebhook says why an address cannot be a webhook's. Telegram's own server wants https and certain ports;
// one that is run with --local does not. Source: Bot API, setWebhook, Using a Local Bot API Server.
func wrongWebhook(address, api string) (what, cure string) {
	const example = "for example https://bot.example.org/telegram"
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil:
		return "is no https address", example
	case api != publicAPI:
		return "", ""
	case u.Scheme != "https":
		return "must begin with https", example
	case !slices.Contains([]string{"", "443", "80", "88", "8443"}, u.Port()):
		return "names a port that Telegram does not call", "ports 443, 80, 88 and 8443 are possible; " + example
	}
	return "", ""
}
