package room

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestLarge_GivesWay(t *testing.T) {
	// The system call returns 20 minus the nice value of this thread.
	reversed := func() int {
		got, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
		if err != nil {
			t.Error(err)
		}
		return got
	}
	usual := reversed()
	Large(largeBytes-1, func() {
		if got := reversed(); got != usual {
			t.Errorf("small work gets %d, want %d", got, usual)
		}
	})
	Large(largeBytes, func() {
		if got := reversed(); got >= usual {
			t.Errorf("large work gets %d, want less than %d", got, usual)
		}
	})
}
