package schema

import (
	"sync"
	"testing"
)

// described is the description that Find finds, read once; nil where there is none.
var described = sync.OnceValues(func() (*API, error) {
	path, ok := Find()
	if !ok {
		return nil, nil //nolint:nilnil // without the description nothing is checked against it
	}
	return Load(path)
})

// Checker returns a check of all that goes over a test's wire against the Bot API's description, for the simulator's
// options. A fault fails the test. It is nil where the description is not at hand.
func Checker(tb testing.TB) func(kind, name string, raw []byte) error {
	tb.Helper()
	api, err := described()
	if err != nil {
		tb.Fatal(err)
	}
	if api == nil {
		return nil
	}
	return func(kind, name string, raw []byte) error {
		err := api.Validate(kind, name, raw)
		if err != nil {
			tb.Errorf("against the Bot API's description: %v\n%s", err, raw)
		}
		return err
	}
}
