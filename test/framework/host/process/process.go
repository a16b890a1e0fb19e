package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// tailLines is how much of its output [Process.Tail] quotes.
const tailLines = 20

// ErrExited means that the child ended by itself.
var ErrExited = errors.New("the process ended")

// Process is a child with its output in a file. All methods are safe for many
// goroutines.
type Process struct {
	cmd     *exec.Cmd
	logFile string
	done    chan struct{}
}

// Start runs the binary with stdout and stderr in logFile, which is written
// anew. It does not wait until the child serves anything.
func Start(binary string, args []string, logFile string) (*Process, error) {
	return run(exec.Command(binary, args...), logFile)
}

// StartAs is [Start] for a child that is another user, which only root can make.
func StartAs(uid uint32, binary string, args []string, logFile string) (*Process, error) {
	cmd := exec.Command(binary, args...)
	cmd.SysProcAttr = dieWithParent()
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	return run(cmd, logFile)
}

func run(cmd *exec.Cmd, logFile string) (*Process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	p := &Process{cmd: cmd, logFile: logFile, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if p.cmd.SysProcAttr == nil {
		p.cmd.SysProcAttr = dieWithParent()
	}

	started := make(chan error, 1)
	go func() {
		defer close(p.done)
		defer log.Close()
		// Linux ties "parent death" to the thread that forked, so this
		// goroutine keeps that thread for as long as the child lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err == nil {
			// The exit status says nothing that the log does not say.
			_ = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return p, nil
}

// Pid returns the id of the child.
func (p *Process) Pid() int {
	return p.cmd.Process.Pid
}

// Done returns a channel that is closed when the child is gone.
func (p *Process) Done() <-chan struct{} {
	return p.done
}

// Stop asks the child to end, kills it when that takes longer than grace, and
// returns when it is gone. It reports whether the kill was needed. Calling it
// again does nothing.
func (p *Process) Stop(grace time.Duration) (killed bool) {
	// An error means that it is gone already, which done tells as well.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return false
	case <-time.After(grace):
	}
	p.Kill()
	return true
}

// Kill ends the child at once, as a crash would, and returns when it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // an error means that it is gone already
	<-p.done
}

// Printed reports whether the child's output holds the text.
func (p *Process) Printed(text string) bool {
	log, err := os.ReadFile(p.logFile)
	return err == nil && bytes.Contains(log, []byte(text))
}

// Tail returns the last lines of the child's output.
func (p *Process) Tail() string {
	log, err := os.ReadFile(p.logFile)
	if err != nil {
		return fmt.Sprintf("(reading the log: %v)", err)
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
