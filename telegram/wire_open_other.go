//go:build !unix

package telegram

import "net"

// isOpen cannot tell here, so a new connection is made.
func isOpen(net.Conn) bool { return false }
