package actors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gmbot/gmbot/actors/text"
	"github.com/gmbot/gmbot/protos"
	"github.com/gmbot/gmbot/telegram/simulator"
)

// FuzzCallback: data of buttons is read back as it was written, or not taken for ours.
func FuzzCallback(f *testing.F) {
	for _, seed := range []string{
		"", callbackCheck, callbackUnprotect, callbackKeep, callbackSet, callbackSet + "quiet:on", callbackSet + "a:b:c", callbackPage + "7",
		callbackPage + "-7", callbackPage + "99999999999999999999", callbackBrake + "-1:-2:go", callbackBrake + "-1:-2:wait", callbackBrake + "::go",
		callbackRequest + "-1001", callbackRequest + "x", callbackWizard + "new", callbackWizard + "7:go", "v2:check", "v1:check\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		if cmd, ok := parseCallback(data); ok {
			assert.True(t, cmd.button)
			switch cmd.name {
			case callbackSet:
				assert.Equal(t, data, callbackSet+strings.Join(cmd.args, ":"))
			case callbackPage:
				after, ok := atoi(cmd.args[0])
				assert.True(t, ok && after >= 0)
			default:
				assert.Equal(t, data, cmd.name)
				assert.Empty(t, cmd.args)
			}
		}
		if group, channel, decision, ok := parseBrake(data); ok {
			again, _, _, _ := parseBrake(callbackBrake + itoa(group) + ":" + itoa(channel) + ":" + decision)
			assert.Equal(t, group, again)
			assert.Contains(t, []string{brakeGo, brakeWait}, decision)
		}
		if group, ok := requestGroup(data); ok {
			again, _ := requestGroup(callbackRequest + itoa(group))
			assert.Equal(t, group, again)
		}
	})
}

// FuzzCommand: whatever is written, a command is one of those that exist, for this bot, and an argument that
// names a channel names one that can exist.
func FuzzCommand(f *testing.F) {
	for _, seed := range []string{
		"/protect @news", "/protect@gate_bot https://t.me/news_here", "/PROTECT t.me/c/1234567/89", "/unprotect -1001", "/protect @news @more 7",
		"/exempt 7", "/help@other_bot", "/", "/@", "/protect\n@news", "/ protect", "/dryrun\u00a0on", "/protect https://t.me/c/999999999999999", "/why -",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, words string) {
		_, ok := parseCommand(&protos.Event{Text: words}, "gate_bot")
		assert.False(t, ok, "Telegram says what a command is")
		cmd, ok := parseCommand(&protos.Event{Text: words, IsCommand: true}, "gate_bot")
		if !ok {
			return
		}
		assert.Contains(t, groupCommands, cmd.name)
		assert.False(t, cmd.button)
		first := strings.Fields(words)[0]
		if _, at, addressed := strings.Cut(first, "@"); addressed {
			assert.True(t, strings.EqualFold(at, "gate_bot"))
		}
		for _, arg := range cmd.args {
			ref, ok := parseChannel(arg)
			assert.Equal(t, arg, ref.said)
			assert.Equal(t, ok, (ref.id < 0) != (ref.name != ""), "an id or a name")
			if ref.name != "" {
				assert.Regexp(t, `^[A-Za-z][A-Za-z0-9_]{3,31}$`, ref.name)
			}
		}
	})
}

