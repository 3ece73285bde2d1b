// Package childtest starts the servers that tests need as children that do not outlive them.
package childtest

import (
	"os/exec"
	"runtime"
)

// Start starts a command whose SysProcAttr asks for a signal at its parent's death. That is tied to the thread that
// forked, not to the process, so that thread waits until the child has ended; ended is closed then.
func Start(cmd *exec.Cmd) (ended <-chan struct{}, err error) {
	started, over := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(over)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	return over, <-started
}
