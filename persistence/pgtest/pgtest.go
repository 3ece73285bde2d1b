// Package pgtest runs a throwaway PostgreSQL for tests: a server of the tests' own in a temporary folder,
// reached by a Unix socket, which is never the machine's own server. Tests call it and nobody else; it must
// never be linked into the program.
package pgtest

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/gmbot/gmbot/persistence/childtest"
)

// Server is one PostgreSQL.
type Server struct {
	folder string
	bin    string
	cred   *syscall.Credential
	count  atomic.Int64

	mu      sync.Mutex
	process *os.Process
	ended   <-chan struct{}
	output  *bytes.Buffer
}

var shared struct {
	sync.Mutex
	server *Server
	err    error
}

// Shared returns the server that all tests of a process use, started by need. Cleanup ends it.
func Shared(tb testing.TB) *Server {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = newServer()
	}
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.server
}

// Cleanup ends the shared server, if one was started; TestMain calls it.
func Cleanup() {
	shared.Lock()
	defer shared.Unlock()
	if shared.server != nil {
		shared.server.remove()
		shared.server = nil
	}
}

// Start returns a server of the test's own, for tests that stop or freeze it.
func Start(tb testing.TB) *Server {
	tb.Helper()
	s, err := newServer()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.remove)
	return s
}

// Database makes an empty database and returns its URL.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := fmt.Sprintf("t%d", s.count.Add(1))
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(context.WithoutCancel(tb.Context()), "CREATE DATABASE "+name+" STRATEGY FILE_COPY"); err != nil {
		tb.Fatal(err)
	}
	return s.url(name)
}

func (s *Server) url(database string) string {
	return "postgres://postgres@/" + database + "?host=" + s.folder
}

// Kill ends the server as a crash would.
func (s *Server) Kill() {
	s.signal(syscall.SIGQUIT)
	<-s.ended
}

// Freeze stops the server's main process and those that serve connections from running.
func (s *Server) Freeze() { s.signalAll(syscall.SIGSTOP) }

// Thaw undoes Freeze.
func (s *Server) Thaw() { s.signalAll(syscall.SIGCONT) }

// Run starts the server again after Kill and waits until it answers.
func (s *Server) Run(tb testing.TB) {
	tb.Helper()
	if err := s.run(); err != nil {
		tb.Fatal(err)
	}
}

func newServer() (*Server, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		if path, err := exec.LookPath("postgres"); err == nil {
			found = append(found, path)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no PostgreSQL server here: install the package postgresql (make test does)")
	}
	s := &Server{bin: filepath.Dir(slices.Max(found))}
	// Short, because a socket's path is limited to about a hundred bytes.
	folder, err := os.MkdirTemp("/tmp", "pg")
	if err != nil {
		return nil, err
	}
	s.folder = folder
	if os.Getuid() == 0 { // the server refuses to run as root
		if err := s.asPostgres(); err != nil {
			return nil, err
		}
	}
	init := s.command("initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
	if out, err := init.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if err := s.run(); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func (s *Server) asPostgres() error {
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("find the server's user: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return err
	}
	s.cred = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.folder, int(uid), int(gid))
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, name), args...) //nolint:gosec // the server's own programs
	cmd.Dir = s.folder
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC"}
	// Should this process die, the server goes with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

func (s *Server) run() error {
	out := &bytes.Buffer{}
	cmd := s.command("postgres", "-D", s.data(), "-k", s.folder, "-c", "listen_addresses=", "-c", "max_connections=200",
		"-c", "shared_buffers=64MB", "-c", "autovacuum=off")
	cmd.Stdout, cmd.Stderr = out, out
	ended, err := childtest.Start(cmd)
	if err != nil {
		return fmt.Errorf("start PostgreSQL: %w", err)
	}
	s.mu.Lock()
	s.process, s.ended, s.output = cmd.Process, ended, out
	s.mu.Unlock()
	return s.answers()
}

func (s *Server) answers() error {
	db, err := sql.Open("pgx", s.url("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for deadline := time.Now().Add(30 * time.Second); ; {
		err := db.PingContext(context.Background())
		if err == nil {
			return nil
		}
		select {
		case <-s.ended:
			return fmt.Errorf("PostgreSQL ended at once:\n%s", s.output)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("PostgreSQL does not answer: %w", err)
		}
	}
}

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		_ = s.process.Signal(sig)
	}
}

// signalAll signals the server and its children.
func (s *Server) signalAll(sig syscall.Signal) {
	s.mu.Lock()
	pid := s.process.Pid
	s.mu.Unlock()
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, field := range append(bytes.Fields(children), []byte(strconv.Itoa(pid))) {
		if child, err := strconv.Atoi(string(field)); err == nil {
			_ = syscall.Kill(child, sig)
		}
	}
}

func (s *Server) remove() {
	s.signal(syscall.SIGCONT)
	s.signal(syscall.SIGQUIT)
	if s.ended != nil {
		<-s.ended
	}
	_ = os.RemoveAll(s.folder)
}
