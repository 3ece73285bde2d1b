package telegram

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/gmbot/gmbot/protos"
)

const (
	retryFirst   = 200 * time.Millisecond
	retryLongest = 30 * time.Second
	retryRefused = time.Minute
	sayAgain     = time.Minute // the same trouble is logged once in it
)

// poller remembers how polling goes: how long to wait after trouble, and when it was last said.
type poller struct {
	s      *Source
	begun  bool
	fails  int
	said   string
	saidAt time.Time
}

// timeout of the next poll, seconds. The first, and those after trouble, ask for an answer at once, so
// that it is known whether updates are being taken.
func (p *poller) timeout() int {
	if p.fails > 0 || !p.begun {
		p.begun = true
		return 0
	}
	return pollSeconds
}

func (p *poller) succeeded() {
	if p.fails > 0 {
		p.s.o.Log.Info().Msg("Telegram answers polls again")
	}
	p.fails, p.said = 0, ""
	p.s.setTaking(true, "")
}

// failed says what is wrong, in words of what to do about it, and waits.
func (p *poller) failed(ctx context.Context, err error) {
	p.fails++
	words, wait := explain(err, p.fails)
	p.s.setTaking(false, words)
	if words != p.said || time.Since(p.saidAt) >= sayAgain {
		p.said, p.saidAt = words, time.Now()
		p.s.o.Log.Warn().Str("error", Redact(err.Error())).Dur("next_try", wait).Msg(words)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func explain(err error, fails int) (words string, wait time.Duration) {
	var e *Error
	errors.As(err, &e)
	wait = min(retryFirst<<min(fails-1, 10), retryLongest)
	wait += rand.N(wait / 4)
	switch Classify(err) {
	case protos.Outcome_CONFLICT:
		if strings.Contains(e.Description, "webhook") {
			return "a webhook is set for this bot, so polling is refused: delete it, or run with WEBHOOK_URL", max(wait, 3*time.Second)
		}
		return "another program polls with this bot's token: stop it, each bot can have only one", max(wait, 3*time.Second)
	case protos.Outcome_UNAUTHORIZED:
		return "Telegram refuses BOT_TOKEN: it was revoked, or belongs to another API server", retryRefused
	case protos.Outcome_FLOOD:
		return "Telegram asks for a pause in polling", max(wait, time.Duration(e.RetryAfter)*time.Second)
	default:
		return "Telegram does not answer polls, trying again", wait
	}
}

func clone(e *protos.Event) *protos.Event { return proto.CloneOf(e) }
