package persistence

import (
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// dialect is what differs between the two databases in the one set of statements. They are written for
// SQLite, in SQL that both understand; numbered parameters and the order of joins are all there is to
// translate.
type dialect struct {
	name       string
	translated sync.Map // statement → statement
	postgres   bool
}

var (
	parameter = regexp.MustCompile(`\?(\d*)`)
	noNUL     = strings.NewReplacer("\x00", "")
)

// sql returns a statement as the database wants it. None of them holds a question mark in a literal.
func (d *dialect) sql(text string) string {
	if !d.postgres {
		return text
	}
	if done, ok := d.translated.Load(text); ok {
		return done.(string) //nolint:errcheck,forcetypeassert // only strings are stored
	}
	n := 0
	done := parameter.ReplaceAllStringFunc(text, func(p string) string {
		n++
		if p == "?" {
			return fmt.Sprintf("$%d", n)
		}
		return "$" + p[1:]
	})
	// SQLite keeps the order of a CROSS JOIN; PostgreSQL plans by its statistics.
	done = strings.ReplaceAll(done, "CROSS JOIN", "JOIN")
	d.translated.Store(text, done)
	return done
}

// args returns what a statement is given: PostgreSQL keeps no text with a NUL or broken UTF-8 in it.
func (d *dialect) args(args []any) []any {
	if !d.postgres {
		return args
	}
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = noNUL.Replace(strings.ToValidUTF8(s, "�"))
		}
	}
	return args
}
