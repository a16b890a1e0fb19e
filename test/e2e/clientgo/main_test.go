package clientgo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/annex-dev/annex/test/framework/annex"
)

const (
	startTimeout = 5 * time.Minute
	examples     = "../../../examples/widgets/"
)

var (
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	crds       = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	gadgets    = schema.GroupVersionResource{Group: "example.org", Version: "v1", Resource: "gadgets"} // of a CRD
	widgets    = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "widgets"} // of a bound API
)

// shared is a server for all tests that leave it alone.
var shared *annex.Server

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "annex-clientgo")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if shared, err = annex.Launch(ctx, filepath.Join(dir, "annex")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.Kill()
	return m.Run()
}

// workspace returns the administrator's credentials for a new workspace of the shared server.
func workspace(t *testing.T, name string) *rest.Config {
	t.Helper()
	server := shared.For(t)
	path, _ := server.NewWorkspace("root", name, "")
	return server.Workspace(path)
}

// manifests returns the objects in a file.
func manifests(t *testing.T, file string) []*unstructured.Unstructured {
	t.Helper()
	data, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = data.Close() }()
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(data, 4096); ; {
		obj := &unstructured.Unstructured{}
		if err := decoder.Decode(obj); err != nil {
			break
		}
		objects = append(objects, obj)
	}
	if len(objects) == 0 {
		t.Fatalf("%s holds no object", file)
	}
	return objects
}

// apply does what `kubectl apply --server-side` does with an object: it asks discovery for the resource of its kind.
func apply(t *testing.T, config *rest.Config, obj *unstructured.Unstructured) {
	t.Helper()
	found, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	gvk := obj.GroupVersionKind()
	mapping, err := mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Resource(mapping.Resource).Namespace(obj.GetNamespace()).Apply(t.Context(), obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "test"}); err != nil {
		t.Fatal(err)
	}
}

// served waits until a workspace serves a resource.
func served(t *testing.T, config *rest.Config, resource schema.GroupVersionResource) {
	t.Helper()
	_, client := annex.Clients(t, config)
	annex.Eventually(t, func(ctx context.Context) error {
		_, err := client.Resource(resource).List(ctx, metav1.ListOptions{Limit: 1})
		return err
	})
}

// object returns a minimal one.
func object(resource schema.GroupVersionResource, name string) *unstructured.Unstructured {
	content := map[schema.GroupVersionResource]map[string]any{
		configMaps: {"kind": "ConfigMap", "data": map[string]any{"round": "0"}},
		gadgets:    {"kind": "Gadget", "spec": map[string]any{"wheels": int64(4)}},
		widgets:    {"kind": "Widget", "spec": map[string]any{"color": "blue"}},
	}[resource]
	obj := &unstructured.Unstructured{Object: content}
	obj.SetAPIVersion(resource.GroupVersion().String())
	obj.SetNamespace("default")
	obj.SetName(name)
	return obj
}
