package persistence

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// reserve has the file system set the journal's room aside, so that it is there when the disk is full.
// File systems that cannot are no error: the journal then has the room that is left.
func (j *Journal) reserve() {
	_ = unix.Fallocate(int(j.file.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, j.max)
}

// lockFile keeps other processes away until the file is closed, also by a crash.
func lockFile(f *os.File) error {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}

// closeLocked lets go of the lock and closes the file. Closing alone is not enough: a program that another
// goroutine starts at this moment holds a copy of the descriptor, and with it the lock, until it has execed.
func closeLocked(f *os.File) error {
	return errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close())
}
