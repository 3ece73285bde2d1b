package actors

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

// callbackRequest begins the data of the button under what is written to somebody who asked to join: the
// group's id follows.
const callbackRequest = "v1:req:"

const (
	// declineAfter is how long a request waits when its group did not say otherwise.
	declineAfter = 24 * time.Hour
	// mayWriteFor is how long after a request the bot may write to who asked. Source: Bot API,
	// ChatJoinRequest.user_chat_id.
	mayWriteFor = 5 * time.Minute
	// maxRequests bounds the requests looked at at once in one group; others come again.
	maxRequests = 2000
)

// request is one look at somebody who asked to join the group: stored, judged, answered.
type request struct {
	row      persistence.JoinRequest
	press    *protos.Event
	again    bool
	missing  []persistence.Channel
	verdicts []protos.Verdict
	open     int // questions under way
}

// requestStored brings a request's row: just stored, or read. The store's goroutines send it.
type requestStored struct {
	user  int64
	row   persistence.JoinRequest
	found bool
	err   error
}

// giveUp reports a press that was not answered.
func (r *request) giveUp(g *group) {
	if r.press != nil {
		g.d.settler.NotDone(r.press.GetDelivery(), "group stopped")
		r.press = nil
	}
}

// onJoinRequest takes a request to join. Its row settles the update; what follows is taken up again from it.
func (g *group) onJoinRequest(c actor.Context, e *protos.Event) {
	user := e.GetFrom()
	if !g.g.Enabled || !g.g.Settings.JoinRequests || g.g.Settings.DryRun || user.GetId() == 0 {
		g.done(e)
		return
	}
	if len(g.requests) >= maxRequests {
		g.refuse(e, "too many requests at once")
		return
	}
	now := g.d.clock()
	row := persistence.JoinRequest{
		ChatID: g.id, UserID: user.GetId(), Name: displayName(user), PrivateID: e.GetUserChatId(), Language: user.GetLanguageCode(),
		At: now, ExpiresAt: now.Add(requestAgain), // whoever stored this may die before it is answered
	}
	put(&g.requests, user.GetId(), &request{row: row})
	self, d := c.Self(), g.d
	d.writer.Do(func(tx persistence.Tx) error { return tx.SaveJoinRequest(row) }, func(err error) {
		if err != nil {
			d.settler.NotDone(e.GetDelivery(), "request not stored")
		} else {
			d.settler.Settled(e.GetDelivery())
		}
		d.root.Send(self, &requestStored{user: row.UserID, row: row, found: true, err: err})
	})
}

// decline is when a request that was not granted is declined.
func (g *group) decline(row persistence.JoinRequest) time.Time {
	wait := declineAfter
	if h := g.g.Settings.DeclineHours; h > 0 {
		wait = time.Duration(h) * time.Hour
	}
	return row.At.Add(wait)
}

// takeUpRequest looks at somebody's waiting request again, if there is one.
func (g *group) takeUpRequest(c actor.Context, user int64) {
	if !g.g.Settings.JoinRequests {
		return
	}
	if r := g.requests[user]; r != nil {
		r.again = true
		return
	}
	g.readRequest(c, user, &request{})
}

func (g *group) readRequest(c actor.Context, user int64, r *request) {
	self, d, id := c.Self(), g.d, g.id
	ok := d.pool.Go(func(ctx context.Context) {
		row, err := d.store.JoinRequest(ctx, id, user)
		found := err == nil
		if errors.Is(err, persistence.ErrNotFound) {
			err = nil
		}
		d.root.Send(self, &requestStored{user: user, row: row, found: found, err: err})
	})
	if !ok {
		r.giveUp(g)
		return
	}
	put(&g.requests, user, r)
}

// onRequestPressed takes a press in private under what was written to somebody who asked to join.
func (g *group) onRequestPressed(c actor.Context, e *protos.Event) {
	user := e.GetFrom().GetId()
	if g.requests[user] != nil {
		g.answer(c, e, "press.checking")
		return
	}
	g.readRequest(c, user, &request{press: e})
}

// dueRequest looks at a request whose time to be looked at again has come.
func (g *group) dueRequest(c actor.Context, user int64) {
	if g.requests[user] == nil {
		g.readRequest(c, user, &request{})
	}
}

