package main

import (
	"bytes"
	"context"
	"encoding/json"
	"html/template"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"strings"
	"time"

	"github.com/gmbot/gmbot/actors"
)

const (
	// debugWithin bounds an answer of the debug pages; a profile takes 30 s by default.
	debugWithin = 2 * time.Minute
	// lookWithin bounds the questions behind a page.
	lookWithin = 2 * time.Second
)

// debugHandler serves what helps to find out why the bot does what it does. It is for those on the machine.
func (b *bot) debugHandler(redact func(string) string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", http.NotFound) // arguments may hold secrets
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/actors", func(w http.ResponseWriter, r *http.Request) {
		b.look(w, r, redact, actorsPage, func(ctx context.Context, s *actors.System) (any, error) { return s.Actors(ctx), nil })
	})
	mux.HandleFunc("GET /debug/chat/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
		if err != nil {
			writeText(w, http.StatusBadRequest, "no id: a group's and a channel's begin with -100, a person's is positive")
			return
		}
		b.look(w, r, redact, chatPage, func(ctx context.Context, s *actors.System) (any, error) { return s.Chat(ctx, id) })
	})
	return sameMachine(mux)
}

// look answers with what ask finds: a page for who asks for one, JSON for everybody else.
func (b *bot) look(w http.ResponseWriter, r *http.Request, redact func(string) string, page *template.Template, ask func(context.Context, *actors.System) (any, error)) {
	system := b.running.Load()
	if system == nil {
		writeText(w, http.StatusServiceUnavailable, "the bot has not begun")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), lookWithin)
	defer cancel()
	found, err := ask(ctx, system)
	if err != nil {
		writeText(w, http.StatusServiceUnavailable, redact(err.Error()))
		return
	}
	var out bytes.Buffer
	if r.URL.Query().Get("format") != "json" && strings.Contains(r.Header.Get("Accept"), "text/html") {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		err = page.Execute(&out, found)
	} else {
		w.Header().Set("Content-Type", "application/json")
		to := json.NewEncoder(&out)
		to.SetEscapeHTML(false)
		to.SetIndent("", "  ")
		err = to.Encode(found)
	}
	if err != nil {
		writeText(w, http.StatusInternalServerError, "the answer cannot be written")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(redact(out.String())))
}

// sameMachine refuses requests that name another host: a page of the web could otherwise have a browser here
// ask for it. Who listens on an address of the network names that.
func sameMachine(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if host != "localhost" && net.ParseIP(strings.Trim(host, "[]")) == nil {
			writeText(w, http.StatusForbidden, "ask by address, or by localhost")
			return
		}
		h.ServeHTTP(w, r)
	})
}

var pageHelp = template.FuncMap{
	"secs": func(s float64) string { return time.Duration(s * float64(time.Second)).Round(time.Second).String() },
	"at":   func(t time.Time) string { return t.UTC().Format(time.DateTime) },
	"json": func(v any) (string, error) { b, err := json.MarshalIndent(v, "", "  "); return string(b), err },
}

const pageStyle = `<!doctype html><meta charset="utf-8"><style>body{font:14px/1.5 sans-serif;margin:2em}table{border-collapse:collapse}` +
	`td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left;vertical-align:top}.bad{color:#b00}</style>`

var actorsPage = template.Must(template.New("actors").Funcs(pageHelp).Parse(pageStyle + `<title>Actors</title><h1>Actors</h1>
<p><a href="?format=json">JSON</a>. Of many children some are shown.
<table><tr><th>Actor<th>Kind<th>Age<th>Mailbox<th>Restarts<th>Children<th>Holds<th>Last failure</tr>
{{range .}}{{template "row" .}}{{end}}</table>
{{define "row"}}<tr{{if not .Answers}} class="bad"{{end}}><td>{{.Name}}<td>{{.Kind}}{{if .Answers}}<td>{{secs .AgeSeconds}}<td>{{.Mailbox}}<td>{{.Restarts}}<td>{{.Children}}
<td>{{range $k, $n := .State}}{{if $n}}{{$k}} {{$n}} {{end}}{{end}}<td class="bad">{{with .LastFailureAt}}{{at .}} {{end}}{{.LastFailure}}{{else}}<td colspan="6">does not answer{{end}}</tr>
{{range .Shown}}{{template "row" .}}{{end}}{{end}}`))

var chatPage = template.Must(template.New("chat").Funcs(pageHelp).Parse(pageStyle + `<title>Chat {{.ID}}</title>
<h1>{{.Kind}} {{.ID}}</h1><p><a href="?format=json">JSON</a>
{{with .Group}}<p><b>{{.Title}}</b>, protection {{if .Enabled}}on{{else}}off{{end}}, owner {{.OwnerID}}
<h2>Needs</h2><table><tr><th>Place<th>Need<th>State</tr>{{range .Rights}}<tr><td>{{.PlaceID}}<td>{{.Need}}<td>{{if .OK}}as it should be{{else}}<span class="bad">lost {{with .Since}}{{at .}}{{end}}{{if .Told}}, the owner knows{{end}}</span>{{end}}</tr>{{end}}</table>
<h2>Channels</h2><ul>{{range .Channels}}<li>{{.Title}} {{.ID}} {{with .Username}}@{{.}}{{end}}{{end}}</ul>
<h2>Flows</h2><p>{{range $s, $n := .Flows}}{{$s}} {{$n}} {{end}}<table>{{range .Open}}<tr><td>{{.UserID}}<td>{{.State}}<td>{{.Cause}}<td>{{at .Since}}<td>attempts {{.Attempts}}</tr>{{end}}</table>
<h2>Notices</h2><table>{{range .Notices}}<tr><td>topic {{.ThreadID}}<td>message {{.MessageID}}<td>{{len .People}} people<td>until {{at .ExpiresAt}}</tr>{{end}}</table>
<h2>Audit</h2><table>{{range .Audit}}<tr><td>{{at .At}}<td>{{.ActorID}}<td>{{.Action}}<td>{{.UserID}}<td>{{.Detail}}</tr>{{end}}</table>
<h2>Settings and memory</h2><pre>{{json .Settings}}
{{if .Memory}}{{json .Memory}}{{else}}asleep{{end}}</pre>{{end}}
{{with .Channel}}<p>{{.Place.Title}} {{with .Place.Username}}@{{.}}{{end}}, required by<ul>{{range .Groups}}<li><a href="/debug/chat/{{.}}">{{.}}</a>{{end}}</ul>{{end}}
{{with .Person}}<table>{{range .Flows}}<tr><td><a href="/debug/chat/{{.GroupID}}">{{.GroupID}}</a><td>{{.State}}<td>{{.Cause}}<td>{{at .Since}}</tr>{{end}}</table>{{end}}`))
