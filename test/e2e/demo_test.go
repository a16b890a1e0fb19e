package e2e

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/annex-dev/annex/test/framework/annex"
)

// demonstration returns the program of make demo, and an environment in which all that it writes is in one directory.
func demonstration(t *testing.T) (program, dir string, env []string) {
	t.Helper()
	program, err := annex.Program("demo")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	return program, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + dir, "TERM=xterm", "SHELL=/bin/bash"}
}

// nothingRemains fails unless the demonstration has left neither a file nor a server.
func nothingRemains(t *testing.T, dir, address string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the demonstration leaves %v, %v", left, err)
	}
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Errorf("kube-apiserver still listens on %s", address)
	}
}

// A user types what the demonstration asks them to type, interrupts a command, and leaves.
func TestDemo_InTerminal(t *testing.T) {
	program, dir, env := demonstration(t)
	term := inTerminal(t, env, program)
	term.shows("Starting a cluster")
	term.shows("The cluster is ready")
	term.shows("Type, for example:", "To stop everything, type exit.", "(annex demo)")
	kubeconfigs, err := filepath.Glob(filepath.Join(dir, "*", "kubeconfig"))
	if err != nil || len(kubeconfigs) != 1 {
		t.Fatalf("there are the kubeconfigs %v, %v", kubeconfigs, err)
	}
	config, err := clientcmd.LoadFromFile(kubeconfigs[0])
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(config.Clusters["host"].Server)
	if err != nil {
		t.Fatal(err)
	}
	typing, err := os.ReadFile("../demo/try.sh")
	if err != nil {
		t.Fatal(err)
	}
	typed := 0
	for line := range strings.Lines(string(typing)) {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		term.types(strings.TrimSpace(line) + "; echo typed=$?\r")
		typed++
	}
	for _, want := range []string{"team-b", "first", "Current workspace is 'root:acme:team-b'", "namespace/shop created", "kube-system"} {
		term.shows(want)
	}
	term.types("echo all typed; sleep 1000; echo\r")
	term.shows("all typed\r\n")
	term.types("\x03")
	term.types("echo $KUBECONFIG; exit 3\r")
	if err := term.ends(); err != nil {
		t.Error(err)
	}
	term.shows("Stopping the cluster.")
	term.mu.Lock()
	shown := term.shown.String()
	term.mu.Unlock()
	if strings.Contains(shown, "typed=1") || strings.Count(shown, "typed=0\r\n") != typed {
		t.Errorf("a line fails:\n%s", shown)
	}
	nothingRemains(t, dir, server.Host)
}

// Without a terminal it checks what it asks users to type.
func TestDemo_WithoutTerminal(t *testing.T) {
	program, dir, env := demonstration(t)
	command := exec.CommandContext(t.Context(), program)
	command.Env = env
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"is no terminal", "namespace/shop created", "first", "Stopping the cluster."} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the demonstration leaves %v, %v", left, err)
	}
}
