package simulator

import (
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

// forbidden is a 403, but for a raw code, which becomes a 400. Source: Bot API server, Client.cpp
// (fail_query_with_error).
func forbidden(detail string) error {
	if rawCode.MatchString(detail) {
		return bad(detail)
	}
	return apiError{code: 403, text: "Forbidden: " + lowered(detail)}
}

var rawCode = regexp.MustCompile(`^[A-Z0-9_]+$`)

// remembered is a 400 whose text is from memory only.
func (s *Server) remembered(code string) error {
	if s.o.Switches.OtherTexts {
		return bad("WORDS_NOBODY_REMEMBERED")
	}
	return bad(code)
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
	if r.URL.RawQuery != "" {
		for k, v := range r.URL.Query() {
			p[k] = v[0]
		}
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	var values url.Values
	switch kind {
	case "application/json":
		raw, err := io.ReadAll(r.Body)
		if err == nil {
			err = readInto(p, raw)
		}
		if err != nil {
			return nil, bad("can't parse JSON object")
		}
	case "multipart/form-data":
		// The body is bounded above, so what is parsed of it is bounded too.
		if err := r.ParseMultipartForm(maxBody); err != nil { //nolint:gosec // see above
			return nil, bad("can't parse multipart form")
		}
		values = r.MultipartForm.Value
		for k, v := range r.MultipartForm.File {
			f, err := readUpload(v[0])
			if err != nil {
				return nil, bad("can't read file")
			}
			p[k] = f
		}
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

var tokenShape = regexp.MustCompile(`^\d+:[A-Za-z0-9_-]{20,}$`)

// splitPath takes /bot<token>/<method> apart.
func splitPath(path string) (token, method string, ok bool) {
	path, ok = strings.CutPrefix(path, "/bot")
	if !ok {
		return "", "", false
	}
	token, method, _ = strings.Cut(path, "/")
	method = strings.TrimSuffix(method, "/")
	odd := func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	}
	return token, method, token != "" && method != "" && !strings.ContainsFunc(method, odd)
}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	if s.isAway() {
		panic(http.ErrAbortHandler)
	}
	token, wanted, ok := splitPath(r.URL.Path)
	if !ok {
		s.respond(w, nil, apiError{code: 404, text: "Not Found"})
		return
	}
	b, err := s.account(token)
	if err != nil {
		s.respond(w, nil, err)
		return
	}
	p, err := readParams(w, r)
	if err != nil {
		s.respond(w, nil, err)
		return
	}
	name, f := methodNamed(wanted)
	if s.o.Validate != nil && f != nil {
		_ = s.o.Validate("request", name, mustJSON(p))
	}
	s.mu.Lock()
	h := s.strike(b, name, p)
	s.mu.Unlock()
	call := Call{BotID: b.ID, Method: name, Params: p, Fault: h.kind}
	result, err := s.answer(r.Context(), b, name, f, p, h)
	switch {
	case errors.Is(err, errHangUp):
		s.record(&call, 0, err, nil, began)
		panic(http.ErrAbortHandler)
	case err == nil && h.raw != nil:
		h.raw.write(w)
		s.record(&call, h.raw.status, errRaw, nil, began)
	default:
		status, body := s.respond(w, result, err)
		s.record(&call, status, err, body, began)
	}
}

// account is the bot a token belongs to.
func (s *Server) account(token string) (*account, error) {
	s.mu.Lock()
	b := s.bots[token]
	s.mu.Unlock()
	switch {
	case b != nil:
		return b, nil
	case !tokenShape.MatchString(token):
		return nil, apiError{code: 401, text: "Unauthorized: invalid token specified"}
	}
	return nil, apiError{code: 401, text: "Unauthorized"}
}

// isAway: the server restarts, and nobody is there.
func (s *Server) isAway() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.back.IsZero() && s.o.Clock().Before(s.back)
}

// respond writes an answer in Telegram's envelope.
func (s *Server) respond(w http.ResponseWriter, result any, err error) (status int, body json.RawMessage) {
	w.Header().Set("Content-Type", "application/json")
	if err == nil {
		envelope := append(make([]byte, 0, 512), `{"ok":true,"result":`...)
		from := len(envelope)
		if list, ok := result.(rawList); ok {
			envelope = list.append(envelope)
		} else {
			envelope = appendJSON(envelope, result)
		}
		body = json.RawMessage(envelope[from:len(envelope):len(envelope)])
		_, _ = w.Write(append(envelope, '}'))
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
	c.Status, c.Result, c.Took = status, body, time.Since(began)
	if err != nil {
		c.Error = err.Error()
	}
	if s.o.Validate != nil && err == nil {
		_ = s.o.Validate("response", c.Method, body)
	}
	s.mu.Lock()
	s.seq++
	c.Seq, c.At = s.seq, s.clock()
	if c.Method != "getUpdates" && !s.o.ForgetCalls {
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
