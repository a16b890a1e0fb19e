package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

var (
	//go:embed scene.sh
	scene string
	//go:embed try.sh
	trying string
)

// stopGrace is how long a script or shell may take to end after a signal.
const stopGrace = 5 * time.Second

// prompt is put behind the user's own settings, which may set what the shell got from its environment.
const prompt = `[ ! -r ~/.bashrc ] || . ~/.bashrc
export KUBECONFIG=%q PATH=%q:$PATH
PS1='(annex demo) \w \$ '
`

// script runs commands, which are printed, and ends at the first that fails.
func (c *cluster) script(ctx context.Context, name, content string) error {
	path := filepath.Join(c.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return err
	}
	command := c.command(ctx, "bash", "-euvo", "pipefail", path)
	command.Stdin = nil
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// shell says what to type and returns when the user leaves the shell.
func (c *cluster) shell(ctx context.Context) error {
	name := os.Getenv("SHELL")
	if name == "" {
		name = "/bin/sh"
	}
	var args []string
	if filepath.Base(name) == "bash" {
		settings := filepath.Join(c.dir, "bashrc")
		if err := os.WriteFile(settings, fmt.Appendf(nil, prompt, c.kubeconfig(), c.programs), 0o600); err != nil {
			return err
		}
		args = []string{"--rcfile", settings, "-i"}
	}
	command := c.command(ctx, name, args...)
	command.Env = append(command.Env, "PS1=(annex demo) $ ")
	fmt.Printf("\nYou are in a shell with KUBECONFIG set. Type, for example:\n\n%s\nTo stop everything, type exit.\n\n", trying)
	err := command.Run()
	// What the last command of the user returned says nothing about the demonstration.
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil
	}
	return err
}

// command runs in the checkout with the terminal of this program. It ends with ctx.
func (c *cluster) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = filepath.Dir(c.programs)
	command.Env, command.Stdin, command.Stdout, command.Stderr = c.environment(), os.Stdin, os.Stdout, os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGHUP) } // an interactive shell ignores SIGTERM
	command.WaitDelay = stopGrace
	return command
}
