package terminal

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

// Terminal is a pseudo-terminal with a program in it.
type Terminal struct {
	tb     testing.TB
	screen *os.File
	done   chan error
	mu     sync.Mutex
	shown  bytes.Buffer
}

// Run runs a program in a terminal of 80 columns and 24 lines. Its environment is env.
func Run(tb testing.TB, env []string, program string, args ...string) *Terminal {
	tb.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		tb.Fatal(err)
	}
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0), unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	if err != nil {
		tb.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		tb.Fatal(err)
	}
	term := &Terminal{tb: tb, screen: master, done: make(chan error, 1)}
	command := exec.CommandContext(tb.Context(), program, args...)
	command.Env, command.Stdin, command.Stdout, command.Stderr = env, slave, slave, slave
	// It is the terminal that Ctrl-C comes from.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	_ = slave.Close()
	go term.read()
	go func() { term.done <- command.Wait() }()
	tb.Cleanup(func() { _ = master.Close() })
	return term
}

func (term *Terminal) read() {
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

// Shows waits until the last screen contains each text.
func (term *Terminal) Shows(wants ...string) {
	term.tb.Helper()
	annex.Eventually(term.tb, func(context.Context) error {
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

// Types types keys.
func (term *Terminal) Types(keys string) {
	term.tb.Helper()
	if _, err := term.screen.WriteString(keys); err != nil {
		term.tb.Fatal(err)
	}
}

// Ends waits until the program has ended, and returns its error.
func (term *Terminal) Ends() error { return <-term.done }

// Shown returns everything that was shown so far.
func (term *Terminal) Shown() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.shown.String()
}
