package host

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// stopTimeout is how long a process may take to end in an orderly way.
	// All state is in etcd, so that a kill afterwards loses nothing.
	stopTimeout = 10 * time.Second
	// tailLines is how much of the log an error quotes.
	tailLines = 20
)

// process is a child with its output in a file.
type process struct {
	cmd     *exec.Cmd
	logFile string
	done    chan struct{} // closed when the child is gone
}

// startProcess starts the child with stdout and stderr in logFile, which is
// written anew. The child is killed when this process dies, even if no cleanup
// runs, as after a test's timeout.
func startProcess(binary string, args []string, logFile string) (*process, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	p := &process{cmd: exec.Command(binary, args...), logFile: logFile, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = dieWithParent()

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
		return nil, fmt.Errorf("starting %s: %w", binary, err)
	}
	return p, nil
}

func (p *process) pid() int {
	return p.cmd.Process.Pid
}

// stop asks the child to end, kills it when it takes too long, and returns when
// it is gone.
func (p *process) stop() {
	// An error means that it is gone already, which done tells as well.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(stopTimeout):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// portTaken reports whether the child could not bind its port.
func (p *process) portTaken() bool {
	log, err := os.ReadFile(p.logFile)
	return err == nil && bytes.Contains(log, []byte("address already in use"))
}

// tail returns the last lines of the child's output.
func (p *process) tail() string {
	log, err := os.ReadFile(p.logFile)
	if err != nil {
		return fmt.Sprintf("(reading the log: %v)", err)
	}
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
