package telegram

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	const gone = "[redacted]"
	for given, want := range map[string]string{
		"": "",
		"nothing to hide: 12:34, http://host:80/a, me@example.com": "nothing to hide: 12:34, http://host:80/a, me@example.com",
		"a " + aToken + " b": "a " + gone + " b",
		`Post "https://api.telegram.org/bot` + aToken + `/getMe": EOF`: `Post "https://api.telegram.org/bot` + gone + `/getMe": EOF`,
		aToken + "," + aToken:                        gone + "," + gone,
		"123:" + secret:                              gone,
		"(https://t.me/+AbC-d_9)":                    "(https://" + gone + ")",
		"T.ME/joinchat/AbC and telegram.me/+x.":      gone + " and " + gone + ".",
		"https://t.me/club and t.me/club/12 stay":    "https://t.me/club and t.me/club/12 stay",
		"postgres://gm:hunter2@db:5432/gm?x=1":       "postgres://gm:" + gone + "@db:5432/gm?x=1",
		"redis://:hunter2@db/0":                      "redis://:" + gone + "@db/0",
		"postgres://gm:hun@ter2@db/gm":               "postgres://gm:" + gone + "@db/gm",
		"postgres://gm@db/gm stays":                  "postgres://gm@db/gm stays",
		"http://host:80/a@b stays":                   "http://host:80/a@b stays",
		"tg://join?invite=AbC-1 and telegram.dog/+x": gone + " and " + gone,
		"https%3A%2F%2Ft.me/%2BAbCd":                 "https%3A%2F%2F" + gone,
		"/bot123%3A" + secret + "/getMe":             "/bot" + gone + "/getMe",
		"host=db user=gm password=hunter2 dbname=gm": "host=db user=gm password=" + gone + " dbname=gm",
		"سلام " + aToken + " 👋":                      "سلام " + gone + " 👋",
	} {
		assert.Equal(t, want, Redact(given))
		assert.Equal(t, want, Redact(Redact(given)), "twice is as once")
	}
}

// Whatever stands around them, no token of the shape that NewClient takes survives, and no link.
func TestRedact_NothingSurvives(t *testing.T) {
	t.Parallel()
	token := rapid.StringMatching(`[0-9]{3,20}:[A-Za-z0-9_-]{20,100}`)
	link := rapid.StringMatching(`(t\.me|telegram\.me)/(\+|joinchat/)[A-Za-z0-9_-]{1,30}`)
	around := rapid.StringOfN(rapid.RuneFrom([]rune("ab 1:/@.+-_\n\"é")), 0, 20, -1)
	rapid.Check(t, func(t *rapid.T) {
		one, two := token.Draw(t, "token"), link.Draw(t, "link")
		text := Redact(around.Draw(t, "before") + one + around.Draw(t, "between") + two + around.Draw(t, "after"))
		_, kept, _ := strings.Cut(one, ":")
		assert.NotContains(t, text, kept)
		assert.NotContains(t, text, two)
	})
}

func FuzzRedact(f *testing.F) {
	for _, seed := range []string{aToken, "x" + aToken + "@", "://a:b@" + aToken, "123:" + secret, "1:" + aToken, "t.me/+" + aToken} {
		f.Add(seed)
	}
	shape := regexp.MustCompile(`\d{3,20}:[A-Za-z0-9_-]{20,100}`)
	link := regexp.MustCompile(`t\.me/(\+|joinchat/)[A-Za-z0-9_-]`)
	f.Fuzz(func(t *testing.T, text string) {
		assert.NotRegexp(t, shape, Redact(text))
		assert.NotRegexp(t, link, Redact(text))
	})
}
