package e2e

import (
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/annex-dev/annex/test/framework/annex"
)

var hostURL = regexp.MustCompile(`the API server is at https://(\S+)`)

// Without a terminal, the demonstration checks what it asks users to type, and leaves neither a file nor a server.
func TestDemo_WithoutTerminal(t *testing.T) {
	program, err := annex.Program("demo")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), program)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + dir}
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"is no terminal", "first", "namespace/shop created", "Stopping the cluster."} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the demonstration leaves %v, %v", left, err)
	}
	address := hostURL.FindSubmatch(out)
	if address == nil {
		t.Fatalf("it does not say where the cluster is:\n%s", out)
	}
	if conn, err := net.Dial("tcp", string(address[1])); err == nil {
		_ = conn.Close()
		t.Errorf("kube-apiserver still listens on %s", address[1])
	}
}