// onRequestStored asks about every channel, for what was known may be old.
func (g *group) onRequestStored(c actor.Context, m *requestStored) {
	r := g.requests[m.user]
	switch {
	case r == nil:
		return
	case m.err != nil:
		r.giveUp(g)
		delete(g.requests, m.user)
		return
	case !m.found || m.row.Channel:
		g.pressedRequest(c, r, "press.request_over", nil)
		delete(g.requests, m.user)
		return
	case !g.g.Enabled || !g.g.Settings.JoinRequests:
		g.pressedRequest(c, r, "press.request_over", nil)
		g.dropRequest(c, r)
		return
	}
	r.row = m.row
	g.askRequest(c, r)
}

func (g *group) askRequest(c actor.Context, r *request) {
	r.missing, r.verdicts, r.open = nil, nil, len(g.g.Channels)
	notBefore := int64(0)
	if r.press != nil {
		notBefore = g.d.clock.ms() - pressWindowMS
	}
	for _, ch := range g.g.Channels {
		g.lastTag++
		put(&g.verdicts, g.lastTag, func(c actor.Context, m *protos.MembershipAnswer) {
			r.open--
			r.verdicts = append(r.verdicts, m.GetVerdict())
			if m.GetVerdict() != protos.Verdict_INSIDE {
				r.missing = append(r.missing, ch)
			}
			if r.open == 0 {
				g.judgeRequest(c, r)
			}
		})
		c.Request(g.d.dir.Membership(ch.ID, r.row.UserID), &protos.AskMembership{
			ChannelId: ch.ID, UserId: r.row.UserID, ForChatId: g.id, NotBeforeMs: notBefore, Tag: g.lastTag,
		})
	}
	if r.open == 0 {
		g.judgeRequest(c, r)
	}
}

func (g *group) judgeRequest(c actor.Context, r *request) {
	if r.again {
		r.again = false
		g.askRequest(c, r)
		return
	}
	verdict := judge(r.verdicts, g.g.Settings.Need)
	if g.exempt[r.row.UserID] {
		verdict = protos.Verdict_INSIDE
	}
	switch {
	case verdict == protos.Verdict_INSIDE:
		g.pressedRequest(c, r, "press.welcome", nil)
		g.endRequest(c, r, true)
	case verdict == protos.Verdict_OUTSIDE && !g.d.clock().Before(g.decline(r.row)):
		g.endRequest(c, r, false)
	default:
		id := "press.missing"
		if verdict == protos.Verdict_UNKNOWN {
			id = "press.checking"
		}
		g.pressedRequest(c, r, id, r.missing)
		delete(g.requests, r.row.UserID)
		if verdict == protos.Verdict_UNKNOWN {
			row := r.row
			row.ExpiresAt = g.d.clock().Add(requestAgain) // perhaps Telegram knows better then
			g.saveRequest(row)
			return
		}
		g.writeToRequester(c, r)
	}
}

// endRequest lets the person in, or declines. What Telegram does not know (any more) is over.
func (g *group) endRequest(c actor.Context, r *request, approve bool) {
	lane := protos.Lane_FREE
	if !approve {
		lane = protos.Lane_MUTE
	}
	g.request(c, &protos.Job{
		Lane: lane, ChatId: g.id,
		Do: &protos.Job_JoinRequest{JoinRequest: &protos.JoinRequestVerdict{UserId: r.row.UserID, Approve: approve}},
	}, func(c actor.Context, m *protos.JobDone) {
		switch m.GetOutcome() {
		case protos.Outcome_DONE, protos.Outcome_CANNOT_SAY, protos.Outcome_GONE, protos.Outcome_OUR_MISTAKE:
			g.dropRequest(c, r)
		default:
			// The row stays, and is taken up again soon, at a press, at a join, and when its time is over.
			delete(g.requests, r.row.UserID)
			self, root, user := c.Self(), g.d.root, r.row.UserID
			time.AfterFunc(requestAgain, func() { root.Send(self, &lookAtRequest{user: user}) })
		}
	})
}

// requestAgain is how long a request waits whose verdict could not be given to Telegram.
const requestAgain = 10 * time.Second

