package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/annex-dev/annex/test/framework/annex"
)

// terminal is a pseudo-terminal with a program in it.
type terminal struct {
	t      *testing.T
	screen *os.File
	done   chan error
	mu     sync.Mutex
	shown  bytes.Buffer
}

// inTerminal runs a program in a terminal of 80 columns and 24 lines. Its environment is env.
func inTerminal(t *testing.T, env []string, program string, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0), unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, screen: master, done: make(chan error, 1)}
	command := exec.CommandContext(t.Context(), program, args...)
	command.Env, command.Stdin, command.Stdout, command.Stderr = env, slave, slave, slave
	// It is the terminal that Ctrl-C comes from.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = slave.Close()
	go term.read()
	go func() { term.done <- command.Wait() }()
	t.Cleanup(func() { _ = master.Close() })
	return term
}

func (term *terminal) read() {
	buffer := make([]byte, 4096)
	for {
		n, err := term.screen.Read(buffer)
		term.mu.Lock()
		term.shown.Write(buffer[:n])
		term.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// shows waits until the last screen contains each text.
func (term *terminal) shows(wants ...string) {
	term.t.Helper()
	annex.Eventually(term.t, func(context.Context) error {
		term.mu.Lock()
		defer term.mu.Unlock()
		all := term.shown.String()
		last := all[strings.LastIndex(all, "\x1b[2J")+1:]
		for _, want := range wants {
			if !strings.Contains(last, want) {
				return fmt.Errorf("the terminal does not show %q:\n%q", want, last)
			}
		}
		return nil
	})
}

func (term *terminal) types(keys string) {
	term.t.Helper()
	if _, err := term.screen.WriteString(keys); err != nil {
		term.t.Fatal(err)
	}
}

// ends waits until the program has ended, and returns its error.
func (term *terminal) ends() error { return <-term.done }

// A user chooses a workspace from the tree on a terminal, or none.
func TestPlugin_Interactive(t *testing.T) {
	plugin, err := annex.Program("kubectl-annex")
	if err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t)
	org, _ := server.NewWorkspace("root", "org", "organization")
	server.NewWorkspace(org, "team-a", "")
	server.NewWorkspace(org, "team-b", "")
	env := []string{"KUBECONFIG=" + server.Kubeconfig(), "HOME=" + t.TempDir(), "TERM=xterm"}
	before, err := os.ReadFile(server.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}

	quits := inTerminal(t, env, plugin, "ws", "-i")
	quits.shows("> - root", "+ org", "enter switch")
	quits.types("q")
	if err := quits.ends(); err != nil {
		t.Error(err)
	}
	if after, err := os.ReadFile(server.Kubeconfig()); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the kubeconfig has changed: %v\n%s", err, after)
	}

	chooses := inTerminal(t, env, plugin, "tree", "--interactive")
	chooses.shows("> - root", "exports tenancy.kcp.io")
	chooses.types("j\x1b[C")
	chooses.shows(">   - org", "+ team-a", "+ team-b")
	chooses.types("jj")
	chooses.shows(">     + team-b", "root:org:team-b", "binds   root:tenancy.kcp.io (Bound)")
	chooses.types("\r")
	if err := chooses.ends(); err != nil {
		t.Error(err)
	}
	chooses.shows("Current workspace is 'root:org:team-b' (type root:universal).")
	again := inTerminal(t, env, plugin, "ws", "-i")
	again.shows(">       team-b", "root:org:team-b")
	again.types("\x03")
	if err := again.ends(); err != nil {
		t.Error(err)
	}
}
