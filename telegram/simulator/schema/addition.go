package schema

import "slices"

// Additions are what Telegram has and a description of Bot API 10.1 has not. They are checked like the rest.
//
// Old names that its server still sends. Source: Bot API server, Client.cpp (JsonMessage, JsonChat,
// JsonChatMember). Messages for one person. Source: Bot API 10.2 and 10.3.
var (
	moreFields = map[string][]field{
		"Message": {
			{Name: "new_chat_participant", Types: []string{"User"}},
			{Name: "new_chat_member", Types: []string{"User"}},
			{Name: "left_chat_participant", Types: []string{"User"}},
			{Name: "ephemeral_message_id", Types: []string{"Integer"}},
			{Name: "receiver_user", Types: []string{"User"}},
		},
		"Chat":                    {{Name: "all_members_are_administrators", Types: []string{"Boolean"}}},
		"ChatFullInfo":            {{Name: "all_members_are_administrators", Types: []string{"Boolean"}}},
		"ChatMemberRestricted":    {{Name: "can_send_media_messages", Types: []string{"Boolean"}}},
		"ChatMemberAdministrator": {{Name: "can_manage_voice_chats", Types: []string{"Boolean"}}},
	}
	moreTypes = map[string]kind{
		"EphemeralMessageParameters": {Fields: []field{
			{Name: "receiver_user_id", Types: []string{"Integer"}, Required: true},
			{Name: "callback_query_id", Types: []string{"String"}},
			{Name: "replace_callback_query_message", Types: []string{"Boolean"}},
		}},
	}
	moreParameters = map[string][]field{
		"sendMessage": {
			{Name: "receiver_user_id", Types: []string{"Integer"}},
			{Name: "callback_query_id", Types: []string{"String"}},
			{Name: "ephemeral_message_parameters", Types: []string{"EphemeralMessageParameters"}},
		},
	}
	moreMethods = map[string]method{
		"deleteEphemeralMessage": {Fields: whose, Returns: []string{"Boolean"}},
		"editEphemeralMessageText": {Fields: append([]field{
			{Name: "text", Types: []string{"String"}, Required: true},
			{Name: "parse_mode", Types: []string{"String"}},
			{Name: "entities", Types: []string{"Array of MessageEntity"}},
			{Name: "link_preview_options", Types: []string{"LinkPreviewOptions"}},
			{Name: "reply_markup", Types: []string{"InlineKeyboardMarkup"}},
		}, whose...), Returns: []string{"Boolean"}},
	}
	whose = []field{
		{Name: "chat_id", Types: []string{"Integer", "String"}, Required: true},
		{Name: "receiver_user_id", Types: []string{"Integer"}, Required: true},
		{Name: "ephemeral_message_id", Types: []string{"Integer"}, Required: true},
	}
)

// add puts the additions into a description that has not got them.
func (a *API) add() {
	for name, k := range moreTypes {
		if _, ok := a.Types[name]; !ok {
			a.Types[name] = k
		}
	}
	for name, fields := range moreFields {
		k := a.Types[name]
		k.Fields = merged(k.Fields, fields)
		a.Types[name] = k
	}
	for name, m := range moreMethods {
		if _, ok := a.Methods[name]; !ok {
			a.Methods[name] = m
		}
	}
	for name, fields := range moreParameters {
		m := a.Methods[name]
		m.Fields = merged(m.Fields, fields)
		a.Methods[name] = m
	}
}

func merged(fields, more []field) []field {
	for _, f := range more {
		if !slices.ContainsFunc(fields, func(g field) bool { return g.Name == f.Name }) {
			fields = append(fields, f)
		}
	}
	return fields
}
