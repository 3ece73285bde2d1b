package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/PaulSonOfLars/gotgbot/v2"
	"github.com/go-faster/jx"

	"github.com/gmbot/gmbot/protos"
)

// ErrToken marks a token that cannot be one.
var ErrToken = errors.New("not the shape of a bot token")

var tokenShape = regexp.MustCompile(`^\d{3,20}:[A-Za-z0-9_-]{20,100}$`)

// Client carries out calls for one bot. It is safe for concurrent use and never repeats a call.
type Client struct {
	bot       gotgbot.Bot
	transport *transport
	metrics   *Metrics
}

// NewClient makes a client for the API at apiURL (http or https, no path needed). It calls nothing.
func NewClient(token, apiURL string, m *Metrics) (*Client, error) {
	if !tokenShape.MatchString(token) {
		return nil, ErrToken
	}
	u, err := url.Parse(apiURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the API's address is no http or https URL")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	t := newTransport(strings.TrimRight(apiURL, "/"), u, m)
	return &Client{metrics: m, transport: t, bot: gotgbot.Bot{Token: token, BotClient: t}}, nil
}

// Over has the client's calls carried by rt instead of the network, before the first call.
func (c *Client) Over(rt http.RoundTripper) { c.transport.over = rt }

// call makes one call and decodes its result, unless result is nil.
func (c *Client) call(ctx context.Context, method string, params map[string]any, result any, timeout time.Duration) error {
	raw, err := c.bot.RequestWithContext(ctx, method, params, &gotgbot.RequestOpts{Timeout: timeout})
	if err != nil || result == nil {
		return err
	}
	return readable(method, json.Unmarshal(raw, result))
}

// read makes one call and has f read its result.
func (c *Client) read(ctx context.Context, method string, params map[string]any, f func(w *walker) error) error {
	raw, err := c.bot.RequestWithContext(ctx, method, params, &gotgbot.RequestOpts{})
	if err != nil {
		return err
	}
	return readable(method, walk(raw, f))
}

// written is a payload with memory for both ways, to be used again and again.
type written struct {
	payload

	e jx.Encoder
}

var payloads = sync.Pool{New: func() any { return &written{payload: payload{kind: jsonType}} }}

// maxKeptBytes bounds the memory that stays with a payload.
const maxKeptBytes = 16 << 10

// write makes one call whose parameters it has written as they are sent, and has f read the result, unless f is nil. It is
// for the calls of the gate's daily life: it needs no memory of its own.
func (c *Client) write(ctx context.Context, method string, params func(e *jx.Encoder), f func(w *walker) error) error {
	p := payloads.Get().(*written) //nolint:errcheck,forcetypeassert // nothing else is in the pool
	p.e.Reset()
	p.e.ObjStart()
	params(&p.e)
	p.e.ObjEnd()
	p.body = p.e.Bytes()
	raw, err := c.transport.request(ctx, c.bot.Token, method, &p.payload, callTimeout)
	if err != nil {
		return err // and what it was made with is left alone: it may still be on its way
	}
	if f != nil {
		err = readable(method, walk(raw, f))
	}
	if cap(p.body)+cap(p.room) <= maxKeptBytes {
		payloads.Put(p)
	}
	return err
}

// number writes a field.
func number(e *jx.Encoder, name string, n int64) {
	e.FieldStart(name)
	e.Int64(n)
}

// readable says of a result that could not be read what it means: nobody knows what became of the call.
func readable(method string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Method: method, Description: "result cannot be read", Outcome: protos.Outcome_UNCLEAR}
}

// GetMe asks who the bot is.
func (c *Client) GetMe(ctx context.Context) (*protos.User, error) {
	var u *protos.User
	err := c.read(ctx, "getMe", nil, func(w *walker) (err error) {
		u, err = w.user(nil)
		return err
	})
	return u, err
}

