package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"time"
)

// file is a document somebody sent.
type file struct {
	id   string
	name string
	data []byte
}

func (f *file) json() map[string]any {
	return map[string]any{
		"file_id": f.id, "file_unique_id": "u" + f.id, "file_name": f.name, "mime_type": "application/json", "file_size": len(f.data),
	}
}

// MarshalJSON shows an upload among a call's parameters the way the description of the Bot API types it.
func (f *file) MarshalJSON() ([]byte, error) { return json.Marshal("attach://" + f.name) }

func readUpload(h *multipart.FileHeader) (*file, error) {
	r, err := h.Open()
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(io.LimitReader(r, maxBody))
	return &file{name: h.Filename, data: data}, err
}

func (s *Server) keep(f *file) *file {
	s.seq++
	f.id = fmt.Sprintf("File%020d", s.seq)
	s.files[f.id] = f
	return f
}

// WithDocument attaches a file; the message's text is its caption.
func (s *Server) WithDocument(name string, data []byte) WriteOption {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.keep(&file{name: name, data: data})
	return func(w *writing) { w.file = f }
}

// Document returns the file of a message that is still there.
func (s *Server) Document(chatID, messageID int64) (name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.chats[chatID]; c != nil {
		if m := c.find(messageID); m != nil && m.file != nil {
			return m.file.name, m.file.data
		}
	}
	return "", nil
}

func sendDocument(s *Server, b *account, p params) (any, error) {
	c, thread, err := s.place(b, p)
	if err != nil {
		return nil, err
	}
	f, ok := p["document"].(*file)
	if !ok {
		return nil, apiError{code: 501, text: "Not Implemented: the simulator takes documents as uploads only"}
	}
	if units(p.str("caption")) > 1024 {
		return nil, bad("message caption is too long")
	}
	if err := s.limited(b, c); err != nil {
		return nil, err
	}
	c.lastID++
	m := &message{id: c.lastID, from: b.ID, date: s.now(), text: p.str("caption"), thread: thread, file: s.keep(f)}
	c.messages = append(c.messages, m)
	s.tell(Event{Kind: "send", ChatID: c.id, UserID: b.ID, Text: f.name, MessageID: m.id})
	return s.messageJSON(c, m), nil
}

// getFile tells where a file can be fetched from, for an hour. Source: Bot API, getFile.
func getFile(s *Server, _ *account, p params) (any, error) {
	f := s.files[p.str("file_id")]
	if f == nil {
		return nil, bad("wrong file_id or the file is temporarily unavailable")
	}
	return map[string]any{
		"file_id": f.id, "file_unique_id": "u" + f.id, "file_size": len(f.data), "file_path": "documents/" + f.id,
	}, nil
}

var filePath = regexp.MustCompile(`^/file/bot([^/]+)/documents/([A-Za-z0-9]+)$`)

func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	m := filePath.FindStringSubmatch(r.URL.Path)
	if m == nil {
		http.NotFound(w, r)
		return
	}
	s.mu.Lock()
	b, f := s.bots[m[1]], s.files[m[2]]
	s.mu.Unlock()
	if b == nil || f == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(f.data)
}

// asked notes that a bot may write to a person for five minutes. Source: Bot API, ChatJoinRequest.
func (u *user) asked(bot int64, now time.Time) { u.open[bot] = now.Add(5 * time.Minute) }
