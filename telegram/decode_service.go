package telegram

import "encoding/json"

// slimService are service messages: presence is all that matters. Source: Bot API, Message.
type slimService struct {
	A  json.RawMessage `json:"new_chat_title"`
	B  json.RawMessage `json:"new_chat_photo"`
	C  json.RawMessage `json:"delete_chat_photo"`
	D  json.RawMessage `json:"group_chat_created"`
	E  json.RawMessage `json:"supergroup_chat_created"`
	F  json.RawMessage `json:"pinned_message"`
	G  json.RawMessage `json:"message_auto_delete_timer_changed"`
	H  json.RawMessage `json:"forum_topic_created"`
	I  json.RawMessage `json:"forum_topic_edited"`
	J  json.RawMessage `json:"forum_topic_closed"`
	K  json.RawMessage `json:"forum_topic_reopened"`
	L  json.RawMessage `json:"video_chat_started"`
	M  json.RawMessage `json:"video_chat_ended"`
	N  json.RawMessage `json:"video_chat_scheduled"`
	O  json.RawMessage `json:"video_chat_participants_invited"`
	P  json.RawMessage `json:"boost_added"`
	Q  json.RawMessage `json:"chat_background_set"`
	R  json.RawMessage `json:"general_forum_topic_hidden"`
	S  json.RawMessage `json:"general_forum_topic_unhidden"`
	T  json.RawMessage `json:"chat_shared"`
	U  json.RawMessage `json:"users_shared"`
	V  json.RawMessage `json:"channel_chat_created"`
	W  json.RawMessage `json:"chat_owner_left"`
	X  json.RawMessage `json:"chat_owner_changed"`
	Y  json.RawMessage `json:"successful_payment"`
	Z  json.RawMessage `json:"refunded_payment"`
	AA json.RawMessage `json:"gift"`
	AB json.RawMessage `json:"unique_gift"`
	AC json.RawMessage `json:"gift_upgrade_sent"`
	AD json.RawMessage `json:"write_access_allowed"`
	AE json.RawMessage `json:"proximity_alert_triggered"`
	AF json.RawMessage `json:"checklist_tasks_done"`
	AG json.RawMessage `json:"checklist_tasks_added"`
	AH json.RawMessage `json:"direct_message_price_changed"`
	AI json.RawMessage `json:"giveaway_created"`
	AJ json.RawMessage `json:"giveaway_completed"`
	AK json.RawMessage `json:"managed_bot_created"`
	AL json.RawMessage `json:"paid_message_price_changed"`
	AM json.RawMessage `json:"poll_option_added"`
	AN json.RawMessage `json:"poll_option_deleted"`
	AO json.RawMessage `json:"suggested_post_approved"`
	AP json.RawMessage `json:"suggested_post_approval_failed"`
	AQ json.RawMessage `json:"suggested_post_declined"`
	AR json.RawMessage `json:"suggested_post_paid"`
	AS json.RawMessage `json:"suggested_post_refunded"`
	AT json.RawMessage `json:"web_app_data"`
}

func (s *slimService) any() bool {
	for _, f := range []json.RawMessage{
		s.A, s.B, s.C, s.D, s.E, s.F, s.G, s.H, s.I, s.J, s.K, s.L, s.M, s.N, s.O, s.P, s.Q, s.R, s.S, s.T,
		s.U, s.V, s.W, s.X, s.Y, s.Z, s.AA, s.AB, s.AC, s.AD, s.AE, s.AF, s.AG, s.AH, s.AI, s.AJ, s.AK, s.AL, s.AM, s.AN,
		s.AO, s.AP, s.AQ, s.AR, s.AS, s.AT,
	} {
		if f != nil {
			return true
		}
	}
	return false
}
