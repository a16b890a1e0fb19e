package inprocess

import (
	"reflect"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/client"
)

// schemasConverted counts the definitions with schemas that are converted.
type schemasConverted struct {
	runtime.ObjectConvertor
	count int
}

func (c *schemasConverted) Convert(in, out, context any) error {
	switch in := in.(type) {
	case *apiextensionsv1.CustomResourceDefinition:
		if len(in.Spec.Versions) > 0 {
			c.count++
		}
	case *apiextensions.CustomResourceDefinition:
		if len(in.Spec.Versions) > 0 {
			c.count++
		}
	}
	return c.ObjectConvertor.Convert(in, out, context)
}

func gadgets() *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "gadgets.example.org"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.org", Scope: apiextensionsv1.ClusterScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "gadgets", Singular: "gadget", Kind: "Gadget", ListKind: "GadgetList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Description: strings.Repeat("It is long. ", 500), // short ones are cheaper to decode again
					Type:        "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"a": {Type: "string"}},
				}},
			}},
		},
	}
}

func TestUpdate_LeavesTheSpecThatWasRead(t *testing.T) {
	c, _, _ := newClient(t)
	converted := &schemasConverted{ObjectConvertor: c.resources[crds].convert}
	c.resources[crds].convert = converted
	if _, err := c.Create(t.Context(), crds, "one", gadgets()); err != nil {
		t.Fatal(err)
	}
	key := client.Key{Cluster: "one", Name: "gadgets.example.org"}
	live := func() *apiextensionsv1.CustomResourceDefinition {
		t.Helper()
		obj, err := c.Live().Get(t.Context(), crds, key)
		if err != nil {
			t.Fatal(err)
		}
		return obj.(*apiextensionsv1.CustomResourceDefinition)
	}
	// Once the cache has it, all readers share it.
	read := func() *apiextensionsv1.CustomResourceDefinition {
		t.Helper()
		list, err := c.Live().List(t.Context(), crds, client.Scope{Cluster: "one"})
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		return list[0].(*apiextensionsv1.CustomResourceDefinition)
	}
	old := read()
	again, err := client.Find[apiextensionsv1.CustomResourceDefinition](t.Context(), c, crds, key)
	if err != nil || again != old {
		t.Fatalf("two readers have two objects: %v", err)
	}

	before := converted.count
	changed := *old
	changed.Status.AcceptedNames = changed.Spec.Names
	written, err := c.Update(t.Context(), crds, "one", &changed)
	if err != nil {
		t.Fatal(err)
	}
	if n := converted.count - before; n != 0 {
		t.Errorf("a write that leaves the spec converts it %d times", n)
	}
	for name, got := range map[string]*apiextensionsv1.CustomResourceDefinition{"written": written.(*apiextensionsv1.CustomResourceDefinition), "stored": live()} {
		if !reflect.DeepEqual(got.Spec, old.Spec) || got.Generation != 1 || got.Status.AcceptedNames.Kind != "Gadget" || got.ResourceVersion == old.ResourceVersion {
			t.Errorf("%s is %+v", name, got)
		}
		// A write of the status alone counts as one of the subresource.
		fields := got.ManagedFields
		if len(fields) != 2 || fields[0].Subresource != "" || fields[1].Subresource != "status" ||
			!strings.Contains(fields[0].FieldsV1.GetRawString(), `"f:versions"`) || strings.Contains(fields[1].FieldsV1.GetRawString(), `"f:spec"`) ||
			!strings.Contains(fields[1].FieldsV1.GetRawString(), `"f:acceptedNames"`) {
			t.Errorf("%s is managed by %v", name, fields)
		}
	}
	if _, err := c.Update(t.Context(), crds, "one", &changed); !apierrors.IsConflict(err) {
		t.Errorf("an update of an old state: %v", err)
	}

	// What differs in anything is written.
	category := *read()
	category.Spec.Names.Categories = []string{"all"}
	if _, err := c.Update(t.Context(), crds, "one", &category); err != nil {
		t.Fatal(err)
	}
	if got := live(); len(got.Spec.Names.Categories) != 1 || got.Generation != 2 {
		t.Errorf("stored is %+v", got)
	}
	schema := read().DeepCopy()
	schema.Spec.Versions[0].Schema.OpenAPIV3Schema.Description = "another"
	if _, err := c.Update(t.Context(), crds, "one", schema); err != nil {
		t.Fatal(err)
	}
	if got := live(); got.Spec.Versions[0].Schema.OpenAPIV3Schema.Description != "another" || got.Generation != 3 {
		t.Errorf("stored is %+v", got)
	}
}
