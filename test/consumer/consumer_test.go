package consumer

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/framework/annex"
)

const (
	root = "../.."
	// most is how many modules a program may require beyond those of controller-runtime.
	most = 60
)

var update = flag.Bool("update", false, "write testdata/modules.txt")

// moduleOf makes a module of the program in testdata/name, as its author would, and returns what runs the go command there, and what
// `go list -m all` prints.
func moduleOf(t *testing.T, name, proxies, version string) (run func(args ...string) string, required []string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	run = func(args ...string) string {
		t.Helper()
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir = dir
		command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "GOPROXY="+proxies, "GOSUMDB=off")
		out, err := command.Output()
		if err != nil {
			var stderr []byte
			if failed, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Output wraps nothing
				stderr = failed.Stderr
			}
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr)
		}
		return string(out)
	}
	run("mod", "init", "example.com/"+name)
	// It begins with all that the server requires, and tidy takes away what it does not need. So it has the versions that are in the module
	// cache and in our go.sum.
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	edits := []string{"mod", "edit"}
	for module, pinned := range pins(t) {
		if !strings.HasPrefix(module, prefix) {
			edits = append(edits, "-require="+module+"@"+pinned)
		}
	}
	if version != "" {
		edits = append(edits, "-require="+prefix+"client@"+version)
	}
	run(edits...)
	run("mod", "tidy")
	return run, strings.Fields(run("list", "-m", "-f", "{{.Path}}", "all"))
}

// pins returns which version of each module the server requires.
func pins(t *testing.T) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json", filepath.Join(root, "go.mod")).Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, r := range mod.Require {
		versions[r.Path] = r.Version
	}
	return versions
}

// published makes a proxy of our modules and returns where modules come from, and our version. What the go command keeps of ours in the module
// cache, which all modules of the machine share, is deleted when the test ends.
func published(t *testing.T) (proxies, version string) {
	t.Helper()
	var settings struct{ GOPROXY, GOMODCACHE string }
	out, err := exec.CommandContext(t.Context(), "go", "env", "-json", "GOPROXY", "GOMODCACHE").Output()
	if err == nil {
		err = json.Unmarshal(out, &settings)
	}
	if err != nil {
		t.Fatal(err)
	}
	// No other run has this version, so no other one finds these files.
	id := make([]byte, 6)
	_, _ = rand.Read(id)
	version = fmt.Sprintf("v0.0.0-%s-%x", time.Now().UTC().Format("20060102150405"), id)
	folder := t.TempDir()
	if err := publish(folder, root, pins(t)[prefix+"apis"], version); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range modules {
			kept := filepath.Join(settings.GOMODCACHE, filepath.FromSlash(prefix+name)+"@"+version)
			_ = filepath.WalkDir(kept, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					return os.Chmod(path, 0o755)
				}
				return nil
			})
			if err := os.RemoveAll(kept); err != nil {
				t.Error(err)
			}
			files, _ := filepath.Glob(filepath.Join(settings.GOMODCACHE, "cache", "download", filepath.FromSlash(prefix+name), "@v", version+".*"))
			for _, file := range files {
				_ = os.Remove(file)
			}
		}
	})
	return "file://" + folder + ",file://" + filepath.Join(settings.GOMODCACHE, "cache", "download") + "," + settings.GOPROXY, version
}

