//go:build !linux

package sandbox

import (
	"context"
	"errors"
	"net"
	"syscall"
)

// errOnlyLinux is what everything here answers elsewhere.
var errOnlyLinux = errors.New("pods run in namespaces of Linux: run these tests there")

// Main returns at once.
func Main() {}

// Node is made by no function here, see [Start].
type Node struct{}

// Start fails: this is not Linux.
func Start(string) (*Node, error) { return nil, errOnlyLinux }

// Close does nothing.
func (*Node) Close() error { return nil }

// Dial fails.
func (*Node) Dial(context.Context, string, string) (net.Conn, error) { return nil, errOnlyLinux }

// Route fails.
func (*Node) Route(context.Context, string) error { return errOnlyLinux }

// Listen fails.
func (*Node) Listen(context.Context, string) (net.Listener, error) { return nil, errOnlyLinux }

// ListenPacket fails.
func (*Node) ListenPacket(context.Context, string) (net.PacketConn, error) { return nil, errOnlyLinux }

// AddPod fails.
func (*Node) AddPod(context.Context, string, string) (*Pod, error) { return nil, errOnlyLinux }

// Pod is made by no function here.
type Pod struct{}

// Listen fails.
func (*Pod) Listen(context.Context, string) (net.Listener, error) { return nil, errOnlyLinux }

// Remove fails.
func (*Pod) Remove(context.Context) error { return errOnlyLinux }

// Run fails.
func (*Pod) Run(context.Context, Container) (*Process, error) { return nil, errOnlyLinux }

// Process is made by no function here.
type Process struct{}

// Done returns nil.
func (*Process) Done() <-chan struct{} { return nil }

// Exit returns a zero value.
func (*Process) Exit() Exit { return Exit{} }

// Signal does nothing.
func (*Process) Signal(syscall.Signal) {}

// Exec fails.
func (*Process) Exec(context.Context, Exec) (Exit, string, error) { return Exit{}, "", errOnlyLinux }