// lookAtRequest is the time to look at a request again.
type lookAtRequest struct{ user int64 }

func (g *group) dropRequest(c actor.Context, r *request) {
	id, user := g.id, r.row.UserID
	delete(g.requests, user)
	delete(g.writing, user)
	g.dropMessage(c, r.row)
	g.d.writer.Do(func(tx persistence.Tx) error { return tx.DropJoinRequest(id, user) }, g.logLost("join request"))
}

// writeToRequester shows the way in private, once.
func (g *group) writeToRequester(c actor.Context, r *request) {
	row := r.row
	row.ExpiresAt = g.decline(row)
	if _, writing := g.writing[row.UserID]; writing {
		return
	}
	if row.MessageID != 0 || row.PrivateID == 0 || g.d.clock().Sub(row.At) > mayWriteFor {
		if !row.ExpiresAt.Equal(r.row.ExpiresAt) {
			g.saveRequest(row)
		}
		return
	}
	put(&g.writing, row.UserID, struct{}{})
	var rows []*protos.ButtonRow
	for _, ch := range r.missing {
		if link := channelLink(ch); link != "" {
			rows = append(rows, &protos.ButtonRow{Buttons: []*protos.Button{{Text: text.Button(ch.Title), Url: link, Style: "primary"}}})
		}
	}
	rows = append(rows, &protos.ButtonRow{Buttons: []*protos.Button{{
		Text: g.d.words.Say(r.row.Language, "button.joined", nil), Data: callbackRequest + itoa(g.id), Style: "success",
	}}})
	g.request(c, &protos.Job{
		Lane: protos.Lane_TALK, ChatId: r.row.PrivateID, Do: &protos.Job_Send{Send: &protos.SendText{
			Html: g.d.words.Say(r.row.Language, "request.join_first", map[string]any{"Group": g.g.Title}), Keyboard: rows,
		}},
	}, func(c actor.Context, m *protos.JobDone) { g.onWritten(c, row, m) })
}

func (g *group) onWritten(c actor.Context, row persistence.JoinRequest, m *protos.JobDone) {
	row.MessageID = m.GetMessageId()
	if _, writing := g.writing[row.UserID]; !writing {
		g.dropMessage(c, row) // let in meanwhile
		return
	}
	delete(g.writing, row.UserID)
	switch m.GetOutcome() {
	case protos.Outcome_FAILED, protos.Outcome_EXPIRED, protos.Outcome_FLOOD:
		return // tried again when the row's time comes, as after a crash
	default: // sent, perhaps sent, or closed to the bot: the request waits all the same
	}
	if r := g.requests[row.UserID]; r != nil {
		r.row.MessageID = row.MessageID
	}
	g.saveRequest(row)
}

func (g *group) saveRequest(row persistence.JoinRequest) {
	g.d.writer.Do(func(tx persistence.Tx) error { return tx.SaveJoinRequest(row) }, g.logLost("join request"))
}

// dropMessage deletes what was written to somebody who asked to join.
func (g *group) dropMessage(c actor.Context, row persistence.JoinRequest) {
	if row.MessageID != 0 {
		c.Send(g.d.dir.Sender(), &protos.Job{
			Lane: protos.Lane_DELETE, ChatId: row.PrivateID,
			Do: &protos.Job_Delete{Delete: &protos.DeleteMessages{MessageIds: []int64{row.MessageID}}},
		})
	}
}

// pressedRequest answers a press, if one waits.
func (g *group) pressedRequest(c actor.Context, r *request, id string, missing []persistence.Channel) {
	if r.press == nil {
		return
	}
	var titles []string
	for _, ch := range missing {
		titles = append(titles, ch.Title)
	}
	words := g.d.words.Press(r.press.GetFrom().GetLanguageCode(), id, titles)
	c.Send(g.d.dir.Sender(), answerJob(r.press, words, len(missing) > 0))
	g.done(r.press)
	r.press = nil
}

// requestGroup reads which group a press in private is about.
func requestGroup(data string) (int64, bool) {
	id, ok := strings.CutPrefix(data, callbackRequest)
	if !ok {
		return 0, false
	}
	return atoi(id)
}
