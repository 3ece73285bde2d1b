package telegram

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// maxIdleConns is more than calls are in the air at once.
	maxIdleConns = 256
	// idleConnTimeout ends a connection that nobody uses.
	idleConnTimeout = 90 * time.Second
	// surelyOpen is how long after its last answer a connection is used again unseen; later it is looked at first
	// whether the server has closed it: whether what is written to a closed one was done, nobody knows.
	surelyOpen = 100 * time.Millisecond
	// connBuffer holds a call or an answer of the gate's daily life.
	connBuffer = 2 << 10
	// maxHeaderBytes bounds an answer's header.
	maxHeaderBytes = 64 << 10
)

// wire carries HTTP/1.1 calls to one server over connections that stay open. The goroutine that makes a call writes it and
// reads the answer by itself; net/http's transport has two more for each connection and hands every call to both, which
// costs more than the call. A call is never sent twice. It is safe for concurrent use.
type wire struct {
	address string      // host:port
	secure  *tls.Config // nil: http
	dialer  net.Dialer

	mu    sync.Mutex
	idle  []*wireConn // the last used stands last
	sweep *time.Timer // ends what nobody uses; nil while nothing is idle
}

// wireConn is a connection; a call has it for itself.
type wireConn struct {
	conn  net.Conn
	plain net.Conn // what is under TLS, or conn
	r     *bufio.Reader
	w     *bufio.Writer
	left  int // bytes of a head that may still be read; negative while none is
	used  time.Time
}

// newWire makes a wire to the server of an http or https URL. It connects to nothing yet.
func newWire(to *url.URL) *wire {
	port := to.Port()
	w := &wire{dialer: net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}}
	if to.Scheme == "https" {
		w.secure = &tls.Config{ServerName: to.Hostname(), MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
		if port == "" {
			port = "443"
		}
	} else if port == "" {
		port = "80"
	}
	w.address = net.JoinHostPort(to.Hostname(), port)
	return w
}

var _ http.RoundTripper = (*wire)(nil)

// RoundTrip implements http.RoundTripper for requests to its server whose length is known. The body of the answer must be
// closed.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	c, err := w.get(r.Context())
	if err != nil {
		return nil, err
	}
	// Whatever the call waits for on the connection ends with its context.
	stop := context.AfterFunc(r.Context(), func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	resp, err := c.exchange(r)
	if err != nil {
		stop()
		_ = c.conn.Close()
		if ended := r.Context().Err(); ended != nil {
			return nil, ended
		}
		return nil, err
	}
	resp.Body = &wireBody{ReadCloser: resp.Body, w: w, c: c, stop: stop, ctx: r.Context(), once: resp.Close}
	return resp, nil
}

// exchange writes a request and reads the head of its answer.
func (c *wireConn) exchange(r *http.Request) (*http.Response, error) {
	if err := c.write(r); err != nil {
		return nil, err
	}
	for {
		c.left = maxHeaderBytes
		resp, err := http.ReadResponse(c.r, r)
		c.left = -1
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		if resp.StatusCode >= http.StatusOK {
			return resp, nil
		}
		if resp.StatusCode == http.StatusSwitchingProtocols {
			return nil, errors.New("the server speaks another protocol")
		}
	}
}

func (c *wireConn) write(r *http.Request) error {
	length := r.ContentLength
	if r.Body == nil || r.Body == http.NoBody {
		length = 0
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	for _, part := range [...]string{r.Method, " ", r.URL.RequestURI(), " HTTP/1.1\r\nHost: ", host, "\r\n"} {
		_, _ = c.w.WriteString(part) // the first error is Flush's
	}
	if length > 0 {
		_, _ = fmt.Fprintf(c.w, "Content-Length: %d\r\n", length)
	}
	if err := r.Header.Write(c.w); err != nil {
		return fmt.Errorf("write call: %w", err)
	}
	_, _ = c.w.WriteString("\r\n")
	if length > 0 {
		if _, err := io.CopyN(c.w, r.Body, length); err != nil {
			return fmt.Errorf("write call: %w", err)
		}
	}
	if err := c.w.Flush(); err != nil {
		return fmt.Errorf("write call: %w", err)
	}
	return nil
}

// Read implements io.Reader for r; no head is endless.
func (c *wireConn) Read(p []byte) (int, error) {
	if c.left < 0 {
		return c.conn.Read(p)
	}
	if c.left == 0 {
		return 0, errLongHead
	}
	n, err := c.conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

var errLongHead = errors.New("the answer's head does not end")

// wireBody is the body of an answer; when all of it was read, its connection may be used again.
type wireBody struct {
	io.ReadCloser

	w    *wire
	c    *wireConn
	stop func() bool
	ctx  context.Context //nolint:containedctx // of the call whose answer this is
	once bool            // the server closes the connection after it
}

// Read implements io.Reader.
func (b *wireBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && b.ctx.Err() != nil {
		err = b.ctx.Err()
	}
	return n, err
}

// Close implements io.Closer.
func (b *wireBody) Close() error {
	if b.c == nil {
		return nil
	}
	c := b.c
	b.c = nil
	err := b.ReadCloser.Close() // reads what is left of it
	if running := b.stop(); err != nil || !running || b.once || c.r.Buffered() > 0 {
		_ = c.conn.Close()
		return err
	}
	b.w.put(c)
	return nil
}

// get takes the connection that was used last, or makes one.
func (w *wire) get(ctx context.Context) (*wireConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		c := w.take()
		if c == nil {
			return w.dial(ctx)
		}
		if time.Since(c.used) < surelyOpen || isOpen(c.plain) {
			return c, nil
		}
		_ = c.conn.Close()
	}
}

func (w *wire) take() *wireConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.idle) - 1
	if n < 0 {
		return nil
	}
	c := w.idle[n]
	w.idle[n], w.idle = nil, w.idle[:n]
	return c
}

func (w *wire) put(c *wireConn) {
	c.used = time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.idle) >= maxIdleConns {
		_ = c.conn.Close()
		return
	}
	w.idle = append(w.idle, c)
	if w.sweep == nil {
		w.sweep = time.AfterFunc(idleConnTimeout, w.endIdle)
	}
}

// endIdle closes what nobody has used for long.
func (w *wire) endIdle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := 0
	for old < len(w.idle) && time.Since(w.idle[old].used) >= idleConnTimeout {
		_ = w.idle[old].conn.Close()
		old++
	}
	w.idle = append([]*wireConn(nil), w.idle[old:]...)
	w.sweep = nil
	if len(w.idle) > 0 {
		w.sweep = time.AfterFunc(idleConnTimeout-time.Since(w.idle[0].used), w.endIdle)
	}
}

func (w *wire) dial(ctx context.Context) (*wireConn, error) {
	plain, err := w.dialer.DialContext(ctx, "tcp", w.address)
	if err != nil {
		return nil, err
	}
	c := &wireConn{conn: plain, plain: plain}
	if w.secure != nil {
		over := tls.Client(plain, w.secure)
		ctx, cancel := context.WithTimeout(ctx, w.dialer.Timeout)
		defer cancel()
		if err := over.HandshakeContext(ctx); err != nil {
			_ = plain.Close()
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		c.conn = over
	}
	c.r, c.w = bufio.NewReaderSize(c, connBuffer), bufio.NewWriterSize(c.conn, connBuffer)
	return c, nil
}
