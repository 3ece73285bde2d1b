package telegram

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram/simulator"
	"github.com/gmbot/gmbot/telegram/simulator/schema"
)

// world is a simulated Telegram with a group and a channel that the bot administers, and a client of it.
type world struct {
	*simulator.Server
	t       *testing.T
	c       *Client
	url     string
	bot     simulator.Bot
	olga    int64 // owns both
	ann     int64 // a member of the group
	group   int64
	channel int64
	conns   atomic.Int64
	asked   atomic.Int64 // requests that came in
}

func inWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Server: simulator.New(simulator.Options{Validate: schema.Checker(t)}), t: t}
	w.bot, w.olga, w.ann = w.NewBot("gatebot"), w.NewUser("Olga", "olga"), w.NewUser("Ann", "ann")
	w.group, w.channel = w.NewSupergroup("Club", "", w.olga), w.NewChannel("News", "news", w.olga)
	rights := simulator.Rights("can_delete_messages", "can_restrict_members", "can_invite_users")
	require.NoError(t, w.Promote(w.group, w.olga, w.bot.ID, rights))
	require.NoError(t, w.Promote(w.channel, w.olga, w.bot.ID, rights))
	require.NoError(t, w.Join(w.group, w.ann))
	h := w.Handler()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked.Add(1)
		h.ServeHTTP(rw, r)
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			w.conns.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	var err error
	w.url = srv.URL
	w.c, err = NewClient(w.bot.Token, srv.URL+"/", nil)
	require.NoError(t, err)
	return w
}

// do carries a job out and checks what is true of every answer.
func (w *world) do(job *protos.Job) *protos.JobDone {
	w.t.Helper()
	job.Tag = 77
	before := w.asked.Load()
	done := w.c.Do(w.t.Context(), job)
	assert.Equal(w.t, uint64(77), done.GetTag())
	assert.Positive(w.t, done.GetSentMs())
	assert.Equal(w.t, int64(1), w.asked.Load()-before, "one job is one call")
	assert.NotContains(w.t, done.String(), w.bot.Token)
	return done
}

// good is do, of a job that has to succeed.
func (w *world) good(job *protos.Job) *protos.JobDone {
	w.t.Helper()
	done := w.do(job)
	require.Equal(w.t, protos.Outcome_DONE, done.GetOutcome(), done.GetDescription())
	assert.Empty(w.t, done.GetDescription())
	return done
}

// post lets Ann write in the group.
func (w *world) post(text string) int64 {
	w.t.Helper()
	id, err := w.Write(w.group, w.ann, text)
	require.NoError(w.t, err)
	return id
}

// texts lists what is to read in the group.
func (w *world) texts() []string {
	var list []string
	for _, m := range w.Messages(w.group) {
		if !m.Service {
			list = append(list, m.Text)
		}
	}
	return list
}

// recorder answers every call with the same, and keeps what was asked.
type recorder struct {
	mu    sync.Mutex
	calls []recorded
}

type recorded struct {
	method string
	params map[string]any
}

// record starts a recorder that answers with status and body, and a client of it.
func record(t *testing.T, status int, body string) (*recorder, *Client) {
	t.Helper()
	rec := &recorder{}
	c, err := NewClient(aToken, serve(t, func(w http.ResponseWriter, r *http.Request) {
		var params map[string]any
		raw, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		assert.NoError(t, json.Unmarshal(raw, &params))
		assert.Equal(t, "/bot"+aToken, path.Dir(r.URL.Path))
		assert.Equal(t, http.MethodPost, r.Method)
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		rec.mu.Lock()
		rec.calls = append(rec.calls, recorded{path.Base(r.URL.Path), params})
		rec.mu.Unlock()
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}), nil)
	require.NoError(t, err)
	return rec, c
}

func (r *recorder) last() recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls[len(r.calls)-1]
}
