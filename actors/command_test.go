package actors

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/persistence"
	"github.com/gmbot/gmbot/protos"
)

func TestParseCommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text    string
		command bool // has a bot_command entity at its beginning
		want    string
		args    []string
	}{
		{"/protect @news", true, "protect", []string{"@news"}},
		{"/PROTECT@GateBot a b", true, "protect", []string{"a", "b"}},
		{"/status@other_bot", true, "", nil},
		{"/status", false, "", nil},
		{"/coins buy my coins", true, "", nil},
		{"hello /status", false, "", nil},
		{"", true, "", nil},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			got, ok := parseCommand(&protos.Event{Text: c.text, IsCommand: c.command}, "GateBot")
			assert.Equal(t, c.want != "", ok)
			assert.Equal(t, c.want, got.name)
			if len(c.args) > 0 {
				assert.Equal(t, c.args, got.args)
			}
		})
	}
}

func TestParseChannel(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]channelRef{
		"@news":                       {name: "news"},
		"news_2":                      {name: "news_2"},
		"https://t.me/news":           {name: "news"},
		"t.me/news/17":                {name: "news"},
		"-1001234":                    {id: -1001234},
		"https://t.me/c/1234567/8":    {id: -1000001234567},
		"https://t.me/+AbCdEf":        {},
		"https://t.me/joinchat/AbCdE": {},
		"42":                          {},
		"<b>":                         {},
		"@x":                          {},
	} {
		t.Run(said, func(t *testing.T) {
			t.Parallel()
			got, ok := parseChannel(said)
			assert.Equal(t, want.id != 0 || want.name != "", ok)
			assert.Equal(t, want.id, got.id)
			assert.Equal(t, want.name, got.name)
			assert.Equal(t, said, got.said)
		})
	}
}

func FuzzParseChannel(f *testing.F) {
	for _, s := range []string{"@news", "t.me/c/99999999999999999999/1", "-100", "\x00", "https://t.me/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, ok := parseChannel(s)
		if ok != (ref.id != 0 || ref.name != "") {
			t.Fatalf("%q: ok=%v, but %+v", s, ok, ref)
		}
		if ref.id > 0 {
			t.Fatalf("%q: a channel's id is negative, got %d", s, ref.id)
		}
	})
}

func TestParseCallback_KnowsOnlyItsOwn(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]command{
		callbackCheck:       {name: callbackCheck, button: true},
		callbackUnprotect:   {name: callbackUnprotect, button: true},
		callbackKeep:        {name: callbackKeep, button: true},
		"v1:set:need:2":     {name: callbackSet, args: []string{"need", "2"}, button: true},
		"v1:ex:12345678901": {name: callbackPage, args: []string{"12345678901"}, button: true},
	} {
		got, ok := parseCallback(data)
		assert.True(t, ok)
		assert.Equal(t, want, got)
	}
	for _, data := range []string{"", "v0:check", "v1:check ", "v1:off:-100123", "check", "v1:set:", "v1:set:need", "v1:ex:", "v1:ex:-4", "v1:ex:9e9"} {
		_, ok := parseCallback(data)
		assert.False(t, ok, data)
	}
}

// Every value of every setting has words, a button that leads to it, and comes back as it was set.
func TestWishes(t *testing.T) {
	t.Parallel()
	words, err := text.New()
	require.NoError(t, err)
	r := &commandRun{d: &deps{words: words}, lang: "en"}
	for _, w := range wishes {
		var s persistence.Settings
		assert.Contains(t, w.values, w.get(&s), "the default of %s is one of its values", w.key)
		seen := map[string]bool{}
		for range w.values {
			to := w.next(&s)
			assert.LessOrEqual(t, len(callbackSet+w.key+":"+to), 64)
			w.set(&s, to)
			assert.Equal(t, to, w.get(&s))
			said := r.wishText(w, to)
			assert.NotContains(t, said, "set.", "%s has no words for %s", w.key, to)
			seen[said] = true
		}
		assert.Len(t, seen, len(w.values), "each value of %s reads differently", w.key)
		assert.Zero(t, s, "all the way round is the default again")
	}
}

