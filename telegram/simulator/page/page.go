package page

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"regexp"
	"strconv"
	"sync"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// Options are what a Page is made of. Sim and Bot are required.
type Options struct {
	Sim *simulator.Server
	Bot simulator.Bot // whose deeds are shown, and whom people meet in private
	// Think tells what the bot knows about a chat, as something that encodes to JSON; nil when it cannot be asked.
	Think func(ctx context.Context, chatID int64) (any, error)
}

// Page is the handler of everything below / that the simulator itself does not serve.
type Page struct {
	o    Options
	mux  *http.ServeMux
	life context.Context //nolint:containedctx // the page's own life, which raids and streams end with
	end  context.CancelFunc

	mu    sync.Mutex
	raid  raid
	crowd map[int64]bool // people a raid made, whom no list of people needs
}

//go:embed assets
var assets embed.FS

const (
	// maxOrder bounds what a browser may send, bytes.
	maxOrder = 64 << 10
	// policy lets the page load its own files alone.
	policy = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

// New makes a Page; Close ends what it has running.
func New(o Options) *Page {
	p := &Page{o: o, mux: http.NewServeMux(), crowd: map[int64]bool{}}
	p.life, p.end = context.WithCancel(context.Background())
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // the folder is embedded above
	}
	p.mux.Handle("GET /", http.FileServerFS(files))
	p.mux.HandleFunc("GET /page/live", p.serveLive)
	p.mux.HandleFunc("GET /page/think", p.serveThink)
	p.mux.HandleFunc("POST /page/act", p.serveAct)
	return p
}

// Close ends raids and streams.
func (p *Page) Close() { p.end() }

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	p.mux.ServeHTTP(w, r)
}

// serveAct does what a browser asks for. Only a script of this page sends JSON here: another site's form
// cannot.
func (p *Page) serveAct(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Content-Type") != "application/json" {
		reply(w, http.StatusUnsupportedMediaType, map[string]string{"error": "send JSON"})
		return
	}
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(&o); err != nil {
		reply(w, http.StatusBadRequest, map[string]string{"error": "cannot be read"})
		return
	}
	result, err := p.act(r.Context(), o)
	if err != nil {
		reply(w, http.StatusUnprocessableEntity, map[string]string{"error": inWords(err)})
		return
	}
	reply(w, http.StatusOK, result)
}

// inWords says why something was refused the way a client would.
func inWords(err error) string {
	switch {
	case errors.Is(err, simulator.ErrNoChat):
		return "That chat is gone."
	case errors.Is(err, simulator.ErrNoMessage):
		return "That message is gone."
	case errors.Is(err, context.DeadlineExceeded):
		return "The bot did not answer."
	}
	return hide(err.Error())
}

func (p *Page) serveThink(w http.ResponseWriter, r *http.Request) {
	if p.o.Think == nil {
		reply(w, http.StatusNotFound, map[string]string{"error": "This bot cannot be asked."})
		return
	}
	found, err := p.o.Think(r.Context(), number(r, "chat"))
	if err != nil {
		reply(w, http.StatusNotFound, map[string]string{"error": "The bot knows nothing about this chat."})
		return
	}
	reply(w, http.StatusOK, found)
}

func number(r *http.Request, name string) int64 {
	n, err := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func reply(w http.ResponseWriter, code int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		code, raw = http.StatusInternalServerError, []byte(`{"error":"cannot be shown"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(hide(string(raw))))
}

var (
	inviteLink = regexp.MustCompile(`(t\.me/)(?:\+|joinchat/)[A-Za-z0-9_-]+`)
	token      = regexp.MustCompile(`\b\d{6,}:[A-Za-z0-9_-]{30,}`)
)

// hide takes invite links and tokens out of what a browser gets to see.
func hide(s string) string {
	return token.ReplaceAllString(inviteLink.ReplaceAllString(s, "$1+…"), "(token)")
}
