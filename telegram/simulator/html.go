package simulator

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
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
			plain, length := reference(in[i:])
			out.WriteString(plain)
			i += length
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
	text, found := trimmed(out.String(), found)
	return text, found, nil
}

// named are the only references by name that Telegram knows. Source: Bot API, HTML style.
var named = map[string]string{"&lt": "<", "&gt": ">", "&amp": "&", "&quot": `"`}

var referenceShape = regexp.MustCompile(`^&(?:[A-Za-z]+|#\d+|#x[0-9a-fA-F]+)`)

// reference reads the character reference a text begins with; what is none is a plain ampersand. The
// semicolon may be missing. Source: TDLib, decode_html_entity.
func reference(in string) (plain string, length int) {
	found := referenceShape.FindString(in)
	switch {
	case named[found] != "":
		plain = named[found]
	case strings.HasPrefix(found, "&#") && len(found) < 10:
		plain = html.UnescapeString(found + ";")
	default:
		return "&", 1
	}
	if strings.HasPrefix(in[len(found):], ";") {
		return plain, len(found) + 1
	}
	return plain, len(found)
}

// trimmed takes the blanks off both ends of a text and moves the entities with it.
func trimmed(in string, entities []entity) (text string, moved []entity) {
	text = strings.TrimLeftFunc(in, unicode.IsSpace)
	shift := units(in) - units(text)
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	for _, e := range entities {
		end := min(e.Offset+e.Length-shift, units(text))
		e.Offset = max(e.Offset-shift, 0)
		if e.Length = end - e.Offset; e.Length > 0 {
			moved = append(moved, e)
		}
	}
	return text, moved
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
