package ecosystem

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host"
	"github.com/annex-dev/annex/test/framework/projects"
	"github.com/annex-dev/annex/test/parity"
)

// namespace holds the objects, on each server.
const namespace = "default"

var (
	stock     = flag.String("stock", "kube-apiserver-1.37", "compare the workspace with this program of bin/; if empty, with another workspace")
	directory string
	both      world
)

// world is a workspace and what it is compared with: a stock server, or another workspace with the flag -stock="". Both have the same definitions. They run from when a
// test first asks for them until all have ended.
type world struct {
	once sync.Once
	err  error
	host *host.Host // nil without a stock server
	// server has the workspace at path, and another one at otherPath if there is no stock server.
	server           *annex.Server
	path, otherPath  string
	stock, workspace *parity.Side

	definitions []*apiextensionsv1.CustomResourceDefinition
	// printed is what kubectl printed on both servers when it installed the definitions.
	printed [][2]string

	mu      sync.Mutex
	answers map[string][]parity.Answer // of the stock server, by the name of a case
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if directory, err = os.MkdirTemp("", "annex-ecosystem-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(directory) }()
	defer both.end()
	code := m.Run()
	if both.server != nil && both.server.Printed("Observed a panic") {
		fmt.Fprintln(os.Stderr, "a request made the server panic:\n"+both.server.Log())
		code = max(code, 1)
	}
	return code
}

// start returns the two servers with all definitions.
func start(t *testing.T) *world {
	t.Helper()
	both.once.Do(func() { both.err = both.start(t) })
	if both.err != nil {
		t.Fatal(both.err)
	}
	return &both
}

func (w *world) start(t *testing.T) (err error) {
	ctx := context.WithoutCancel(t.Context())
	w.answers = map[string][]parity.Answer{}
	if w.server, err = annex.Launch(ctx, filepath.Join(directory, "annex"), "--max-refusals-per-second=0"); err != nil {
		return err
	}
	server := w.server.For(t)
	w.path, _ = server.NewWorkspace("root", "ecosystem", "universal")
	var other *rest.Config
	if *stock == "" {
		w.otherPath, _ = server.NewWorkspace("root", "other", "universal")
		other = server.Workspace(w.otherPath)
	} else {
		if w.host, err = host.Run(ctx, filepath.Join(directory, "host"), host.WithProgram(*stock), host.WithoutFsync()); err != nil {
			return err
		}
		other = w.host.Config()
	}
	if w.stock, err = parity.NewSide(other, nil); err != nil {
		return err
	}
	if w.workspace, err = parity.NewSide(server.Workspace(w.path), nil); err != nil {
		return err
	}
	return w.install(t)
}

// asUsers is the project whose definitions are applied first without --server-side, if they fit into an annotation.
const asUsers = "cert-manager"

// annotation is how much YAML fits into an annotation as JSON.
const annotation = 200 << 10

// install gives all definitions to both servers with kubectl.
func (w *world) install(t *testing.T) error {
	var all, small []string
	for _, project := range projects.All {
		paths, err := w.released(t, project)
		if err != nil {
			return err
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				return fmt.Errorf("reading definitions of %s: %w", project.Name, err)
			}
			w.definitions = append(w.definitions, projects.Parse(data)...)
			all = append(all, "-f", path)
			if project.Name == asUsers && len(data) < annotation {
				small = append(small, "-f", path)
			}
		}
	}
	for _, args := range [][]string{
		append([]string{"apply"}, small...),
		append([]string{"apply", "--server-side", "--force-conflicts"}, all...),
		{"wait", "--for=condition=Established", "crd", "--all", "--timeout=120s"},
	} {
		printed, err := w.kubectl(t, args...)
		if err != nil {
			return err
		}
		w.printed = append(w.printed, printed)
	}
	return nil
}

