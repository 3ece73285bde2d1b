package actors

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/gmbot/gmbot/protos"
)

// Incident is something that should not happen, for whoever looks after the program.
type Incident struct {
	Kind  IncidentKind
	Where string    // the actor's path, or the call
	Words string    // what went wrong, redacted
	Stack []uintptr // program counters of a panic, innermost first
	// ids of what it was about; 0 = not known
	ChatID, UserID, UpdateID int64
}

// IncidentKind sorts incidents.
type IncidentKind string

// The kinds of incidents.
const (
	IncidentPanic IncidentKind = "panic" // an actor or a command panicked
	IncidentAPI   IncidentKind = "api"   // Telegram refused a call in a way that only a mistake explains
	IncidentStore IncidentKind = "store" // the database failed, or refused a statement
)

// maxStack bounds the frames of a stack.
const maxStack = 64

// callers is the stack of a panic, seen from a function that was deferred to catch it.
func callers() []uintptr {
	stack := make([]uintptr, maxStack)
	return stack[:runtime.Callers(2, stack)]
}

// about finds out whom a message is about.
func (i *Incident) about(message any) {
	switch m := message.(type) {
	case *protos.Event:
		i.ChatID, i.UserID, i.UpdateID = m.GetChat().GetId(), m.GetFrom().GetId(), m.GetUpdateId()
	case *protos.Job:
		i.ChatID, i.UserID, i.UpdateID = m.GetChatId(), userOf(m), m.GetUpdateId()
	case *want:
		i.ChatID, i.UserID, i.UpdateID = m.event.GetChat().GetId(), m.user.GetId(), m.event.GetUpdateId()
	case *protos.MembershipChanged:
		i.ChatID, i.UserID, i.UpdateID = m.GetGroupId(), m.GetUser().GetId(), m.GetUpdateId()
	case carrier:
		for _, e := range m.events() {
			i.about(e)
		}
	}
}

// userOf is the person a call is about, or 0.
func userOf(job *protos.Job) int64 {
	switch do := job.GetDo().(type) {
	case *protos.Job_Restrict:
		return do.Restrict.GetUserId()
	case *protos.Job_Ban:
		return do.Ban.GetUserId()
	case *protos.Job_GetMember:
		return do.GetMember.GetUserId()
	}
	return 0
}

// nameOf is what a call does, in a word.
func nameOf(job *protos.Job) string {
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", job.GetDo()), "*protos.Job_"))
}

// note logs the end of a call, and reports one that Telegram refused for no reason that traffic brings.
func (s *sender) note(m *callDone) {
	job, done := m.t.job, m.done
	if e := s.o.Log.Debug(); e.Enabled() {
		e.Int64("update", job.GetUpdateId()).Int64("chat", job.GetChatId()).Int64("user", userOf(job)).Str("call", nameOf(job)).
			Stringer("outcome", done.GetOutcome()).Int64("ms", s.o.Clock.ms()-done.GetSentMs()).Msg("a call has ended")
	}
	if o := done.GetOutcome(); s.o.Report == nil || o != protos.Outcome_OUR_MISTAKE && o != protos.Outcome_UNAUTHORIZED {
		return
	}
	i := Incident{Kind: IncidentAPI, Where: nameOf(job), Words: done.GetOutcome().String() + ": " + done.GetDescription()}
	i.about(job)
	s.o.Report(i)
}
