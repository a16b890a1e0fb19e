package resilience

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// smallDisk returns a directory on a file system that has room for 200 MiB. A process holds it in a mount namespace of its own, which
// needs no rights on a Linux that lets users have namespaces.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	holder := exec.CommandContext(t.Context(), "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
		`mount -t tmpfs -o size=200m none "$0" && echo mounted && exec cat`, dir)
	holder.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Skipf("this machine cannot give a test a file system: %v", err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = holder.Wait()
	})
	if _, err := io.ReadFull(stdout, make([]byte, len("mounted"))); err != nil {
		t.Skipf("this machine cannot give a test a file system: %v", err)
	}
	return fmt.Sprintf("/proc/%d/root%s", holder.Process.Pid, dir)
}

func TestDisk_FullEndsTheServerWithOneLine(t *testing.T) {
	disk := smallDisk(t)
	// The log is elsewhere.
	dir := filepath.Join(t.TempDir(), "annex")
	if err := errors.Join(os.Mkdir(filepath.Join(disk, "annex"), 0o700), os.Symlink(filepath.Join(disk, "annex"), dir)); err != nil {
		t.Fatal(err)
	}
	launched, err := annex.Launch(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(launched.Kill)
	server := launched.For(t)
	typed, _ := annex.Clients(t, impatient(server.Workspace("root")))
	configMaps := typed.CoreV1().ConfigMaps("default")
	fill, err := os.Create(filepath.Join(disk, "fill"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(fill, zeros{}); !errors.Is(err, syscall.ENOSPC) || n == 0 {
		t.Fatalf("filling the disk: %d bytes, %v", n, err)
	}
	if err := fill.Close(); err != nil {
		t.Fatal(err)
	}
	var acknowledged []string
	for i := range 300 {
		name := fmt.Sprintf("big-%d", i)
		if _, err = configMaps.Create(t.Context(), configMap(name, strings.Repeat("x", 500<<10)), metav1.CreateOptions{}); err != nil {
			break
		}
		acknowledged = append(acknowledged, name)
	}
	select {
	case <-server.Done():
	case <-time.After(2 * time.Minute):
		t.Fatalf("the server goes on after %v:\n%s", err, server.Log())
	}
	log, err := os.ReadFile(dir + ".log")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(log), "Stop it with Ctrl-C.\n")
	if !strings.HasPrefix(after, "annex: the embedded etcd on ") || !strings.Contains(after, "no space left on device; free the disk if it is full") || strings.Count(after, "\n") != 1 {
		t.Errorf("the server says:\n%s", after)
	}

	if err := os.Remove(fill.Name()); err != nil {
		t.Fatal(err)
	}
	server.Start()
	typed, _ = annex.Clients(t, server.Workspace("root"))
	for _, name := range acknowledged {
		if _, err := typed.CoreV1().ConfigMaps("default").Get(t.Context(), name, metav1.GetOptions{}); err != nil {
			t.Errorf("what was acknowledged is lost: %v", err)
		}
	}
	t.Logf("%d objects were acknowledged on the full disk", len(acknowledged))
	server.Stop()
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
