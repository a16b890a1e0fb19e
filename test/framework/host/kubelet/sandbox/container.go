package sandbox

import (
	"errors"
	"time"
)

// ErrNotStarted is wrapped by errors of a program that could not be executed,
// a missing file for instance.
var ErrNotStarted = errors.New("the program was not started")

// Container says what to run and what it sees.
type Container struct {
	// Root is an empty directory; the container's file system is mounted there
	// where nobody outside sees it.
	Root     string
	Hostname string
	// User and Group are the ids inside. Outside, the process is the user of
	// the test.
	User, Group int64
	// Args are the program and its arguments. A program without a slash is
	// looked for in the PATH of Env.
	Args []string
	// Env is like []string{"HOME=/"}; nothing else is there.
	Env []string
	// WorkingDir is made when it is missing. Empty means "/".
	WorkingDir string
	// Mounts are in the order in which they are made: "/a" before "/a/b".
	Mounts []Mount
	// Links are symbolic links of the root: path to target, as "/bin": "usr/bin".
	Links map[string]string
	// Files are small files of the root, such as "/etc/hosts".
	Files        map[string][]byte
	ReadOnlyRoot bool
	// Capabilities are those that user 0 keeps, such as "NET_BIND_SERVICE".
	// Other users have none.
	Capabilities []string
	// NoNewPrivileges and FilterSystemCalls are what Kubernetes calls
	// allowPrivilegeEscalation: false and the seccomp profile RuntimeDefault.
	NoNewPrivileges   bool
	FilterSystemCalls bool
	// Log is a file that gets standard output and standard error, at its end.
	Log string
}

// Mount shows a file or directory of the machine in the container.
type Mount struct {
	// Source is a path of the machine.
	Source string
	// Target is a path in the container. Its parents are made when missing.
	Target   string
	ReadOnly bool
}

// Exit is how a process ended.
type Exit struct {
	// Code is that of the process, or 128 and the number of the signal that
	// ended it.
	Code int
	// Signal is 0 unless one ended the process.
	Signal int
}

// Exec is a further process of a container.
type Exec struct {
	Args []string
	// Timeout ends it; zero means one second.
	Timeout time.Duration
}
