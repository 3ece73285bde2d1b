package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/PaulSonOfLars/gotgbot/v2"

	"github.com/gmbot/gmbot/protos"
)

// ErrToken marks a token that cannot be one.
var ErrToken = errors.New("not the shape of a bot token")

var tokenShape = regexp.MustCompile(`^\d{3,20}:[A-Za-z0-9_-]{20,100}$`)

// Client carries out calls for one bot. It is safe for concurrent use and never repeats a call.
type Client struct {
	bot     gotgbot.Bot
	metrics *Metrics
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
	return &Client{metrics: m, bot: gotgbot.Bot{Token: token, BotClient: newTransport(strings.TrimRight(apiURL, "/"), m)}}, nil
}

// call makes one call and decodes its result, unless result is nil.
func (c *Client) call(ctx context.Context, method string, params map[string]any, result any, timeout time.Duration) error {
	raw, err := c.bot.RequestWithContext(ctx, method, params, &gotgbot.RequestOpts{Timeout: timeout})
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return &Error{Method: method, Description: "result cannot be read", Outcome: protos.Outcome_UNCLEAR}
	}
	return nil
}

// GetMe asks who the bot is.
func (c *Client) GetMe(ctx context.Context) (*protos.User, error) {
	var u slimUser
	if err := c.call(ctx, "getMe", nil, &u, 0); err != nil {
		return nil, err
	}
	return u.proto(), nil
}

// GetUpdates long-polls for at most limit updates, waiting at most timeout seconds. It confirms every
// update below offset. Source: Bot API, getUpdates.
func (c *Client) GetUpdates(ctx context.Context, offset int64, limit, timeout int, allowed []string) ([]json.RawMessage, error) {
	var updates []json.RawMessage
	params := map[string]any{"offset": offset, "limit": limit, "timeout": timeout, "allowed_updates": allowed}
	err := c.call(ctx, "getUpdates", params, &updates, callTimeout+time.Duration(timeout)*time.Second)
	return updates, err
}

// WebhookURLSet reports whether Telegram sends updates to a webhook, which polling cannot go with.
func (c *Client) WebhookURLSet(ctx context.Context) (bool, error) {
	var info struct {
		URL string `json:"url"`
	}
	err := c.call(ctx, "getWebhookInfo", nil, &info, 0)
	return info.URL != "", err
}

// DeleteWebhook turns a webhook off; what waits for it is kept.
func (c *Client) DeleteWebhook(ctx context.Context) error {
	return c.call(ctx, "deleteWebhook", map[string]any{"drop_pending_updates": false}, nil, 0)
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
		return c.call(ctx, "banChatMember", map[string]any{"chat_id": chat, "user_id": do.Ban.GetUserId()}, nil, 0)
	case *protos.Job_Unban:
		params := map[string]any{"chat_id": chat, "user_id": do.Unban.GetUserId(), "only_if_banned": true}
		return c.call(ctx, "unbanChatMember", params, nil, 0)
	case *protos.Job_JoinRequest:
		method := "declineChatJoinRequest"
		if do.JoinRequest.GetApprove() {
			method = "approveChatJoinRequest"
		}
		return c.call(ctx, method, map[string]any{"chat_id": chat, "user_id": do.JoinRequest.GetUserId()}, nil, 0)
	}
	return &Error{Method: "job", Description: "says nothing to do", Outcome: protos.Outcome_OUR_MISTAKE}
}

func (c *Client) restrict(ctx context.Context, chat int64, do *protos.Restrict) error {
	params := map[string]any{
		"chat_id": chat, "user_id": do.GetUserId(), "permissions": chatPermissions(do.GetPermissions()),
		"use_independent_chat_permissions": true,
	}
	if do.GetUntilDate() != 0 {
		params["until_date"] = do.GetUntilDate()
	}
	return c.call(ctx, "restrictChatMember", params, nil, 0)
}

func (c *Client) deleteMessages(ctx context.Context, chat int64, ids []int64) error {
	if len(ids) == 1 {
		return c.call(ctx, "deleteMessage", map[string]any{"chat_id": chat, "message_id": ids[0]}, nil, 0)
	}
	return c.call(ctx, "deleteMessages", map[string]any{"chat_id": chat, "message_ids": ids}, nil, 0)
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
	var m slimMessage
	if err := c.call(ctx, "sendMessage", params, &m, 0); err != nil {
		return err
	}
	done.MessageId = m.ID
	return nil
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
	var m slimMember
	params := map[string]any{"chat_id": do.GetChatId(), "user_id": do.GetUserId()}
	if err := c.call(ctx, "getChatMember", params, &m, 0); err != nil {
		return err
	}
	if m.Status == "" {
		return &Error{Method: "getChatMember", Description: "result says no status", Outcome: protos.Outcome_CANNOT_SAY}
	}
	done.Member = m.proto()
	return nil
}

func (c *Client) getChat(ctx context.Context, do *protos.GetChat, done *protos.JobDone) error {
	params := map[string]any{"chat_id": do.GetChatId()}
	if do.GetUsername() != "" {
		params["chat_id"] = "@" + do.GetUsername()
	}
	var info struct {
		slimChat
		InviteLink string `json:"invite_link"`
		Linked     int64  `json:"linked_chat_id"`
	}
	if err := c.call(ctx, "getChat", params, &info, 0); err != nil {
		return err
	}
	done.Chat = &protos.ChatInfo{Chat: info.proto(), InviteLink: info.InviteLink, LinkedChatId: info.Linked}
	return nil
}

func (c *Client) getAdministrators(ctx context.Context, do *protos.GetAdministrators, done *protos.JobDone) error {
	var members []slimMember
	if err := c.call(ctx, "getChatAdministrators", map[string]any{"chat_id": do.GetChatId()}, &members, 0); err != nil {
		return err
	}
	for i := range members {
		done.Administrators = append(done.Administrators, members[i].proto())
	}
	return nil
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
