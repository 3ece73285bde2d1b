package simulator

import (
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
)

// tags of Telegram's HTML and the entities they make. Source: Bot API, HTML style.
var tags = map[string]string{
	"b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline", "s": "strikethrough",
	"strike": "strikethrough", "del": "strikethrough", "code": "code", "pre": "pre", "blockquote": "blockquote", "tg-spoiler": "spoiler",
}

// parseHTML turns Telegram's HTML into text and entities, refusing what Telegram refuses.
func parseHTML(in string) (string, []entity, error) {
	var out strings.Builder
	type open struct {
		tag  string
		href string
		at   int // UTF-16 units
	}
	var stack []open
	var found []entity
	fail := func(format string, a ...any) error { return bad("can't parse entities: " + fmt.Sprintf(format, a...)) }
	for i := 0; i < len(in); {
		switch in[i] {
		case '&':
			end := strings.IndexByte(in[i:], ';')
			if end > 0 && end < 10 {
				if plain := html.UnescapeString(in[i : i+end+1]); plain != in[i:i+end+1] {
					out.WriteString(plain)
					i += end + 1
					continue
				}
			}
			out.WriteByte('&')
			i++
		case '<':
			end := strings.IndexByte(in[i:], '>')
			if end < 0 {
				return "", nil, fail("Unclosed start tag at byte offset %d", i)
			}
			name := in[i+1 : i+end]
			if closing, ok := strings.CutPrefix(name, "/"); ok {
				if len(stack) == 0 {
					return "", nil, fail("Unexpected end tag at byte offset %d", i)
				}
				top := stack[len(stack)-1]
				if closing != "" && !strings.EqualFold(strings.TrimSpace(closing), top.tag) {
					return "", nil, fail("Unmatched end tag at byte offset %d, expected \"</%s>\", found \"</%s>\"", i, top.tag, closing)
				}
				stack = stack[:len(stack)-1]
				if e, ok := makeEntity(top.tag, top.href, top.at, units(out.String())-top.at); ok {
					found = append(found, e)
				}
			} else {
				tag, attrs, _ := strings.Cut(name, " ")
				tag = strings.ToLower(tag)
				if tags[tag] == "" && tag != "a" {
					return "", nil, fail("Unsupported start tag \"%s\" at byte offset %d", tag, i)
				}
				stack = append(stack, open{tag: tag, href: attribute(attrs, "href"), at: units(out.String())})
			}
			i += end + 1
		default:
			next := strings.IndexAny(in[i:], "&<")
			if next < 0 {
				next = len(in) - i
			}
			out.WriteString(in[i : i+next])
			i += next
		}
	}
	if len(stack) > 0 {
		return "", nil, fail("Can't find end tag corresponding to start tag \"%s\"", stack[len(stack)-1].tag)
	}
	return strings.TrimSpace(out.String()), found, nil
}

func attribute(attrs, name string) string {
	_, rest, ok := strings.Cut(attrs, name+`="`)
	if !ok {
		return ""
	}
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}

func makeEntity(tag, href string, at, length int) (entity, bool) {
	if length <= 0 {
		return entity{}, false
	}
	if tag != "a" {
		return entity{Type: tags[tag], Offset: at, Length: length}, true
	}
	u, err := url.Parse(href)
	if err != nil || href == "" {
		return entity{}, false
	}
	if u.Scheme == "tg" && u.Host == "user" {
		id, err := strconv.ParseInt(u.Query().Get("id"), 10, 64)
		return entity{Type: "text_mention", Offset: at, Length: length, User: map[string]any{"id": id}}, err == nil
	}
	return entity{Type: "text_link", Offset: at, Length: length, URL: href}, true
}
