package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// manager plays systemd: it listens on the socket that NOTIFY_SOCKET names.
type manager struct {
	path string
	mu   sync.Mutex
	said []string
}

func startManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "gm") //nolint:usetesting // a socket's path may be 107 bytes long
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &manager{path: filepath.Join(dir, "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.said = append(m.said, strings.Split(string(buf[:n]), "\n")...)
			m.mu.Unlock()
		}
	}()
	return m
}

func (m *manager) count(line string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.said) - len(slices.DeleteFunc(slices.Clone(m.said), func(s string) bool { return s == line }))
}

func TestE2E_TheServiceManagerHearsHowTheBotIs(t *testing.T) {
	t.Parallel()
	w, m := startTown(t, simulator.Options{}), startManager(t)
	env := []string{
		"BOT_TOKEN=" + w.bot.Token, "TELEGRAM_API_URL=" + w.url, "DATABASE_URL=sqlite://" + newDB(t),
		"NOTIFY_SOCKET=" + m.path, "WATCHDOG_USEC=1500000",
	}
	p := launch(t, []string{"run"}, env...)
	eventually(t, 20*time.Second, "the bot is ready", func() bool { return m.count("READY=1") == 1 })
	eventually(t, 5*time.Second, "its state is told", func() bool { return m.count("STATUS=taking updates") == 1 })
	eventually(t, 10*time.Second, "it says again and again that it turns", func() bool { return m.count("WATCHDOG=1") >= 3 })

	// A standby is ready, too: systemd must not take it for one that does not start.
	n := startManager(t)
	q := launch(t, []string{"run"}, append(env, "NOTIFY_SOCKET="+n.path)...)
	eventually(t, 10*time.Second, "the standby is ready", func() bool { return n.count("READY=1") == 1 && n.count("STATUS=standby") == 1 })
	assert.Zero(t, p.terminate())
	eventually(t, 5*time.Second, "the end is told", func() bool { return m.count("STOPPING=1") == 1 })
	eventually(t, 10*time.Second, "the standby takes over", func() bool { return n.count("STATUS=taking updates") == 1 })
	assert.Zero(t, q.terminate())
}
