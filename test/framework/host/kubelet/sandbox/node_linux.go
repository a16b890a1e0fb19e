package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// startTimeout bounds the start of the node, which takes a tenth of a second.
const startTimeout = 2 * time.Minute

// Node is a network with pods. All methods are safe for many goroutines.
type Node struct {
	dir  string // of the socket; short, for a path of one has 107 bytes at most
	cmd  *exec.Cmd
	done chan struct{}
}

// Start runs a node that writes what goes wrong in it to logFile.
func Start(logFile string) (*Node, error) {
	if missingMain() {
		return nil, errors.New("this process was started to be a part of a pod, but did not become it: call kubelet.Main() as the first thing in TestMain or main")
	}
	dir, err := os.MkdirTemp("", "annex-node-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the node's socket: %w", err)
	}
	n := &Node{dir: dir, done: make(chan struct{})}
	if err := n.start(logFile); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return n, nil
}

func (n *Node) socket() string { return filepath.Join(n.dir, "socket") }

func (n *Node) start(logFile string) error {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the node's log: %w", err)
	}
	defer log.Close()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: n.socket(), Net: "unix"})
	if err != nil {
		return fmt.Errorf("listening for the node: %w", err)
	}
	defer listener.Close()
	listener.SetUnlinkOnClose(false) // the node's copy stays
	socket, err := listener.File()
	if err != nil {
		return fmt.Errorf("taking the node's socket: %w", err)
	}
	defer socket.Close()
	ready, status, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	defer ready.Close()

	n.cmd = stage(stageNode)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	n.cmd.ExtraFiles = []*os.File{socket, status}
	n.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		// The one id that an ordinary user may map.
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	started := make(chan error, 1)
	go func() {
		defer close(n.done)
		// Linux ties "parent death" to the thread that forked.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := n.cmd.Start()
		started <- err
		if err == nil {
			_ = n.cmd.Wait() // it is killed, always
		}
	}()
	err = <-started
	_ = status.Close()
	if err != nil {
		return explain(fmt.Errorf("making namespaces: %w", err))
	}
	if err := n.waitReady(ready); err != nil {
		n.kill()
		return err
	}
	return nil
}

// waitReady reads what the node has to say about its start: nothing when all is well.
func (n *Node) waitReady(ready *os.File) error {
	if err := ready.SetReadDeadline(time.Now().Add(startTimeout)); err != nil {
		return fmt.Errorf("waiting for the node: %w", err)
	}
	text, err := io.ReadAll(ready)
	switch {
	case err != nil:
		return fmt.Errorf("waiting for the node: %w", err)
	case string(text) == readyText:
		return nil
	case len(text) == 0:
		return errors.New("the node ended before it was ready: is kubelet.Main() called first in TestMain?")
	default:
		return explain(errors.New(string(text)))
	}
}

// explain adds to an error of the kernel what may be set on this machine.
func explain(err error) error {
	var settings []string
	for _, s := range []struct{ name, bad, advice string }{
		{"user/max_user_namespaces", "0", "user.max_user_namespaces=15000"},
		{"kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"},
		{"kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"},
	} {
		value, readErr := os.ReadFile("/proc/sys/" + s.name)
		if readErr == nil && strings.TrimSpace(string(value)) == s.bad {
			settings = append(settings, "`sudo sysctl -w "+s.advice+"`")
		}
	}
	if len(settings) == 0 {
		return fmt.Errorf("%w (pods run in user namespaces of Linux: user.max_user_namespaces must be above 0, kernel.unprivileged_userns_clone 1 and kernel.apparmor_restrict_unprivileged_userns 0 where they exist; inside a container the engine must allow them and leave /proc unmasked)", err)
	}
	return fmt.Errorf("%w: user namespaces are restricted on this machine; allow them with %s", err, strings.Join(settings, " and "))
}

// stage returns this program as another stage.
func stage(name string) *exec.Cmd {
	return &exec.Cmd{Path: "/proc/self/exe", Args: []string{name}, Env: append(os.Environ(), stageVariable+"="+name)}
}

// Close kills all processes of the node.
func (n *Node) Close() error {
	n.kill()
	if err := os.RemoveAll(n.dir); err != nil {
		return fmt.Errorf("removing the node's socket: %w", err)
	}
	return nil
}

func (n *Node) kill() {
	_ = n.cmd.Process.Kill() // an error means that it is gone
	<-n.done
}

// Done returns a channel that is closed when the node has ended.
func (n *Node) Done() <-chan struct{} { return n.done }

// connect opens a connection to the node and sends the request.
func (n *Node) connect(ctx context.Context, r request) (*net.UnixConn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", n.socket())
	if err != nil {
		return nil, fmt.Errorf("connecting to the node: %w", err)
	}
	if err := json.NewEncoder(conn).Encode(r); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("sending a request to the node: %w", err)
	}
	return conn.(*net.UnixConn), nil
}

// call sends a request and returns the file that comes with the reply, if any.
func (n *Node) call(ctx context.Context, r request) (*os.File, error) {
	conn, err := n.connect(ctx, r)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	file, err := receive(conn)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return file, err
}

// Dial connects from the node's network, in which the addresses of pods are.
func (n *Node) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	file, err := n.call(ctx, request{Op: opDial, Network: network, Address: address})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("taking a connection of the node: %w", err)
	}
	return conn, nil
}

// Route makes the addresses of a network, such as "10.0.0.0/24", addresses of
// the node itself, so that [Node.Listen] can listen there.
func (n *Node) Route(ctx context.Context, network string) error {
	_, err := n.call(ctx, request{Op: opRoute, Address: network})
	return err
}

// Listen accepts TCP connections at an address of the node's network.
func (n *Node) Listen(ctx context.Context, address string) (net.Listener, error) {
	return n.listen(ctx, "", address)
}

func (n *Node) listen(ctx context.Context, pod, address string) (net.Listener, error) {
	file, err := n.call(ctx, request{Op: opListen, Pod: pod, Network: "tcp", Address: address})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("taking a listener of the node: %w", err)
	}
	return listener, nil
}

// ListenPacket receives UDP packets at an address of the node's network.
func (n *Node) ListenPacket(ctx context.Context, address string) (net.PacketConn, error) {
	file, err := n.call(ctx, request{Op: opListen, Network: "udp", Address: address})
	if err != nil {
		return nil, err
	}
	defer file.Close()
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, fmt.Errorf("taking a socket of the node: %w", err)
	}
	return conn, nil
}

// Pod is a network namespace with one address.
type Pod struct {
	node *Node
	id   string
}

// AddPod makes a pod with an IPv4 address that no other pod has. The id is any
// name that no other pod has.
func (n *Node) AddPod(ctx context.Context, id, address string) (*Pod, error) {
	if _, err := n.call(ctx, request{Op: opAddPod, Pod: id, Address: address}); err != nil {
		return nil, fmt.Errorf("making the network of a pod: %w", err)
	}
	return &Pod{node: n, id: id}, nil
}

// Listen accepts TCP connections at an address inside the pod, such as
// "127.0.0.1:2379".
func (p *Pod) Listen(ctx context.Context, address string) (net.Listener, error) {
	return p.node.listen(ctx, p.id, address)
}

// Remove forgets the pod. Its network goes with its last process and listener.
func (p *Pod) Remove(ctx context.Context) error {
	_, err := p.node.call(ctx, request{Op: opRemovePod, Pod: p.id})
	return err
}
