package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

func TestFaults_OverTheNetwork(t *testing.T) {
	t.Parallel()
	var met atomic.Int64
	b := &box{t: t, now: began, client: http.DefaultClient}
	b.fill(simulator.Options{OnFault: func(simulator.Injected) { met.Add(1) }})
	b.serve()
	control := func(path, body string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+path, strings.NewReader(body))
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		var out map[string]any
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&out))
		return resp.StatusCode, fmt.Sprint(out)
	}
	status, said := control("/control/fault", `[{"kind":"flood","method":"getMe","for":"90s","times":1},
		{"kind":"lost","method":"getChat"}]`)
	assert.Equal(t, []any{200, "map[faults:2]"}, []any{status, said})
	a := b.fails("Too Many Requests: retry after 90", "getMe", nil)
	assert.Equal(t, "90", a.header.Get("Retry-After"))
	b.good("getMe", nil)
	resp, err := http.DefaultClient.Do(b.request("/bot"+b.bot.Token+"/getChat", "application/json", `{"chat_id":`+text(b.olga)+`}`))
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Error(t, err, "the connection breaks")
	assert.Equal(t, int64(2), met.Load())
	_, said = control("/control/mend", `{}`)
	assert.Equal(t, "map[done:true]", said)
	b.good("getChat", object{"chat_id": b.olga})
	status, said = control("/control/fault", "[{\"kind\":\"lost\"},\n{\"kind\":\"flood\"}]")
	assert.Equal(t, []any{400, "map[error:line 2: no such fault: flood needs for]"}, []any{status, said})
}

func TestReadFaults(t *testing.T) {
	t.Parallel()
	list, err := simulator.ReadFaults(strings.NewReader(`
# mutes
- kind: lost
  method: restrictchatmember
  probability: 0.02
- {kind: flood, class: talk, scope: chat, chat: -100500, user: 7, for: 30s..2h, from: 10m, until: 70m, times: 3}
- {kind: latency, for: 80ms~3s}
- {kind: slow, for: 6s, then: 1m}
- {kind: error, status: 500, description: "Internal Server Error: x"}
- {kind: duplicate, update: chat_member, for: 0s..20s}
- {kind: missing, update: service}
- {kind: restart, every: 1h, for: 3s}
- {kind: clock, for: -90s}
`))
	require.NoError(t, err)
	assert.Equal(t, []simulator.Fault{
		{Kind: simulator.FaultLost, Method: "restrictChatMember", Probability: 0.02},
		{
			Kind: simulator.FaultFlood, Class: "talk", Scope: "chat", ChatID: -100500, UserID: 7, For: simulator.Between(30*time.Second, 2*time.Hour),
			From: 10 * time.Minute, Until: 70 * time.Minute, Times: 3,
		},
		{Kind: simulator.FaultLatency, For: simulator.Tail(80*time.Millisecond, 3*time.Second)},
		{Kind: simulator.FaultSlow, For: simulator.For(6 * time.Second), Then: simulator.For(time.Minute)},
		{Kind: simulator.FaultError, Status: 500, Description: "Internal Server Error: x"},
		{Kind: simulator.FaultDuplicate, Update: "chat_member", For: simulator.Between(0, 20*time.Second)},
		{Kind: simulator.FaultMissing, Update: "service"},
		{Kind: simulator.FaultRestart, Every: time.Hour, For: simulator.For(3 * time.Second)},
		{Kind: simulator.FaultClock, For: simulator.For(-90 * time.Second)},
	}, list)
	one, err := simulator.ReadFaults(strings.NewReader(`{"kind": "lost"}`))
	require.NoError(t, err)
	assert.Len(t, one, 1)
	none, err := simulator.ReadFaults(strings.NewReader("# nothing\n"))
	require.NoError(t, err)
	assert.Empty(t, none)

	for file, want := range map[string]string{
		"- kind: lost\n- kind: nonsense\n":                      `line 2: no such fault: kind "nonsense"`,
		"- kind: lost\n  methode: getMe\n":                      `line 2: a fault has no "methode"`,
		"- method: getMe\n":                                     "line 1: no such fault: kind is missing",
		"- kind: lost\n\n  kind: late\n":                        "line 3: kind stands there twice",
		"- kind: lost\n  method: getMee\n":                      `method "getMee" is not modelled`,
		"- kind: lost\n  class: nonsense\n":                     `class "nonsense" is none of`,
		"- kind: missing\n  update: nonsense\n":                 `update "nonsense" does not exist`,
		"- kind: missing\n  method: getMe\n":                    "missing concerns no calls",
		"- kind: lost\n  update: message\n":                     "lost concerns no updates",
		"- kind: lost\n  probability: 2\n":                      "probability is 2",
		"- kind: lost\n  probability: 0\n":                      "line 2: probability: is a number above 0",
		"- kind: lost\n  times: many\n":                         "line 2: times: is a whole number",
		"- kind: lost\n  from: soon\n":                          "line 2: from: is a time",
		"- kind: lost\n  from: 2m\n  until: 1m\n":               "until must come after from",
		"- kind: latency\n":                                     "latency needs for",
		"- kind: latency\n  for: 3s..1s\n":                      "line 2: for: a time is written",
		"- kind: latency\n  for: [1s]\n":                        "line 2: for is one value",
		"- kind: latency\n  for: -1s\n":                         "for is negative",
		"- kind: lost\n  scope: chat\n":                         "scope is for flood",
		"- kind: flood\n  for: 1s\n  scope: world\n":            `scope "world" is none of`,
		"- kind: flood\n  for: 1s\n  then: 2s\n":                "then is for slow",
		"- kind: lost\n  status: 500\n":                         "are for error",
		"- kind: error\n  status: 200\n":                        "status 200 is no error",
		"- kind: restart\n  chat: 5\n":                          "restart befalls the server",
		"- kind: lost\n  every: 1m\n":                           "every is for restart and clock",
		"- lost\n":                                              "line 1: a fault is a list of names and values",
		"- kind: lost\n- kind: [\n":                             "line 2",
		"[{\"kind\":\"lost\"},\n\n{\"kind\":\"lost\",\"x\":1}]": `line 3: a fault has no "x"`,
	} {
		_, err := simulator.ReadFaults(strings.NewReader(file))
		assert.ErrorContains(t, err, want, file)
	}
}

// docs/simulator.md tells of every kind and every field, and its example is read.
func TestReadFaults_IsDocumented(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/simulator.md")
	require.NoError(t, err)
	part := section(string(raw), "Trouble on purpose")
	_, rest, _ := strings.Cut(part, "```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	list, err := simulator.ReadFaults(strings.NewReader(example))
	require.NoError(t, err)
	assert.Len(t, list, 5)
	for _, kind := range simulator.FaultKinds() {
		assert.Contains(t, part, "\n| `"+kind+"` |")
	}
	for _, field := range simulator.FaultFields() {
		assert.Contains(t, part, "`"+field+"`")
	}
}
