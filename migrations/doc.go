// Package migrations holds the schema of the store as goose migrations, one folder for each dialect of
// SQL, embedded in the program.
//
// Package persistence applies them when it opens a database; nobody else reads them. They only go
// forward: there is no way down, since a database that a newer program has changed is refused by an
// older one. A migration that was released is never edited; a change of the schema is a new file with
// the next number, in every dialect's folder.
//
// Every time is an integer: Unix milliseconds, UTC, and 0 where there is none. Columns that hold lists
// or wishes are JSON text. This package never opens a database and imports nothing of the module.
package migrations
