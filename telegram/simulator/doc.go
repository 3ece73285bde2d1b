// Package simulator is Telegram in a box: a Bot API server over HTTP with a world behind it (people,
// private chats, groups, supergroups, channels, memberships, rights, messages, restrictions, button
// presses), and a control API to act as people.
//
// Tests, `gmbot demo` and `gmbot simulator` start it; any bot can be pointed at it. It must import
// nothing of the bot it serves, and must never answer true for something it does not model: a method
// Telegram has and this does not is an error that says so.
package simulator
