package annextest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldManager is the name under which Apply writes.
const fieldManager = "annextest"

// Apply applies the objects in files, and in all .yaml, .yml and .json files below directories, as `kubectl apply --server-side` does.
// What other objects need comes first, such as CustomResourceDefinitions and Namespaces. It waits until they are established, and, if they are annotated with annex.dev/publish, until the
// APIExport has their schema.
func (w *Workspace) Apply(tb testing.TB, paths ...string) {
	tb.Helper()
	var objects []*unstructured.Unstructured
	for _, path := range paths {
		found, err := load(path)
		if err != nil {
			tb.Fatal(err)
		}
		objects = append(objects, found...)
	}
	if len(objects) == 0 {
		tb.Fatalf("there are no objects in %q", paths)
	}
	w.apply(tb, objects)
}

// ApplyYAML is Apply for the documents of a YAML stream.
func (w *Workspace) ApplyYAML(tb testing.TB, documents string) {
	tb.Helper()
	objects, err := decode([]byte(documents))
	if err == nil && len(objects) == 0 {
		err = errors.New("there are no objects in it")
	}
	if err != nil {
		tb.Fatalf("reading YAML documents: %v", err)
	}
	w.apply(tb, objects)
}

func (w *Workspace) apply(tb testing.TB, objects []*unstructured.Unstructured) {
	tb.Helper()
	c := w.Client(tb, nil)
	slices.SortStableFunc(objects, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	var published []*publication
	for _, obj := range objects {
		p, err := w.publicationOf(tb.Context(), obj)
		if err != nil {
			tb.Fatal(err)
		}
		if err := applyOne(tb.Context(), c, obj); err != nil {
			tb.Fatalf("applying %s %s in workspace %s: %v", obj.GetKind(), obj.GetName(), w.Path, err)
		}
		if p != nil {
			published = append(published, p)
		}
	}
	for _, p := range published {
		if err := eventually(tb.Context(), p.done); err != nil {
			tb.Fatalf("publishing CustomResourceDefinition %s in workspace %s: %v", p.definition, w.Path, err)
		}
	}
}

// rank is the order in which objects are applied. APIExports precede the definitions that are published with them, because the server makes an
// APIExport that is missing.
func rank(obj *unstructured.Unstructured) int {
	switch {
	case obj.GetKind() == "APIExport":
		return 0
	case isDefinition(obj):
		return 1
	case obj.GetKind() == "Namespace":
		return 2
	}
	return 3
}

func isDefinition(obj *unstructured.Unstructured) bool {
	return obj.GroupVersionKind().GroupKind() == apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition").GroupKind()
}

// applyOne applies an object, and waits until a CustomResourceDefinition is established. A kind that is not served yet may be a little late.
func applyOne(ctx context.Context, c client.Client, obj *unstructured.Unstructured) error {
	var fatal error
	err := eventually(ctx, func(ctx context.Context) error {
		err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner(fieldManager), client.ForceOwnership)
		if err != nil && !meta.IsNoMatchError(err) && !apierrors.IsNotFound(err) {
			fatal = err
			return nil
		}
		return err
	})
	if err = errors.Join(fatal, err); err != nil || !isDefinition(obj) {
		return err
	}
	return eventually(ctx, func(ctx context.Context) error {
		found := &unstructured.Unstructured{}
		found.SetGroupVersionKind(obj.GroupVersionKind())
		if err := c.Get(ctx, client.ObjectKeyFromObject(obj), found); err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(found.Object, "status", "conditions")
		for _, one := range conditions {
			if condition, ok := one.(map[string]any); ok && condition["type"] == string(apiextensionsv1.Established) && condition["status"] == "True" {
				return nil
			}
		}
		return fmt.Errorf("the CustomResourceDefinition is not established: %v", conditions)
	})
}

// load returns the objects in a file, or in all files below a directory, in the order of their names.
func load(path string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || (file != path && !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(file))) {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		found, err := decode(data)
		if err != nil {
			return fmt.Errorf("reading %s: %w", file, err)
		}
		objects = append(objects, found...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("loading objects: %w", err)
	}
	return objects, nil
}

// decode returns the objects of a YAML stream.
func decode(data []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096); ; {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(&obj.Object)
		switch {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, err
		case len(obj.Object) == 0:
			continue // nothing but comments
		case obj.GetAPIVersion() == "" || obj.GetKind() == "" || obj.GetName() == "":
			return nil, fmt.Errorf("document %d lacks apiVersion, kind or metadata.name", len(objects)+1)
		}
		objects = append(objects, obj)
	}
}
