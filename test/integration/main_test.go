package integration

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/framework/annex"
)

// Users of the static token file. A token is the name of its user followed by -token.
const (
	alice    = "alice"
	bob      = "bob"
	stranger = "stranger"
	provider = "provider"
)

const tokens = `alice-token,alice,1,"devs"
bob-token,bob,2
stranger-token,stranger,3
provider-token,provider,4
operator-token,operator,5,"system:masters"
`

const waitTimeout = 2 * time.Minute

var (
	workspaces     = schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspaces"}
	workspaceTypes = schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspacetypes"}
	exports        = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apiexports"}
	bindings       = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha2", Resource: "apibindings"}
	schemas        = schema.GroupVersionResource{Group: "apis.kcp.io", Version: "v1alpha1", Resource: "apiresourceschemas"}

	clusters = schema.GroupVersionResource{Group: "core.kcp.io", Version: "v1alpha1", Resource: "logicalclusters"}
	crds     = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	gadgets  = schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "gadgets"}
	widgets  = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}
)

var (
	directory string
	shared    = &launch{name: "annex"}
	// roomy has seats for many requests that wait for their bodies.
	roomy  = &launch{name: "roomy", args: []string{"--workspace-seats", "100"}}
	serial atomic.Int64
)

// launch is a server that runs from when a test first asks for it until all tests have ended.
type launch struct {
	name   string
	args   []string
	once   sync.Once
	server *annex.Server
	err    error
}

func (l *launch) get() (*annex.Server, error) {
	l.once.Do(func() {
		file := filepath.Join(directory, l.name+"-tokens.csv")
		if l.err = os.WriteFile(file, []byte(tokens), 0o600); l.err == nil {
			l.server, l.err = annex.Launch(context.Background(), filepath.Join(directory, l.name), append([]string{"--token-auth-file", file, "--max-refusals-per-second=0"}, l.args...)...)
		}
	})
	return l.server, l.err
}

// end stops the server, and reports whether it has seen a panic.
func (l *launch) end() (panicked bool) {
	if l.server == nil {
		return false
	}
	defer l.server.Kill()
	if panicked = l.server.Printed("Observed a panic"); panicked {
		fmt.Fprintln(os.Stderr, "a request made the server panic:\n"+l.server.Log())
	}
	return panicked
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if directory, err = os.MkdirTemp("", "annex-integration-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(directory) }()
	code := m.Run()
	for _, l := range []*launch{shared, roomy, hooked} {
		if l.end() {
			code = max(code, 1)
		}
	}
	return code
}

// start returns the server that all tests share.
func start(tb testing.TB) *annex.Server {
	tb.Helper()
	return startOne(tb, shared)
}

func startOne(tb testing.TB, l *launch) *annex.Server {
	tb.Helper()
	server, err := l.get()
	if err != nil {
		tb.Fatal(err)
	}
	return server.For(tb)
}

// newWorkspace makes a workspace of type universal below parent, as the administrator, and waits until it is Ready. It returns
// its path and the name of its logical cluster.
func newWorkspace(tb testing.TB, s *annex.Server, parent, name string) (path, cluster string) {
	tb.Helper()
	return makeWorkspace(tb, s.Workspace(parent), parent, name)
}

func makeWorkspace(tb testing.TB, config *rest.Config, parent, name string) (path, cluster string) {
	tb.Helper()
	_, client := annex.Clients(tb, config)
	ws := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace",
		"metadata": map[string]any{"name": name},
		"spec":     map[string]any{"type": map[string]any{"name": "universal", "path": "root"}},
	}}
	if _, err := client.Resource(workspaces).Create(tb.Context(), ws, metav1.CreateOptions{}); err != nil {
		tb.Fatalf("creating workspace %s below %s: %v", name, parent, err)
	}
	eventually(tb, "workspace "+name+" is Ready", func(ctx context.Context) (bool, error) {
		got, err := client.Resource(workspaces).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		phase, _, _ := unstructured.NestedString(got.Object, "status", "phase")
		cluster, _, _ = unstructured.NestedString(got.Object, "spec", "cluster")
		return phase == "Ready", nil
	})
	return parent + ":" + name, cluster
}

