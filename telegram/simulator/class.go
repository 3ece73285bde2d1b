package simulator

// Classes of methods, by which flood control counts. Source: from memory; Telegram publishes none.
const (
	ClassTalk     = "talk"     // messages and edits
	ClassDelete   = "delete"   // deletions
	ClassRestrict = "restrict" // mutes, bans, promotions
	ClassLook     = "look"     // questions
	ClassAnswer   = "answer"   // answers to presses
	ClassOther    = "other"    // the rest
)

var classes = []string{ClassTalk, ClassDelete, ClassRestrict, ClassLook, ClassAnswer, ClassOther}

var classOf = map[string]string{
	"sendMessage": ClassTalk, "sendDocument": ClassTalk, "editMessageText": ClassTalk, "editMessageReplyMarkup": ClassTalk,
	"editEphemeralMessageText": ClassTalk, "deleteEphemeralMessage": ClassDelete, "deleteMessage": ClassDelete, "deleteMessages": ClassDelete,
	"restrictChatMember": ClassRestrict, "banChatMember": ClassRestrict, "unbanChatMember": ClassRestrict,
	"promoteChatMember": ClassRestrict, "banChatSenderChat": ClassRestrict, "unbanChatSenderChat": ClassRestrict,
	"getChat": ClassLook, "getChatMember": ClassLook, "getChatAdministrators": ClassLook, "getChatMemberCount": ClassLook,
	"answerCallbackQuery": ClassAnswer,
}

// Class is the class of a method.
func Class(method string) string {
	if c, ok := classOf[method]; ok {
		return c
	}
	return ClassOther
}
