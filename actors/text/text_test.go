package text_test

import (
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/actors/text"
)

func catalogue(tb testing.TB) *text.Catalogue {
	tb.Helper()
	c, err := text.New()
	require.NoError(tb, err)
	return c
}

// Every id that the code names exists, and every one that exists is named.
func TestCatalogue_IsExactlyWhatTheCodeSays(t *testing.T) {
	t.Parallel()
	ids, err := text.IDs("en")
	require.NoError(t, err)
	var code strings.Builder
	for _, pattern := range []string{"../*.go", "*.go", "../../cmd/gmbot/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			raw, err := os.ReadFile(f)
			require.NoError(t, err)
			code.Write(raw)
		}
	}
	known := map[string]bool{}
	for _, id := range ids {
		known[id] = true
		bare := strings.TrimSuffix(strings.TrimSuffix(id, "_yes"), "_no")
		prefix, _, _ := strings.Cut(id, ".")
		// Composed of a prefix and a value; a test of the actors goes through all values.
		for _, composed := range []string{"set.", "pause.", "notice.", "why.flow.", "why.mute.", "why.close.", "why.by_hand.", "dryrun."} {
			if strings.HasPrefix(id, composed) && strings.Contains(code.String(), `"`+composed+`"`) {
				prefix = "menu"
			}
		}
		named := strings.Contains(code.String(), `"`+id+`"`) || strings.Contains(code.String(), `"`+bare+`"`)
		assert.True(t, named || prefix == "menu", "nobody says %s", id)
	}
	for _, m := range regexp.MustCompile(`"((?:press|protect|unprotect|error|group|notice|button|private|wizard|exempt|why|mygroups|forgetme|request|import|export|preview|settings|status)\.[a-z_]+)"`).FindAllStringSubmatch(code.String(), -1) {
		assert.True(t, known[m[1]] || known[m[1]+"_yes"], "%s is said, but not in the catalogue", m[1])
	}
}

func TestSay_EscapesWhatComesFromOutside(t *testing.T) {
	t.Parallel()
	got := catalogue(t).Say("en", "protect.not_found", map[string]any{"Channel": `<a href="x">&`})
	assert.Contains(t, got, "&lt;a href=&#34;x&#34;&gt;&amp;")
}

func TestSay_CountsByTheRulesOfTheLanguage(t *testing.T) {
	t.Parallel()
	c := catalogue(t)
	assert.Contains(t, c.Say("en", "unprotect.done", map[string]any{"PluralCount": 1}), "1 member is")
	assert.Contains(t, c.Say("en", "unprotect.done", map[string]any{"PluralCount": 0}), "0 members are")
	assert.Contains(t, c.Say("tlh", "unprotect.done", map[string]any{"PluralCount": 5}), "5 members are", "English stands in")
}

func TestPress_FitsAnAlert(t *testing.T) {
	t.Parallel()
	titles := []string{strings.Repeat("🎺", 64), strings.Repeat("x", 200)}
	got := catalogue(t).Press("en", "press.missing", titles)
	assert.LessOrEqual(t, len(utf16.Encode([]rune(got))), 200)
	assert.Contains(t, got, "🎺")
}

func TestList_FitsAMessage(t *testing.T) {
	t.Parallel()
	lines := make([]string, 300)
	for i := range lines {
		lines[i] = "<b>" + strings.Repeat("&lt;", 30) + "</b>"
	}
	got := catalogue(t).List("en", "protect.done", lines)
	assert.LessOrEqual(t, len(utf16.Encode([]rune(got))), 4096)
	assert.Equal(t, strings.Count(got, "<b>"), strings.Count(got, "</b>"), "no tag is cut open")
	assert.True(t, strings.HasSuffix(got, "…"))
}

func TestName_Property(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String().Draw(t, "name")
		got := text.Name(name)
		assert.NotEmpty(t, got)
		assert.NotContains(t, got, "<")
		assert.NotContains(t, got, "\u202e", "right-to-left override turns the rest of a message around")
		assert.LessOrEqual(t, len(utf16.Encode([]rune(html.UnescapeString(got)))), 64)
	})
}

// What Notice says is known as that, however many it names and whatever they are called; nothing else is.
func TestIsNotice(t *testing.T) {
	t.Parallel()
	c := catalogue(t)
	for _, reason := range []string{"mute", "delete", "warn", "grace", "mixed"} {
		for _, minutes := range []int{1, 15} {
			for _, names := range [][]string{{"Anna"}, {"to write here", "5"}, {""}} {
				said := html.UnescapeString(c.Notice("en", reason, names, minutes-1, minutes))
				assert.True(t, c.IsNotice(said), said)
				assert.True(t, c.IsNotice(strings.ReplaceAll(said, " ", "\u00a0")), said)
			}
		}
	}
	ids, err := text.IDs("en")
	require.NoError(t, err)
	for _, id := range ids {
		if said := c.Plain("en", id, nil); !strings.HasPrefix(id, "notice.") {
			assert.False(t, c.IsNotice(said), said)
		}
	}
	assert.False(t, c.IsNotice(""))
	assert.False(t, c.IsNotice("Anna"))
}
