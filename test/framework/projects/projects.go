package projects

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// Project is a project that defines resources.
type Project struct {
	Name string
	// Module is the path of a module in test/crds/go.mod.
	Module string
	// Files are patterns below the folder of the module. Some of the files hold other objects too.
	Files []string
	// Kustomizations are folders whose output by `kubectl kustomize` are the definitions as they are released, if Files are not that yet.
	Kustomizations []string
}

// All are the projects. No two of them define the same resource. The module proxy serves no release of Crossplane, Tekton and Knative
// Eventing, so these are not among them.
var All = []Project{
	{Name: "argo-cd", Module: "github.com/argoproj/argo-cd/v2", Files: []string{"manifests/crds/*-crd.yaml"}},
	{Name: "cert-manager", Module: "github.com/cert-manager/cert-manager", Files: []string{"deploy/crds/*.yaml"}},
	{Name: "cluster-api", Module: "sigs.k8s.io/cluster-api", Files: []string{"core/config/crd/bases/*.yaml", "*/kubeadm/config/crd/bases/*.yaml"},
		Kustomizations: []string{"core/config/crd", "bootstrap/kubeadm/config/crd", "controlplane/kubeadm/config/crd"}},
	{Name: "gateway-api", Module: "sigs.k8s.io/gateway-api", Files: []string{"config/crd/experimental/gateway*.yaml"}},
	{Name: "knative-serving", Module: "knative.dev/serving", Files: []string{"config/core/300-resources/*.yaml"}},
	{Name: "prometheus-operator", Module: "github.com/prometheus-operator/prometheus-operator", Files: []string{"example/prometheus-operator-crd-full/*.yaml"}},
	{Name: "trust-manager", Module: "github.com/cert-manager/trust-manager", Files: []string{"deploy/crds/*.yaml"}},
}

// Named returns the project with a name.
func Named(tb testing.TB, name string) Project {
	tb.Helper()
	i := slices.IndexFunc(All, func(p Project) bool { return p.Name == name })
	if i < 0 {
		tb.Fatalf("there is no project %s", name)
	}
	return All[i]
}

var (
	mu      sync.Mutex
	folders = map[string]string{} // of modules
)

// Folder returns the folder of the module, which it downloads if necessary. Nothing in it can be changed.
func (p Project) Folder(tb testing.TB) string {
	tb.Helper()
	mu.Lock()
	defer mu.Unlock()
	if folder, ok := folders[p.Module]; ok {
		return folder
	}
	pins := pinningModule(tb)
	mod, err := os.ReadFile(filepath.Join(pins, "go.mod"))
	if err != nil {
		tb.Fatal(err)
	}
	pinned := regexp.MustCompile(`\t` + regexp.QuoteMeta(p.Module) + ` (v\S+)\n`).FindSubmatch(mod)
	if pinned == nil {
		tb.Fatalf("module %s is not pinned", p.Module)
	}
	command := exec.CommandContext(tb.Context(), "go", "mod", "download", "-json", p.Module+"@"+string(pinned[1]))
	command.Dir = pins
	command.Env = append(os.Environ(), "GOWORK=off")
	out, err := command.Output()
	var result struct{ Dir, Error string }
	if decoded := json.Unmarshal(out, &result); err != nil || decoded != nil {
		tb.Fatalf("downloading %s: %v, %s", p.Module, errors.Join(err, decoded), result.Error)
	}
	folders[p.Module] = result.Dir
	return result.Dir
}

// pinningModule returns the folder test/crds, wherever below test/ the caller is.
func pinningModule(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if folder := filepath.Join(dir, "crds"); filepath.Base(dir) == "test" {
			return folder
		}
	}
	tb.Fatal("the working directory is not below test/")
	return ""
}

// Paths returns the absolute paths of the files.
func (p Project) Paths(tb testing.TB) []string {
	tb.Helper()
	var paths []string
	for _, pattern := range p.Files {
		found, err := filepath.Glob(filepath.Join(p.Folder(tb), pattern))
		if err != nil || len(found) == 0 {
			tb.Fatalf("%s: %v, %d files", pattern, err, len(found))
		}
		paths = append(paths, found...)
	}
	return paths
}

// Definitions returns the CustomResourceDefinitions in the files.
func (p Project) Definitions(tb testing.TB) []*apiextensionsv1.CustomResourceDefinition {
	tb.Helper()
	var found []*apiextensionsv1.CustomResourceDefinition
	for _, path := range p.Paths(tb) {
		data, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		found = append(found, Parse(data)...)
	}
	return found
}

// Parse returns the CustomResourceDefinitions among the documents of a file, without what else is there.
func Parse(data []byte) []*apiextensionsv1.CustomResourceDefinition {
	var found []*apiextensionsv1.CustomResourceDefinition
	for document := range bytes.SplitSeq(data, []byte("\n---\n")) {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.Unmarshal(document, definition); err == nil && definition.Kind == "CustomResourceDefinition" {
			found = append(found, definition)
		}
	}
	return found
}
