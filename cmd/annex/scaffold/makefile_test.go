package scaffold

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// desk is a project, and the programs that its Makefile finds: scripts that write their names and arguments to a file.
type desk struct {
	t                  *testing.T
	dir, programs, log string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	if _, err := exec.LookPath("make"); err != nil {
		t.Fatal(err)
	}
	p := Project{Name: "account", Group: "shop.example.com"}
	p.Complete("v0.2.0")
	d := &desk{t: t, dir: filepath.Join(t.TempDir(), "account"), programs: t.TempDir()}
	d.log = filepath.Join(d.programs, "log")
	if err := p.Write(d.dir); err != nil {
		t.Fatal(err)
	}
	// Newer than go.mod, so that nothing is downloaded.
	if err := os.WriteFile(filepath.Join(d.dir, "go.sum"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// add adds a program.
func (d *desk) add(name, script string) {
	d.t.Helper()
	text := "#!/bin/sh\necho " + name + " \"$@\" >>" + d.log + "\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(d.programs, name), []byte(text), 0o700); err != nil {
		d.t.Fatal(err)
	}
}

// make runs a target and returns what it prints, and which programs it calls.
func (d *desk) make(env string, args ...string) (printed, called string, err error) {
	d.t.Helper()
	_ = os.Remove(d.log) // there may be none
	command := exec.CommandContext(d.t.Context(), "make", append([]string{"--no-print-directory"}, args...)...)
	command.Dir = d.dir
	command.Env = append(os.Environ(), "PATH="+d.programs+":/usr/bin:/bin", "ANNEX_ASSETS=", env)
	out, err := command.CombinedOutput()
	calls, _ := os.ReadFile(d.log) // there is none if nothing was called
	return string(out), string(calls), err
}

func TestMakefile_TestSaysFirstThatAnnexIsMissing(t *testing.T) {
	d := newDesk(t)
	d.add("go", "")
	for _, env := range []string{"ANNEX_ASSETS=", "ANNEX_ASSETS=/nowhere"} {
		out, called, err := d.make(env, "test")
		if err == nil || !strings.Contains(out, "set ANNEX_ASSETS to the absolute path") || called != "" {
			t.Errorf("with %s: %v, it calls %q\n%s", env, err, called, out)
		}
	}
	d.add("annex", "")
	for _, env := range []string{"ANNEX_ASSETS=", "ANNEX_ASSETS=" + d.programs} {
		out, called, err := d.make(env, "test")
		if err != nil || !strings.Contains(out, "The first time, this takes some minutes") || !strings.Contains(called, "go test") {
			t.Errorf("with %s: %v, it calls %q\n%s", env, err, called, out)
		}
	}
}

func TestMakefile_PublishesInAWorkspaceOnly(t *testing.T) {
	const workspace, host = `{"resources":[{"name":"secrets"}]}`, `{"resources":[{"name":"nodes"},{"name":"secrets"}]}`
	for name, test := range map[string]struct {
		// object is the exit code of reading the LogicalCluster.
		object, api string
		want        bool
	}{
		"a workspace":               {"0", workspace, true},
		"a host":                    {"0", host, false},
		"a cluster without Annex":   {"1", host, false},
		"a server that is not here": {"1", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.add("kubectl", `case "$*" in *--raw*) echo '`+test.api+`';; *logicalcluster*) echo root:provider; exit `+test.object+`;; esac`)
			out, called, err := d.make("", "publish")
			if published := strings.Contains(called, "kubectl apply"); published != test.want || (err == nil) != test.want {
				t.Errorf("it publishes: %t, %v\n%s", published, err, out)
			}
			want := "Publishing in the workspace root:provider"
			if !test.want {
				want = "annex kubeconfig --workspace PATH"
			}
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		})
	}
}

// The image is built from the program alone: go.mod may name directories that no image has.
func TestMakefile_TheImageHasTheProgram(t *testing.T) {
	d := newDesk(t)
	d.add("go", `if test "$1" = env; then echo arm64; else test "$CGO_ENABLED$GOOS" = 0linux && mkdir -p bin/image && echo "the program" >bin/image/account; fi`)
	d.add("podman", "")
	out, called, err := d.make("", "image", "DOCKER=podman", "IMAGE=mine:1")
	if err != nil || !strings.Contains(called, "podman build --platform linux/arm64 --tag mine:1 .") {
		t.Errorf("%v, it calls %q\n%s", err, called, out)
	}
	copied := 0
	for line := range strings.Lines(d.read("Dockerfile")) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "COPY":
			copied++
			if d.read(words[1]) != "the program\n" {
				t.Errorf("%s does not copy the program", line)
			}
		case words[0] == "FROM" && words[1] != "scratch", words[0] == "RUN":
			t.Errorf("the image is built with %s", line)
		}
	}
	if copied != 1 {
		t.Errorf("the Dockerfile copies %d times", copied)
	}
	for file, wants := range map[string][]string{".gitignore": {"*.kubeconfig", "/bin/"}, ".dockerignore": {"*", "!bin/image", "**/*.kubeconfig"}} {
		lines := strings.Split(d.read(file), "\n")
		for _, want := range wants {
			if !slices.Contains(lines, want) {
				t.Errorf("%s lacks %s", file, want)
			}
		}
	}
}

func (d *desk) read(file string) string {
	d.t.Helper()
	content, err := os.ReadFile(filepath.Join(d.dir, file))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(content)
}
