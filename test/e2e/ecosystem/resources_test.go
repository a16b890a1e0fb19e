package ecosystem

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// resource is a kind in one version, and the object of testdata that has it.
type resource struct {
	definition *apiextensionsv1.CustomResourceDefinition
	version    *apiextensionsv1.CustomResourceDefinitionVersion
	object     map[string]any
}

// collection returns the path of the objects.
func (r resource) collection() string {
	path := "/apis/" + r.definition.Spec.Group + "/" + r.version.Name + "/"
	if r.definition.Spec.Scope == apiextensionsv1.NamespaceScoped {
		path += "namespaces/" + namespace + "/"
	}
	return path + r.definition.Spec.Names.Plural
}

// path returns the path of the object.
func (r resource) path() string { return r.collection() + "/" + nameOf(r.object) }

// kind returns what tests call the resource.
func (r resource) kind() string { return r.definition.Spec.Names.Kind + "." + r.definition.Spec.Group }

func nameOf(object map[string]any) string {
	return (&unstructured.Unstructured{Object: object}).GetName()
}

// resources returns every resource that the definitions define, with its object. It fails the test if one has no object.
func resources(t *testing.T, definitions []*apiextensionsv1.CustomResourceDefinition) []resource {
	t.Helper()
	files, err := filepath.Glob("testdata/objects/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects := map[schema.GroupKind]*unstructured.Unstructured{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(data), "\n---\n") {
			object := &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			objects[object.GroupVersionKind().GroupKind()] = object
		}
	}
	var all []resource
	complete := true
	for _, definition := range definitions {
		kind := schema.GroupKind{Group: definition.Spec.Group, Kind: definition.Spec.Names.Kind}
		object, ok := objects[kind]
		if !ok {
			t.Errorf("testdata/objects has no %s", kind)
			complete = false
			continue
		}
		version := slices.IndexFunc(definition.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool {
			return v.Name == object.GroupVersionKind().Version
		})
		if version < 0 {
			t.Errorf("%s has no version %s", kind, object.GroupVersionKind().Version)
			complete = false
			continue
		}
		all = append(all, resource{definition: definition, version: &definition.Spec.Versions[version], object: object.Object})
	}
	if !complete {
		t.FailNow()
	}
	return all
}

// broken is an object that breaks a rule.
type broken struct {
	Kind  string         `json:"kind"`
	Patch map[string]any `json:"patch"`
	// Change means that the object itself is valid, and may not be changed into this.
	Change bool   `json:"change"`
	Says   string `json:"says"`
}

// brokenObjects returns testdata/broken.yaml.
func brokenObjects(t *testing.T) []broken {
	t.Helper()
	data, err := os.ReadFile("testdata/broken.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var all []broken
	if err := yaml.UnmarshalStrict(data, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// patched returns the object with a merge patch applied.
func patched(t *testing.T, object, patch map[string]any) map[string]any {
	t.Helper()
	merged, err := jsonpatch.MergePatch([]byte(text(t, object)), []byte(text(t, patch)))
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(merged, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// text returns a value as JSON.
func text(t *testing.T, value any) string {
	t.Helper()
	data, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// plain returns a value as JSON in which a dollar begins no variable.
func plain(t *testing.T, value any) string {
	t.Helper()
	return strings.ReplaceAll(text(t, value), "$", "$$")
}
