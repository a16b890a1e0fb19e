package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/apis/apis/crd"
	"github.com/annex-dev/annex/test/framework/annex"
)

// projects are where the CustomResourceDefinitions of a module of test/crds are. The module proxy serves no release of Crossplane,
// Tekton and Knative Eventing, so these are not among them.
var projects = map[string][]string{
	"github.com/argoproj/argo-cd/v2":                     {"manifests/crds/*-crd.yaml"},
	"github.com/cert-manager/cert-manager":               {"deploy/crds/*.yaml"},
	"github.com/prometheus-operator/prometheus-operator": {"example/prometheus-operator-crd-full/*.yaml"},
	"knative.dev/serving":                                {"config/core/300-resources/*.yaml", "third_party/gateway-api-latest/*.yaml"},
	"sigs.k8s.io/gateway-api":                            {"config/crd/standard/*.yaml"},
	"sigs.k8s.io/cluster-api":                            {"core/config/crd/bases/*.yaml", "*/kubeadm/config/crd/bases/*.yaml"},
}

// download returns the folder of a module of test/crds.
func download(t *testing.T, module string) string {
	t.Helper()
	folder := filepath.Join("..", "crds")
	mod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`\t` + regexp.QuoteMeta(module) + ` (v\S+)\n`).FindSubmatch(mod)
	if pinned == nil {
		t.Fatalf("module %s is not pinned", module)
	}
	command := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module+"@"+string(pinned[1]))
	command.Dir = folder
	out, err := command.Output()
	var result struct{ Dir, Error string }
	if decoded := json.Unmarshal(out, &result); err != nil || decoded != nil {
		t.Fatalf("downloading %s: %v, %s", module, errors.Join(err, decoded), result.Error)
	}
	return result.Dir
}

// definitions returns the CustomResourceDefinitions in the files of a folder.
func definitions(t *testing.T, folder string, patterns []string) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	var found []*apiextensionsv1.CustomResourceDefinition
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %d files", pattern, err, len(files))
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, document := range bytes.Split(data, []byte("\n---\n")) {
				definition := &apiextensionsv1.CustomResourceDefinition{}
				if err := yaml.Unmarshal(document, definition); err == nil && definition.Kind == "CustomResourceDefinition" {
					found = append(found, definition)
				}
			}
		}
	}
	return found
}

// What well-known projects define costs far less than the limits allow, and is served.
func TestCRDs_OfWellKnownProjects(t *testing.T) {
	s := annex.Start(t)
	for module, patterns := range projects {
		t.Run(filepath.Base(filepath.Dir(module))+"/"+filepath.Base(module), func(t *testing.T) {
			path, _ := newWorkspace(t, s, "root", uniqueName("crds"))
			_, client := annex.Clients(t, s.Workspace(path))
			found := definitions(t, download(t, module), patterns)
			for _, definition := range found {
				internal := &apiextensions.CustomResourceDefinition{}
				if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(definition, internal, nil); err != nil {
					t.Fatal(err)
				}
				cost, errs := crd.CheckLimits(internal)
				if len(errs) > 0 || 4*cost.Bytes > crd.Limits.Bytes || 4*cost.Nodes > crd.Limits.Nodes || 4*cost.Patterns > crd.Limits.Patterns || 4*cost.Rules > crd.Limits.Rules || 4*cost.Defaults > crd.Limits.Defaults {
					t.Errorf("%s costs %+v, more than a quarter of %+v: %v", definition.Name, cost, crd.Limits, errs)
				}
				obj, err := runtime.DefaultUnstructuredConverter.ToUnstructured(definition)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := client.Resource(crds).Create(t.Context(), &unstructured.Unstructured{Object: obj}, metav1.CreateOptions{}); err != nil {
					t.Errorf("%s: %v", definition.Name, err)
				}
			}
			if t.Failed() {
				return
			}
			for _, definition := range found {
				served := slices.IndexFunc(definition.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Served })
				gvr := schema.GroupVersionResource{Group: definition.Spec.Group, Version: definition.Spec.Versions[served].Name, Resource: definition.Spec.Names.Plural}
				annex.Eventually(t, func(ctx context.Context) error {
					_, err := client.Resource(gvr).List(ctx, metav1.ListOptions{})
					return err
				})
			}
		})
	}
}
