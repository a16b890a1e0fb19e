package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// readyText is what the node writes when it serves.
const readyText = "ready"

// server is the node's own process: init of its pid namespace, user 0 of its
// user namespace.
type server struct {
	mu       sync.Mutex
	networks map[string]*os.File // pod to network namespace
	links    int                 // how many were made, for their names
}

// node is the stage that serves the requests of the test process.
func node() error {
	status := os.NewFile(4, "status")
	listener, err := prepareNode()
	if err != nil {
		_, _ = fmt.Fprint(status, err)
		return err
	}
	if _, err := status.WriteString(readyText); err != nil {
		return fmt.Errorf("telling that the node is ready: %w", err)
	}
	if err := status.Close(); err != nil {
		return fmt.Errorf("telling that the node is ready: %w", err)
	}
	s := &server{networks: map[string]*os.File{}}
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			return fmt.Errorf("accepting a request: %w", err)
		}
		go s.serve(conn)
	}
}

func prepareNode() (*net.UnixListener, error) {
	// Nothing that is mounted here shows outside, and the other way round.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("separating the mounts: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return nil, fmt.Errorf("mounting /proc: %w", err)
	}
	if err := prepareNodeNetwork(); err != nil {
		return nil, err
	}
	file := os.NewFile(3, "socket")
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("taking the socket: %w", err)
	}
	return listener.(*net.UnixListener), nil
}

func (s *server) serve(conn *net.UnixConn) {
	defer conn.Close()
	var r request
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		return // the other end changed its mind
	}
	if r.Op == opRun {
		if err := s.run(conn, r); err != nil {
			_ = send(conn, reply{Error: err.Error()}, nil)
		}
		return
	}
	file, err := s.handle(r)
	answer := reply{}
	if err != nil {
		answer.Error = err.Error()
	}
	// An error means that nobody waits any more.
	_ = send(conn, answer, file)
	if file != nil {
		_ = file.Close()
	}
}

func (s *server) handle(r request) (*os.File, error) {
	switch r.Op {
	case opDial:
		conn, err := net.DialTimeout(r.Network, r.Address, dialTimeout)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return fileOf(conn)
	case opListen:
		return s.listen(r)
	case opRoute:
		return nil, routeLocally(r.Address)
	case opAddPod:
		return nil, s.addPod(r.Pod, r.Address)
	case opRemovePod:
		s.mu.Lock()
		defer s.mu.Unlock()
		if network := s.networks[r.Pod]; network != nil {
			delete(s.networks, r.Pod)
			return nil, network.Close()
		}
		return nil, nil
	default:
		return nil, fmt.Errorf("unknown request %q", r.Op)
	}
}

// fileOf returns the descriptor of a connection or listener.
func fileOf(socket any) (*os.File, error) {
	withFile, ok := socket.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, fmt.Errorf("a %T has no file descriptor", socket)
	}
	return withFile.File()
}

func (s *server) listen(r request) (file *os.File, err error) {
	open := func() error {
		if r.Network == "udp" {
			conn, err := net.ListenPacket(r.Network, r.Address)
			if err != nil {
				return err
			}
			defer conn.Close()
			file, err = fileOf(conn)
			return err
		}
		listener, err := net.Listen(r.Network, r.Address)
		if err != nil {
			return err
		}
		defer listener.Close()
		file, err = fileOf(listener)
		return err
	}
	if r.Pod == "" {
		return file, open()
	}
	network, err := s.network(r.Pod)
	if err != nil {
		return nil, err
	}
	err = within(network, open)
	return file, err
}

func (s *server) network(pod string) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	network := s.networks[pod]
	if network == nil {
		return nil, fmt.Errorf("there is no pod %q", pod)
	}
	return network, nil
}

// within calls f on a thread that is in the network namespace. That thread is
// given up afterwards.
func within(network *os.File, f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("entering the network of a pod: %w", err)
			return
		}
		result <- f()
	}()
	return <-result
}

func (s *server) addPod(id, address string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.networks[id] != nil {
		return fmt.Errorf("there is a pod %q", id)
	}
	network, err := newNetwork()
	if err != nil {
		return err
	}
	s.links++
	if err := joinNetwork(network, fmt.Sprintf("pod%d", s.links), address); err != nil {
		_ = network.Close()
		return err
	}
	s.networks[id] = network
	return nil
}

// run starts the supervisor of a container, which then speaks for itself on the
// connection, and waits for it.
func (s *server) run(conn *net.UnixConn, r request) error {
	network, err := s.network(r.Pod)
	if err != nil {
		return err
	}
	control, err := conn.File()
	if err != nil {
		return fmt.Errorf("taking the connection: %w", err)
	}
	defer control.Close()
	spec, err := json.Marshal(r.Spec)
	if err != nil {
		return fmt.Errorf("encoding the container: %w", err)
	}
	capabilities, err := allCapabilities()
	if err != nil {
		return err
	}
	cmd := stage(stageSupervisor)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Stdin = bytes.NewReader(spec)
	cmd.ExtraFiles = []*os.File{control}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// A user namespace in that of the node, because there is one id to map
		// only and each container has its own idea of what it should be.
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: int(r.Spec.User), HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: int(r.Spec.Group), HostID: 0, Size: 1}},
		// Otherwise a user other than 0 would lose the right to mount when the
		// stage begins.
		AmbientCaps: capabilities,
	}
	if err := within(network, cmd.Start); err != nil {
		return fmt.Errorf("starting the supervisor: %w", err)
	}
	// Its copy of the connection is the one that counts: the other end must
	// see the end of the supervisor.
	_ = control.Close()
	return waitSupervisor(conn, cmd)
}

func waitSupervisor(conn io.Closer, cmd *exec.Cmd) error {
	_ = conn.Close()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("running the supervisor: %w", err)
	}
	return nil
}
