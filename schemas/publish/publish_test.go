package publish

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestExportOf(t *testing.T) {
	for value, want := range map[string]string{"": "example.com", "true": "example.com", "widgets.dev": "widgets.dev"} {
		if name, published := ExportOf(map[string]string{AnnotationKey: value}, "example.com"); name != want || !published {
			t.Errorf("%q: %q, %t; want %q", value, name, published, want)
		}
	}
	if _, published := ExportOf(map[string]string{"other": "true"}, "example.com"); published {
		t.Error("a definition without the annotation is published")
	}
}

func TestSchemaOf_NamesFollowTheContent(t *testing.T) {
	named := func(change func(*apiextensionsv1.CustomResourceDefinition)) string {
		t.Helper()
		d := &apiextensionsv1.CustomResourceDefinition{
			ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com"},
			Spec: apiextensionsv1.CustomResourceDefinitionSpec{
				Group: "example.com", Scope: apiextensionsv1.NamespaceScoped, Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Kind: "Widget"},
				Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
					Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}},
				}},
			},
		}
		change(d)
		schema, err := SchemaOf(d)
		if err != nil {
			t.Fatal(err)
		}
		if schema.Annotations[FromAnnotationKey] != d.Name || !strings.HasPrefix(schema.Name, "crd-") || !strings.HasSuffix(schema.Name, ".widgets.example.com") {
			t.Errorf("made %s with %v", schema.Name, schema.Annotations)
		}
		return schema.Name
	}
	before := named(func(*apiextensionsv1.CustomResourceDefinition) {})
	for name, tc := range map[string]struct {
		change func(*apiextensionsv1.CustomResourceDefinition)
		same   bool
	}{
		"a label": {func(d *apiextensionsv1.CustomResourceDefinition) { d.Labels = map[string]string{"a": "b"} }, true},
		"the status": {func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Status.StoredVersions = []string{"v1"}
		}, true},
		"a default that is written out": {func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Spec.Names.Singular, d.Spec.Names.ListKind = "widget", "WidgetList"
		}, true},
		"a short name": {func(d *apiextensionsv1.CustomResourceDefinition) { d.Spec.Names.ShortNames = []string{"w"} }, false},
		"a field": {func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties = map[string]apiextensionsv1.JSONSchemaProps{"a": {Type: "string"}}
		}, false},
		"the approval of its group": {func(d *apiextensionsv1.CustomResourceDefinition) {
			d.Annotations = map[string]string{apiextensionsv1.KubeAPIApprovedAnnotation: "unapproved"}
		}, false},
	} {
		if after := named(tc.change); (after == before) != tc.same {
			t.Errorf("%s: %s becomes %s", name, before, after)
		}
	}
}
