package persistence

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Options are what a store may be given; the zero value is good.
type Options struct {
	// Readers bounds the connections that read; 0 = 4.
	Readers int
	// Clock stamps rows (created, updated, seen); nil = time.Now.
	Clock func() time.Time
	// Metrics counts what the store does; nil counts nothing.
	Metrics *Metrics
	// Report is told of failures that neither traffic nor a change explains, with their kind; it must not
	// block. nil: nobody is told.
	Report func(kind string, err error)
	// Log gets a line for each migration applied.
	Log zerolog.Logger
}

// failed reports an error that nobody could expect.
func (o Options) failed(err error) {
	if err == nil || o.Report == nil || errors.Is(err, ErrNotFound) {
		return
	}
	switch kind := errorKind(err); kind {
	case kindConstraint, kindCorrupt, kindDisk, kindStatement, kindUnavailable:
		o.Report(kind, err)
	}
}

func (o Options) filled() Options {
	if o.Readers <= 0 {
		o.Readers = 4
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

const (
	schemeSQLite   = "sqlite"
	schemePostgres = "postgres"
)

// URLError says what is wrong with a store's URL. Its text holds the scheme at most, so that a
// password in the URL cannot reach a log.
type URLError struct {
	// Scheme is what stands before "://"; empty when that does not look like a scheme.
	Scheme string
	// Reason says what is wrong.
	Reason string
}

// Error implements error.
func (e *URLError) Error() string {
	if e.Scheme == "" {
		return "store url: " + e.Reason
	}
	return "store url " + e.Scheme + "://…: " + e.Reason
}

// Open opens the store that a URL names, brings its schema up to date, and checks that its commits are
// durable. ctx bounds the opening, not the store's life.
//
//	sqlite:///var/lib/gmbot/gmbot.db   an absolute path
//	sqlite://gmbot.db                  a path relative to the working directory
//	postgres://user:password@host/db   PostgreSQL; parameters as libpq and pgxpool know them
//
// SQLite's path is taken as it stands, with no escapes and no parameters; its folder must exist, the file
// need not. The error is a *URLError if the URL cannot be served, or wraps ErrSchemaNewer if a newer
// program has migrated the database.
func Open(ctx context.Context, url string, o Options) (Store, error) {
	scheme, rest, err := splitURL(url)
	if err != nil {
		return nil, err
	}
	switch scheme {
	case schemeSQLite:
		path, err := sqlitePath(rest)
		if err != nil {
			return nil, err
		}
		return openSQLite(ctx, path, o.filled())
	case schemePostgres, "postgresql":
		return openPostgres(ctx, url, o.filled())
	default:
		return nil, unknownScheme(scheme)
	}
}

func unknownScheme(scheme string) error {
	return &URLError{Scheme: scheme, Reason: "unknown scheme; known are " + strings.Join(knownSchemes(), ", ")}
}

func knownSchemes() []string {
	known := []string{schemeSQLite, schemePostgres}
	slices.Sort(known)
	return known
}

func splitURL(url string) (scheme, rest string, err error) {
	before, rest, found := strings.Cut(url, "://")
	// Whatever is no scheme is not repeated: it may be the beginning of a password.
	if !found || !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]{0,31}$`).MatchString(before) {
		return "", "", &URLError{Reason: "it has no scheme; known are " + strings.Join(knownSchemes(), ", ")}
	}
	return strings.ToLower(before), rest, nil
}

func sqlitePath(rest string) (string, error) {
	fail := func(reason string) (string, error) {
		return "", &URLError{Scheme: schemeSQLite, Reason: reason}
	}
	switch {
	case rest == "":
		return fail("it has no path; for example sqlite:///var/lib/gmbot/gmbot.db")
	case rest == ":memory:":
		return fail("a database in memory does not survive the process; give a path")
	case strings.ContainsAny(rest, "?#\x00"):
		return fail("it takes a path only, without parameters")
	}
	return rest, nil
}
