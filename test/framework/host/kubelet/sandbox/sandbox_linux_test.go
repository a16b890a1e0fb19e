package sandbox

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}

func newNode(t *testing.T) *Node {
	t.Helper()
	log := filepath.Join(t.TempDir(), "node.log")
	n, err := Start(log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		if text, _ := os.ReadFile(log); len(text) > 0 {
			t.Logf("the node's log:\n%s", text)
		}
	})
	return n
}

func addPod(t *testing.T, n *Node, id, address string) *Pod {
	t.Helper()
	p, err := n.AddPod(t.Context(), id, address)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shell is a container with the machine's programs in it.
func shell(t *testing.T, script string, change ...func(*Container)) Container {
	t.Helper()
	dir := t.TempDir()
	c := Container{
		Root: filepath.Join(dir, "root"), Hostname: "box", User: 1234, Group: 4321,
		Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/usr/sbin", "GREETING=hello"},
		Mounts: []Mount{{Source: "/usr", Target: "/usr", ReadOnly: true}}, Links: map[string]string{},
		Files: map[string][]byte{"/etc/motto": []byte("once\n")},
		Log:   filepath.Join(dir, "log"), NoNewPrivileges: true, FilterSystemCalls: true,
	}
	for _, link := range []string{"/bin", "/lib", "/lib64"} {
		if target, err := os.Readlink(link); err == nil {
			c.Links[link] = target
		} else {
			c.Mounts = append(c.Mounts, Mount{Source: link, Target: link, ReadOnly: true})
		}
	}
	if err := os.Mkdir(c.Root, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

// run runs a container to its end and returns what it printed.
func run(t *testing.T, p *Pod, c Container) (Exit, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	process, err := p.Run(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		t.Fatalf("the container does not end; its log:\n%s", logOf(t, c))
	}
	return process.Exit(), logOf(t, c)
}

func logOf(t *testing.T, c Container) string {
	t.Helper()
	text, err := os.ReadFile(c.Log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestRun_ShowsWhatTheContainerSays(t *testing.T) {
	n := newNode(t)
	p := addPod(t, n, "pod", "10.244.0.2")
	kept := t.TempDir()
	root := func(c *Container) { c.User, c.Group = 0, 0 }
	for name, test := range map[string]struct {
		script string
		change func(*Container)
		want   string
	}{
		"the ids that were asked for": {"id -u; id -g", nil, "1234\n4321"},
		"it is the first process":     {"echo $$", nil, "1"},
		"its host name":               {"cat /proc/sys/kernel/hostname", nil, "box"},
		"its environment only":        {"env | grep -v -e ^PWD -e ^SHLVL -e ^_= -e ^OLDPWD | sort", nil, "GREETING=hello\nPATH=/usr/bin:/usr/sbin"},
		"its files only": {"ls / | tr '\\n' ' '; cat /etc/motto", func(c *Container) {
			c.Links = map[string]string{"/bin": "usr/bin", "/lib": "usr/lib", "/lib64": "usr/lib64"}
		}, "bin dev etc lib lib64 proc tmp usr once"},
		"its working directory":            {"pwd", func(c *Container) { c.WorkingDir = "/var/lib/box" }, "/var/lib/box"},
		"its own processes only":           {"echo /proc/[0-9]*", nil, "/proc/1"},
		"a user cannot write to the root":  {"echo x 2>/dev/null >/file || echo refused; echo x >/tmp/file && echo written", nil, "refused\nwritten"},
		"a read-only root":                 {"echo x 2>/dev/null >/tmp/file || echo refused", func(c *Container) { c.ReadOnlyRoot = true }, "refused"},
		"root writes to its root":          {"echo x >/file && cat /file", root, "x"},
		"the kernel's settings stay":       {"echo x 2>/dev/null >/proc/sys/kernel/hostname || echo refused", root, "refused"},
		"a user has no capabilities":       {"grep -e CapEff -e CapBnd /proc/self/status", nil, "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000"},
		"root keeps those that it is left": {"grep -e CapEff -e CapBnd /proc/self/status", func(c *Container) { root(c); c.Capabilities = []string{"NET_BIND_SERVICE"} }, "CapBnd:\t0000000000000400"},
		"no new privileges and a filter":   {"grep -e NoNewPrivs -e Seccomp: /proc/self/status", nil, "NoNewPrivs:\t1\nSeccomp:\t2"},
		"the filter refuses namespaces":    {"unshare -r true 2>/dev/null || echo refused", nil, "refused"},
		"a volume": {"echo kept >/data/file && cat /data/file", func(c *Container) {
			c.Mounts = append(c.Mounts, Mount{Source: kept, Target: "/data"})
		}, "kept"},
		"a read-only volume": {"echo x 2>/dev/null >/data/file || echo refused", func(c *Container) {
			c.Mounts = append(c.Mounts, Mount{Source: kept, Target: "/data", ReadOnly: true})
		}, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			c := shell(t, test.script)
			if test.change != nil {
				test.change(&c)
			}
			_, got := run(t, p, c)
			if !strings.HasSuffix(got, test.want) {
				t.Errorf("it prints %q, want %q", got, test.want)
			}
		})
	}
}

func TestRun_TellsHowItEnded(t *testing.T) {
	n := newNode(t)
	p := addPod(t, n, "pod", "10.244.0.2")
	if got, _ := run(t, p, shell(t, "exit 7")); got != (Exit{Code: 7}) {
		t.Errorf("exit is %+v, want code 7", got)
	}

	_, err := p.Run(t.Context(), shell(t, "", func(c *Container) { c.Args = []string{"no-such-program"} }))
	if !errors.Is(err, ErrNotStarted) || !strings.Contains(err.Error(), "not found in $PATH") {
		t.Errorf("a missing program gives %v, want ErrNotStarted that says so", err)
	}

	c := shell(t, `trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done`)
	process, err := p.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, "it is ready", func() bool { return logOf(t, c) == "ready" })
	exit, output, err := process.Exec(t.Context(), Exec{Args: []string{"sh", "-c", "echo $GREETING from $(id -u) among $(cat /proc/1/comm); exit 5"}, Timeout: 2 * time.Minute})
	if err != nil || exit.Code != 5 || strings.TrimSpace(output) != "hello from 1234 among sh" {
		t.Errorf("a further process gives %+v, %q, %v, want code 5 and a greeting from inside", exit, output, err)
	}
	if _, _, err := process.Exec(t.Context(), Exec{Args: []string{"sleep", "60"}, Timeout: 50 * time.Millisecond}); err == nil || !strings.Contains(err.Error(), "did not end within") {
		t.Errorf("a further process that hangs gives %v, want an error", err)
	}
	process.Signal(syscall.SIGTERM)
	if got := process.Exit(); got != (Exit{Code: 3}) || logOf(t, c) != "ready\nbye" {
		t.Errorf("exit after SIGTERM is %+v, want code 3 by its trap", got)
	}

	// The first process of a pid namespace gets no signal that it does not handle.
	process, err = p.Run(t.Context(), shell(t, "sleep 60"))
	if err != nil {
		t.Fatal(err)
	}
	process.Signal(syscall.SIGKILL)
	if got := process.Exit(); got != (Exit{Code: 137, Signal: 9}) {
		t.Errorf("exit after SIGKILL is %+v, want 137", got)
	}
}

func TestPods_HaveNetworksOfTheirOwn(t *testing.T) {
	n := newNode(t)
	if err := n.Route(t.Context(), "10.0.0.0/24"); err != nil {
		t.Fatal(err)
	}
	service, err := n.Listen(t.Context(), "10.0.0.9:443")
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	go answerAll(service, "the service")

	// Both listen on the same port of all addresses.
	for id, address := range map[string]string{"one": "10.244.0.2", "two": "10.244.0.3"} {
		p := addPod(t, n, id, address)
		l, err := p.Listen(t.Context(), "0.0.0.0:443")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go answerAll(l, id)
		conn, err := n.Dial(t.Context(), "tcp", address+":443")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got, err := io.ReadAll(conn); err != nil || string(got) != id {
			t.Errorf("at %s answers %q, %v, want %q", address, got, err, id)
		}
	}
	python := `import socket,sys
for a in sys.argv[1:]:
  print(socket.create_connection((a, 443), 5).makefile().read())`
	three := addPod(t, n, "three", "10.244.0.4")
	_, got := run(t, three, shell(t, "", func(c *Container) {
		c.Args = []string{"python3", "-c", python, "10.244.0.2", "10.244.0.3", "10.0.0.9"}
	}))
	if want := "one\ntwo\nthe service"; got != want {
		t.Errorf("from a pod, pods and a Service answer %q, want %q", got, want)
	}
	if _, err := n.Dial(t.Context(), "tcp", "10.244.0.4:443"); !strings.Contains(err.Error(), "refused") {
		t.Errorf("a port that nobody listens on gives %v, want refused", err)
	}
	if _, err := n.AddPod(t.Context(), "one", "10.244.0.5"); err == nil {
		t.Error("a second pod of the same name is made")
	}
}

func TestClose_EndsAllProcesses(t *testing.T) {
	n, err := Start(filepath.Join(t.TempDir(), "node.log"))
	if err != nil {
		t.Fatal(err)
	}
	p := addPod(t, n, "pod", "10.244.0.2")
	seconds := strconv.Itoa(100000 + os.Getpid())
	process, err := p.Run(t.Context(), shell(t, "exec sleep "+seconds))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if got := process.Exit(); got.Signal != int(syscall.SIGKILL) {
		t.Errorf("exit is %+v, want a kill", got)
	}
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range commands {
		if text, _ := os.ReadFile(file); strings.Contains(string(text), seconds) {
			t.Errorf("%s is still running", file)
		}
	}
}

func TestStart_WithoutMain(t *testing.T) {
	t.Setenv(stageVariable, stageNode)
	if _, err := Start(filepath.Join(t.TempDir(), "node.log")); err == nil || !strings.Contains(err.Error(), "kubelet.Main()") {
		t.Errorf("a stage that ran past Main gives %v, want an error that names it", err)
	}
}

func answerAll(l net.Listener, text string) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}
