package parity

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host"
)

var (
	stock     = flag.String("stock", "kube-apiserver-1.37", "the program of bin/ that a workspace is compared with")
	update    = flag.Bool("update", false, "write docs/parity.md anew")
	directory string
	both      world
	serial    atomic.Int64
)

// world is the two servers, which run from when a test first asks for them until all tests have ended.
type world struct {
	once  sync.Once
	err   error
	host  *host.Host
	annex *annex.Server
	hook  *httptest.Server // converts lamps
	// configs are the administrator's credentials for the server and for the workspace; stock and workspace send requests with them.
	hostConfig, workspaceConfig *rest.Config
	stock, workspace            *Side

	differences *Differences
}

func TestMain(m *testing.M) {
	// Cases wait for the servers and not for a processor. Flags that are given win.
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if directory, err = os.MkdirTemp("", "annex-parity-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(directory) }()
	defer both.end()
	code := m.Run()
	if both.differences != nil {
		for _, gone := range both.differences.Gone() {
			fmt.Fprintf(os.Stderr, "differences.yaml: nothing differs any more: %s\n", gone)
			code = max(code, 1)
		}
	}
	if both.annex != nil && both.annex.Printed("Observed a panic") {
		fmt.Fprintln(os.Stderr, "a request made the server panic:\n"+both.annex.Log())
		code = max(code, 1)
	}
	return code
}

// start returns the two servers that all tests share.
func start(tb testing.TB) *world {
	tb.Helper()
	both.once.Do(func() { both.err = both.start(tb) })
	if both.err != nil {
		tb.Fatal(both.err)
	}
	return &both
}

func (w *world) start(tb testing.TB) (err error) {
	if w.differences, err = LoadDifferences(); err != nil {
		return err
	}
	ctx := context.WithoutCancel(tb.Context())
	started := make(chan error, 1)
	go func() {
		var err error
		w.host, err = host.Run(ctx, filepath.Join(directory, "host"), host.WithProgram(*stock), host.WithoutFsync(), host.WithControllerManager(
			// It has a namespace to fill for each case.
			"--kube-api-qps=1000", "--kube-api-burst=1000",
		))
		started <- err
	}()
	w.annex, err = annex.Launch(ctx, filepath.Join(directory, "annex"), "--max-refusals-per-second=0", "--webhook-allow-cidr=127.0.0.0/8")
	if err = errors.Join(err, <-started); err != nil {
		return err
	}
	server := w.annex.For(tb)
	path, _ := server.NewWorkspace("root", "parity", "universal")
	w.hostConfig, w.workspaceConfig = w.host.Config(), server.Workspace(path)
	w.hook = newConverter()
	variables := converterVariables(w.hook)
	if w.stock, err = NewSide(w.hostConfig, variables); err != nil {
		return err
	}
	if w.workspace, err = NewSide(w.workspaceConfig, variables); err != nil {
		return err
	}
	if err := w.openWorkspace(ctx); err != nil {
		return err
	}
	if err := w.prepare(tb); err != nil {
		return err
	}
	provider, _ := server.NewWorkspace("root", "parity-provider", "universal")
	if err := w.bind(ctx, provider, server); err != nil {
		return fmt.Errorf("binding an API: %w", err)
	}
	return nil
}

// openWorkspace lets everybody enter the workspace. A cluster needs no such thing.
func (w *world) openWorkspace(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(w.workspaceConfig)
	if err != nil {
		return fmt.Errorf("making a client of the workspace: %w", err)
	}
	_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "everybody"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "system:kcp:workspace:access"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:authenticated"}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("letting everybody enter the workspace: %w", err)
	}
	return nil
}

// prepare makes the objects that many cases use.
func (w *world) prepare(tb testing.TB) error {
	fixtures, err := LoadFixtures()
	if err != nil {
		return err
	}
	for _, fixture := range fixtures {
		for _, side := range []*Side{w.stock, w.workspace} {
			answers, err := side.Prepare(context.WithoutCancel(tb.Context()), fixture)
			if err != nil {
				return fmt.Errorf("preparing %s: %w", fixture.Name, err)
			}
			for i, answer := range answers {
				if answer.Code >= 300 {
					return fmt.Errorf("preparing %s: %s is answered with %d: %v", fixture.Name, fixture.Steps[i].Do, answer.Code, answer.Body)
				}
			}
		}
	}
	return nil
}

func (w *world) end() {
	if w.hook != nil {
		w.hook.Close()
	}
	if w.host != nil {
		_ = w.host.Stop()
	}
	if w.annex != nil {
		w.annex.Kill()
	}
}

// makeNamespace makes a namespace on both servers.
func (w *world) makeNamespace(tb testing.TB, name string) {
	tb.Helper()
	for _, side := range []*Side{w.stock, w.workspace} {
		if err := side.makeNamespace(tb.Context(), name); err != nil {
			tb.Fatal(err)
		}
	}
}

// report fails the test for what differs and is not listed.
func (w *world) report(tb testing.TB, name string, diffs []Diff) {
	tb.Helper()
	for _, diff := range w.differences.Unlisted(name, diffs) {
		tb.Errorf("%s", diff)
	}
}

// newID returns a name for the namespace and the objects of a case.
func newID() string { return fmt.Sprintf("p%d", serial.Add(1)) }
