package nice

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// supported says that threads have nice values.
	supported = true
	// more is by how much a thread is nicer than the process: it gets a tenth of the time of another one that wants the same processor.
	more = 10
)

// lower locks this goroutine to its thread, and makes that nicer. A thread may always become so; if the kernel refuses it, the work is
// done as usual.
func lower() {
	runtime.LockOSThread()
	if usual, err := value(); err == nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, usual+more) // 19 is the most, whatever is asked for
	}
}

// value returns the nice value of this thread.
func value() (int, error) {
	reversed, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	return 20 - reversed, err // the system call returns no negative numbers
}

// used returns for how long this thread has had a processor.
func used() time.Duration { return read(unix.CLOCK_THREAD_CPUTIME_ID) }

// processUsed returns for how long all threads together have had one.
func processUsed() time.Duration { return read(unix.CLOCK_PROCESS_CPUTIME_ID) }

func read(clock int32) time.Duration {
	var at unix.Timespec
	if err := unix.ClockGettime(clock, &at); err != nil {
		return 0
	}
	return time.Duration(at.Nano())
}
