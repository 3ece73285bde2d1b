// Package page shows a simulated Telegram in a browser, as chats in which one can act as anybody, and beside
// them what the bot did and what it thinks.
//
// `gmbot demo` and `gmbot simulator --page` serve it. It looks at the world and acts in it through the
// simulator's exported functions alone, keeps no state of a chat, and must never send a bot's token or an invite
// link to a browser.
package page
