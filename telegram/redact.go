package telegram

import "regexp"

// secrets are, in this order: bot tokens; invite links in all their spellings; passwords in URLs; passwords
// in the connection strings of PostgreSQL.
var secrets = regexp.MustCompile(`\d{3,}(?::|%3[Aa])[A-Za-z0-9_-]{20,}` +
	`|(?i:t(?:elegram)?\.(?:me|dog)/(?:\+|%2B|joinchat/)|tg://join\?invite=)[A-Za-z0-9_-]+` +
	`|(://[^/\s:@]*:)[^/\s]+(@)` +
	`|\b(password=)[^\s&"']+`)

// Redact takes tokens, invite links and passwords out of a text. Every text that came from outside goes
// through it before it is logged, stored or returned.
func Redact(s string) string { return secrets.ReplaceAllString(s, "${1}${3}[redacted]${2}") }
