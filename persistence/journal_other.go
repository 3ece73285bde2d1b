//go:build !linux

package persistence

import "os"

// reserve has no portable form.
func (j *Journal) reserve() {}

// lockFile has no portable form.
func lockFile(*os.File) error { return nil }

// closeLocked closes the file.
func closeLocked(f *os.File) error { return f.Close() }
