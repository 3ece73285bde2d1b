package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The README's table of settings lists every setting with its true default, and nothing else.
func TestReadme_ListsEverySetting(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	said := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z_]+)` \\| (?:`([^`]*)`|–) \\|").FindAllStringSubmatch(string(text), -1) {
		said[row[1]] = row[2]
	}
	want := map[string]string{}
	for field := range reflect.TypeFor[settings]().Fields() {
		want[field.Tag.Get("env")] = field.Tag.Get("default")
	}
	assert.Equal(t, want, said)
}

// Every row of these tables names a test, and every test they name exists.
func TestDocs_NameTestsThatExist(t *testing.T) {
	t.Parallel()
	for file, atLeast := range map[string]int{"behaviour.md": 60, "reliability.md": 10} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			namesTests(t, "../../docs/"+file, atLeast)
		})
	}
}

func namesTests(t *testing.T, path string, atLeast int) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	exists := map[string]bool{}
	for _, folder := range []string{"../../actors", "../../persistence", "."} {
		files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			code, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, name := range regexp.MustCompile(`(?m)^func (Test\w+)\(t \*testing\.T\)`).FindAllStringSubmatch(string(code), -1) {
				exists[name[1]] = true
			}
		}
	}
	rules := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| Rule |") || strings.HasPrefix(line, "| Fault |") {
			continue
		}
		rules++
		named := regexp.MustCompile("\\| `(Test\\w+)`[^|]*\\|$").FindStringSubmatch(strings.TrimSpace(line))
		if strings.HasSuffix(strings.TrimSpace(line), "| the same |") {
			continue
		}
		if assert.NotNil(t, named, "names no test: %s", line) {
			assert.True(t, exists[named[1]], "there is no %s", named[1])
		}
	}
	assert.Greater(t, rules, atLeast)
}
