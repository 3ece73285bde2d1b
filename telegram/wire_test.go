package telegram

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-faster/jx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
)

// spoken is a server that answers each request on a connection with the next text; after the last it closes.
type spoken struct {
	address string
	conns   atomic.Int64
	asked   atomic.Int64
}

func speak(t *testing.T, perConn ...string) *spoken {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	s := &spoken{address: "http://" + l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			go func() {
				defer func() { _ = conn.Close() }()
				r := bufio.NewReader(conn)
				for _, text := range perConn {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					s.asked.Add(1)
					if _, err := io.WriteString(conn, text); err != nil {
						return
					}
				}
			}()
		}
	}()
	return s
}

const saidTrue = "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n" + `{"ok":true,"result":true}`

func mute() *protos.Job {
	return &protos.Job{ChatId: -1, Do: &protos.Job_Restrict{Restrict: &protos.Restrict{UserId: 5, UntilDate: 9}}}
}

func clientOf(t *testing.T, address string) *Client {
	t.Helper()
	c, err := NewClient(aToken, address, nil)
	require.NoError(t, err)
	return c
}

func TestWire_Answers(t *testing.T) {
	t.Parallel()
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n19\r\n" + `{"ok":true,"result":true}` + "\r\n0\r\n\r\n"
	for name, text := range map[string]string{
		"of known length": saidTrue,
		"in chunks":       chunked,
		"after a 100":     "HTTP/1.1 100 Continue\r\n\r\n" + saidTrue,
	} {
		s := speak(t, text, text, text)
		c := clientOf(t, s.address)
		for range 3 {
			assert.Equal(t, protos.Outcome_DONE, c.Do(t.Context(), mute()).GetOutcome(), name)
		}
		assert.EqualValues(t, 1, s.conns.Load(), name)
	}
	for name, text := range map[string]string{
		"says it closes":    strings.Replace(saidTrue, "\r\n", "\r\nConnection: close\r\n", 1),
		"ends with the end": "HTTP/1.0 200 OK\r\n\r\n" + `{"ok":true,"result":true}`,
	} {
		s := speak(t, text)
		c := clientOf(t, s.address)
		for range 3 {
			assert.Equal(t, protos.Outcome_DONE, c.Do(t.Context(), mute()).GetOutcome(), name)
		}
		assert.EqualValues(t, 3, s.conns.Load(), name)
	}
}

// What is no answer is neither success nor failure, and no call is made twice.
func TestWire_NoAnswers(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":          "",
		"half a head":      "HTTP/1.1 200 OK\r\nContent-Le",
		"half a body":      strings.TrimSuffix(saidTrue, "e}"),
		"no HTTP":          "SSH-2.0-OpenSSH_9.2\r\n\r\n",
		"an endless head":  "HTTP/1.1 200 OK\r\n" + strings.Repeat("X-Y: "+strings.Repeat("z", 1000)+"\r\n", 100) + "\r\n",
		"another protocol": "HTTP/1.1 101 Switching Protocols\r\n\r\n",
	} {
		s := speak(t, text)
		done := clientOf(t, s.address).Do(t.Context(), mute())
		assert.Equal(t, protos.Outcome_UNCLEAR, done.GetOutcome(), name)
		assert.NotContains(t, done.GetDescription(), secret, name)
		assert.EqualValues(t, 1, s.asked.Load(), name)
	}
}

// A server may close a connection on which nothing happens: the next call is made on another.
func TestWire_SeesThatAConnectionWasClosed(t *testing.T) {
	t.Parallel()
	s := speak(t, saidTrue)
	c := clientOf(t, s.address)
	w, ok := c.transport.over.(*wire)
	require.True(t, ok)
	for n := range 5 {
		require.Equal(t, protos.Outcome_DONE, c.Do(t.Context(), mute()).GetOutcome(), n)
		require.Len(t, w.idle, 1)
		require.Eventually(t, func() bool { return !isOpen(w.idle[0].plain) }, 10*time.Second, time.Millisecond)
		w.idle[0].used = time.Now().Add(-2 * surelyOpen)
	}
	assert.EqualValues(t, 5, s.conns.Load())
	w.idle[0].used = time.Now().Add(-2 * idleConnTimeout)
	w.endIdle()
	assert.Empty(t, w.idle)
}

