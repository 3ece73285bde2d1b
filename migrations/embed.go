package migrations

import (
	"embed"
	"io/fs"
)

//go:embed sqlite/*.sql
var files embed.FS

// SQLite returns the migrations for SQLite, at the root of the file system.
func SQLite() (fs.FS, error) {
	return fs.Sub(files, "sqlite")
}
