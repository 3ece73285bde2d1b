//go:build !planted

package actors

// planted reports whether a fault is built in on purpose, to see that the storm finds it; see
// docs/reliability.md. Only builds with the tag planted have any: here it is nothing, and costs nothing.
func planted(string) bool { return false }
