package telegram

// isService: the field makes its message a service message; presence is all that matters. A chat that was
// shared is none of them: it is an answer in private that is read. Source: Bot API, Message.
func isService(key []byte) bool {
	switch string(key) {
	case "new_chat_title", "new_chat_photo", "delete_chat_photo", "group_chat_created", "supergroup_chat_created",
		"pinned_message", "message_auto_delete_timer_changed", "forum_topic_created", "forum_topic_edited",
		"forum_topic_closed", "forum_topic_reopened", "video_chat_started", "video_chat_ended", "video_chat_scheduled",
		"video_chat_participants_invited", "boost_added", "chat_background_set", "general_forum_topic_hidden",
		"general_forum_topic_unhidden", "users_shared", "web_app_data", "channel_chat_created", "chat_owner_left",
		"chat_owner_changed", "successful_payment", "refunded_payment", "gift", "unique_gift", "gift_upgrade_sent",
		"write_access_allowed", "proximity_alert_triggered", "checklist_tasks_done", "checklist_tasks_added",
		"direct_message_price_changed", "giveaway_created", "giveaway_completed", "managed_bot_created",
		"paid_message_price_changed", "poll_option_added", "poll_option_deleted", "suggested_post_approved",
		"suggested_post_approval_failed", "suggested_post_declined", "suggested_post_paid", "suggested_post_refunded":
		return true
	}
	return false
}
