package text

import (
	"embed"
	"fmt"
	"html"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

//go:embed active.*.toml
var files embed.FS

// HTML is text that is Telegram HTML already; every other string is escaped before it is filled in.
type HTML string

// Telegram's limits, in characters after parsing. Source: Bot API, sendMessage, answerCallbackQuery;
// button and name lengths are ours.
const (
	maxMessage = 4096
	maxAnswer  = 200
	maxName    = 64
	maxButton  = 64
)

// Catalogue says things in the languages it knows; English stands in for the others.
type Catalogue struct {
	bundle *i18n.Bundle
}

// New reads the catalogue that is part of the program.
func New() (*Catalogue, error) {
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("toml", toml.Unmarshal)
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	for _, e := range entries {
		if _, err := bundle.LoadMessageFileFS(files, e.Name()); err != nil {
			return nil, fmt.Errorf("read the catalogue %s: %w", e.Name(), err)
		}
	}
	return &Catalogue{bundle: bundle}, nil
}

// Say returns the message id in a language (IETF tag), as Telegram HTML. Strings in data are escaped
// and shortened as names; a PluralCount in data chooses the plural form. An id that does not exist
// comes back as itself, which a test of the catalogue excludes.
func (c *Catalogue) Say(lang, id string, data map[string]any) string {
	filled := make(map[string]any, len(data))
	for k, v := range data {
		switch v := v.(type) {
		case string:
			filled[k] = Name(v)
		case HTML:
			filled[k] = string(v)
		default:
			filled[k] = v
		}
	}
	cfg := &i18n.LocalizeConfig{MessageID: id, TemplateData: filled}
	if n, ok := data["PluralCount"]; ok {
		cfg.PluralCount = n
	}
	s, err := i18n.NewLocalizer(c.bundle, lang).Localize(cfg)
	if s == "" && err != nil {
		return id
	}
	return s
}

// Plain returns the message id as plain text, for buttons and answers.
func (c *Catalogue) Plain(lang, id string, data map[string]any) string {
	return html.UnescapeString(c.Say(lang, id, data))
}

// Press returns the answer to a button press: plain text of at most 200 characters. channels fills
// in the titles still missing.
func (c *Catalogue) Press(lang, id string, channels []string) string {
	s := c.Say(lang, id, map[string]any{"Channels": HTML(strings.Join(channels, ", "))})
	return cut(s, maxAnswer)
}

// Held tells who pressed how long it takes until they can be freed.
func (c *Catalogue) Held(lang string, wait time.Duration) string {
	round := fmt.Sprintf("%d s", int(math.Ceil(wait.Seconds())))
	switch {
	case wait > 2*time.Hour:
		round = fmt.Sprintf("%d h", int(math.Ceil(wait.Hours())))
	case wait > 2*time.Minute:
		round = fmt.Sprintf("%d min", int(math.Ceil(wait.Minutes())))
	}
	return cut(c.Say(lang, "press.held", map[string]any{"Wait": round}), maxAnswer)
}

// Notice names people (as HTML mentions), counts the rest, and says why they are shown the way; minutes are
// what newcomers have.
func (c *Catalogue) Notice(lang, reason string, names []string, more, minutes int) string {
	data := map[string]any{"Names": HTML(strings.Join(names, ", "))}
	who := c.Say(lang, "notice.names", data)
	if more > 0 {
		data["PluralCount"] = more
		who = c.Say(lang, "notice.more", data)
	}
	return c.Say(lang, "notice."+reason, map[string]any{"Who": HTML(who), "PluralCount": minutes})
}

// noticeReasons are the ends of the ids of what Notice says.
var noticeReasons = []string{"mute", "delete", "warn", "grace", "mixed"}

// IsNotice reports whether a text, as Telegram shows it, says what Notice says, in any language and whoever is named.
func (c *Catalogue) IsNotice(shown string) bool {
	shown = Letters(shown)
	for _, lang := range c.bundle.LanguageTags() {
		for _, reason := range noticeReasons {
			for _, minutes := range []int{0, 1, 2, 5, 11} { // one of each plural form
				says := c.Say(lang.String(), "notice."+reason, map[string]any{"Who": who, "PluralCount": minutes})
				if inOrder(shown, strings.FieldsFunc(html.UnescapeString(says), func(r rune) bool { return r == 0 || unicode.IsDigit(r) })) {
					return true
				}
			}
		}
	}
	return false
}

// who stands for the names in what IsNotice compares.
const who = HTML("\x00")

// inOrder: s has all these parts, one after the other.
func inOrder(s string, parts []string) bool {
	for _, part := range parts {
		_, rest, ok := strings.Cut(s, Letters(part))
		if !ok {
			return false
		}
		s = rest
	}
	return true
}

// Letters leaves only letters and digits: the rest Telegram may have taken away or put otherwise.
func Letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, s)
}

// List returns a message followed by one bullet a line, which are Telegram HTML.
func (c *Catalogue) List(lang, id string, lines []string) string {
	return Fit(c.Say(lang, id, nil) + "\n• " + strings.Join(lines, "\n• "))
}

// Fit drops whole lines from the end until a message fits Telegram's limit; an ellipsis stands for them.
func Fit(s string) string {
	if length(s) <= maxMessage {
		return s
	}
	for length(s) > maxMessage-2 {
		i := strings.LastIndexByte(s, '\n')
		if i <= 0 {
			// One endless line: its tags cannot be trusted to close, so it becomes plain.
			return html.EscapeString(cut(html.UnescapeString(s), maxMessage/8))
		}
		s = s[:i]
	}
	return s + "\n…"
}

// Name makes somebody's name or a title fit to stand in Telegram HTML: escaped, shortened, and never
// empty. Controls of text direction are taken out, since they turn the rest of a message around.
func Name(s string) string {
	s = cut(clean(s), maxName)
	if s == "" {
		s = "…"
	}
	return html.EscapeString(s)
}

// Button makes a title fit to stand on a button, which is plain text.
func Button(s string) string {
	if s = cut(clean(s), maxButton); s == "" {
		return "…"
	}
	return s
}

func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, r < ' ', r == 0x7f:
			return ' '
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f:
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// cut shortens to at most n UTF-16 units, which is how Telegram counts.
func cut(s string, n int) string {
	if length(s) <= n {
		return s
	}
	used := 0
	for i, r := range s {
		if used += utf16.RuneLen(r); used > n-1 {
			return s[:i] + "…"
		}
	}
	return s
}

func length(s string) int {
	n := 0
	for _, r := range s {
		n += max(utf16.RuneLen(r), 1)
	}
	return n
}

// IDs lists the ids of a language's messages; tests compare catalogues by it.
func IDs(lang string) ([]string, error) {
	raw, err := files.ReadFile("active." + lang + ".toml")
	if err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	var all map[string]any
	if err := toml.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("read the catalogue: %w", err)
	}
	ids := make([]string, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	return ids, nil
}
