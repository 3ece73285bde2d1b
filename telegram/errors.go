package telegram

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/gmbot/gmbot/protos"
)

// Error is what Telegram, or the way to it, answered instead of a result.
type Error struct {
	Method      string
	Code        int    // HTTP status; 0 when there was no answer
	Description string // Telegram's words, redacted
	Outcome     protos.Outcome
	RetryAfter  int   // seconds, for FLOOD
	MigrateTo   int64 // supergroup id, for MOVED
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s: %d %s", e.Method, e.Code, e.Description) }

// RetryAfter is how long Telegram asks to wait with another such call; 0 = it does not.
func RetryAfter(err error) time.Duration {
	if e := (*Error)(nil); errors.As(err, &e) {
		return time.Duration(e.RetryAfter) * time.Second
	}
	return 0
}

// Classify says what became of a call; nil is DONE.
func Classify(err error) protos.Outcome {
	if err == nil {
		return protos.Outcome_DONE
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Outcome
	}
	return protos.Outcome_UNCLEAR
}

// fromNetwork classifies a call that got no answer: did anything leave this machine?
func fromNetwork(method string, err error) *Error {
	e := &Error{Method: method, Description: Redact(err.Error()), Outcome: protos.Outcome_UNCLEAR}
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.As(err, &dns), errors.As(err, &op) && op.Op == "dial":
		// A connection that did not come about in time is one of these, so they come first.
		e.Outcome = protos.Outcome_FAILED
	case errors.Is(err, context.DeadlineExceeded):
		e.Description = "no answer in time"
	}
	return e
}

// text is a piece of Telegram's words and what it means. Sources: the Bot API server's Client.cpp and
// TDLib for those in lower case, Telegram's back end for those in capitals.
type text struct {
	part    string
	outcome protos.Outcome
}

// texts are looked through in order; all are in lower case.
var texts = []text{
	{"user is an administrator of the chat", protos.Outcome_IS_ADMINISTRATOR},
	{"can't remove chat owner", protos.Outcome_IS_ADMINISTRATOR},
	{"can't restrict self", protos.Outcome_IS_ADMINISTRATOR},
	{"user_is_an_administrator", protos.Outcome_IS_ADMINISTRATOR},
	{"message is not modified", protos.Outcome_DONE},
	{"message to delete not found", protos.Outcome_DONE},
	{"hide_requester_missing", protos.Outcome_DONE},
	{"user_already_participant", protos.Outcome_DONE},
	{"query is too old", protos.Outcome_LATE},
	{"query id is invalid", protos.Outcome_LATE},
	{"member list is inaccessible", protos.Outcome_CANNOT_SAY},
	{"participant_id_invalid", protos.Outcome_CANNOT_SAY},
	{"invite_hash_expired", protos.Outcome_GONE},
	{"user_id_invalid", protos.Outcome_CANNOT_SAY},
	{"invalid user_id specified", protos.Outcome_CANNOT_SAY},
	{"user not found", protos.Outcome_CANNOT_SAY},
	{"member not found", protos.Outcome_CANNOT_SAY},
	{"chat_admin_required", protos.Outcome_NO_RIGHTS},
	{"not enough rights", protos.Outcome_NO_RIGHTS},
	{"need administrator rights", protos.Outcome_NO_RIGHTS},
	{"have no write access", protos.Outcome_NO_RIGHTS},
	{"message can't be deleted", protos.Outcome_NO_RIGHTS},
	{"topic_closed", protos.Outcome_NO_RIGHTS},
	{"only for supergroups", protos.Outcome_GONE},
	{"chat not found", protos.Outcome_GONE},
	{"message thread not found", protos.Outcome_GONE},
	{"message to edit not found", protos.Outcome_GONE},
	{"message can't be edited", protos.Outcome_GONE},
	{"message_id_invalid", protos.Outcome_GONE},
	{"message to be replied not found", protos.Outcome_GONE},
	{"bot was kicked", protos.Outcome_GONE},
	{"bot is not a member", protos.Outcome_GONE},
	{"bot was blocked", protos.Outcome_GONE},
	{"user is deactivated", protos.Outcome_GONE},
	{"can't initiate conversation", protos.Outcome_GONE},
	{"can't send messages to the bot", protos.Outcome_GONE},
	{"upgraded to a supergroup", protos.Outcome_MOVED},
}

// fromTelegram classifies an answer with an error code.
func fromTelegram(method string, code int, description string, retryAfter int, migrateTo int64) *Error {
	e := &Error{Method: method, Code: code, Description: Redact(description), RetryAfter: retryAfter, MigrateTo: migrateTo}
	e.Outcome = outcomeOf(code, strings.ToLower(description), migrateTo)
	if e.Outcome == protos.Outcome_FLOOD && e.RetryAfter <= 0 {
		e.RetryAfter = 1
	}
	return e
}

func outcomeOf(code int, words string, migrateTo int64) protos.Outcome {
	switch {
	case code == 429:
		return protos.Outcome_FLOOD
	case code >= 500:
		// It may have been done all the same: a gateway gives up before what is behind it, and the back end
		// also says so of a message that was sent.
		return protos.Outcome_UNCLEAR
	case code == 401 || code == 404:
		return protos.Outcome_UNAUTHORIZED
	case code == 409:
		return protos.Outcome_CONFLICT
	case migrateTo != 0:
		return protos.Outcome_MOVED
	}
	for _, t := range texts {
		if strings.Contains(words, t.part) {
			return t.outcome
		}
	}
	if code == 403 {
		return protos.Outcome_NO_RIGHTS
	}
	return protos.Outcome_OUR_MISTAKE
}
