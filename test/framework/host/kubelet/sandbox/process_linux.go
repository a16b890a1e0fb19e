package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// Process is the program of a container. All methods are safe for many
// goroutines.
type Process struct {
	conn *net.UnixConn
	done chan struct{}
	exit Exit // set before done is closed

	mu      sync.Mutex
	lastID  int
	waiting map[int]chan reply
}

// Run starts a container in the pod. An error wraps [ErrNotStarted] when the
// program itself is at fault.
func (p *Pod) Run(ctx context.Context, c Container) (*Process, error) {
	conn, err := p.node.connect(ctx, request{Op: opRun, Pod: p.id, Spec: &c})
	if err != nil {
		return nil, err
	}
	replies := json.NewDecoder(conn)
	var first reply
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	err = replies.Decode(&first)
	stop()
	switch {
	case ctx.Err() != nil:
		_ = conn.Close()
		return nil, ctx.Err()
	case err != nil:
		_ = conn.Close()
		return nil, fmt.Errorf("waiting for the container: %w", err)
	case first.Error != "":
		_ = conn.Close()
		return nil, fmt.Errorf("%w: %s", ErrNotStarted, first.Error)
	}
	process := &Process{conn: conn, done: make(chan struct{}), waiting: map[int]chan reply{}}
	go process.read(replies)
	return process, nil
}

// read hands replies to those who wait for them, until the process ends.
func (p *Process) read(replies *json.Decoder) {
	// What cannot be told any more was killed together with its supervisor.
	p.exit = Exit{Code: 128 + int(syscall.SIGKILL), Signal: int(syscall.SIGKILL)}
	defer func() {
		_ = p.conn.Close()
		close(p.done)
	}()
	for {
		var r reply
		if err := replies.Decode(&r); err != nil {
			return
		}
		if r.ID == 0 {
			if r.Exit != nil {
				p.exit = *r.Exit
			}
			return
		}
		p.mu.Lock()
		answer := p.waiting[r.ID]
		delete(p.waiting, r.ID)
		p.mu.Unlock()
		if answer != nil {
			answer <- r
		}
	}
}

// Done returns a channel that is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit waits until the process has ended and tells how.
func (p *Process) Exit() Exit {
	<-p.done
	return p.exit
}

func (p *Process) send(r request) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := json.NewEncoder(p.conn).Encode(r); err != nil {
		return fmt.Errorf("sending a request to the container: %w", err)
	}
	return nil
}

// Signal sends a signal to the process, and none when it has ended. SIGKILL
// ends everything in its container.
func (p *Process) Signal(signal syscall.Signal) {
	// An error means that it has ended.
	_ = p.send(request{Op: opSignal, Signal: int(signal)})
}

// Exec runs a further process in the container, with the environment and the
// rights of the first one, and returns what it printed, or the end of it.
func (p *Process) Exec(ctx context.Context, e Exec) (Exit, string, error) {
	if e.Timeout == 0 {
		e.Timeout = time.Second
	}
	answer := make(chan reply, 1)
	p.mu.Lock()
	p.lastID++
	id := p.lastID
	p.waiting[id] = answer
	p.mu.Unlock()
	if err := p.send(request{Op: opExec, ID: id, Args: e.Args, Timeout: e.Timeout}); err != nil {
		return Exit{}, "", err
	}
	select {
	case r := <-answer:
		if r.Error != "" {
			return Exit{}, r.Output, errors.New(r.Error)
		}
		return *r.Exit, r.Output, nil
	case <-p.done:
		return Exit{}, "", errors.New("the container ended")
	case <-ctx.Done():
		return Exit{}, "", ctx.Err()
	}
}
