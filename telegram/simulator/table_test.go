package simulator_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gmbot/gmbot/telegram/simulator"
)

// The table of facts names tests that exist, and all that are named after a section of it.
func TestTheTableNamesTheTests(t *testing.T) {
	t.Parallel()
	names := func(pattern string, files ...string) map[string]bool {
		found := map[string]bool{}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(raw, -1) {
				found[string(m[1])] = true
			}
		}
		return found
	}
	files, err := filepath.Glob("*_test.go")
	require.NoError(t, err)
	have := names(`(?m)^func (Test\w+)\(`, files...)
	listed := names("`(Test\\w+)`", "../../docs/simulator.md")
	require.NotEmpty(t, listed)
	for name := range listed {
		assert.True(t, have[name], "docs/simulator.md names %s, which does not exist", name)
	}
	words, err := os.ReadFile("../../docs/simulator.md")
	require.NoError(t, err)
	for _, field := range reflect.VisibleFields(reflect.TypeFor[simulator.Switches]()) {
		assert.Contains(t, string(words), "`"+field.Name+"`", "a switch that belongs to no fact")
	}
	section := regexp.MustCompile(`^TestS\d+_`)
	for name := range have {
		assert.True(t, listed[name] || !section.MatchString(name), "%s is not in the table of docs/simulator.md", name)
	}
}
