package telegram

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
)

const (
	aToken = "123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOpp_-1"
	secret = "AAbbCCddEEffGGhhIIjjKKllMMnnOOpp_-1"
)

// Every text Telegram is known to answer with, and what it means here.
func TestErrors_Texts(t *testing.T) {
	t.Parallel()
	for outcome, lines := range map[protos.Outcome]string{
		protos.Outcome_DONE: `
			400 Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message
			400 Bad Request: message to delete not found
			400 Bad Request: HIDE_REQUESTER_MISSING
			400 Bad Request: USER_ALREADY_PARTICIPANT`,
		protos.Outcome_UNCLEAR: `
			500 Internal Server Error: sent message was immediately deleted and can't be returned
			500 Internal Server Error: restart
			502 Bad Gateway
			504 Gateway Timeout`,
		protos.Outcome_NO_RIGHTS: `
			400 Bad Request: CHAT_ADMIN_REQUIRED
			400 Bad Request: not enough rights
			400 Bad Request: not enough rights to restrict/unrestrict chat member
			400 Bad Request: not enough rights to send text messages to the chat
			400 Bad Request: not enough rights to manage chat invite link
			400 Bad Request: not enough rights to manage chat join requests
			400 Bad Request: have no write access to the chat
			400 Bad Request: need administrator rights in the channel chat
			400 Bad Request: TOPIC_CLOSED
			400 Bad Request: message can't be deleted
			400 Bad Request: message can't be deleted for everyone
			403 Forbidden: a reason of the future`,
		protos.Outcome_GONE: `
			400 Bad Request: chat not found
			400 Bad Request: method is available only for supergroups
			400 Bad Request: message thread not found
			400 Bad Request: message to be replied not found
			400 Bad Request: message to edit not found
			400 Bad Request: message can't be edited
			400 Bad Request: MESSAGE_ID_INVALID
			403 Forbidden: bot was kicked from the channel chat
			403 Forbidden: bot was kicked from the supergroup chat
			403 Forbidden: bot was kicked from the group chat
			403 Forbidden: bot is not a member of the channel chat
			403 Forbidden: bot is not a member of the supergroup chat
			403 Forbidden: bot was blocked by the user
			403 Forbidden: user is deactivated
			403 Forbidden: bot can't initiate conversation with a user
			403 Forbidden: the bot can't send messages to the bot`,
		protos.Outcome_MOVED: `
			400 Bad Request: group chat was upgraded to a supergroup chat`,
		protos.Outcome_CANNOT_SAY: `
			400 Bad Request: member list is inaccessible
			400 Bad Request: PARTICIPANT_ID_INVALID
			400 Bad Request: USER_ID_INVALID
			400 Bad Request: invalid user_id specified
			400 Bad Request: user not found
			400 Bad Request: member not found`,
		protos.Outcome_IS_ADMINISTRATOR: `
			400 Bad Request: user is an administrator of the chat
			400 Bad Request: can't remove chat owner
			400 Bad Request: can't restrict self
			400 Bad Request: USER_IS_AN_ADMINISTRATOR`,
		protos.Outcome_LATE: `
			400 Bad Request: query is too old and response timeout expired or query ID is invalid`,
		protos.Outcome_OUR_MISTAKE: `
			400 Bad Request: message is too long
			400 Bad Request: message text is empty
			400 Bad Request: can't parse entities: unsupported start tag "x" at byte offset 0
			400 Bad Request: too many message identifiers specified
			400 Bad Request: BUTTON_DATA_INVALID
			413 Request Entity Too Large`,
		protos.Outcome_UNAUTHORIZED: `
			401 Unauthorized
			401 Unauthorized: invalid token specified
			404 Not Found
			404 Not Found: method not found`,
		protos.Outcome_CONFLICT: `
			409 Conflict: terminated by other getUpdates request; make sure that only one bot instance is running
			409 Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first
			409 Conflict: terminated by setWebhook request`,
	} {
		for line := range strings.SplitSeq(strings.TrimSpace(lines), "\n") {
			line = strings.TrimSpace(line)
			var code int
			_, err := fmt.Sscan(line, &code)
			require.NoError(t, err)
			words := line[4:]
			e := fromTelegram("getChat", code, words, 0, 0)
			assert.Equal(t, Error{Method: "getChat", Code: code, Description: words, Outcome: outcome}, *e, line)
			assert.Equal(t, outcome, Classify(fmt.Errorf("wrapped: %w", e)), line)
			assert.Equal(t, outcome, fromTelegram("getChat", code, strings.ToUpper(words), 0, 0).Outcome, "in capitals: %s", line)
		}
	}
}

func TestErrors_FloodAndMoved(t *testing.T) {
	t.Parallel()
	for given, want := range map[int]int{7: 7, 86400: 86400, 0: 1, -5: 1} {
		e := fromTelegram("sendMessage", 429, "Too Many Requests: retry after 7", given, 0)
		assert.Equal(t, protos.Outcome_FLOOD, e.Outcome)
		assert.Equal(t, want, e.RetryAfter, "a pause is never nothing")
	}
	e := fromTelegram("sendMessage", 400, "Bad Request: words of the future", 0, -1009)
	assert.Equal(t, protos.Outcome_MOVED, e.Outcome, "the new id says it, whatever the words")
	assert.Equal(t, int64(-1009), e.MigrateTo)
	assert.Equal(t, "sendMessage: 400 Bad Request: words of the future", e.Error())
}

