//go:build planted

package actors

import "os"

// plant names the fault that this build has.
var plant = os.Getenv("PLANTED")

func planted(name string) bool { return name == plant }
