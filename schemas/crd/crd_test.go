package crd

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

func widgets() *apiextensionsv1.CustomResourceDefinition {
	props := &apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
		"spec":   {Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"color": {Type: "string", Default: &apiextensionsv1.JSON{Raw: []byte(`"red"`)}}}},
		"status": {Type: "object", XPreserveUnknownFields: ptr.To(true)},
	}}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets.example.com", Annotations: map[string]string{"api-approved.kubernetes.io": "unapproved"}},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com",
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList", ShortNames: []string{"wd"}, Categories: []string{"all"}},
			Scope: apiextensionsv1.NamespaceScoped,
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{
				{
					Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: props},
					Subresources:             &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
					AdditionalPrinterColumns: []apiextensionsv1.CustomResourceColumnDefinition{{Name: "Color", Type: "string", JSONPath: ".spec.color"}},
					SelectableFields:         []apiextensionsv1.SelectableField{{JSONPath: ".spec.color"}},
				},
				{
					Name: "v1beta1", Served: false, Deprecated: true, DeprecationWarning: ptr.To("gone soon"),
					Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: props.DeepCopy()},
				},
			},
			Conversion: &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.NoneConverter},
		},
		Status: apiextensionsv1.CustomResourceDefinitionStatus{StoredVersions: []string{"v1"}},
	}
}

func TestToSchemaAndBack_IsTheSame(t *testing.T) {
	crd := widgets()
	schema, err := ToSchema(crd, "v1")
	if err != nil {
		t.Fatal(err)
	}
	if schema.Name != "v1.widgets.example.com" {
		t.Errorf("name is %q", schema.Name)
	}
	if errs := Validate(t.Context(), schema); len(errs) > 0 {
		t.Errorf("faults: %v", errs)
	}
	got, err := FromSchema(schema)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(crd, got); diff != "" {
		t.Errorf("not the same (-want +got):\n%s", diff)
	}
}

func TestBound_SaysWhereItComesFrom(t *testing.T) {
	schema, err := ToSchema(widgets(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Bound(schema, nil); err == nil {
		t.Error("a schema without UID was accepted")
	}
	schema.UID = "1234"
	schema.Annotations[logicalcluster.AnnotationKey] = "c1"
	got, err := Bound(schema, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"api-approved.kubernetes.io": "unapproved", "apis.kcp.io/bound-crd": "",
		"apis.kcp.io/schema-cluster": "c1", "apis.kcp.io/schema-name": "v1.widgets.example.com",
	}
	if diff := cmp.Diff(want, got.Annotations); got.Name != "1234" || diff != "" {
		t.Errorf("name %q, annotations (-want +got):\n%s", got.Name, diff)
	}
	if len(schema.Annotations) != 2 {
		t.Errorf("the schema was changed: %v", schema.Annotations)
	}
}

func TestConversion_IsInTheDefinition(t *testing.T) {
	schema, err := ToSchema(widgets(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	schema.UID = "1234"
	rules := &apisv1alpha1.APIConversion{Spec: apisv1alpha1.APIConversionSpec{Conversions: []apisv1alpha1.APIVersionConversion{
		{From: "v1", To: "v2", Rules: []apisv1alpha1.APIConversionRule{{Field: ".spec", Destination: ".spec", Transformation: "self"}}, Preserve: []string{".status"}},
	}}}
	crd, err := Bound(schema, rules)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Conversion(crd)
	if diff := cmp.Diff(&rules.Spec, got); diff != "" || err != nil {
		t.Errorf("%v, not the same (-want +got):\n%s", err, diff)
	}
	if err := SetConversion(crd, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := Conversion(crd); got != nil || err != nil {
		t.Errorf("got %v, %v", got, err)
	}
}

// A CustomResourceDefinition that converts by a webhook with a URL can be an APIResourceSchema.
func TestToSchema_Webhook(t *testing.T) {
	crd := widgets()
	crd.Spec.Conversion = &apiextensionsv1.CustomResourceConversion{Strategy: apiextensionsv1.WebhookConverter, Webhook: &apiextensionsv1.WebhookConversion{
		ConversionReviewVersions: []string{"v1"},
		ClientConfig:             &apiextensionsv1.WebhookClientConfig{URL: ptr.To("https://hooks.example.com/convert"), CABundle: []byte("a")},
	}}
	schema, err := ToSchema(crd, "v1")
	if err != nil {
		t.Fatal(err)
	}
	got, err := FromSchema(schema)
	if diff := cmp.Diff(crd.Spec.Conversion, got.Spec.Conversion); diff != "" || err != nil {
		t.Errorf("%v, not the same (-want +got):\n%s", err, diff)
	}
}

func TestFromSchema_LeftOutServedIsServed(t *testing.T) {
	schema, err := ToSchema(widgets(), "v1")
	if err != nil {
		t.Fatal(err)
	}
	schema.Spec.Versions[0].Served = nil
	crd, err := FromSchema(schema)
	if err != nil {
		t.Fatal(err)
	}
	if !crd.Spec.Versions[0].Served || crd.Spec.Versions[1].Served {
		t.Errorf("served: %v, %v", crd.Spec.Versions[0].Served, crd.Spec.Versions[1].Served)
	}
}

func TestParseSchema(t *testing.T) {
	object := &runtime.Unknown{Raw: []byte(`{"type":"object"}`)}
	for _, tc := range []struct {
		name      string
		raw       runtime.RawExtension
		wantError string
	}{
		{"JSON", runtime.RawExtension{Raw: []byte(`{"type":"object"}`)}, ""},
		{"object", runtime.RawExtension{Object: object}, ""},
		{"nothing", runtime.RawExtension{}, "missing"},
		{"null", runtime.RawExtension{Raw: []byte("null")}, "missing"},
		{"no JSON", runtime.RawExtension{Raw: []byte("{")}, "decoding"},
		{"not a schema", runtime.RawExtension{Raw: []byte(`{"type":1}`)}, "decoding"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			props, err := ParseSchema(tc.raw)
			switch {
			case tc.wantError == "" && (err != nil || props.Type != "object"):
				t.Errorf("got %v, %v", props, err)
			case tc.wantError != "" && (err == nil || !strings.Contains(err.Error(), tc.wantError)):
				t.Errorf("got %v, want %q", err, tc.wantError)
			}
		})
	}
}

func TestToSchema_RefusesWhatItCannotSay(t *testing.T) {
	for name, change := range map[string]func(*apiextensionsv1.CustomResourceDefinition){
		"webhook": func(c *apiextensionsv1.CustomResourceDefinition) {
			c.Spec.Conversion.Strategy = apiextensionsv1.WebhookConverter
		},
		"no schema": func(c *apiextensionsv1.CustomResourceDefinition) { c.Spec.Versions[0].Schema = nil },
	} {
		crd := widgets()
		change(crd)
		if _, err := ToSchema(crd, "v1"); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	schema, err := ToSchema(widgets(), "v1")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if errs := Validate(b.Context(), schema); len(errs) > 0 {
			b.Fatal(errs)
		}
	}
}