// GetUpdates long-polls for at most limit updates, waiting at most timeout seconds. It confirms every
// update below offset. Source: Bot API, getUpdates.
func (c *Client) GetUpdates(ctx context.Context, offset int64, limit, timeout int, allowed []string) ([]json.RawMessage, error) {
	params := map[string]any{"offset": offset, "limit": limit, "timeout": timeout, "allowed_updates": allowed}
	wait := &gotgbot.RequestOpts{Timeout: callTimeout + time.Duration(timeout)*time.Second}
	raw, err := c.bot.RequestWithContext(ctx, "getUpdates", params, wait)
	if err != nil {
		return nil, err
	}
	updates := make([]json.RawMessage, 0, limit)
	err = walk(raw, func(w *walker) error {
		return w.list(func() error {
			one, err := w.d.Raw()
			updates = append(updates, json.RawMessage(one))
			return err
		})
	})
	return updates, readable("getUpdates", err)
}

// Command is a line of the bot's menu.
type Command struct {
	Name        string `json:"command"`     // at most 32 characters
	Description string `json:"description"` // at most 256 characters
}

// SetMyCommands sets the menu in one scope: "default", "all_chat_administrators" and so on.
// Source: Bot API, setMyCommands, BotCommandScope.
func (c *Client) SetMyCommands(ctx context.Context, scope string, commands []Command) error {
	return c.call(ctx, "setMyCommands", map[string]any{"commands": commands, "scope": map[string]string{"type": scope}}, nil, 0)
}

// Do carries out one job and says what became of it. It never repeats, never panics and never blocks
// longer than 15 s.
func (c *Client) Do(ctx context.Context, job *protos.Job) *protos.JobDone {
	done := &protos.JobDone{Tag: job.GetTag(), SentMs: time.Now().UnixMilli()}
	if at := job.GetDeadlineMs(); at != 0 && done.GetSentMs() > at {
		done.Outcome = protos.Outcome_EXPIRED
		return done
	}
	err := c.do(ctx, job, done)
	done.Outcome = Classify(err)
	if e, ok := errors.AsType[*Error](err); ok {
		done.Description, done.RetryAfterS, done.MovedTo = e.Description, int64(e.RetryAfter), e.MigrateTo
	} else if err != nil {
		done.Description = Redact(err.Error())
	}
	return done
}

func (c *Client) do(ctx context.Context, job *protos.Job, done *protos.JobDone) error {
	chat := job.GetChatId()
	switch do := job.GetDo().(type) {
	case *protos.Job_Restrict:
		return c.restrict(ctx, chat, do.Restrict)
	case *protos.Job_Delete:
		return c.deleteMessages(ctx, chat, do.Delete.GetMessageIds())
	case *protos.Job_Send:
		return c.send(ctx, chat, do.Send, done)
	case *protos.Job_Edit:
		return c.edit(ctx, chat, do.Edit)
	case *protos.Job_Answer:
		return c.answer(ctx, do.Answer)
	case *protos.Job_GetMember:
		return c.getMember(ctx, do.GetMember, done)
	case *protos.Job_GetChat:
		return c.getChat(ctx, do.GetChat, done)
	case *protos.Job_GetAdministrators:
		return c.getAdministrators(ctx, do.GetAdministrators, done)
	case *protos.Job_CreateInviteLink:
		return c.createInviteLink(ctx, do.CreateInviteLink, done)
	case *protos.Job_Ban:
		params := map[string]any{"chat_id": chat, "user_id": do.Ban.GetUserId()}
		if at := do.Ban.GetUntilDate(); at != 0 {
			params["until_date"] = at
		}
		return c.call(ctx, "banChatMember", params, nil, 0)
	case *protos.Job_Unban:
		params := map[string]any{"chat_id": chat, "user_id": do.Unban.GetUserId(), "only_if_banned": true}
		return c.call(ctx, "unbanChatMember", params, nil, 0)
	case *protos.Job_JoinRequest:
		method := "declineChatJoinRequest"
		if do.JoinRequest.GetApprove() {
			method = "approveChatJoinRequest"
		}
		return c.call(ctx, method, map[string]any{"chat_id": chat, "user_id": do.JoinRequest.GetUserId()}, nil, 0)
	case *protos.Job_BanSenderChat:
		params := map[string]any{"chat_id": chat, "sender_chat_id": do.BanSenderChat.GetSenderChatId()}
		return c.call(ctx, "banChatSenderChat", params, nil, 0)
	case *protos.Job_EditInviteLink:
		return c.editInviteLink(ctx, do.EditInviteLink, done)
	case *protos.Job_SendDocument:
		return c.sendDocument(ctx, chat, do.SendDocument, done)
	case *protos.Job_GetFile:
		return c.getFile(ctx, do.GetFile, done)
	case *protos.Job_EditMarkup:
		params := map[string]any{
			"chat_id": chat, "message_id": do.EditMarkup.GetMessageId(),
			"reply_markup": map[string]any{"inline_keyboard": keyboard(do.EditMarkup.GetKeyboard())},
		}
		return c.read(ctx, "editMessageReplyMarkup", params, func(w *walker) (err error) {
			done.Stands, err = w.stands()
			return err
		})
	}
	return &Error{Method: "job", Description: "says nothing to do", Outcome: protos.Outcome_OUR_MISTAKE}
}

