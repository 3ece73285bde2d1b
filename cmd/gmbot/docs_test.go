package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pages are all pages for people, with their texts.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../.github/*.md"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range paths {
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			texts[path] = string(text)
		}
	}
	require.Greater(t, len(texts), 5)
	return texts
}

var (
	fence  = regexp.MustCompile("(?s)```[a-z]*\n(.*?)```")
	inline = regexp.MustCompile("`([^`\n]+)`")
)

// commandsIn lists what stands as code in a page: the lines of blocks, and what is in backticks.
func commandsIn(text string) (list []string) {
	for _, block := range fence.FindAllStringSubmatch(text, -1) {
		list = append(list, strings.Split(block[1], "\n")...)
	}
	for _, one := range inline.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		list = append(list, one[1])
	}
	return list
}

// Commands that a page tells people to run exist: subcommands and flags of the program, targets of make, and
// tests and benchmarks by name.
func TestDocs_CommandsExist(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&cli{}, kong.Name("gmbot"))
	require.NoError(t, err)
	makefile, err := os.ReadFile("../../Makefile")
	require.NoError(t, err)
	target := regexp.MustCompile(`(?m)^([a-z-]+):`)
	targets := map[string]bool{}
	for _, m := range target.FindAllStringSubmatch(string(makefile), -1) {
		targets[m[1]] = true
	}
	program := regexp.MustCompile(`^(?:[A-Z_]+=\S+ )*(?:go run \./cmd/)?gmbot((?: [a-z][a-z-]*)+)?((?: --[a-z-]+.*)?)`)
	gotest := regexp.MustCompile(`go test (?:-\S+ )*(\./\S+).*-(?:run|bench|fuzz) '?([^' ]+)'?`)
	bench := regexp.MustCompile(`go test (\./\S+).*-bench '?([^' ]+)'?`)
	found := 0
	for path, text := range pages(t) {
		for _, line := range commandsIn(text) {
			line = strings.TrimSpace(line)
			if m := program.FindStringSubmatch(line); len(m) == 3 && m[1]+m[2] != "" {
				found++
				knownCommand(t, parser.Model, path, strings.Fields(m[1]), m[2])
			}
			if name, ok := strings.CutPrefix(line, "make "); ok {
				found++
				assert.True(t, targets[strings.Fields(name)[0]], "%s: make %s", path, name)
			}
			m := gotest.FindStringSubmatch(line)
			if b := bench.FindStringSubmatch(line); b != nil {
				m = b
			}
			if len(m) == 3 && m[2] != "^TestName$" {
				found++
				knownTest(t, path, m[1], m[2])
			}
		}
	}
	assert.Greater(t, found, 15)
}

func knownCommand(t *testing.T, model *kong.Application, path string, words []string, flags string) {
	t.Helper()
	node := model.Node
	for _, word := range words {
		next := (*kong.Node)(nil)
		for _, child := range node.Children {
			if child.Name == word {
				next = child
			}
		}
		if next == nil {
			assert.True(t, node != model.Node && len(node.Positional) > 0, "%s: gmbot has no %v", path, words)
			break
		}
		node = next
	}
	for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(flags, -1) {
		has := flag[1] == "help"
		for _, group := range node.AllFlags(true) {
			for _, f := range group {
				has = has || f.Name == flag[1]
			}
		}
		assert.True(t, has, "%s: gmbot %v has no flag --%s", path, words, flag[1])
	}
}

func knownTest(t *testing.T, path, folder, pattern string) {
	t.Helper()
	files, err := filepath.Glob("../../" + strings.TrimSuffix(folder, "/...") + "/*_test.go")
	require.NoError(t, err)
	wanted, err := regexp.Compile(pattern)
	require.NoError(t, err)
	for _, file := range files {
		code, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Benchmark|Fuzz)\w+)\(`).FindAllStringSubmatch(string(code), -1) {
			if wanted.MatchString(m[1]) || strings.HasPrefix(m[1], "Benchmark") && wanted.MatchString(strings.TrimPrefix(m[1], "Benchmark")) {
				return
			}
		}
	}
	assert.Fail(t, "no such test", "%s: %s in %s", path, pattern, folder)
}

var heading = regexp.MustCompile(`(?m)^#+ (.+)$`)

// anchor is what GitHub makes of a heading.
func anchor(title string) string {
	title = strings.ToLower(strings.TrimSpace(strings.NewReplacer("`", "", "*", "").Replace(title)))
	title = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(title, "")
	return strings.ReplaceAll(title, " ", "-")
}

// Links between pages lead to files, and their anchors to headings.
func TestDocs_LinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	texts := pages(t)
	anchors := map[string]map[string]bool{}
	for path, text := range texts {
		anchors[path] = map[string]bool{}
		for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			anchors[path][anchor(m[1])] = true
		}
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for path, text := range texts {
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") {
				continue
			}
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
				_, err := os.Stat(file)
				assert.NoError(t, err, "%s: link to %s", path, m[1])
			}
			if fragment != "" {
				assert.True(t, anchors[file][fragment], "%s: no heading for %s", path, m[1])
			}
		}
	}
}