// FuzzImport: a file is taken whole or refused with a line that it has; what is taken can be written and taken
// again.
func FuzzImport(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", "[]", "{\n", `{"gmbot_settings":1}`, `{"gmbot_settings":2}`, `{"gmbot_settings":"x"}`,
		`{"gmbot_settings":1,"title":"T","channels":[{"id":-1001,"username":"news"}],"settings":{"action":"","channel_posts":""}}`,
		"{\"gmbot_settings\":1,\n\"channels\":[{\"id\":-1001}],\n\"settings\":{\"need\":-1}}", `{"gmbot_settings":1,"oops":1}`,
		`{"gmbot_settings":1,"channels":[{"id":-1}],"settings":{}} more`, `{"gmbot_settings":1,"channels":[{"id":5}],"settings":{}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		file, fault := readSettings(raw)
		if fault != nil {
			assert.GreaterOrEqual(t, fault.line, 1)
			assert.LessOrEqual(t, fault.line, 1+bytes.Count(raw, []byte("\n")))
			assert.NotEmpty(t, fault.id)
			return
		}
		again, err := json.Marshal(file)
		require.NoError(t, err)
		same, fault := readSettings(again)
		require.Nil(t, fault)
		assert.Equal(t, file, same)
		for _, w := range wishes { // the panel can show it
			s := file.Settings
			assert.NotEmpty(t, w.get(&s))
			assert.Contains(t, w.values, w.next(&s))
		}
	})
}

// messageKeys are what the messages of the catalogue are filled with.
func messageKeys(f *testing.F) (keys []string) {
	f.Helper()
	raw, err := os.ReadFile("text/active.en.toml")
	require.NoError(f, err)
	for _, m := range regexp.MustCompile(`\{\{[^}]*?\.(\w+)`).FindAllSubmatch(raw, -1) {
		keys = append(keys, string(m[1]))
	}
	require.NotEmpty(f, keys)
	return keys
}

// FuzzText: what is sent parses as Telegram's HTML whatever people and chats are called, says the names as they
// are, and mentions who is meant.
func FuzzText(f *testing.F) {
	words, err := text.New()
	require.NoError(f, err)
	ids, err := text.IDs("en")
	require.NoError(f, err)
	keys := messageKeys(f)
	sim := simulator.New(simulator.Options{ForgetCalls: true})
	bot := sim.NewBot("gate_bot")
	person := sim.NewUser("Anna", "")
	require.NoError(f, sim.Start(person, bot.ID))
	client := &http.Client{Transport: sim.Transport()}
	for i, name := range []string{
		"Anna", "", "<b>", "</a>", "&amp;", "&", `"><a href="tg://user?id=1">`, "{{.Names}}", "\u202egnp", "مریم", "👩‍👩‍👧", "A\nB", "\xff", "\u202e", strings.Repeat("<", 200),
		strings.Repeat("👍", 70), "<!--", "&#x3c;b&#x3e;", "'", "\u200b", "&lt", "a&b;c",
	} {
		f.Add(name, "News", uint16(i))
		f.Add("Boris", name, uint16(i*7))
	}
	f.Fuzz(func(t *testing.T, name, title string, which uint16) {
		title = strings.ToValidUTF8(title, "?") // what is read as JSON always is
		id := ids[int(which)%len(ids)]
		data := map[string]any{}
		for _, key := range keys {
			data[key] = title
		}
		data["PluralCount"] = int(which)
		mention := fmt.Sprintf(`<a href="tg://user?id=%d">%s</a>`, person, text.Name(name))
		many := slices.Repeat([]string{text.Name(title)}, int(which)%400)
		for _, html := range []string{
			words.Notice("en", []string{"mute", "delete", "warn", "grace", "mixed"}[which%5], []string{mention, mention}, int(which), 15),
			words.List("en", "protect.missing", many),
			words.Say("en", id, data),
			text.Fit(strings.Repeat(text.Name(name)+"\n", int(which)%200)),
		} {
			sent := sendHTML(t, client, bot.Token, person, html)
			if strings.Contains(html, mention) {
				assert.Contains(t, sent.Entities, person, "who is meant is mentioned")
			}
		}
		assert.NotEmpty(t, text.Button(title))
		assert.True(t, utf8.ValidString(words.Press("en", "press.missing", []string{title})))
	})
}

// mentioned are the people a message mentions.
type mentioned []int64

type sentText struct {
	Text     string
	Entities mentioned
}

// UnmarshalJSON implements json.Unmarshaler.
func (m *mentioned) UnmarshalJSON(raw []byte) error {
	var list []struct {
		User struct {
			ID int64 `json:"id"`
		} `json:"user"`
	}
	err := json.Unmarshal(raw, &list)
	for _, e := range list {
		*m = append(*m, e.User.ID)
	}
	return err
}

var blank = regexp.MustCompile(`^\s*$`)

// sendHTML lets the simulator judge a text: only one that is empty may be refused.
func sendHTML(t *testing.T, client *http.Client, token string, chat int64, html string) (sent sentText) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"chat_id": chat, "parse_mode": "HTML", "text": html})
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://telegram/bot"+token+"/sendMessage", bytes.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer struct {
		OK          bool     `json:"ok"`
		Result      sentText `json:"result"`
		Description string   `json:"description"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	empty := blank.MatchString(html) && strings.Contains(answer.Description, "text is empty")
	if !answer.OK && !empty {
		t.Errorf("refused: %s\n%s", answer.Description, html)
	}
	return answer.Result
}

// FuzzDecide drives what TestDecide_Property holds of every decision by what the fuzzer finds.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7, 8}, 40))
	f.Fuzz(rapid.MakeFuzz(decideProperly))
}

// FuzzJudge: what any channel says counts once, and an unknown never makes somebody an outsider.
func FuzzJudge(f *testing.F) {
	f.Add([]byte{0, 1, 2}, 1)
	f.Fuzz(func(t *testing.T, raw []byte, need int) {
		verdicts := make([]protos.Verdict, 0, len(raw))
		var best, worst []protos.Verdict // as if Telegram had known
		for _, b := range raw {
			v := protos.Verdict(b % 3)
			verdicts = append(verdicts, v)
			if v != protos.Verdict_UNKNOWN {
				best, worst = append(best, v), append(worst, v)
				continue
			}
			best, worst = append(best, protos.Verdict_INSIDE), append(worst, protos.Verdict_OUTSIDE)
		}
		got := judge(verdicts, need)
		if a, b := judge(best, need), judge(worst, need); a == b {
			assert.Equal(t, a, got, "the unknown could change nothing")
		} else {
			assert.Equal(t, protos.Verdict_UNKNOWN, got, "nobody is muted, nor let in, on a guess")
		}
	})
}
