package nicetest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// usual is the priority of the process, read before any thread has another one.
var usual, errUsual = priority()

// priority returns 20 minus the nice value of this thread.
func priority() (int, error) { return unix.Getpriority(unix.PRIO_PROCESS, 0) }

// GivesWay reports whether the calling goroutine is on a thread with a higher nice value than the process began with.
func GivesWay(tb testing.TB) bool {
	tb.Helper()
	here, err := priority()
	if err != nil || errUsual != nil {
		tb.Errorf("reading nice values: %v, %v", err, errUsual)
	}
	return here < usual
}