func TestConsumer_NeedsFewModules(t *testing.T) {
	proxies, version := published(t)
	_, stock := moduleOf(t, "stock", proxies, "")
	run, required := moduleOf(t, "operator", proxies, version)

	beyond := slices.DeleteFunc(slices.Clone(required), func(module string) bool {
		return slices.Contains(stock, module) || strings.HasPrefix(module, "example.com/")
	})
	if len(beyond) > most {
		t.Errorf("beyond controller-runtime's, %d modules are required, want at most %d", len(beyond), most)
	}
	// What controller-runtime requires, the server's parts among it, is not compiled into the program.
	compiled := strings.Fields(run("list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "."))
	for _, module := range []string{"k8s.io/apiserver", "k8s.io/kube-aggregator", "go.etcd.io/etcd/server/v3", "google.golang.org/grpc"} {
		if slices.Contains(compiled, module) {
			t.Errorf("packages of %s are compiled in, which only the server needs", module)
		}
	}
	if own := strings.TrimSuffix(prefix, "/"); slices.Contains(required, own) || !slices.Contains(compiled, prefix+"client") {
		t.Errorf("%s is required, or its client is not", own)
	}
	const golden = "testdata/modules.txt"
	var list strings.Builder
	for _, module := range required[1:] {
		if slices.Contains(beyond, module) {
			module += "  # not required by controller-runtime"
		}
		fmt.Fprintln(&list, module)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(list.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), list.String()); diff != "" {
		t.Errorf("what a consumer requires has changed (go test ./test/consumer -update writes it): -want +got\n%s", diff)
	}

	program := filepath.Join(t.TempDir(), "operator")
	run("build", "-o", program, ".")
	serve(t, program)
}

// The program is the one that the documentation shows.
func TestConsumer_IsWhatThePageShows(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "clients.md"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("testdata/operator/main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```go\n"+string(own)+"```") {
		t.Error("docs/clients.md does not show testdata/operator/main.go")
	}
	if lines := strings.Count(string(own), "\n"); lines >= 60 {
		t.Errorf("it has %d lines, want less than 60", lines)
	}
}

const (
	definitions = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {type: object, properties: {status: {type: object, properties: {phase: {type: string}}}}}
---
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: widgets}
spec:
  resources: [{name: widgets, group: example.com, schema: v1.widgets.example.com, storage: {crd: {}}}]
  permissionClaims: [{group: "", resource: events, verbs: ["*"]}]
`
	binding = `
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: widgets}
spec:
  reference: {export: {path: "root:provider", name: widgets}}
  permissionClaims: [{group: "", resource: events, verbs: ["*"], state: Accepted, selector: {matchAll: true}}]
`
	widget = `
apiVersion: example.com/v1
kind: Widget
metadata: {name: same, namespace: default}
`
)

// serve runs the program as the operator of a provider with two consumers.
func serve(t *testing.T, program string) {
	t.Helper()
	s := annex.Start(t)
	apply := func(path, documents string) {
		t.Helper()
		_, client := annex.Clients(t, s.Workspace(path))
		for document := range strings.SplitSeq(documents, "\n---\n") {
			obj := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(document), &obj.Object); err != nil {
				t.Fatal(err)
			}
			gvr, _ := meta.UnsafeGuessKindToResource(obj.GroupVersionKind())
			annex.Eventually(t, func(ctx context.Context) error {
				_, err := client.Resource(gvr).Namespace(obj.GetNamespace()).Create(ctx, obj, metav1.CreateOptions{})
				return err
			})
		}
	}
	s.NewWorkspace("root", "provider", "")
	apply("root:provider", definitions)
	for _, name := range []string{"one", "two"} {
		s.NewWorkspace("root", name, "")
		apply("root:"+name, binding)
		apply("root:"+name, widget)
	}
	at := s.Workspace("root:provider")
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"a": {Server: at.Host, CertificateAuthorityData: at.CAData, CertificateAuthority: at.CAFile}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"a": {Token: at.BearerToken, ClientCertificateData: at.CertData, ClientKeyData: at.KeyData}},
		Contexts:       map[string]*clientcmdapi.Context{"a": {Cluster: "a", AuthInfo: "a"}},
		CurrentContext: "a",
	}, kubeconfig); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program)
	command.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	var printed bytes.Buffer
	command.Stdout, command.Stderr = &printed, &printed
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("the program printed:\n%s", printed.String())
		}
	})
	for _, name := range []string{"one", "two"} {
		typed, dynamic := annex.Clients(t, s.Workspace("root:"+name))
		annex.Eventually(t, func(ctx context.Context) error {
			got, err := dynamic.Resource(schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"}).Namespace("default").Get(ctx, "same", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if phase, _, _ := unstructured.NestedString(got.Object, "status", "phase"); phase != "Ready" {
				return fmt.Errorf("the Widget of %s is in phase %q", name, phase)
			}
			told, err := typed.CoreV1().Events("default").List(ctx, metav1.ListOptions{FieldSelector: "reason=Ready"})
			if err == nil && len(told.Items) != 1 {
				err = fmt.Errorf("the users of %s have %d Events", name, len(told.Items))
			}
			return err
		})
	}
}