func TestErrors_Classify(t *testing.T) {
	t.Parallel()
	assert.Equal(t, protos.Outcome_DONE, Classify(nil))
	assert.Equal(t, protos.Outcome_UNCLEAR, Classify(errors.New("anything else")))
}

func TestErrors_DescriptionsAreRedacted(t *testing.T) {
	t.Parallel()
	words := "bad " + aToken + " and https://t.me/+AbCdEf and http://u:hunter2@host"
	for _, e := range []*Error{
		fromTelegram("x", 400, words, 0, 0), fromTelegram("x", 401, words, 0, 0), fromNetwork("x", errors.New(words)),
	} {
		for _, leak := range []string{secret, "AbCdEf", "hunter2"} {
			assert.NotContains(t, e.Error(), leak)
		}
	}
}

// ask calls getMe at an address and returns the error, with the token kept out of it.
func ask(ctx context.Context, t *testing.T, api string) *Error {
	t.Helper()
	c, err := NewClient(aToken, api, nil)
	require.NoError(t, err)
	_, err = c.GetMe(ctx)
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, "getMe", e.Method)
	assert.NotContains(t, err.Error(), secret)
	assert.NotEmpty(t, e.Description)
	return e
}

// serve answers each call with f.
func serve(t *testing.T, f http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL
}

// closedPort is an address nobody listens at.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	return l.Addr().String()
}

// Nothing left this machine: it did not happen.
func TestErrors_NotSent(t *testing.T) {
	t.Parallel()
	assert.Equal(t, protos.Outcome_FAILED, ask(t.Context(), t, "http://"+closedPort(t)).Outcome)
	nobody := &net.DNSError{Err: "no such host", Name: "nobody.invalid", IsNotFound: true}
	assert.Equal(t, protos.Outcome_FAILED, fromNetwork("getMe", nobody).Outcome)
	slow := &net.OpError{Op: "dial", Net: "tcp", Err: context.DeadlineExceeded}
	assert.Equal(t, protos.Outcome_FAILED, fromNetwork("getMe", slow).Outcome, "no connection in time")
	lookup := &net.DNSError{Err: "i/o timeout", Name: "nobody", IsTimeout: true, UnwrapErr: context.DeadlineExceeded}
	assert.Equal(t, protos.Outcome_FAILED, fromNetwork("getMe", lookup).Outcome, "no name in time")
}

// Something left this machine and no answer came back: it may have happened.
func TestErrors_Unclear(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]http.HandlerFunc{
		"closed before the answer": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"reset in the answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"ok":tr`)
			panic(http.ErrAbortHandler)
		},
		"no JSON":          func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>welcome</html>") },
		"empty":            func(http.ResponseWriter, *http.Request) {},
		"no envelope":      func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"up"}`) },
		"result of a kind": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":true,"result":[1]}`) },
		"no HTTP": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "SSH-2.0-x\r\n\r\n")
				_ = conn.Close()
			}
		},
	} {
		e := ask(t.Context(), t, serve(t, f))
		assert.Equal(t, protos.Outcome_UNCLEAR, e.Outcome, name)
	}
}

func TestErrors_NoAnswerInTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	e := ask(ctx, t, serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	assert.Equal(t, Error{Method: "getMe", Description: "no answer in time", Outcome: protos.Outcome_UNCLEAR}, *e)
}

// What a proxy says in Telegram's stead counts by its status.
func TestErrors_PagesOfProxies(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]protos.Outcome{
		502: protos.Outcome_UNCLEAR, 503: protos.Outcome_UNCLEAR, 404: protos.Outcome_UNAUTHORIZED, 429: protos.Outcome_FLOOD,
		302: protos.Outcome_OUR_MISTAKE,
	} {
		e := ask(t.Context(), t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html><h1>"+aToken+"</h1></html>")
		}))
		assert.Equal(t, want, e.Outcome, status)
		assert.Equal(t, status, e.Code)
		assert.Equal(t, "answer is no JSON", e.Description)
	}
}

// The envelope's code counts before the status; without one the status does.
func TestErrors_Envelope(t *testing.T) {
	t.Parallel()
	e := ask(t.Context(), t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 9","parameters":{"retry_after":9}}`)
	}))
	assert.Equal(t, Error{Method: "getMe", Code: 429, Description: "Too Many Requests: retry after 9", Outcome: protos.Outcome_FLOOD, RetryAfter: 9}, *e)
	e = ask(t.Context(), t, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"ok":false,"description":"Forbidden: bot was kicked from the group chat"}`)
	}))
	assert.Equal(t, 403, e.Code)
	assert.Equal(t, protos.Outcome_GONE, e.Outcome)
}
