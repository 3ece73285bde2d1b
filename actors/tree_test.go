package actors

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/protos"
)

const architecture = "../docs/architecture.md"

// treeBlock is where the page shows the tree.
var treeBlock = regexp.MustCompile("(?s)(<!-- drawn by TestTree[^\n]*\n```\n)(.*?)(```)")

// TestTree_IsTheOneInThePage draws the supervision tree as a running system tells it, with a group, a flow, a
// channel and a private chat awake, and holds docs/architecture.md to it. UPDATE=1 writes it there.
func TestTree_IsTheOneInThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(architecture)
	require.NoError(t, err)
	var drawn string
	runGate(t, func(t *testing.T, g *gate) {
		g.w.latency = time.Minute // so that the flow is still there
		g.send(message(anna, 10, "hello"))
		g.send(joinsChannel(boris))
		g.send(&protos.Event{
			Kind: protos.EventKind_MESSAGE, Chat: &protos.Chat{Id: boris, Type: "private"}, From: user(boris), MessageId: 1, Text: "/help", IsCommand: true,
		})
		g.pass(100 * time.Millisecond)
		var out strings.Builder
		out.WriteString("system\n")
		draw(&out, "", g.s.Actors(t.Context()))
		drawn = out.String()
		g.w.set(func() { g.w.latency = 0 })
		g.pass(10 * time.Minute)
	})
	m := treeBlock.FindSubmatch(page)
	require.NotNil(t, m, "the page has a place for the tree")
	if os.Getenv("UPDATE") != "" {
		page = treeBlock.ReplaceAll(page, []byte("${1}"+drawn+"${3}"))
		require.NoError(t, os.WriteFile(architecture, page, 0o600))
		return
	}
	assert.Equal(t, drawn, string(m[2]), "UPDATE=1 go test ./actors -run Tree_IsTheOne")
}

// draw puts actors of one kind into one line, with how many there are and what hangs on them.
func draw(out *strings.Builder, indent string, list []ActorInfo) {
	var order []string
	count, below := map[string]int{}, map[string][]ActorInfo{}
	for _, a := range list {
		if count[a.Kind] == 0 {
			order = append(order, a.Kind)
		}
		count[a.Kind]++
		below[a.Kind] = append(below[a.Kind], a.Shown...)
	}
	for i, kind := range order {
		branch, next := "├── ", "│   "
		if i == len(order)-1 {
			branch, next = "└── ", "    "
		}
		line := indent + branch + kind
		if n := count[kind]; n > 1 && indent == "" {
			line += fmt.Sprintf(" ×%d", n)
		}
		out.WriteString(line + "\n")
		draw(out, indent+next, below[kind])
	}
}
