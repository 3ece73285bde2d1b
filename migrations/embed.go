package migrations

import (
	"embed"
	"io/fs"
)

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// SQLite returns the migrations for SQLite, at the root of the file system.
func SQLite() (fs.FS, error) {
	return fs.Sub(files, "sqlite")
}

// Postgres returns the migrations for PostgreSQL, at the root of the file system.
func Postgres() (fs.FS, error) {
	return fs.Sub(files, "postgres")
}
