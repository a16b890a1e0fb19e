package e2e

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/picture"
)

var updatePictures = flag.Bool("update", false, "draw the pictures of docs/tutorial.md anew")

const (
	tutorialPage    = "../../docs/tutorial.md"
	tutorialTimeout = 5 * time.Minute
	// operatorLine is what runs until somebody stops it.
	operatorLine = "bin/route-operator --kubeconfig .annex/operator.kubeconfig"
)

// tutorialPart is a block of commands, or a picture of the block before it.
var tutorialPart = regexp.MustCompile("(?s)```sh\n(.*?)```|!\\[([^\\]]*)\\]\\(pictures/([a-z-]+)\\.svg\\)")

// varying is what another run prints otherwise.
var varying = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\b[0-9]+s\b`), "5s"},
	{regexp.MustCompile(`\b[0-9a-z]{16}\.example\.com`), "2f8kq1z0c7a9x3bd.example.com"},
}

// session is a shell in which one types.
type session struct {
	t    *testing.T
	in   io.Writer
	out  *bufio.Scanner
	typ  *exec.Cmd
	turn int
}

// openSession starts a shell in a directory like a checkout after make build.
func openSession(t *testing.T, kubeconfig string) *session {
	t.Helper()
	dir := t.TempDir()
	bin := pluginPath(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"bin": bin, "examples": filepath.Join(root, "examples")} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, ".annex"), 0o700); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "bash")
	command.Dir = dir
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "HOME="+dir)
	// What it starts ends with it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = writer, writer
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	t.Cleanup(func() {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		_ = command.Wait() // it was killed
		_ = reader.Close()
	})
	out := bufio.NewScanner(reader)
	out.Buffer(nil, 1<<20)
	return &session{t: t, in: in, out: out, typ: command}
}

// enter types a command and returns what it prints. It has to succeed.
func (s *session) enter(command string) string {
	s.t.Helper()
	s.turn++
	end := fmt.Sprintf("end of %d:", s.turn)
	overdue := time.AfterFunc(tutorialTimeout, func() { _ = syscall.Kill(-s.typ.Process.Pid, syscall.SIGKILL) })
	defer overdue.Stop()
	if _, err := fmt.Fprintf(s.in, "%s\necho \"%s $?\"\n", strings.TrimSuffix(command, "\n"), end); err != nil {
		s.t.Fatalf("typing %q: %v", command, err)
	}
	var printed strings.Builder
	for s.out.Scan() {
		before, code, ended := strings.Cut(s.out.Text(), end)
		if !ended {
			printed.WriteString(before + "\n")
			continue
		}
		if printed.WriteString(before); strings.TrimSpace(code) != "0" {
			s.t.Fatalf("%s\nfails:\n%s", command, printed.String())
		}
		return printed.String()
	}
	s.t.Fatalf("%s\ndoes not end:\n%s", command, printed.String())
	return ""
}

// commandsIn returns the commands of a block. One with a here-document has several lines.
func commandsIn(block string) []string {
	var commands []string
	document := false
	for line := range strings.Lines(block) {
		if document {
			commands[len(commands)-1] += line
		} else {
			commands = append(commands, line)
		}
		document = document && line != "END\n" || strings.HasSuffix(line, "<<END\n")
	}
	return commands
}

// The tutorial works as typed, and its pictures show what it prints.
func TestTutorial_WorksAsTyped(t *testing.T) {
	if _, err := annex.Program("route-operator"); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(tutorialPage)
	if err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t)
	shell := openSession(t, server.Kubeconfig())
	var shown strings.Builder
	pictures, operator := 0, false
	for _, part := range tutorialPart.FindAllStringSubmatch(string(page), -1) {
		if name := part[3]; name != "" {
			pictures++
			comparePicture(t, name, picture.Terminal(part[2], shown.String()))
			continue
		}
		shown.Reset()
		for _, command := range commandsIn(part[1]) {
			switch {
			case strings.HasPrefix(command, "make "), strings.HasPrefix(command, "export KUBECONFIG"):
				continue // done already
			case strings.TrimSpace(command) == operatorLine:
				operator = true
				command = operatorLine + " >operator.log 2>&1 &"
			}
			shown.WriteString("$ " + command)
			printed := shell.enter(command)
			for _, v := range varying {
				printed = v.pattern.ReplaceAllString(printed, v.instead)
			}
			for line := range strings.Lines(printed) {
				shown.WriteString(strings.TrimRight(line, " \n") + "\n")
			}
		}
	}
	if pictures == 0 || !operator {
		t.Errorf("the tutorial has %d pictures and starts an operator: %t", pictures, operator)
	}
	if left := server.Kubectl("root", "", "get", "workspaces", "-o", "name"); left != "" {
		t.Errorf("workspaces are left: %s", left)
	}
}

func comparePicture(t *testing.T, name string, drawn []byte) {
	t.Helper()
	path := filepath.Join(filepath.Dir(tutorialPage), "pictures", name+".svg")
	if *updatePictures {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, drawn, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	is, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(is, drawn) {
		t.Errorf("the picture %s is not what is printed now; run the test with -update:\n%s", name, drawn)
	}
}