// Whatever is composed of a prefix and a value has words.
func TestComposedWords(t *testing.T) {
	t.Parallel()
	words, err := text.New()
	require.NoError(t, err)
	var all []string
	for _, kind := range []persistence.PauseKind{persistence.CannotJudge, persistence.CannotMute, persistence.CannotDelete} {
		all = append(all, "pause."+string(kind))
	}
	for _, state := range []persistence.FlowState{persistence.Checking, persistence.Muting, persistence.Muted, persistence.Freeing} {
		all = append(all, "why.flow."+string(state))
	}
	for _, cause := range []persistence.Cause{persistence.CauseMessage, persistence.CauseJoin, persistence.CauseLeave, persistence.CauseSweep} {
		all = append(all, "why.mute."+string(cause))
	}
	for _, reason := range []noticeReason{noticeMute, noticeDelete, noticeWarn, noticeGrace, noticeMixed} {
		all = append(all, "notice."+string(reason))
	}
	for _, file := range []string{"decide.go", "verification_act.go"} {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?:actClose|actRemove), Reason: "([^"]+)"|inside\("([^"]+)"\)`).FindAllStringSubmatch(string(raw), -1) {
			all = append(all, closeWords(m[1]+m[2]))
		}
	}
	require.Greater(t, len(all), 25)
	for _, id := range all {
		assert.NotEqual(t, id, words.Say("en", id, map[string]any{"PluralCount": 2}))
	}
}

func TestIsNobody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		from *protos.User
		want bool
	}{
		"a person":                {&protos.User{Id: 7}, false},
		"nobody":                  {nil, true},
		"a bot":                   {&protos.User{Id: 8, IsBot: true}, true},
		"anonymous administrator": {&protos.User{Id: anonymousAdmin}, true},
		"Telegram":                {&protos.User{Id: telegramItself}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, isNobody(c.from))
		})
	}
}

func TestReadSettings(t *testing.T) {
	t.Parallel()
	const good = `{
  "gmbot_settings": 1,
  "title": "Talk",
  "channels": [{"id": -1001}],
  "settings": {"need": 1}
}`
	f, fault := readSettings([]byte(good))
	require.Nil(t, fault)
	assert.Equal(t, 1, f.Settings.Need)
	for name, c := range map[string]struct {
		raw  string
		line int
	}{
		"newer":             {strings.Replace(good, `settings": 1`, `settings": 2`, 1), 2},
		"foreign":           {`{"hello": 1}`, 1},
		"not even JSON":     {"\n\nhello", 3},
		"cut off":           {good[:60], 4},
		"an unknown wish":   {strings.Replace(good, `"need"`, `"speed"`, 1), 5},
		"a wrong type":      {strings.Replace(good, `{"need": 1}`, `{"need": "x"}`, 1), 5},
		"an absurd value":   {strings.Replace(good, `{"need": 1}`, `{"need": -1}`, 1), 5},
		"no channel":        {strings.Replace(good, `[{"id": -1001}]`, `[]`, 1), 4},
		"no channel's id":   {strings.Replace(good, `-1001`, `1001`, 1), 4},
		"something follows": {good + "\n{}", 7},
		"nothing":           {"", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, fault := readSettings([]byte(c.raw))
			require.NotNil(t, fault)
			assert.Equal(t, c.line, fault.line, "%v", fault)
		})
	}
}

func TestChannelLink(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "https://t.me/news", channelLink(persistence.Channel{Username: "news", InviteLink: "https://t.me/+x"}))
	assert.Equal(t, "https://t.me/+x", channelLink(persistence.Channel{InviteLink: "https://t.me/+x"}))
	assert.Empty(t, channelLink(persistence.Channel{}))
}
