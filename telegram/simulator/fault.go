package simulator

import (
	"errors"
	"slices"
	"strings"
	"time"
)

// errHangUp closes the connection without an answer.
var errHangUp = errors.New("connection closed")

// Fault is trouble on purpose, for calls that match.
type Fault struct {
	Method string // "" = any but getUpdates
	ChatID int64  // 0 = any
	Times  int    // 0 = until it is removed

	Status      int // HTTP status of an error answer, with Description and RetryAfter (seconds)
	Description string
	RetryAfter  int
	Drop        bool          // close the connection before the effect
	DropAfter   bool          // the effect happens, its answer is lost
	Delay       time.Duration // before the effect
}

// Fail makes matching calls fail; the function it returns ends that.
func (s *Server) Fail(f Fault) (remove func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &f
	s.faults = append(s.faults, one)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = slices.DeleteFunc(s.faults, func(x *Fault) bool { return x == one })
	}
}

// fault finds the trouble meant for a call and counts it.
func (s *Server) fault(method string, p params) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if f.Method == "" && method == "getUpdates" || f.Method != "" && !strings.EqualFold(f.Method, method) ||
			f.ChatID != 0 && p.integer("chat_id", 0) != f.ChatID {
			continue
		}
		found := *f
		if f.Times > 0 {
			f.Times--
			if f.Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return &found
	}
	return nil
}
