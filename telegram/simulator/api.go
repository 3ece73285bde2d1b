package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxBody bounds a request, bytes.
const maxBody = 1 << 20

// maxCalls is how many calls are remembered.
const maxCalls = 100_000

// apiError is an error in Telegram's form. text is complete, prefix included.
type apiError struct {
	code       int
	text       string
	retryAfter int
	migrateTo  int64
}

func (e apiError) Error() string { return e.text }

// bad is a 400 in Telegram's form: the first letter of the detail is lowercased unless the second is a
// capital or an underscore, so that raw codes stay. Source: Bot API server, Client.cpp.
func bad(detail string) error { return apiError{code: 400, text: "Bad Request: " + lowered(detail)} }

func forbidden(detail string) error {
	return apiError{code: 403, text: "Forbidden: " + lowered(detail)}
}

func lowered(s string) string {
	r := []rune(s)
	if len(r) > 1 && (r[1] == '_' || unicode.IsUpper(r[1])) {
		return s
	}
	if len(r) > 0 {
		r[0] = unicode.ToLower(r[0])
	}
	return string(r)
}

// params are a request's parameters, whichever way they came; those of JSON bodies keep their types.
type params map[string]any

func (p params) str(key string) string {
	switch v := p[key].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func (p params) integer(key string, otherwise int64) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(p.str(key)), 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}

// boolean: only these words are true. Source: Bot API server, Client.cpp.
func (p params) boolean(key string) bool {
	switch strings.ToLower(p.str(key)) {
	case "true", "yes", "1":
		return true
	}
	return false
}

// raw is a parameter that holds JSON: itself in a JSON body, a string of it elsewhere.
func (p params) raw(key string) json.RawMessage {
	switch v := p[key].(type) {
	case nil:
		return nil
	case string:
		return json.RawMessage(v)
	default:
		return mustJSON(v)
	}
}

func (p params) list(key string) (list []string, ok bool) {
	raw := p.raw(key)
	return list, raw != nil && json.Unmarshal(raw, &list) == nil
}

func readParams(w http.ResponseWriter, r *http.Request) (params, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	p := params{}
	for k, v := range r.URL.Query() {
		p[k] = v[0]
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	var values url.Values
	switch kind {
	case "application/json":
		dec := json.NewDecoder(r.Body)
		dec.UseNumber()
		if err := dec.Decode(&p); err != nil && !errors.Is(err, io.EOF) {
			return nil, bad("can't parse JSON object")
		}
		if p == nil {
			p = params{}
		}
	case "multipart/form-data":
		// The body is bounded above, so what is parsed of it is bounded too.
		if err := r.ParseMultipartForm(maxBody); err != nil { //nolint:gosec // see above
			return nil, bad("can't parse multipart form")
		}
		values = r.MultipartForm.Value
	case "application/x-www-form-urlencoded":
		if err := r.ParseForm(); err != nil {
			return nil, bad("can't parse form")
		}
		values = r.PostForm
	}
	for k, v := range values {
		p[k] = v[0]
	}
	return p, nil
}

var (
	apiPath    = regexp.MustCompile(`^/bot([^/]+)/([A-Za-z0-9_]+)/?$`)
	tokenShape = regexp.MustCompile(`^\d+:[A-Za-z0-9_-]{20,}$`)
)

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	m := apiPath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		s.respond(w, nil, apiError{code: 404, text: "Not Found"})
		return
	}
	if !tokenShape.MatchString(m[1]) {
		s.respond(w, nil, apiError{code: 401, text: "Unauthorized: invalid token specified"})
		return
	}
	s.mu.Lock()
	b := s.bots[m[1]]
	s.mu.Unlock()
	if b == nil {
		s.respond(w, nil, apiError{code: 401, text: "Unauthorized"})
		return
	}
	p, err := readParams(w, r)
	if err != nil {
		s.respond(w, nil, err)
		return
	}
	name, f := methodNamed(m[2])
	call := Call{BotID: b.ID, Method: name, Params: p}
	result, err := s.answer(r.Context(), b, name, f, p)
	if errors.Is(err, errHangUp) {
		s.record(&call, 0, err, nil, began)
		panic(http.ErrAbortHandler)
	}
	status, body := s.respond(w, result, err)
	s.record(&call, status, err, body, began)
}

