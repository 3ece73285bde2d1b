package telegram

import (
	"context"

	"github.com/gmbot/gmbot/protos"
)

// chatKeyboard is a reply keyboard with one button a row. Source: Bot API, KeyboardButtonRequestChat.
func chatKeyboard(buttons []*protos.ChatButton) map[string]any {
	rows := make([][]map[string]any, 0, len(buttons))
	for _, b := range buttons {
		ask := map[string]any{
			"request_id": b.GetRequestId(), "chat_is_channel": b.GetChannel(),
			"user_administrator_rights": adminRights(b.GetUserRights(), b.GetChannel()),
			"bot_administrator_rights":  adminRights(b.GetBotRights(), b.GetChannel()),
		}
		rows = append(rows, []map[string]any{{"text": b.GetText(), "request_chat": ask}})
	}
	return map[string]any{"keyboard": rows, "resize_keyboard": true, "one_time_keyboard": true}
}

// adminRights says every right that ChatAdministratorRights must say. Source: Bot API.
func adminRights(set uint32, channel bool) map[string]bool {
	rights := map[string]bool{}
	for _, name := range []string{
		"is_anonymous", "can_manage_video_chats", "can_change_info", "can_post_stories", "can_edit_stories", "can_delete_stories",
	} {
		rights[name] = false
	}
	for right, name := range rightNames {
		if name == "can_post_messages" && !channel {
			continue
		}
		rights[name] = set&(1<<uint(right)) != 0
	}
	return rights
}

// rightNames are the fields of ChatAdministratorRights in the order of protos.Right.
var rightNames = [6]string{
	"can_manage_chat", "can_delete_messages", "can_restrict_members", "can_invite_users", "can_promote_members", "can_post_messages",
}

func (c *Client) editInviteLink(ctx context.Context, do *protos.EditInviteLink, done *protos.JobDone) error {
	var link struct {
		Revoked bool `json:"is_revoked"`
	}
	params := map[string]any{"chat_id": do.GetChatId(), "invite_link": do.GetInviteLink(), "name": do.GetName()}
	if err := c.call(ctx, "editChatInviteLink", params, &link, 0); err != nil {
		return err
	}
	done.Revoked = link.Revoked
	return nil
}

func (c *Client) sendDocument(ctx context.Context, chat int64, do *protos.SendDocument, done *protos.JobDone) error {
	params := map[string]any{"chat_id": chat, "document": upload{name: do.GetName(), data: do.GetData()}}
	if do.GetCaption() != "" {
		params["caption"], params["parse_mode"] = do.GetCaption(), "HTML"
	}
	if do.GetThreadId() != 0 {
		params["message_thread_id"] = do.GetThreadId()
	}
	return c.sent(ctx, "sendDocument", params, done)
}

func (c *Client) getFile(ctx context.Context, do *protos.GetFile, done *protos.JobDone) error {
	var f struct {
		Path string `json:"file_path"`
		Size int64  `json:"file_size"`
	}
	if err := c.call(ctx, "getFile", map[string]any{"file_id": do.GetFileId()}, &f, 0); err != nil {
		return err
	}
	if f.Path == "" || f.Size > do.GetMaxBytes() {
		return &Error{Method: "getFile", Description: "file is too large or not to be had", Outcome: protos.Outcome_OUR_MISTAKE}
	}
	data, err := c.transport.download(ctx, c.bot.Token, f.Path, do.GetMaxBytes())
	done.File = data
	return err
}
