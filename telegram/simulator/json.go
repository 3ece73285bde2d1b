package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-faster/jx"
)

// mustJSON encodes what this package makes: maps and lists of plain values.
func mustJSON(v any) json.RawMessage { return appendJSON(make([]byte, 0, 256), v) }

// appendJSON writes what encoding/json would, byte for byte, for the kinds that every call needs without looking at their
// types by reflection, which took half of a call's time.
func appendJSON(to []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(to, "null"...)
	case string:
		return appendString(to, v)
	case bool:
		return strconv.AppendBool(to, v)
	case int:
		return strconv.AppendInt(to, int64(v), 10)
	case int64:
		return strconv.AppendInt(to, v, 10)
	case map[string]any:
		return appendMap(to, v)
	case Permissions:
		return appendMap(to, v)
	case []any:
		to = append(to, '[')
		for i, one := range v {
			if i > 0 {
				to = append(to, ',')
			}
			to = appendJSON(to, one)
		}
		return append(to, ']')
	}
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // only maps of plain values are encoded here
	}
	return append(to, raw...)
}

// appendMap writes an object, its fields in the order of their names.
func appendMap[M ~map[string]V, V any](to []byte, m M) []byte {
	if m == nil {
		return append(to, "null"...)
	}
	var room [32]string
	names := room[:0]
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	to = append(to, '{')
	for i, name := range names {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(appendString(to, name), ':')
		to = appendJSON(to, m[name])
	}
	return append(to, '}')
}

// appendString writes a string; one with nothing to escape is copied.
func appendString(to []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || strings.IndexByte(`"\<>&`, c) >= 0 || c == 0x7f {
			raw, err := json.Marshal(s)
			if err != nil {
				panic(err) // there is no string that cannot be encoded
			}
			return append(to, raw...)
		}
	}
	return append(append(append(to, '"'), s...), '"')
}

var errNoObject = errors.New("no object")

// readInto reads the fields of an object as encoding/json reads them into a map, numbers as they are written; what follows
// it is not looked at. Nothing at all, and null, has none.
func readInto(to map[string]any, raw []byte) error {
	d := jx.GetDecoder()
	defer jx.PutDecoder(d)
	d.ResetBytes(raw)
	switch d.Next() {
	case jx.Null:
		return d.Null()
	case jx.Object:
		return readFields(d, to)
	case jx.Invalid:
		if len(bytes.TrimSpace(raw)) == 0 {
			return nil
		}
	default:
	}
	return errNoObject
}

func readFields(d *jx.Decoder, to map[string]any) error {
	return d.ObjBytes(func(d *jx.Decoder, key []byte) error {
		v, err := readValue(d)
		to[valid(string(key))] = v
		return err
	})
}

func readValue(d *jx.Decoder) (any, error) {
	switch d.Next() {
	case jx.String:
		s, err := d.Str()
		return valid(s), err
	case jx.Number:
		n, err := d.Num()
		return json.Number(n), err
	case jx.Bool:
		return d.Bool()
	case jx.Null:
		return nil, d.Null()
	case jx.Array:
		list := []any{}
		err := d.Arr(func(d *jx.Decoder) error {
			v, err := readValue(d)
			list = append(list, v)
			return err
		})
		return list, err
	case jx.Object:
		fields := map[string]any{}
		return fields, readFields(d, fields)
	default:
		return nil, errNoObject
	}
}

// valid puts the sign for it in place of each byte that is no UTF-8.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
