package simulator

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anyJSON draws what answers and updates are made of.
func anyJSON(depth int) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		kinds := 8
		if depth == 0 {
			kinds = 6
		}
		switch rapid.IntRange(0, kinds).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.Int64().Draw(t, "int64")
		case 3:
			return rapid.Int().Draw(t, "int")
		case 4:
			return rapid.String().Draw(t, "string")
		case 5:
			return string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		case 6:
			return Permissions(rapid.MapOf(rapid.SampledFrom(PermissionNames), rapid.Bool()).Draw(t, "permissions"))
		case 7:
			return rapid.SliceOfN(anyJSON(depth-1), 0, 5).Draw(t, "list")
		default:
			return rapid.MapOfN(rapid.String(), anyJSON(depth-1), 0, 40).Draw(t, "object")
		}
	})
}

// What is written without reflection is what encoding/json writes.
func TestJSON_WritesAsTheStandardDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := anyJSON(3).Draw(t, "value")
		want, err := json.Marshal(v)
		require.NoError(t, err)
		require.Equal(t, string(want), string(mustJSON(v)))
	})
	for _, v := range []any{[]string{"a", "<b>"}, json.RawMessage(`{"a": 1}`), map[string]any(nil), Permissions(nil), map[string]int64{"id": 3}, "\x7f", "\u2028"} {
		want, err := json.Marshal(v)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(mustJSON(v)))
	}
}

// standardObject is how encoding/json reads a request's body.
func standardObject(raw []byte) (map[string]any, bool) {
	fields := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		return fields, len(bytes.TrimSpace(raw)) == 0
	}
	if fields == nil {
		fields = map[string]any{}
	}
	return fields, true
}

func TestJSON_ReadsAsTheStandardDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw, err := json.MarshalIndent(rapid.MapOfN(rapid.String(), anyJSON(3), 0, 9).Draw(t, "object"), "", " ")
		require.NoError(t, err)
		want, ok := standardObject(raw)
		require.True(t, ok)
		got := map[string]any{}
		require.NoError(t, readInto(got, raw))
		require.Equal(t, want, got)
	})
}

// FuzzJSON_Reads holds the reading of bodies to that of encoding/json, whatever comes.
func FuzzJSON_Reads(f *testing.F) {
	for _, s := range []string{
		"", " \n", "null", "{}", "[]", "1", `"a"`, "true", `{"a":1e3,"b":-0.5,"c":"\u00e4\ud83d\ude00","d":[null,true,{"e":{}}]}`, `{"a":1}garbage`, `{"a":1`,
		`{"a"`, `{"a":01}`, `{"a":+1}`, `{"a":"\x"}`, `{"a":"` + "\xff" + `"}`, `{"a":tru}`, "nul", "nullx", `{"a":1,}`, `{"a":1,"a":2}`, "\ufeff{}", `{"a":"` + "\n" + `"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		want, ok := standardObject(raw)
		got := map[string]any{}
		err := readInto(got, raw)
		if !ok {
			assert.Error(t, err)
			return
		}
		require.NoError(t, err)
		assert.Equal(t, want, got)
	})
}
