package telegram

import "regexp"

var secrets = regexp.MustCompile(`\d{3,}:[A-Za-z0-9_-]{20,}|(?i:t(?:elegram)?\.me/(?:\+|joinchat/))[A-Za-z0-9_-]+|(://[^/\s:@]*:)[^/\s]+(@)`)

// Redact takes tokens, invite links and passwords in URLs out of a text. Every text that came from
// outside goes through it before it is logged, stored or returned.
func Redact(s string) string { return secrets.ReplaceAllString(s, "${1}[redacted]${2}") }
