// Package telegram speaks the Bot API: it takes updates in and carries calls out.
//
// The program starts a Source and a Client; actors hand the Client jobs and settle what the Source
// delivered. It must never decide anything about a person, retry a call on its own, or let a token,
// password or invite link into an error, a log or a metric.
package telegram
