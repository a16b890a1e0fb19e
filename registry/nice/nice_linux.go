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
	// slice is for how long the thread asks to run at a time, the most that there is. A thread that has just been woken takes the processor at
	// once from one with a longer slice (since Linux 6.12). Otherwise it waits for the end of the slice: up to four milliseconds at each step of a request.
	slice = 100 * time.Millisecond
)

// lower locks this goroutine to its thread, and makes that nicer. A thread may always become so; if the kernel refuses it, the work is
// done as usual.
func lower() {
	runtime.LockOSThread()
	usual, err := value()
	if err != nil {
		return
	}
	nicer := min(usual+more, 19)
	err = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: int32(nicer), Runtime: uint64(slice)}, 0)
	if err != nil { // an old kernel, or a filter of system calls
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, nicer)
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
