package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/annex-dev/annex/test/framework/annex"
)

const (
	tutorial = "../../../docs/operator-tutorial.md"
	// compileTimeout bounds one command, which may compile all that controller-runtime needs.
	compileTimeout = 20 * time.Minute
)

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// section returns what the tutorial asks the reader to type below a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	page, err := os.ReadFile(tutorial)
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	blocks := shellBlock.FindAllStringSubmatch(text, -1)
	if !found || len(blocks) == 0 {
		t.Fatalf("the tutorial has no commands below %q", heading)
	}
	var script strings.Builder
	for _, block := range blocks {
		script.WriteString(block[1])
	}
	return script.String()
}

// reader types what the tutorial says, in a directory of their own, with a kubeconfig for the host.
type reader struct {
	t   *testing.T
	dir string
	env []string
}

func newReader(t *testing.T) *reader {
	t.Helper()
	dir, bin := t.TempDir(), t.TempDir()
	for _, name := range []string{"annex", "kubectl", "kubectl-annex", "helm"} {
		path, err := annex.Program(name)
		if err != nil {
			t.Fatal(err)
		}
		if path, err = filepath.EvalSymlinks(path); err == nil {
			err = os.Symlink(path, filepath.Join(bin, name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// No container engine is here. The image has one file, which make image writes before it calls docker.
	if err := os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\ntest -x bin/image/account\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	source, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(dir, "host.kubeconfig")
	data, err := os.ReadFile(installed.host.Kubeconfig())
	if err == nil {
		err = os.WriteFile(kubeconfig, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &reader{t: t, dir: dir, env: append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "KUBECONFIG="+kubeconfig, "ANNEX_SOURCE="+source, "GOWORK=off")}
}

// types runs commands as they are, in the directory below the reader's, and returns what they print.
func (r *reader) types(below, script string) string {
	r.t.Helper()
	began := time.Now()
	out, err := r.tries(below, script)
	if err != nil {
		r.t.Fatalf("the tutorial fails: %v\n%s\n%s", err, out, installed.node.Describe())
	}
	r.t.Logf("took %s:\n%s", time.Since(began).Round(time.Millisecond), script)
	return out
}

// tries is types for commands that may fail.
func (r *reader) tries(below, script string) (string, error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), compileTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-euxo", "pipefail", "-c", script)
	command.Dir, command.Env = filepath.Join(r.dir, below), r.env
	command.WaitDelay = time.Second
	out, err := command.CombinedOutput()
	return string(out), err
}

// needsAKubeconfig fails unless the operator says which kubeconfig it needs, if it has none, or that of another place.
func (r *reader) needsAKubeconfig() {
	r.t.Helper()
	for script, want := range map[string]string{
		"KUBECONFIG=/nowhere bin/account":                                      "set --kubeconfig or KUBECONFIG",
		"KUBECONFIG=provider.kubeconfig bin/account --workspace=root:provider": "needs a kubeconfig of the host",
	} {
		if out, err := r.tries("account", script); err == nil || !strings.Contains(out, want) {
			r.t.Errorf("%s: %v, want %q\n%s", script, err, want, out)
		}
	}
}

// stays fails unless the files below dir are the same after do.
func (r *reader) stays(do func(), dirs ...string) {
	r.t.Helper()
	before := r.files(dirs)
	do()
	after := r.files(dirs)
	for file, content := range after {
		if before[file] != content {
			r.t.Errorf("%s changes to\n%s", file, content)
		}
	}
	if len(before) == 0 || len(before) != len(after) {
		r.t.Errorf("%d files became %d", len(before), len(after))
	}
}

func (r *reader) files(dirs []string) map[string]string {
	r.t.Helper()
	found := map[string]string{}
	for _, dir := range dirs {
		if err := filepath.WalkDir(filepath.Join(r.dir, dir), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			found[path] = string(content)
			return err
		}); err != nil {
			r.t.Fatal(err)
		}
	}
	return found
}

// The whole way of a provider: an operator is made, tested, published, run and installed on the host, and two consumers get Secrets.
func TestTutorial_WorksAsTyped(t *testing.T) {
	var before sets.Set[string]
	// The host reads what a new APIService serves a moment after it is available.
	if err := eventually(t.Context(), func(ctx context.Context) (err error) {
		before, err = inventory(ctx, installed.host.Config())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r := newReader(t)
	r.types("", section(t, "Create it"))
	if out := r.types("account", section(t, "Test it")); !strings.Contains(out, "ok  \tshop.example.com/account/internal/controller") {
		t.Errorf("make test ends with\n%s", out)
	}
	// Before the reader changes anything, the generated files are up to date.
	r.stays(func() { r.types("account", section(t, "Change the API")) }, "account/api", "account/config")
	if out, err := r.tries("account", "make publish"); err == nil || !strings.Contains(out, "does not lead to a workspace, so nothing is published") {
		t.Errorf("publishing on the host: %v\n%s", err, out)
	}
	r.types("account", section(t, "Publish it"))

	build, run, found := strings.Cut(section(t, "Run it"), "KUBECONFIG=provider.kubeconfig bin/account\n")
	if !found {
		t.Fatal("the tutorial does not run the operator")
	}
	r.types("account", build)
	r.needsAKubeconfig()
	passwords := r.whileOperating(run)
	if len(passwords) != 2 || len(passwords[0]) != 32 || passwords[0] == passwords[1] {
		t.Errorf("the teams have the passwords %q", passwords)
	}

	const makeImage = "make image\n"
	install, found := strings.CutPrefix(section(t, "Install it in the cluster"), makeImage)
	if !found {
		t.Fatal("the tutorial does not begin with the image")
	}
	r.types("account", makeImage)
	if err := installed.setOperator(filepath.Join(r.dir, "account", "bin", "image", "account")); err != nil {
		t.Fatal(err)
	}
	if out := r.types("account", install); !strings.Contains(out, "wrote Secret example") {
		t.Errorf("the team is not told of the new Secret:\n%s", out)
	}
	r.operatorRuns()
	r.types("account", section(t, "Remove it"))
	nothingLeft(t, before)
}

// whileOperating types commands while the operator runs on the reader's machine, and returns the passwords that they print.
func (r *reader) whileOperating(script string) []string {
	r.t.Helper()
	command := exec.CommandContext(r.t.Context(), "bin/account")
	command.Dir = filepath.Join(r.dir, "account")
	command.Path = filepath.Join(command.Dir, "bin", "account")
	command.Env = append(r.env, "KUBECONFIG="+filepath.Join(command.Dir, "provider.kubeconfig"))
	var printed strings.Builder
	command.Stdout, command.Stderr = &printed, &printed
	if err := command.Start(); err != nil {
		r.t.Fatal(err)
	}
	defer func() {
		_ = command.Process.Signal(os.Interrupt) // as Ctrl-C does
		if err := command.Wait(); err != nil {
			r.t.Errorf("the operator ends with %v:\n%s", err, printed.String())
		}
	}()
	var passwords []string
	for part := range strings.SplitAfterSeq(script, "base64 --decode; echo\n") {
		if part == "" {
			continue
		}
		// Stderr, with what the shell repeats, and stdout are one. The password is the last that is printed, before the shell repeats echo.
		out := strings.TrimSuffix(strings.TrimSpace(r.types("account", part)), "+ echo")
		passwords = append(passwords, out[strings.LastIndex(out, "\n")+1:])
	}
	return passwords
}

// operatorRuns fails unless two pods of the operator run in a namespace without a restart, with nothing but the ServiceAccount of the chart.
func (r *reader) operatorRuns() {
	r.t.Helper()
	pods, err := installed.client.CoreV1().Pods("account-system").List(r.t.Context(), metav1.ListOptions{})
	if err == nil && len(pods.Items) != 2 {
		err = fmt.Errorf("there are %d pods", len(pods.Items))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Spec.ServiceAccountName != "account" || pod.Status.ContainerStatuses[0].RestartCount > 0 {
			r.t.Errorf("pod %s runs as %s: %+v", pod.Name, pod.Spec.ServiceAccountName, pod.Status.ContainerStatuses)
		}
	}
}

// setOperator puts a program into the image of the operator.
func (c *cluster) setOperator(program string) error {
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	// Not into the file that is there: it is a link.
	return errors.Join(os.Remove(c.operatorBinary()), os.WriteFile(c.operatorBinary(), data, 0o755))
}