func (c *Client) restrict(ctx context.Context, chat int64, do *protos.Restrict) error {
	return c.write(ctx, "restrictChatMember", func(e *jx.Encoder) {
		number(e, "chat_id", chat)
		number(e, "user_id", do.GetUserId())
		e.FieldStart("permissions")
		chatPermissions(e, do.GetPermissions())
		e.FieldStart("use_independent_chat_permissions")
		e.Bool(true)
		if do.GetUntilDate() != 0 {
			number(e, "until_date", do.GetUntilDate())
		}
	}, nil)
}

func (c *Client) deleteMessages(ctx context.Context, chat int64, ids []int64) error {
	if len(ids) == 1 {
		return c.write(ctx, "deleteMessage", func(e *jx.Encoder) {
			number(e, "chat_id", chat)
			number(e, "message_id", ids[0])
		}, nil)
	}
	return c.write(ctx, "deleteMessages", func(e *jx.Encoder) {
		number(e, "chat_id", chat)
		e.FieldStart("message_ids")
		e.ArrStart()
		for _, id := range ids {
			e.Int64(id)
		}
		e.ArrEnd()
	}, nil)
}

// textParams is what sendMessage and editMessageText have in common: HTML, without link previews.
func textParams(chat int64, html string, rows []*protos.ButtonRow) map[string]any {
	params := map[string]any{
		"chat_id": chat, "text": html, "parse_mode": "HTML", "link_preview_options": map[string]bool{"is_disabled": true},
	}
	if len(rows) > 0 {
		params["reply_markup"] = map[string]any{"inline_keyboard": keyboard(rows)}
	}
	return params
}

func keyboard(rows []*protos.ButtonRow) [][]map[string]string {
	all := make([][]map[string]string, 0, len(rows))
	for _, row := range rows {
		line := make([]map[string]string, 0, len(row.GetButtons()))
		for _, b := range row.GetButtons() {
			button := map[string]string{"text": b.GetText()}
			for field, value := range map[string]string{"url": b.GetUrl(), "callback_data": b.GetData(), "style": b.GetStyle()} {
				if value != "" {
					button[field] = value
				}
			}
			line = append(line, button)
		}
		all = append(all, line)
	}
	return all
}

