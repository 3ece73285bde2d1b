package persistence

import (
	"encoding/json"
	"fmt"
	"time"
)

// toMs turns a time into what a column holds: Unix milliseconds, 0 for the zero time.
func toMs(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMs(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// bit is how a column holds a bool in every dialect.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// idsToJSON encodes a list of ids; an empty one is always "[]", which an index of flows looks for.
func idsToJSON(ids []int64) (string, error) {
	if len(ids) == 0 {
		return "[]", nil
	}
	return toJSON(ids)
}

func toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return string(b), nil
}

func fromJSON[T any](text string) (v T, err error) {
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return v, fmt.Errorf("decode %T: %w", v, err)
	}
	return v, nil
}

// idsFromJSON decodes a list of ids; an empty one is nil.
func idsFromJSON(text string) ([]int64, error) {
	if text == "[]" {
		return nil, nil
	}
	return fromJSON[[]int64](text)
}
