package annextest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// process is a child with its output in a file.
type process struct {
	command *exec.Cmd
	log     string
	done    chan struct{}
}

// run starts a program. On Linux, the program dies with this process, also when that is killed.
func run(binary string, args []string, log string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("opening the log of the server: %w", err)
	}
	p := &process{command: exec.Command(binary, args...), log: log, done: make(chan struct{})}
	p.command.Stdout, p.command.Stderr, p.command.SysProcAttr = out, out, dieWithParent()
	started := make(chan error)
	go func() {
		defer close(p.done)
		defer func() { _ = out.Close() }()
		// Linux takes the thread that started the child for its parent.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.command.Start()
		started <- err
		if err == nil {
			_ = p.command.Wait() // the log says more than the exit code
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	return p, nil
}

// stop asks the child to end, ends it by force after grace, and returns when it has ended.
func (p *process) stop(grace time.Duration) {
	_ = p.command.Process.Signal(os.Interrupt) // an error means that it has ended
	select {
	case <-p.done:
	case <-time.After(grace):
		_ = p.command.Process.Kill()
		<-p.done
	}
}

// tail returns the last lines that the child printed.
func (p *process) tail() string {
	const most = 30
	printed, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("(reading the log: %v)", err)
	}
	lines := strings.Split(strings.TrimSpace(string(printed)), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
