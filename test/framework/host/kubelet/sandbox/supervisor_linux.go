package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// maxOutput is how much of the output of an Exec is kept.
const maxOutput = 10 << 10

// supervised is a container as its supervisor sees it.
type supervised struct {
	spec   Container
	self   *os.File // this program; its path is not in the container
	first  int      // descriptor of the first process, for its pid namespace
	conn   *net.UnixConn
	sendMu sync.Mutex
}

// supervisor is the stage that starts one container, does what it is asked to
// on the connection, and reports the end.
func supervisor() error {
	// The container dies with the thread that started it.
	runtime.LockOSThread()
	control := os.NewFile(3, "control")
	conn, err := net.FileConn(control)
	if err != nil {
		return fmt.Errorf("taking the connection: %w", err)
	}
	_ = control.Close()
	s := &supervised{conn: conn.(*net.UnixConn)}
	if err := json.NewDecoder(os.Stdin).Decode(&s.spec); err != nil {
		return fmt.Errorf("decoding the container: %w", err)
	}
	cmd, err := s.start()
	if err != nil {
		s.reply(reply{Error: err.Error()})
		return nil
	}
	s.reply(reply{})
	go s.serve(cmd.Process)
	_ = cmd.Wait() // what it tells is in the state
	exit := exitOf(cmd.ProcessState)
	s.reply(reply{Exit: &exit})
	return nil
}

func exitOf(state *os.ProcessState) Exit {
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return Exit{Code: 128 + int(status.Signal()), Signal: int(status.Signal())}
	}
	return Exit{Code: status.ExitStatus()}
}

// reply tells the other end; when that is gone there is nobody to tell.
func (s *supervised) reply(r reply) {
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	_ = send(s.conn, r, nil)
}

// start runs the container and returns when its own program has begun.
func (s *supervised) start() (*exec.Cmd, error) {
	var err error
	if s.self, err = os.Open("/proc/self/exe"); err != nil {
		return nil, fmt.Errorf("opening this program: %w", err)
	}
	log, err := os.OpenFile(s.spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	defer log.Close()
	failure, status, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	defer failure.Close()
	capabilities, err := allCapabilities()
	if err != nil {
		return nil, err
	}
	spec, done, err := s.pipeSpec()
	if err != nil {
		return nil, err
	}
	defer done()
	cmd := stage(stageContainer)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{spec, status}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL, AmbientCaps: capabilities,
		// Not a path of /proc: the root is exchanged for this process, too.
		PidFD: &s.first,
	}
	err = cmd.Start()
	_ = status.Close()
	if err != nil {
		return nil, fmt.Errorf("starting the container: %w", err)
	}
	// Closed by the kernel when the program is executed.
	text, err := io.ReadAll(failure)
	if err == nil && len(text) > 0 {
		err = errors.New(string(text))
	}
	if err != nil {
		_ = cmd.Wait()
		return nil, err
	}
	return cmd, nil
}

// pipeSpec returns a pipe with the container in it, and what releases it.
func (s *supervised) pipeSpec() (*os.File, func(), error) {
	data, err := json.Marshal(s.spec)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the container: %w", err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("making a pipe: %w", err)
	}
	go func() {
		// An error means that the reader ended, which is reported elsewhere.
		_, _ = writer.Write(data)
		_ = writer.Close()
	}()
	return reader, func() { _ = reader.Close() }, nil
}

// serve does what it is asked until the other end is gone, which ends the
// container: nobody could end it later.
func (s *supervised) serve(process *os.Process) {
	requests := json.NewDecoder(s.conn)
	for {
		var r request
		if err := requests.Decode(&r); err != nil {
			_ = process.Kill()
			return
		}
		switch r.Op {
		case opSignal:
			_ = process.Signal(syscall.Signal(r.Signal)) // an error means that it has ended
		case opExec:
			go func() {
				answer := s.exec(r)
				answer.ID = r.ID
				s.reply(answer)
			}()
		}
	}
}

// exec runs a further process in the container.
func (s *supervised) exec(r request) reply {
	ctx, cancel := context.WithTimeout(context.Background(), r.Timeout)
	defer cancel()
	spec := s.spec
	spec.Args = r.Args
	inner := &supervised{spec: spec}
	pipe, done, err := inner.pipeSpec()
	if err != nil {
		return reply{Error: err.Error()}
	}
	defer done()
	capabilities, err := allCapabilities()
	if err != nil {
		return reply{Error: err.Error()}
	}
	var output tail
	// By the number that its descriptor has in the new process: the path is
	// resolved there, in the container's own /proc.
	cmd := exec.CommandContext(ctx, "/proc/self/fd/4")
	cmd.Args, cmd.Env = []string{stageExec}, []string{stageVariable + "=" + stageExec}
	cmd.ExtraFiles = []*os.File{pipe, s.self}
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{AmbientCaps: capabilities}
	if err := startWithin(s.first, cmd); err != nil {
		return reply{Error: fmt.Sprintf("entering the container: %v", err)}
	}
	err = cmd.Wait()
	if ctx.Err() != nil {
		return reply{Error: fmt.Sprintf("%q did not end within %s", r.Args, r.Timeout), Output: output.String()}
	}
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		return reply{Error: err.Error(), Output: output.String()}
	}
	exit := exitOf(cmd.ProcessState)
	return reply{Exit: &exit, Output: output.String()}
}

// startWithin starts a process in the pid namespace of another one.
func startWithin(pidfd int, cmd *exec.Cmd) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(pidfd, unix.CLONE_NEWPID); err != nil {
			result <- err
			return
		}
		result <- cmd.Start()
	}()
	return <-result
}

// tail keeps the end of what is written to it.
type tail struct{ buffer bytes.Buffer }

func (t *tail) Write(p []byte) (int, error) {
	t.buffer.Write(p)
	if over := t.buffer.Len() - maxOutput; over > 0 {
		t.buffer.Next(over)
	}
	return len(p), nil
}

func (t *tail) String() string { return t.buffer.String() }
