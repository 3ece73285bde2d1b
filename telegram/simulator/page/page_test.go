package page_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
	"github.com/gmbot/gmbot/telegram/simulator/page"
)

type site struct {
	t          *testing.T
	sim        *simulator.Server
	bot        simulator.Bot
	url        string
	olga, anna int64
	group      int64
	channel    int64
}

func open(t *testing.T) *site {
	t.Helper()
	sim := simulator.New(simulator.Options{})
	s := &site{t: t, sim: sim, bot: sim.NewBot("gate_bot"), olga: sim.NewUser("Olga", ""), anna: sim.NewUser("Anna", "")}
	s.group, s.channel = sim.NewSupergroup("Talk", "talk", s.olga), sim.NewChannel("News", "", s.olga)
	require.NoError(t, sim.Join(s.group, s.anna))
	p := page.New(page.Options{Sim: sim, Bot: s.bot, Think: func(_ context.Context, chat int64) (any, error) {
		if chat != s.group {
			return nil, fmt.Errorf("unknown")
		}
		return map[string]string{"link": "https://t.me/+Secret123"}, nil
	}})
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	t.Cleanup(p.Close)
	s.url = srv.URL
	return s
}

// act asks for something and returns the status and the answer.
func (s *site) act(order map[string]any) (int, map[string]any) {
	s.t.Helper()
	raw, err := json.Marshal(order)
	require.NoError(s.t, err)
	return s.post("application/json", string(raw))
}

func (s *site) post(kind, body string) (int, map[string]any) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/page/act", strings.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	var answer map[string]any
	require.NoError(s.t, json.NewDecoder(resp.Body).Decode(&answer))
	return resp.StatusCode, answer
}

func (s *site) get(path string) (status int, policy, body string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, http.NoBody)
	require.NoError(s.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	return resp.StatusCode, resp.Header.Get("Content-Security-Policy"), string(raw)
}

// live reads the stream until an event of a name whose data satisfies a condition.
func (s *site) live(query, name string, found func(data string) bool) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/page/live?"+query, http.NoBody)
	require.NoError(s.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	event := ""
	for lines.Scan() {
		if e, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			event = e
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && event == name && found(data) {
			return data
		}
	}
	require.Fail(s.t, "the stream ended without "+name, lines.Err())
	return ""
}

func TestAct_OnlyThisPagesScriptsAreListenedTo(t *testing.T) {
	t.Parallel()
	s := open(t)
	body := fmt.Sprintf(`{"act":"leave","me":%d,"chat":%d}`, s.anna, s.group)
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", ""} {
		status, _ := s.post(kind, body)
		assert.Equal(t, http.StatusUnsupportedMediaType, status, kind)
	}
	assert.True(t, s.sim.Member(s.group, s.anna).Present())
	status, _ := s.post("application/json", body)
	assert.Equal(t, http.StatusOK, status)
	assert.False(t, s.sim.Member(s.group, s.anna).Present())
}

func TestAct_RefusesWhatAClientWould(t *testing.T) {
	t.Parallel()
	s := open(t)
	for name, order := range map[string]map[string]any{
		"nobody":                      {"act": "write", "chat": s.group, "text": "hi"},
		"no such act":                 {"act": "explode", "me": s.anna},
		"not an administrator":        {"act": "ban", "me": s.anna, "chat": s.group, "user": s.olga},
		"anonymous by a plain member": {"act": "write", "me": s.anna, "chat": s.group, "text": "hi", "as": "group"},
		"an empty message":            {"act": "write", "me": s.anna, "chat": s.group, "text": "  "},
		"a press on nothing":          {"act": "press", "me": s.anna, "chat": s.group, "message": 99},
		"a channel of another's":      {"act": "write", "me": s.anna, "chat": s.channel, "text": "hi"},
		"a person without a name":     {"act": "person", "text": " "},
	} {
		status, answer := s.act(order)
		assert.Equal(t, http.StatusUnprocessableEntity, status, name)
		assert.NotEmpty(t, answer["error"], name)
	}
	assert.Equal(t, simulator.Creator, s.sim.Member(s.group, s.olga).Status)
}

func TestAct_RulesOfAnAdministrator(t *testing.T) {
	t.Parallel()
	s := open(t)
	standing := func() string { return s.sim.Member(s.group, s.anna).Status }
	for _, step := range []struct{ act, want string }{
		{"mute", simulator.Restricted},
		{"unmute", simulator.MemberStatus},
		{"promote", simulator.Administrator},
		{"demote", simulator.MemberStatus},
		{"ban", simulator.Kicked},
		{"unban", simulator.Left},
	} {
		status, answer := s.act(map[string]any{"act": step.act, "me": s.olga, "chat": s.group, "user": s.anna})
		assert.Equal(t, http.StatusOK, status, "%s: %v", step.act, answer)
		assert.Equal(t, step.want, standing(), step.act)
	}
}