// answer applies faults and latency around a method.
func (s *Server) answer(ctx context.Context, b *account, name string, f method, p params) (any, error) {
	if s.o.Validate != nil && f != nil {
		_ = s.o.Validate("request", name, mustJSON(p))
	}
	fault := s.fault(name, p)
	if err := s.delay(ctx, name, fault); err != nil {
		return nil, err
	}
	if fault != nil && !fault.DropAfter {
		if fault.Drop {
			return nil, errHangUp
		}
		if fault.Status != 0 {
			return nil, apiError{code: fault.Status, text: fault.Description, retryAfter: fault.RetryAfter}
		}
	}
	result, err := s.effect(ctx, b, name, f, p)
	if fault != nil && fault.DropAfter {
		return nil, errHangUp
	}
	return result, err
}

func (s *Server) delay(ctx context.Context, name string, fault *Fault) error {
	var wait time.Duration
	if s.o.Latency != nil {
		wait = s.o.Latency(name)
	}
	if fault != nil {
		wait += fault.Delay
	}
	return pause(ctx, wait)
}

func pause(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Server) effect(ctx context.Context, b *account, name string, f method, p params) (any, error) {
	switch {
	case f == nil && knownMethods[strings.ToLower(name)]:
		return nil, apiError{code: 501, text: "Not Implemented: the simulator does not model " + name}
	case f == nil:
		return nil, apiError{code: 404, text: "Not Found: method not found"}
	case name == "getUpdates":
		return s.getUpdates(ctx, b, p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.touch()
	return f(s, b, p)
}

// respond writes an answer in Telegram's envelope.
func (s *Server) respond(w http.ResponseWriter, result any, err error) (status int, body json.RawMessage) {
	w.Header().Set("Content-Type", "application/json")
	if err == nil {
		body = mustJSON(result)
		_, _ = w.Write(mustJSON(map[string]any{"ok": true, "result": body}))
		return http.StatusOK, body
	}
	var e apiError
	if !errors.As(err, &e) {
		e = apiError{code: 500, text: "Internal Server Error: " + err.Error()}
	}
	envelope := map[string]any{"ok": false, "error_code": e.code, "description": e.text}
	parameters := map[string]any{}
	if e.retryAfter > 0 {
		parameters["retry_after"] = e.retryAfter
		w.Header().Set("Retry-After", strconv.Itoa(e.retryAfter))
	}
	if e.migrateTo != 0 {
		parameters["migrate_to_chat_id"] = e.migrateTo
	}
	if len(parameters) > 0 {
		envelope["parameters"] = parameters
	}
	w.WriteHeader(e.code)
	_, _ = w.Write(mustJSON(envelope))
	return e.code, nil
}

func (s *Server) record(c *Call, status int, err error, body json.RawMessage, began time.Time) {
	c.At, c.Status, c.Result, c.Took = s.o.Clock(), status, body, time.Since(began)
	if err != nil {
		c.Error = err.Error()
	}
	if s.o.Validate != nil && err == nil {
		_ = s.o.Validate("response", c.Method, body)
	}
	s.mu.Lock()
	s.seq++
	c.Seq = s.seq
	if c.Method != "getUpdates" {
		if len(s.calls) >= maxCalls {
			s.calls = append(s.calls[:0:0], s.calls[maxCalls/2:]...)
		}
		s.calls = append(s.calls, *c)
	}
	s.touch()
	s.mu.Unlock()
	if s.o.OnCall != nil {
		s.o.OnCall(*c)
	}
}
