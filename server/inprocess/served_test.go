package inprocess

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/kinds"
)

func TestServed(t *testing.T) {
	types := kinds.All.NewScheme().Scheme
	conversions := 0
	convert := func(obj apiruntime.Object) (client.Object, error) {
		conversions++
		out := &apiextensionsv1.CustomResourceDefinition{}
		return out, types.Convert(obj, out, nil)
	}
	var s served
	definition := &apiextensions.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "gadgets.example.org", ResourceVersion: "1"},
		Spec: apiextensions.CustomResourceDefinitionSpec{
			Versions: []apiextensions.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true, Deprecated: true, DeprecationWarning: new("old"),
				Subresources:             &apiextensions.CustomResourceSubresources{Status: &apiextensions.CustomResourceSubresourceStatus{}},
				AdditionalPrinterColumns: []apiextensions.CustomResourceColumnDefinition{{Name: "a"}},
				Schema: &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{
					Type: "object", Required: []string{"a"}, Properties: map[string]apiextensions.JSONSchemaProps{"a": {Type: "string"}},
				}},
			}},
		},
	}
	var first client.Object
	for range 3 {
		outermost := *definition
		got, err := s.of(&outermost, convert)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = got
		}
		if got != first || got.GetName() != definition.Name {
			t.Errorf("another reader gets another object: %v", got)
		}
	}
	if conversions != 1 {
		t.Errorf("one object is converted %d times", conversions)
	}
	changed := *definition
	changed.ResourceVersion = "2"
	if got, err := s.of(&changed, convert); err != nil || got == first || got.GetResourceVersion() != "2" {
		t.Errorf("whoever changed the outermost fields gets %v, %v", got, err)
	}

	// Nothing is held once storage does not hold the object, even if the served one is in use.
	definition, changed = nil, apiextensions.CustomResourceDefinition{}
	held := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.known)
	}
	for end := time.Now().Add(2 * time.Minute); held() > 0; time.Sleep(time.Millisecond) {
		if runtime.GC(); time.Now().After(end) {
			t.Fatal("the converted object is held for ever")
		}
	}
	runtime.KeepAlive(first)
}

// Definitions that share a large schema in storage share it converted, and are what the stock conversion makes of them.
func TestServed_SharesSchemas(t *testing.T) {
	types := kinds.All.NewScheme().Scheme
	convert := func(obj apiruntime.Object) (client.Object, error) {
		out := &apiextensionsv1.CustomResourceDefinition{}
		return out, types.Convert(obj, out, nil)
	}
	large := func(of string) *apiextensions.CustomResourceValidation {
		properties := map[string]apiextensions.JSONSchemaProps{}
		for i := range sharedNodes {
			properties[fmt.Sprintf("p%d", i)] = apiextensions.JSONSchemaProps{Type: of}
		}
		return &apiextensions.CustomResourceValidation{OpenAPIV3Schema: &apiextensions.JSONSchemaProps{Type: "object", Properties: properties}}
	}
	version := func(name string, schema *apiextensions.CustomResourceValidation) apiextensions.CustomResourceDefinitionVersion {
		return apiextensions.CustomResourceDefinitionVersion{Name: name, Served: true, Storage: name == "v1", Schema: schema}
	}
	for name, spec := range map[string]apiextensions.CustomResourceDefinitionSpec{
		"one version": {Versions: []apiextensions.CustomResourceDefinitionVersion{version("v1", large("string"))}},
		"two versions with schemas of their own": {
			Versions: []apiextensions.CustomResourceDefinitionVersion{version("v1", large("string")), version("v2", large("integer"))},
		},
		"one with a schema, one without": {Versions: []apiextensions.CustomResourceDefinitionVersion{version("v1", large("string")), version("v2", nil)}},
		"a schema for all versions": {
			Validation: large("string"), Versions: []apiextensions.CustomResourceDefinitionVersion{version("v1", nil), version("v2", nil)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s served
			var before *apiextensionsv1.CustomResourceDefinition
			for _, revision := range []string{"1", "2"} {
				definition := &apiextensions.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "gadgets.example.org", ResourceVersion: revision}, Spec: spec}
				definition.Spec.Group, definition.Spec.Scope = "example.org", apiextensions.NamespaceScoped
				definition.Spec.Versions = slices.Clone(spec.Versions)
				definition.Status.StoredVersions = []string{revision}
				want, err := convert(definition)
				if err != nil {
					t.Fatal(err)
				}
				got, err := s.of(definition, convert)
				if err != nil {
					t.Fatal(err)
				}
				if !equality.Semantic.DeepEqual(got, want) {
					t.Errorf("revision %s differs from what the stock conversion makes: %v", revision, got)
				}
				after := got.(*apiextensionsv1.CustomResourceDefinition)
				for i := range after.Spec.Versions {
					if before != nil && after.Spec.Versions[i].Schema != before.Spec.Versions[i].Schema {
						t.Errorf("the schema of %s was converted again", after.Spec.Versions[i].Name)
					}
				}
				before = after
				runtime.KeepAlive(definition)
			}
		})
	}
}

// Whoever watches a definition gets what whoever reads it gets: it is neither copied nor converted again.
func TestWatch_SharesWhatIsConverted(t *testing.T) {
	c, _, _ := newClient(t)
	converted := &schemasConverted{ObjectConvertor: c.resources[crds].convert}
	c.resources[crds].convert = converted
	synced, added := make(chan struct{}, 2), make(chan client.Object, 2)
	for range 2 {
		go func() {
			_ = c.Watch(t.Context(), crds, func(event client.Event) {
				switch event.Type {
				case client.Synced:
					synced <- struct{}{}
				case client.Added:
					added <- event.Object
				}
			})
		}()
	}
	<-synced
	<-synced
	if _, err := c.Create(t.Context(), crds, "one", gadgets()); err != nil {
		t.Fatal(err)
	}
	list, err := c.Live().List(t.Context(), crds, client.Scope{Cluster: "one"})
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	for range 2 {
		if got := <-added; got != list[0] {
			t.Error("a watch gets another object")
		}
	}
	runtime.KeepAlive(list)
}
