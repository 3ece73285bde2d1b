package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/persistence/pgtest"
	"github.com/gmbot/gmbot/telegram/simulator"
	"github.com/gmbot/gmbot/telegram/simulator/schema"
)

// built is the folder of what binary and plain built, if they did.
var built = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "gmbot-test-") })

// binary builds the program once, with the race detector in it; plain does without, as users have it.
var (
	binary = sync.OnceValues(func() (string, error) { return build("gmbot", "-race") })
	plain  = sync.OnceValues(func() (string, error) { return build("gmbot-plain") })
)

func build(name string, flags ...string) (string, error) {
	dir, err := built()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	args := append([]string{"build", "-o", path}, flags...)
	out, err := exec.CommandContext(context.Background(), "go", append(args, ".")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
}

func TestMain(m *testing.M) {
	status := m.Run()
	pgtest.Cleanup()
	if dir, err := built(); err == nil {
		_ = os.RemoveAll(dir)
	}
	os.Exit(status)
}

// town is a simulated Telegram with a protected-to-be group in it.
type town struct {
	*simulator.Server
	url     string
	bot     simulator.Bot
	olga    int64
	anna    int64
	boris   int64
	group   int64
	channel int64
}

// startTown starts one; everything that goes over its wire is checked against the Bot API's description.
func startTown(t *testing.T, o simulator.Options) *town {
	t.Helper()
	if o.Validate == nil {
		o.Validate = schema.Checker(t)
	}
	s := simulator.New(o)
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	w := &town{Server: s, url: srv.URL, bot: s.NewBot("gate_bot")}
	w.olga, w.anna, w.boris = s.NewUser("Olga", "olga"), s.NewUser("Anna <b>&", ""), s.NewUser("Boris", "boris")
	w.channel = s.NewChannel("News & <Views>", "news_here", w.olga)
	w.group = s.NewSupergroup("Talk", "", w.olga)
	require.NoError(t, s.Promote(w.channel, w.olga, w.bot.ID, simulator.Rights("can_invite_users")))
	require.NoError(t, s.Promote(w.group, w.olga, w.bot.ID, simulator.Rights("can_restrict_members", "can_delete_messages")))
	require.NoError(t, s.Join(w.group, w.anna))
	require.NoError(t, s.Join(w.group, w.boris))
	return w
}

// logs collects what a program prints.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines are those that have come whole.
func (l *logs) lines() []string {
	text := l.String()
	return slices.Collect(strings.Lines(text[:strings.LastIndexByte(text, '\n')+1]))
}

// program is a running gmbot.
type program struct {
	t     *testing.T
	cmd   *exec.Cmd
	http  string
	log   *logs
	hide  secrets
	ended chan struct{}
	err   error
}

// nextPort counts through the ports below those that systems give out by themselves, which begin at 32768 on Linux
// and at 49152 elsewhere: until a program listens on its port, no connection gets it, and no other test.
var nextPort = func() *atomic.Int64 {
	n := &atomic.Int64{}
	n.Store(rand.Int64N(10_000))
	return n
}()

// freeAddr finds an address to listen on.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		l, err := listen(t.Context(), fmt.Sprintf("127.0.0.1:%d", 20_000+nextPort.Add(1)%10_000))
		if err != nil {
			continue // somebody else's
		}
		require.NoError(t, l.Close())
		return l.Addr().String()
	}
	t.Fatal("no port is free")
	return ""
}

// launch starts the program with nothing but the given environment.
func launch(t *testing.T, args []string, env ...string) *program {
	t.Helper()
	return launchOf(t, binary, args, env...)
}

// launchOf starts one build of the program.
func launchOf(t *testing.T, which func() (string, error), args []string, env ...string) *program {
	t.Helper()
	path, err := which()
	require.NoError(t, err)
	env = withPassword(env)
	p := &program{t: t, cmd: exec.CommandContext(context.WithoutCancel(t.Context()), path, args...), http: freeAddr(t), log: &logs{}, hide: secretsOf(env), ended: make(chan struct{})}
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append([]string{"HTTP_ADDR=" + p.http, "DEBUG_ADDR="}, env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	require.NoError(t, p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if strings.Contains(p.log.String(), "DATA RACE") {
			t.Errorf("the race detector found something:\n%s", p.log)
		}
		p.hide.check(t, "the program printed", p.log.String())
		if t.Failed() {
			t.Logf("the program said:\n%s", p.log)
		}
	})
	return p
}

// withPassword gives the database's address a password, which the servers of the tests do not look at, so that
// every test sees whether it is kept.
func withPassword(env []string) []string {
	env = slices.Clone(env)
	for i, pair := range env {
		env[i] = strings.Replace(pair, "DATABASE_URL=postgres://postgres@", "DATABASE_URL=postgres://postgres:pg-Pass%22word%2F1@", 1)
	}
	return env
}

