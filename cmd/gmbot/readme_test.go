package main

import (
	"os"
	"reflect"
	"regexp"
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