// released returns the files with the definitions of a project as they are released. Those of Kustomizations convert by a webhook that does
// not run here, so the objects of these tests are of the versions that are stored.
func (w *world) released(t *testing.T, project projects.Project) (paths []string, err error) {
	t.Helper()
	if len(project.Kustomizations) == 0 {
		return project.Paths(t), nil
	}
	binary, err := host.Binary("kubectl")
	if err != nil {
		return nil, err
	}
	for i, folder := range project.Kustomizations {
		path := filepath.Join(directory, fmt.Sprintf("%s-%d.yaml", project.Name, i))
		command := exec.CommandContext(t.Context(), binary, "kustomize", filepath.Join(project.Folder(t), folder), "--output", path)
		if out, err := command.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("kubectl kustomize %s: %w\n%s", folder, err, out)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// kubectl runs a command line on both servers at the same time and returns what each printed. An error says which of them failed.
func (w *world) kubectl(t *testing.T, args ...string) (printed [2]string, err error) {
	t.Helper()
	binary, err := host.Binary("kubectl")
	if err != nil {
		return printed, err
	}
	var errs [2]error
	var sides sync.WaitGroup
	workspace := func(path string) []string {
		return []string{"--kubeconfig", w.server.Kubeconfig(), "--context", annex.ContextBase, "--server", w.server.URL() + "/clusters/" + path}
	}
	to := [2][]string{workspace(w.otherPath), workspace(w.path)}
	if w.host != nil {
		to[0] = []string{"--kubeconfig", w.host.Kubeconfig()}
	}
	for i, to := range to {
		sides.Go(func() {
			cache := filepath.Join(directory, fmt.Sprintf("cache-%d", i))
			command := exec.CommandContext(context.WithoutCancel(t.Context()), binary, slices.Concat(to, []string{"--cache-dir", cache}, args)...)
			command.Env = append(os.Environ(), "HOME="+directory)
			var out bytes.Buffer
			command.Stdout, command.Stderr = &out, &out
			if err := command.Run(); err != nil {
				errs[i] = fmt.Errorf("kubectl %s on %s: %w\n%s", args[0], []string{"the stock server", "the workspace"}[i], err, out.String())
			}
			printed[i] = parity.NormalizePrinted(out.String())
		})
	}
	sides.Wait()
	return printed, errors.Join(errs[:]...)
}

func (w *world) end() {
	if w.host != nil {
		_ = w.host.Stop()
	}
	if w.server != nil {
		w.server.Kill()
	}
}

// ask sends a case to the stock server, unless it was sent before, and returns the answers.
func (w *world) ask(t *testing.T, c parity.Case) []parity.Answer {
	t.Helper()
	w.mu.Lock()
	answers, asked := w.answers[c.Name]
	w.mu.Unlock()
	if asked {
		return answers
	}
	answers, err := w.stock.Prepare(t.Context(), c)
	if err != nil {
		t.Fatalf("asking the stock server: %v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[c.Name] = answers
	return answers
}

// alike fails the test for each difference between the stock server's answers and those of another one that is not known, and returns
// the answers.
func (w *world) alike(t *testing.T, other *parity.Side, c parity.Case) []parity.Answer {
	t.Helper()
	want := w.ask(t, c)
	got, err := other.Prepare(t.Context(), c)
	if err != nil {
		t.Fatalf("asking Annex: %v", err)
	}
	for i, step := range c.Steps {
		for _, diff := range parity.Compare(i+1, step, want[i], got[i]) {
			t.Errorf("%s: %s", step.Do, diff)
		}
	}
	return want
}

// same fails the test for the first lines that differ.
func same(t *testing.T, what, stock, workspace string) {
	t.Helper()
	want, got := strings.Split(stock, "\n"), strings.Split(workspace, "\n")
	for i := range max(len(want), len(got)) {
		line := func(lines []string) string {
			if i < len(lines) {
				return lines[i]
			}
			return "nothing"
		}
		if line(want) != line(got) {
			t.Errorf("%s, line %d:\n\tstock: %s\n\tannex: %s", what, i+1, line(want), line(got))
			return
		}
	}
}