// runOn starts `gmbot run` on a town with its database at a URL, or in a file.
func runOn(t *testing.T, w *town, db string, env ...string) *program {
	t.Helper()
	if !strings.Contains(db, "://") {
		db = "sqlite://" + db
	}
	p := launch(t, []string{"run"}, append([]string{
		"BOT_TOKEN=" + w.bot.Token, "TELEGRAM_API_URL=" + w.url, "DATABASE_URL=" + db,
	}, env...)...)
	p.waitReady()
	return p
}

func newPostgres(t *testing.T) string { return pgtest.Shared(t).Database(t) }

func newDB(t *testing.T) string { return filepath.Join(t.TempDir(), "gate.db") }

func (p *program) get(path string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.http+path, http.NoBody)
	require.NoError(p.t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	p.hide.check(p.t, path+" served", string(body))
	return resp.StatusCode, string(body)
}

// eventually asks until it is so. The program is another process and tells nobody, so it is asked again
// and again; a deadline, not luck, ends it.
func eventually(t *testing.T, within time.Duration, what string, so func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !so() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// says waits until the program has printed words: what it does is often to be seen elsewhere before.
func (p *program) says(words string) {
	p.t.Helper()
	eventually(p.t, 20*time.Second, "it says: "+words, func() bool { return strings.Contains(p.log.String(), words) })
}

func (p *program) waitReady() {
	p.t.Helper()
	eventually(p.t, 20*time.Second, "ready", func() bool {
		select {
		case <-p.ended:
			p.t.Fatalf("the program ended: %v\n%s", p.err, p.log)
		default:
		}
		code, _ := p.get("/ready")
		return code == http.StatusOK
	})
}

// waitEnd waits for the program's end and returns its exit status.
func (p *program) waitEnd(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(within):
		p.t.Fatalf("the program did not end within %s\n%s", within, p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *program) terminate() int {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	return p.waitEnd(8 * time.Second)
}

func (p *program) kill() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Kill())
	<-p.ended
}

// until waits for a state of the world.
func (w *town) until(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.WaitFor(ctx, so); err != nil {
		t.Fatalf("not in time: %s", what)
	}
}

// settled waits until Telegram has nothing left to give to the bot.
func (w *town) settled(t *testing.T) {
	t.Helper()
	w.until(t, "every update is confirmed", func() bool { return w.Pending(w.bot.ID) == 0 })
}

// once waits for the first call of a sort, lets everything settle, and finds no second.
func (w *town) once(t *testing.T, what string, count func() int) {
	t.Helper()
	w.until(t, what, func() bool { return count() >= 1 })
	w.settled(t)
	require.Equal(t, 1, count(), what)
}

// find returns the bot's message with these words.
func (w *town) find(chat int64, words string) (simulator.Message, bool) {
	for _, m := range w.Messages(chat) {
		if m.From == w.bot.ID && strings.Contains(m.Text, words) {
			return m, true
		}
	}
	return simulator.Message{}, false
}

func (w *town) has(chat int64, words string) func() bool {
	return func() bool { _, ok := w.find(chat, words); return ok }
}

// protect sets the group up the way its owner does.
func (w *town) protect(t *testing.T) {
	t.Helper()
	_, err := w.Write(w.group, w.olga, "/protect @news_here")
	require.NoError(t, err)
	w.until(t, "the group is protected", w.has(w.group, "This group is protected"))
}

func (w *town) muted(user int64) func() bool {
	return func() bool { return w.Member(w.group, user).Status == simulator.Restricted }
}

func (w *town) free(user int64) func() bool {
	return func() bool { return w.Member(w.group, user).Status == simulator.MemberStatus }
}

// write writes as somebody who may.
func (w *town) write(t *testing.T, user int64, words string, options ...simulator.WriteOption) int64 {
	t.Helper()
	id, err := w.Write(w.group, user, words, options...)
	require.NoError(t, err)
	return id
}

func (w *town) gone(id int64) func() bool {
	return func() bool {
		for _, m := range w.Messages(w.group) {
			if m.ID == id {
				return false
			}
		}
		return true
	}
}

// mutes counts the calls that muted somebody.
func (w *town) mutes(user int64) (n int) {
	for _, c := range w.CallsOf("restrictChatMember") {
		permissions, _ := c.Params["permissions"].(map[string]any)
		if fmt.Sprint(c.Params["user_id"]) == fmt.Sprint(user) && permissions["can_send_messages"] == false {
			n++
		}
	}
	return n
}

func (w *town) notices() (n int) {
	for _, c := range w.CallsOf("sendMessage") {
		if strings.Contains(fmt.Sprint(c.Params["text"]), "please join") {
			n++
		}
	}
	return n
}

func contains(text string, all ...string) bool {
	for _, one := range all {
		if !strings.Contains(text, one+"\n") {
			return false
		}
	}
	return true
}