func TestLive_ShowsWhatAPersonSees(t *testing.T) {
	t.Parallel()
	s := open(t)
	query := fmt.Sprintf("me=%d&chat=%d", s.anna, s.group)
	_, answer := s.act(map[string]any{"act": "write", "me": s.anna, "chat": s.group, "text": "come to https://t.me/+Hidden123 now"})
	require.NotContains(t, answer, "error")
	posts := s.live(query, "posts", func(data string) bool { return strings.Contains(data, "come to") })
	assert.NotContains(t, posts, "Hidden123", "an invite link")
	assert.Contains(t, posts, `"mine":true`)
	rooms := s.live(query, "rooms", func(data string) bool { return strings.Contains(data, "Talk") })
	assert.NotContains(t, rooms, "News", "a private channel she never was in")
	rooms = s.live(fmt.Sprintf("me=%d&chat=%d", s.anna, s.channel), "rooms", func(string) bool { return true })
	assert.Contains(t, rooms, "News", "the chat that is open")
}

func TestLive_BringsWhatHappensMeanwhile(t *testing.T) {
	t.Parallel()
	s := open(t)
	go func() { _, _ = s.sim.Write(s.group, s.olga, "good evening") }()
	s.live(fmt.Sprintf("me=%d&chat=%d", s.anna, s.group), "posts", func(data string) bool { return strings.Contains(data, "good evening") })
}

func TestLive_CallsWithoutSecrets(t *testing.T) {
	t.Parallel()
	s := open(t)
	require.NoError(t, s.sim.Promote(s.channel, s.olga, s.bot.ID, simulator.Rights("can_invite_users")))
	api := httptest.NewServer(s.sim.Handler())
	defer api.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("%s/bot%s/createChatInviteLink?chat_id=%d&name=gate", api.URL, s.bot.Token, s.channel), http.NoBody)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Contains(t, string(body), "https://t.me/+Sim")
	calls := s.live(fmt.Sprintf("me=%d", s.olga), "calls", func(data string) bool { return strings.Contains(data, "createChatInviteLink") })
	assert.NotContains(t, calls, "+Sim")
	assert.NotContains(t, calls, s.bot.Token)
	assert.Contains(t, calls, `"note":"News"`)
}

func TestThink_HidesLinks(t *testing.T) {
	t.Parallel()
	s := open(t)
	status, _, body := s.get(fmt.Sprintf("/page/think?chat=%d", s.group))
	assert.Equal(t, http.StatusOK, status)
	assert.JSONEq(t, `{"link":"https://t.me/+…"}`, body)
	status, _, _ = s.get("/page/think?chat=5")
	assert.Equal(t, http.StatusNotFound, status)
}

func TestPage_LoadsItsOwnFilesAlone(t *testing.T) {
	t.Parallel()
	s := open(t)
	_, policy, body := s.get("/")
	assert.Contains(t, policy, "default-src 'self'")
	assert.NotContains(t, body, "http://", "nothing from elsewhere")
	assert.NotContains(t, body, "https://")
	for _, name := range []string{"app.js", "chat.js", "side.js", "dom.js", "style.css", "icon.svg"} {
		status, _, _ := s.get("/" + name)
		assert.Equal(t, http.StatusOK, status, name)
	}
}

func TestRaid_IsBoundedAndOneAtATime(t *testing.T) {
	t.Parallel()
	s := open(t)
	order := map[string]any{"act": "raid", "me": s.anna, "chat": s.group, "count": 30}
	status, _ := s.act(order)
	require.Equal(t, http.StatusOK, status)
	status, _ = s.act(order)
	assert.Equal(t, http.StatusUnprocessableEntity, status, "one is under way")
	s.live(fmt.Sprintf("me=%d&chat=%d", s.anna, s.group), "raid", func(data string) bool { return strings.Contains(data, `"come":30,"on":false`) })
	room, ok := s.sim.RoomOf(s.group, s.anna)
	require.True(t, ok)
	assert.Equal(t, 32, room.Members)
	people := s.live(fmt.Sprintf("me=%d", s.anna), "people", func(string) bool { return true })
	assert.NotContains(t, people, "Max 1", "raiders are in no list of people")
}