func TestWire_AnOpenConnectionIsUsedAgainHoweverLate(t *testing.T) {
	t.Parallel()
	s := speak(t, saidTrue, saidTrue, saidTrue)
	c := clientOf(t, s.address)
	w, ok := c.transport.over.(*wire)
	require.True(t, ok)
	for range 3 {
		require.Equal(t, protos.Outcome_DONE, c.Do(t.Context(), mute()).GetOutcome())
		w.idle[0].used = time.Now().Add(-idleConnTimeout / 2)
	}
	assert.EqualValues(t, 1, s.conns.Load())
}

// A call ends at once with its context, before its answer and in the middle of it.
func TestWire_EndsWithTheContext(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n{"} {
		ctx, cancel := context.WithCancel(t.Context())
		asked := make(chan struct{})
		l := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			conn, _, err := rw.(http.Hijacker).Hijack() //nolint:errcheck,forcetypeassert // HTTP/1.1
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, text)
			close(asked)
			<-ctx.Done()
			_, _ = io.Copy(io.Discard, conn) // until the client closes it
		}))
		done := make(chan error, 1)
		c := clientOf(t, l.URL)
		go func() { done <- c.write(ctx, "getMe", func(*jx.Encoder) {}, nil) }()
		<-asked
		cancel()
		select {
		case err := <-done:
			require.Error(t, err)
			assert.Equal(t, protos.Outcome_UNCLEAR, Classify(err))
		case <-time.After(10 * time.Second):
			require.Fail(t, "it goes on")
		}
		l.Close()
		require.Equal(t, protos.Outcome_UNCLEAR, Classify(c.write(ctx, "getMe", func(*jx.Encoder) {}, nil)), "nor does it begin")
	}
}

// An API server of one's own may stand behind a proxy that asks for a password, and under a path.
func TestWire_NameAndPasswordOfTheAddress(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		_, _ = fmt.Fprintf(rw, `{"ok":%t,"error_code":401,"result":true}`, name == "gate" && password == "s3cret" && r.URL.Path == "/api/bot"+aToken+"/restrictChatMember")
	}))
	t.Cleanup(s.Close)
	c := clientOf(t, strings.Replace(s.URL, "://", "://gate:s3cret@", 1)+"/api/")
	require.Equal(t, protos.Outcome_DONE, c.Do(t.Context(), mute()).GetOutcome())
	s.Close()
	done := c.Do(t.Context(), mute())
	require.NotEqual(t, protos.Outcome_DONE, done.GetOutcome())
	assert.NotContains(t, done.GetDescription(), "s3cret")
}

func TestWire_TLS(t *testing.T) {
	t.Parallel()
	var proto atomic.Value
	s := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		proto.Store(fmt.Sprint(r.Proto, " ", r.Host, " ", r.ContentLength == int64(len(body))))
		_, _ = io.WriteString(rw, `{"ok":true,"result":true}`)
	}))
	t.Cleanup(s.Close)
	c := clientOf(t, s.URL)
	done := c.Do(t.Context(), mute())
	assert.NotEqual(t, protos.Outcome_DONE, done.GetOutcome(), "whose certificate nobody trusts is told nothing")
	assert.Nil(t, proto.Load())
	w, ok := c.transport.over.(*wire)
	require.True(t, ok)
	w.secure.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs //nolint:errcheck,forcetypeassert // a test server's
	for range 2 {
		require.Equal(t, protos.Outcome_DONE, c.Do(t.Context(), mute()).GetOutcome())
		require.Len(t, w.idle, 1)
		require.True(t, isOpen(w.idle[0].plain))
	}
	to, err := url.Parse(s.URL)
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 "+to.Host+" true", proto.Load())
}

// maxCallAllocations of a mute and its answer; about twenty are the test's server's.
const maxCallAllocations = 60

// What a mute costs in allocations.
func TestWeight_ACall(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	texts := make([]string, 400)
	for i := range texts {
		texts[i] = saidTrue
	}
	c, ctx, job := clientOf(t, speak(t, texts...).address), t.Context(), mute()
	each := testing.AllocsPerRun(200, func() {
		if c.Do(ctx, job).GetOutcome() != protos.Outcome_DONE {
			t.Error("not done")
		}
	})
	t.Logf("%.0f allocations a call, the server's among them", each)
	assert.LessOrEqual(t, each, float64(maxCallAllocations))
}