// uniqueName returns a name that no other test uses.
func uniqueName(prefix string) string { return fmt.Sprintf("%s-%d", prefix, serial.Add(1)) }

// workspace makes a workspace below root for one test and returns its path.
func workspace(tb testing.TB, s *annex.Server) string {
	tb.Helper()
	path, _ := newWorkspace(tb, s, "root", uniqueName("ws"))
	return path
}

// eventually waits until condition holds. An error of it ends the test.
func eventually(tb testing.TB, what string, condition func(context.Context) (bool, error)) {
	tb.Helper()
	if err := wait.PollUntilContextTimeout(tb.Context(), 10*time.Millisecond, waitTimeout, true, condition); err != nil {
		tb.Fatalf("waiting until %s: %v", what, err)
	}
}

// waitCondition waits until an object has a condition with the status, and the reason when that is not empty.
func waitCondition(tb testing.TB, client dynamic.ResourceInterface, name, condition, status, reason string) {
	tb.Helper()
	var last any
	if err := wait.PollUntilContextTimeout(tb.Context(), 10*time.Millisecond, waitTimeout, true, func(ctx context.Context) (bool, error) {
		obj, err := client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
		last = conditions
		return slices.ContainsFunc(conditions, func(c any) bool {
			got, _ := c.(map[string]any)
			return got["type"] == condition && got["status"] == status && (reason == "" || got["reason"] == reason)
		}), nil
	}); err != nil {
		tb.Fatalf("waiting until %s has %s=%s %s: %v; it has %v", name, condition, status, reason, err, last)
	}
}

// token returns the bearer token of a user of the static file.
func token(user string) string { return user + "-token" }

// admit makes user an administrator of the workspace at path.
func admit(tb testing.TB, s *annex.Server, path, user string) {
	tb.Helper()
	apply(tb, s.Workspace(path), fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: admin-%[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: access-%[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:kcp:workspace:access"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]
`, user))
	typed, _ := annex.Clients(tb, s.As(token(user), path))
	eventually(tb, user+" may work in "+path, func(ctx context.Context) (bool, error) {
		_, err := typed.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{Limit: 1})
		return err == nil, nil
	})
}

// apply creates the objects of a YAML stream.
func apply(tb testing.TB, config *rest.Config, manifests string) {
	tb.Helper()
	config = rest.CopyConfig(config)
	config.WarningHandler = rest.NoWarnings{}
	_, client := annex.Clients(tb, config)
	for _, document := range strings.Split(manifests, "\n---\n") {
		obj := parse(tb, document)
		gvk := obj.GroupVersionKind()
		gvr := gvk.GroupVersion().WithResource(strings.ToLower(gvk.Kind) + "s")
		if gvk.Kind == "APIResourceSchema" {
			gvr.Resource = "apiresourceschemas"
		}
		var err error
		if ns := obj.GetNamespace(); ns != "" {
			_, err = client.Resource(gvr).Namespace(ns).Create(tb.Context(), obj, metav1.CreateOptions{})
		} else {
			_, err = client.Resource(gvr).Create(tb.Context(), obj, metav1.CreateOptions{})
		}
		if err != nil {
			tb.Fatalf("creating %s %s: %v", gvk.Kind, obj.GetName(), err)
		}
	}
}

func parse(tb testing.TB, document string) *unstructured.Unstructured {
	tb.Helper()
	obj := &unstructured.Unstructured{}
	data, err := yaml.YAMLToJSON([]byte(document))
	if err == nil {
		err = obj.UnmarshalJSON(data)
	}
	if err != nil {
		tb.Fatalf("parsing %s: %v", document, err)
	}
	return obj
}

// clientFor returns a typed client of the administrator for a new workspace.
func clientFor(tb testing.TB, s *annex.Server) kubernetes.Interface {
	tb.Helper()
	path := workspace(tb, s)
	typed, _ := annex.Clients(tb, s.Workspace(path))
	return typed
}
