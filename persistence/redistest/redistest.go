// Package redistest runs a throwaway Redis for tests, reached by a Unix socket in a temporary folder, which is
// never the machine's own server. Tests call it and nobody else; it must never be linked into the program.
package redistest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gmbot/gmbot/persistence/childtest"
)

// Server is one Redis. Its methods end the test on failure.
type Server struct {
	tb     testing.TB
	folder string
	args   []string
	cmd    *exec.Cmd
	ended  <-chan struct{}
}

// New prepares a server that does not run yet; args are further options of redis-server.
func New(tb testing.TB, args ...string) *Server {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		tb.Fatal("no redis-server here: install the package redis-server (make test does)")
	}
	// Short, because a socket's path is limited to about a hundred bytes.
	folder, err := os.MkdirTemp("/tmp", "redis") //nolint:usetesting // tb.TempDir is too long
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{tb: tb, folder: folder, args: args}
	tb.Cleanup(func() {
		if s.cmd != nil {
			s.Thaw()
			s.Kill()
		}
		_ = os.RemoveAll(folder)
	})
	return s
}

// Start prepares a server and runs it.
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s := New(tb, args...)
	s.Run()
	return s
}

func (s *Server) socket() string { return filepath.Join(s.folder, "s") }

// URL is where the server is, or will be.
func (s *Server) URL() string { return "unix://" + s.socket() }

// Run starts the server, empty, and returns when it takes connections.
func (s *Server) Run() {
	s.tb.Helper()
	args := append([]string{"--port", "0", "--unixsocket", s.socket(), "--save", "", "--appendonly", "no", "--dir", s.folder}, s.args...)
	s.cmd = exec.CommandContext(context.Background(), "redis-server", args...) //nolint:gosec // a test's own server
	// Should this process die, the server goes with it.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if s.ended, err = childtest.Start(s.cmd); err != nil {
		s.tb.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		c, err := net.DialTimeout("unix", s.socket(), time.Second) //nolint:noctx // a test's own server
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(deadline) {
			s.tb.Fatal("redis-server does not answer: ", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Kill ends the server at once.
func (s *Server) Kill() {
	_ = s.cmd.Process.Kill()
	<-s.ended
	_ = os.Remove(s.socket())
}

// Freeze stops the server from running, Thaw lets it go on.
func (s *Server) Freeze() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw undoes Freeze.
func (s *Server) Thaw() { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// Keys lists the keys that match a pattern of Redis' KEYS.
func (s *Server) Keys(pattern string) []string {
	s.tb.Helper()
	c, err := net.DialTimeout("unix", s.socket(), time.Second) //nolint:noctx // a test's own server
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(c, "KEYS %s\r\n", pattern); err != nil {
		s.tb.Fatal(err)
	}
	var n int
	r := bufio.NewReader(c)
	if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
		s.tb.Fatal("no list of keys: ", err)
	}
	list := make([]string, n)
	for i := range list {
		var size int
		if _, err := fmt.Fscanf(r, "$%d\r\n%s\r\n", &size, &list[i]); err != nil {
			s.tb.Fatal("no key: ", err)
		}
	}
	return list
}

// Forget deletes the keys that match a pattern, as if their time were over.
func (s *Server) Forget(pattern string) {
	s.tb.Helper()
	keys := s.Keys(pattern)
	if len(keys) == 0 {
		return
	}
	c, err := net.DialTimeout("unix", s.socket(), time.Second) //nolint:noctx // a test's own server
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(c, "DEL %s\r\n", strings.Join(keys, " ")); err != nil {
		s.tb.Fatal(err)
	}
	var n int
	if _, err := fmt.Fscanf(c, ":%d\r\n", &n); err != nil || n != len(keys) {
		s.tb.Fatal("not forgotten: ", err)
	}
}
