package simulator_test

import (
	"html"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// FuzzReadFaults: a file is refused, or each of its faults makes sense and can be set.
func FuzzReadFaults(f *testing.F) {
	for _, seed := range []string{
		"", "- kind: lost\n", "[{\"kind\":\"flood\",\"for\":\"1s..2h\"}]", "kind: restart\nfor: 3s\nevery: 1h\n", "- {kind: latency, for: 80ms~3s}", "- &a {kind: lost}\n- *a\n",
		"- {kind: clock, for: -90s}", "---\n...\n", "- kind: slow\n  for: 6s\n  then: 1m\n  times: 3\n", "- {kind: error, body: |}\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		faults, err := simulator.ReadFaults(strings.NewReader(file))
		if err != nil {
			assert.NotEmpty(t, err.Error())
			return
		}
		s := simulator.New(simulator.Options{})
		for _, f := range faults {
			require.NoError(t, f.Check())
			f.From = max(f.From, time.Hour) // nothing happens while this looks
			f.Until = 0
			s.Fail(f)
		}
		s.Mend()
	})
}

// FuzzHTML: what is escaped arrives as it was; anything else is taken or refused, and never breaks the server.
func FuzzHTML(f *testing.F) {
	s := simulator.New(simulator.Options{ForgetCalls: true})
	b := &box{Server: s, url: "http://simulator"}
	b.bot, b.anna = s.NewBot("box_bot"), s.NewUser("Anna", "")
	require.NoError(f, s.Start(b.anna, b.bot.ID))
	for _, seed := range []string{"a", "<b>x</b>", "&lt;", "&#0;", "&#xd800;", "<a href=\"tg://user?id=1\">x</a>", "<", "&", "👍 <i>\u202e</i>", "</", "<b", "<a href=>x</a>", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, words string) {
		b := &box{Server: s, t: t, url: b.url, bot: b.bot, anna: b.anna, client: &http.Client{Transport: s.Transport()}}
		raw := b.raw("sendMessage", object{"chat_id": b.anna, "parse_mode": "HTML", "text": words})
		assert.Contains(t, []int{200, 400}, raw.status, string(raw.raw))
		words = strings.TrimSpace(words)
		if words == "" || !utf8.ValidString(words) || len(words) > 4000 {
			return
		}
		got := b.call("sendMessage", object{"chat_id": b.anna, "parse_mode": "HTML", "text": html.EscapeString(words)})
		assert.Equal(t, words, got.object()["text"], got.Description)
	})
}
