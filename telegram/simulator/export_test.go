package simulator

import (
	"maps"
	"slices"
)

// What is kept for a bot: updates, and bytes of them.
const (
	MaxQueue      = maxQueue
	MaxQueueBytes = maxQueueBytes
	MaxAnswer     = maxAnswer
)

// BoundQueue keeps fewer bytes of updates, and answers with fewer.
func (s *Server) BoundQueue(queue, answer int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queueMax, s.answerMax = queue, answer
}

// Refused is the text of a 403 with some detail, and its code.
func Refused(detail string) (int, string) {
	e, _ := forbidden(detail).(apiError) //nolint:errorlint // made here
	return e.code, e.text
}

// FaultKinds are the kinds of faults there are.
func FaultKinds() []string {
	var list []string
	for _, k := range slices.Concat(ofCalls, ofUpdates, ofTime) {
		list = append(list, string(k))
	}
	return list
}

// FaultFields are the names a faults file may use.
func FaultFields() []string { return slices.Sorted(maps.Keys(faultFields)) }
