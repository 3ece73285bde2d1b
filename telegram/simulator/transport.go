package simulator

import (
	"bytes"
	"io"
	"net/http"
)

// Transport reaches the server without a network between, as tests in virtual time need it: give it to an
// http.Client, with any host in the address.
func (s *Server) Transport() http.RoundTripper { return transport{s.Handler()} }

type transport struct{ h http.Handler }

// RoundTrip implements http.RoundTripper. A connection that the server breaks is an io.ErrUnexpectedEOF.
func (t transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	w := &written{header: http.Header{}, status: http.StatusOK}
	defer func() {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		switch broken := recover(); {
		case broken != nil && broken != http.ErrAbortHandler: //nolint:errorlint // a panic's value, compared as net/http does
			panic(broken)
		case r.Context().Err() != nil:
			resp, err = nil, r.Context().Err()
		case broken != nil:
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	t.h.ServeHTTP(w, in)
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// written is an answer as a handler writes it.
type written struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *written) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *written) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *written) Write(p []byte) (int, error) { return w.body.Write(p) }
