package telegram

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/PaulSonOfLars/gotgbot/v2"

	"github.com/gmbot/gmbot/protos"
)

const (
	// callTimeout is past the 8 s that Telegram's server sleeps through flood control by itself.
	callTimeout = 15 * time.Second
	// maxAnswerBytes bounds an answer; Telegram caps a batch of updates near 4 MiB.
	maxAnswerBytes = 16 << 20
)

// transport carries calls as JSON over connections that stay open. It is gotgbot's BotClient.
type transport struct {
	over    http.RoundTripper // an API server does not redirect, and following one would carry the token elsewhere
	api     string
	base    *url.URL
	metrics *Metrics
}

var _ gotgbot.BotClient = (*transport)(nil)

func newTransport(api string, base *url.URL, m *Metrics) *transport {
	t := &transport{api: api, base: base, metrics: m, over: newWire(base)}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: base}); proxy != nil || err != nil {
		t.over = &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			MaxIdleConns:        maxIdleConns,
			MaxIdleConnsPerHost: maxIdleConns,
			IdleConnTimeout:     idleConnTimeout,
			TLSHandshakeTimeout: 10 * time.Second,
		}
	}
	return t
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
	body, kind, err := encode(params)
	if err != nil {
		return nil, fromTelegram(method, http.StatusBadRequest, "cannot be encoded: "+err.Error(), 0, 0)
	}
	return t.request(ctx, token, method, &payload{body: body, kind: kind}, timeout)
}

// payload is what a call takes along, and memory for its answer.
type payload struct {
	body []byte
	kind string // media type of body
	room []byte // memory that the answer may have
}

// request makes one call. What it returns may be part of p.room.
func (t *transport) request(ctx context.Context, token, method string, p *payload, timeout time.Duration) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	result, err := t.post(ctx, token, method, p)
	t.metrics.called(method, Classify(err), time.Since(began))
	return result, err
}

// answer is the envelope of every answer. Source: Bot API, Making requests.
type answer struct {
	ok          bool
	result      json.RawMessage // part of what was read
	code        int64
	description string
	retryAfter  int64
	migrateTo   int64
}

func (a *answer) read(w *walker) error {
	return w.object(func(key []byte) (err error) {
		switch string(key) {
		case "ok":
			return w.bool(&a.ok)
		case "result":
			raw, err := w.d.Raw()
			a.result = json.RawMessage(raw)
			return err
		case "error_code":
			return w.int64(&a.code)
		case "description":
			return w.string(&a.description)
		case "parameters":
			if w.null() {
				return nil
			}
			return w.object(func(key []byte) error {
				switch string(key) {
				case "retry_after":
					return w.int64(&a.retryAfter)
				case "migrate_to_chat_id":
					return w.int64(&a.migrateTo)
				}
				return w.skip()
			})
		}
		return w.skip()
	})
}

// errNoEnvelope is about JSON that is not Telegram's, with a status of success.
var errNoEnvelope = errors.New("answer is no envelope of Telegram's")

func (t *transport) post(ctx context.Context, token, method string, p *payload) (json.RawMessage, error) {
	resp, err := t.send(ctx, http.MethodPost, "/bot"+token+"/"+method, p)
	if err != nil {
		return nil, fromNetwork(method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := readBody(resp, p)
	if err != nil {
		return nil, fromNetwork(method, err)
	}
	var a answer
	if err := walk(raw, a.read); err != nil {
		// A proxy's page, not Telegram's words: the status is all there is to know.
		if resp.StatusCode < http.StatusMultipleChoices {
			return nil, fromNetwork(method, fmt.Errorf("answer is no JSON: %w", err))
		}
		return nil, fromTelegram(method, resp.StatusCode, "answer is no JSON", 0, 0)
	}
	if !a.ok {
		code := int(a.code)
		if code == 0 {
			code = resp.StatusCode
		}
		if code < http.StatusMultipleChoices {
			return nil, fromNetwork(method, errNoEnvelope)
		}
		return nil, fromTelegram(method, code, a.description, int(a.retryAfter), a.migrateTo)
	}
	return a.result, nil
}

// send makes a request of a path under the API's address; p is nil for none to take along.
func (t *transport) send(ctx context.Context, verb, path string, p *payload) (*http.Response, error) {
	to := *t.base
	to.Path += path
	r := &http.Request{
		Method: verb, URL: &to, Host: to.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody,
	}
	if p != nil {
		r.Header["Content-Type"] = []string{p.kind}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(p.body)), int64(len(p.body))
	}
	if u := to.User; u != nil { // of a proxy before a server of one's own
		password, _ := u.Password()
		r.SetBasicAuth(u.Username(), password)
	}
	resp, err := t.over.RoundTrip(r.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", verb, &to, err)
	}
	return resp, nil
}

// readBody reads an answer into the payload's room, or into memory of just its size, where that is said.
func readBody(resp *http.Response, p *payload) ([]byte, error) {
	n := resp.ContentLength
	if n < 0 || n > maxAnswerBytes {
		return io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	}
	raw := p.room
	if int64(cap(raw)) < n {
		raw = make([]byte, n)
	}
	raw = raw[:n]
	p.room = raw
	_, err := io.ReadFull(resp.Body, raw)
	return raw, err
}

// upload is a parameter that is a file; a call with one is sent as a form.
type upload struct {
	name string
	data []byte
}

// encode writes parameters as JSON, or as a form when one of them is a file.
func encode(params map[string]any) (body []byte, kind string, err error) {
	for _, v := range params {
		if _, ok := v.(upload); ok {
			return encodeForm(params)
		}
	}
	body, err = json.Marshal(params)
	return body, jsonType, err
}

const jsonType = "application/json"

func encodeForm(params map[string]any) (body []byte, kind string, err error) {
	var buf bytes.Buffer
	form := multipart.NewWriter(&buf)
	for name, v := range params {
		switch v := v.(type) {
		case upload:
			part, err := form.CreateFormFile(name, v.name)
			if err != nil {
				return nil, "", err
			}
			if _, err := part.Write(v.data); err != nil {
				return nil, "", err
			}
		case string:
			if err := form.WriteField(name, v); err != nil {
				return nil, "", err
			}
		default:
			raw, err := json.Marshal(v)
			if err != nil {
				return nil, "", err
			}
			if err := form.WriteField(name, string(raw)); err != nil {
				return nil, "", err
			}
		}
	}
	err = form.Close()
	return buf.Bytes(), form.FormDataContentType(), err
}

// download fetches a file that getFile named, of at most limit bytes.
func (t *transport) download(ctx context.Context, token, path string, limit int64) ([]byte, error) {
	const method = "download"
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	resp, err := t.send(ctx, http.MethodGet, "/file/bot"+token+"/"+path, nil)
	if err != nil {
		return nil, fromNetwork(method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fromTelegram(method, resp.StatusCode, "the file is not to be had", 0, 0)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fromNetwork(method, err)
	}
	if int64(len(data)) > limit {
		return nil, &Error{Method: method, Description: "file is too large", Outcome: protos.Outcome_OUR_MISTAKE}
	}
	return data, nil
}
