// Package sandbox runs processes as a container runtime would, without one and
// without being root: in user, mount, pid, network, IPC and UTS namespaces of
// Linux, under the program that is running, a test for instance.
//
//	test process ── Start ─► node        a user namespace with a network of its own; init of all below
//	     │                    ├─ supervisor   one per container: its user namespace; starts, signals, waits
//	     │                    │    └─ container   its pid namespace and file system; executes the image's program
//	     └── Dial, Listen ◄───┘        connections of the node's network, handed over as file descriptors
//
// Node, supervisor and container begin as the same executable file as the test:
// its main function, or TestMain, must call [Main] first. They run only while
// the test process does: the kernel kills the node with it, and with the node
// every process below.
//
// The main types are [Node], [Pod], which is a network namespace joined to that
// of the node, [Container], which says what to run, and [Process].
//
// What it promises: a process sees only the files that its Container names, on
// a root of its own; it has the user id that was asked for, with no more rights
// on the machine than the user who runs the test; it may listen on any port
// without meeting others; /proc/sys is read-only.
//
// What it leaves out: limits of CPU and memory (they need control groups), more
// than one user id in a container (that needs /etc/subuid and a set-user-id
// program), and block devices.
//
// It knows nothing of Kubernetes; package kubelet above does. Only that package
// may import it.
package sandbox
