package actors

import (
	"testing"

	"github.com/stretchr/testify/assert"

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
	for _, data := range []string{callbackCheck, callbackUnprotect, callbackKeep} {
		assert.Equal(t, data, parseCallback(data))
		assert.LessOrEqual(t, len(data), 64, "Telegram takes 64 bytes")
	}
	for _, data := range []string{"", "v0:check", "v1:check ", "v1:off:-100123", "check"} {
		assert.Empty(t, parseCallback(data))
	}
}

func TestExemptSender(t *testing.T) {
	t.Parallel()
	anna := &protos.User{Id: 7}
	for name, c := range map[string]struct {
		e    *protos.Event
		want bool
	}{
		"a person":                {&protos.Event{From: anna}, false},
		"nobody":                  {&protos.Event{}, true},
		"a bot":                   {&protos.Event{From: &protos.User{Id: 8, IsBot: true}}, true},
		"anonymous administrator": {&protos.Event{From: &protos.User{Id: anonymousAdmin}, SenderChat: &protos.Chat{Id: -1}}, true},
		"post of the channel":     {&protos.Event{From: &protos.User{Id: telegramItself}, AutomaticForward: true}, true},
		"via an inline bot":       {&protos.Event{From: anna}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.want, exemptSender(c.e))
		})
	}
}

func TestChannelLink(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "https://t.me/news", channelLink(persistence.Channel{Username: "news", InviteLink: "https://t.me/+x"}))
	assert.Equal(t, "https://t.me/+x", channelLink(persistence.Channel{InviteLink: "https://t.me/+x"}))
	assert.Empty(t, channelLink(persistence.Channel{}))
}
