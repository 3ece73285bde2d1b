//go:build unix

package telegram

import (
	"net"
	"syscall"
)

// isOpen reports whether a connection on which nothing is expected is still open: then there is nothing to read, not even
// its end.
func isOpen(conn net.Conn) bool {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var got error
	if err := raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, got = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}); err != nil {
		return false
	}
	return got == syscall.EAGAIN || got == syscall.EWOULDBLOCK
}
