package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/terminal"
)

// directory is set in the process that TestShell starts.
const directory = "ANNEX_TEST_DIRECTORY"

func TestMain(m *testing.M) {
	if dir := os.Getenv(directory); dir != "" {
		if err := use(&cluster{dir: dir, programs: filepath.Join(dir, "bin")}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A user interrupts a command in the shell and leaves it with an error. Neither ends the demonstration in another way than exit does.
func TestShell(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, home := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(home, ".bashrc"), []byte("PS1=mine; KUBECONFIG=mine; PATH=/usr/bin:/bin\nalias greet='echo hello'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"/bin/bash", "/bin/sh"} {
		term := terminal.Run(t, []string{directory + "=" + dir, "SHELL=" + shell, "HOME=" + home, "TERM=dumb", "PATH=/usr/bin:/bin"}, program)
		term.Shows("Type, for example:", "kubectl annex tree", "To stop everything, type exit.", "(annex demo)")
		term.Types("echo all; echo typed; sleep 1000; echo woke\r")
		term.Shows("all\r\ntyped\r\n")
		term.Types("\x03")
		term.Types("echo has $KUBECONFIG and ${PATH%%:*}; greet; exit 3\r")
		term.Shows("has " + filepath.Join(dir, "kubeconfig") + " and " + filepath.Join(dir, "bin") + "\r\n")
		if err := term.Ends(); err != nil {
			t.Errorf("in %s: %v\n%s", shell, err, term.Shown())
		}
		shown := term.Shown()
		if shell == "/bin/bash" && !strings.Contains(shown, "hello\r\n") {
			t.Errorf("the user's own settings are lost:\n%s", shown)
		}
	}
}

// The first command that fails ends a script.
func TestScript_FailsWithItsCommands(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	c := &cluster{dir: dir, programs: filepath.Join(dir, "bin")}
	for content, wantErr := range map[string]bool{
		"true\n! false\n":         false,
		"false\ntrue\n":           true,
		"false | true\ntrue\n":    true,
		"echo $undefined\ntrue\n": true,
	} {
		if err := c.script(t.Context(), "test.sh", content); (err != nil) != wantErr {
			t.Errorf("%q: %v, want an error: %t", content, err, wantErr)
		}
	}
}