func (c *Client) send(ctx context.Context, chat int64, do *protos.SendText, done *protos.JobDone) error {
	params := textParams(chat, do.GetHtml(), do.GetKeyboard())
	if do.GetThreadId() != 0 {
		params["message_thread_id"] = do.GetThreadId()
	}
	if do.GetReplyTo() != 0 {
		params["reply_parameters"] = map[string]any{"message_id": do.GetReplyTo(), "allow_sending_without_reply": true}
	}
	if do.GetQuiet() {
		params["disable_notification"] = true
	}
	switch {
	case len(do.GetReplyKeyboard()) > 0:
		params["reply_markup"] = chatKeyboard(do.GetReplyKeyboard())
	case do.GetRemoveKeyboard():
		params["reply_markup"] = map[string]bool{"remove_keyboard": true}
	}
	return c.sent(ctx, "sendMessage", params, done)
}

// sent makes a call whose result is the message that was sent.
func (c *Client) sent(ctx context.Context, method string, params map[string]any, done *protos.JobDone) error {
	return c.read(ctx, method, params, func(w *walker) error {
		return w.field("message_id", func() error { return w.int64(&done.MessageId) })
	})
}

func (c *Client) edit(ctx context.Context, chat int64, do *protos.EditText) error {
	params := textParams(chat, do.GetHtml(), do.GetKeyboard())
	params["message_id"] = do.GetMessageId()
	return c.call(ctx, "editMessageText", params, nil, 0)
}

func (c *Client) answer(ctx context.Context, do *protos.AnswerCallback) error {
	params := map[string]any{"callback_query_id": do.GetCallbackId(), "show_alert": do.GetAlert()}
	if do.GetText() != "" {
		params["text"] = do.GetText()
	}
	return c.call(ctx, "answerCallbackQuery", params, nil, 0)
}

func (c *Client) getMember(ctx context.Context, do *protos.GetMember, done *protos.JobDone) error {
	var m *protos.Member
	err := c.write(ctx, "getChatMember", func(e *jx.Encoder) {
		number(e, "chat_id", do.GetChatId())
		number(e, "user_id", do.GetUserId())
	}, func(w *walker) (err error) {
		m, err = w.member()
		return err
	})
	if err != nil {
		return err
	}
	if m.GetStatus() == "" {
		return &Error{Method: "getChatMember", Description: "result says no status", Outcome: protos.Outcome_CANNOT_SAY}
	}
	done.Member = m
	return nil
}

func (c *Client) getChat(ctx context.Context, do *protos.GetChat, done *protos.JobDone) error {
	params := map[string]any{"chat_id": do.GetChatId()}
	if do.GetUsername() != "" {
		params["chat_id"] = "@" + do.GetUsername()
	}
	info := &protos.ChatInfo{Chat: &protos.Chat{}}
	err := c.read(ctx, "getChat", params, func(w *walker) error {
		return w.object(func(key []byte) error {
			switch string(key) {
			case "invite_link":
				return w.string(&info.InviteLink)
			case "linked_chat_id":
				return w.int64(&info.LinkedChatId)
			}
			return w.chatField(info.GetChat(), key)
		})
	})
	if err == nil {
		done.Chat = info
	}
	return err
}

func (c *Client) getAdministrators(ctx context.Context, do *protos.GetAdministrators, done *protos.JobDone) error {
	var all []*protos.Member
	err := c.read(ctx, "getChatAdministrators", map[string]any{"chat_id": do.GetChatId()}, func(w *walker) error {
		return w.list(func() error {
			m, err := w.member()
			if m != nil {
				all = append(all, m)
			}
			return err
		})
	})
	if err == nil {
		done.Administrators = all
	}
	return err
}

func (c *Client) createInviteLink(ctx context.Context, do *protos.CreateInviteLink, done *protos.JobDone) error {
	var link struct {
		Link string `json:"invite_link"`
	}
	if err := c.call(ctx, "createChatInviteLink", map[string]any{"chat_id": do.GetChatId(), "name": do.GetName()}, &link, 0); err != nil {
		return err
	}
	if link.Link == "" {
		return fmt.Errorf("createChatInviteLink: %w", errIncomplete)
	}
	done.InviteLink = link.Link
	return nil
}

// Metrics are the metrics the client was made with, for whoever shares them.
func (c *Client) Metrics() *Metrics { return c.metrics }
