package telegram

import (
	"errors"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-faster/jx"
)

// walker reads one JSON value, field by field, into what is needed of it. Where encoding/json would leave
// a zero value it does the same: null is nothing, and unknown fields are skipped. Unlike that, names must
// match exactly, as Telegram writes them.
type walker struct {
	d    jx.Decoder
	text []byte // a string being put together
	bad  error  // what began like null and was not
}

var walkers = sync.Pool{New: func() any { return &walker{} }}

var errTrailing = errors.New("something follows the value")

// walk reads raw with f, and has all of raw be one value.
func walk(raw []byte, f func(w *walker) error) error {
	w := walkers.Get().(*walker) //nolint:errcheck,forcetypeassert // nothing else is in the pool
	defer func() {
		w.d.ResetBytes(nil)
		w.bad = nil
		if cap(w.text) > 64<<10 {
			w.text = nil
		}
		walkers.Put(w)
	}()
	w.d.ResetBytes(raw)
	if err := f(w); err != nil {
		return err
	}
	if w.bad != nil {
		return w.bad
	}
	if err := w.d.Skip(); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return nil
}

// null takes a null, if one is next.
func (w *walker) null() bool {
	if w.d.Next() != jx.Null {
		return false
	}
	if err := w.d.Null(); err != nil {
		w.bad = err
	}
	return true
}

// object has f read the value of each field, or skip it.
func (w *walker) object(f func(key []byte) error) error {
	return w.d.ObjBytes(func(_ *jx.Decoder, key []byte) error { return f(key) })
}

// field has f read one field of an object; null has none.
func (w *walker) field(name string, f func() error) error {
	if w.null() {
		return nil
	}
	return w.object(func(key []byte) error {
		if string(key) != name {
			return w.skip()
		}
		return f()
	})
}

// list has f read each element; null has none.
func (w *walker) list(f func() error) error {
	if w.null() {
		return nil
	}
	return w.d.Arr(func(*jx.Decoder) error { return f() })
}

func (w *walker) skip() error { return w.d.Skip() }

// bytes reads a string; what it returns is good until the next one.
func (w *walker) bytes() ([]byte, error) {
	var err error
	w.text, err = w.d.StrAppend(w.text[:0])
	return w.text, err
}

func (w *walker) string(to *string) error {
	if w.null() {
		return nil
	}
	b, err := w.bytes()
	if err != nil {
		return err
	}
	*to = word(b)
	if !utf8.ValidString(*to) {
		*to = strings.ToValidUTF8(*to, "\uFFFD")
	}
	return nil
}

// word makes a string, without memory of its own for those that come with every update.
func word(b []byte) string {
	switch string(b) {
	case "supergroup":
		return "supergroup"
	case "private":
		return "private"
	case "channel":
		return "channel"
	case StatusMember:
		return StatusMember
	case StatusLeft:
		return StatusLeft
	case StatusRestricted:
		return StatusRestricted
	case StatusAdministrator:
		return StatusAdministrator
	case "en":
		return "en"
	}
	return string(b)
}

func (w *walker) int64(to *int64) error {
	if w.null() {
		return nil
	}
	n, err := w.d.Int64()
	if err == nil {
		*to = n
	}
	return err
}

func (w *walker) bool(to *bool) error {
	if w.null() {
		return nil
	}
	b, err := w.d.Bool()
	if err == nil {
		*to = b
	}
	return err
}
