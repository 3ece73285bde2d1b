package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/PaulSonOfLars/gotgbot/v2"
)

const (
	// callTimeout is past the 8 s that Telegram's server sleeps through flood control by itself.
	callTimeout = 15 * time.Second
	// maxAnswerBytes bounds an answer; Telegram caps a batch of updates near 4 MiB.
	maxAnswerBytes = 16 << 20
)

// transport carries calls as JSON over connections that stay open. It is gotgbot's BotClient.
type transport struct {
	http    *http.Client
	api     string
	metrics *Metrics
}

var _ gotgbot.BotClient = (*transport)(nil)

func newTransport(api string, m *Metrics) *transport {
	return &transport{api: api, metrics: m, http: &http.Client{
		// An API server does not redirect; following one would carry the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			MaxIdleConns:        128,
			MaxIdleConnsPerHost: 128,
			IdleConnTimeout:     90 * time.Second,
			TLSHandshakeTimeout: 10 * time.Second,
		},
	}}
}

// GetAPIURL implements gotgbot.BotClient.
func (t *transport) GetAPIURL(*gotgbot.RequestOpts) string { return t.api }

// FileURL implements gotgbot.BotClient.
func (t *transport) FileURL(token, path string, _ *gotgbot.RequestOpts) string {
	return fmt.Sprintf("%s/file/bot%s/%s", t.api, token, path)
}

// RequestWithContext implements gotgbot.BotClient: one call, never repeated. Its errors are *Error.
func (t *transport) RequestWithContext(
	ctx context.Context, token, method string, params map[string]any, opts *gotgbot.RequestOpts,
) (json.RawMessage, error) {
	timeout := callTimeout
	if opts != nil && opts.Timeout > 0 {
		timeout = opts.Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	result, err := t.post(ctx, token, method, params)
	t.metrics.called(method, Classify(err), time.Since(began))
	return result, err
}

// answer is the envelope of every answer. Source: Bot API, Making requests.
type answer struct {
	OK          bool            `json:"ok"`
	Result      json.RawMessage `json:"result"`
	ErrorCode   int             `json:"error_code"`
	Description string          `json:"description"`
	Parameters  struct {
		RetryAfter      int   `json:"retry_after"`
		MigrateToChatID int64 `json:"migrate_to_chat_id"`
	} `json:"parameters"`
}

// errNoEnvelope is about JSON that is not Telegram's, with a status of success.
var errNoEnvelope = errors.New("answer is no envelope of Telegram's")

func (t *transport) post(ctx context.Context, token, method string, params map[string]any) (json.RawMessage, error) {
	body, err := json.Marshal(params)
	if err != nil {
		return nil, fromTelegram(method, http.StatusBadRequest, "cannot be encoded: "+err.Error(), 0, 0)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.api+"/bot"+token+"/"+method, bytes.NewReader(body))
	if err != nil {
		return nil, fromTelegram(method, http.StatusBadRequest, "no usable address", 0, 0)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := t.http.Do(req)
	if err != nil {
		return nil, fromNetwork(method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, fromNetwork(method, err)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		// A proxy's page, not Telegram's words: the status is all there is to know.
		if resp.StatusCode < http.StatusMultipleChoices {
			return nil, fromNetwork(method, fmt.Errorf("answer is no JSON: %w", err))
		}
		return nil, fromTelegram(method, resp.StatusCode, "answer is no JSON", 0, 0)
	}
	if !a.OK {
		code := a.ErrorCode
		if code == 0 {
			code = resp.StatusCode
		}
		if code < http.StatusMultipleChoices {
			return nil, fromNetwork(method, errNoEnvelope)
		}
		return nil, fromTelegram(method, code, a.Description, a.Parameters.RetryAfter, a.Parameters.MigrateToChatID)
	}
	return a.Result, nil
}
