package validation

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// check compares faults with wanted ones, each written as a part of "path: text".
func check(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	for _, w := range want {
		found := false
		for _, e := range errs {
			found = found || strings.Contains(e.Error(), w)
		}
		if !found {
			t.Errorf("no fault has %q in it: %v", w, errs)
		}
	}
	if len(errs) != len(want) {
		t.Errorf("got %d faults, want %d: %v", len(errs), len(want), errs)
	}
}

func TestValidateAPIExport(t *testing.T) {
	crdStorage := apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}}
	resource := func(change func(*apisv1alpha2.ResourceSchema)) func(*apisv1alpha2.APIExport) {
		return func(e *apisv1alpha2.APIExport) { change(&e.Spec.Resources[0]) }
	}
	virtual := func(group, kind, name, identity string) func(*apisv1alpha2.APIExport) {
		return resource(func(r *apisv1alpha2.ResourceSchema) {
			r.Storage = apisv1alpha2.ResourceSchemaStorage{Virtual: &apisv1alpha2.ResourceSchemaStorageVirtual{
				Reference: corev1.TypedLocalObjectReference{APIGroup: &group, Kind: kind, Name: name}, IdentityHash: identity,
			}}
		})
	}
	for _, tc := range []struct {
		name   string
		change func(*apisv1alpha2.APIExport)
		want   []string
	}{
		{"as it should be", func(*apisv1alpha2.APIExport) {}, nil},
		{"nothing on offer", func(e *apisv1alpha2.APIExport) { e.Spec = apisv1alpha2.APIExportSpec{} }, nil},
		{"short group", resource(func(r *apisv1alpha2.ResourceSchema) { r.Group, r.Schema = "apps", "v1.widgets.apps" }), nil},
		{"one resource twice", func(e *apisv1alpha2.APIExport) { e.Spec.Resources = append(e.Spec.Resources, e.Spec.Resources[0]) },
			[]string{"spec.resources[1]: Duplicate"}},
		{"no name", resource(func(r *apisv1alpha2.ResourceSchema) { r.Name = "" }), []string{"resources[0].name: Required", "resources[0].schema"}},
		{"name in upper case", resource(func(r *apisv1alpha2.ResourceSchema) { r.Name = "Widgets" }), []string{"resources[0].name", "resources[0].schema"}},
		{"no schema", resource(func(r *apisv1alpha2.ResourceSchema) { r.Schema = "" }), []string{"resources[0].schema: Required"}},
		{"schema of another resource", resource(func(r *apisv1alpha2.ResourceSchema) { r.Schema = "v1.gadgets.example.com" }), []string{"must end in .widgets.example.com"}},
		{"schema without prefix", resource(func(r *apisv1alpha2.ResourceSchema) { r.Schema = ".widgets.example.com" }), []string{"resources[0].schema"}},
		{"group core", resource(func(r *apisv1alpha2.ResourceSchema) { r.Group, r.Schema = "core", "v1.widgets.core" }), []string{"must be the empty string for the core group"}},
		{"core group", resource(func(r *apisv1alpha2.ResourceSchema) { r.Group, r.Schema = "", "v1.widgets.core" }),
			[]string{"spec.resources[0].group: Forbidden: resources of the core group are not supported yet"}},
		{"group without dot", resource(func(r *apisv1alpha2.ResourceSchema) { r.Group, r.Schema = "example", "v1.widgets.example" }), []string{"at least one dot"}},
		{"no storage", resource(func(r *apisv1alpha2.ResourceSchema) { r.Storage = apisv1alpha2.ResourceSchemaStorage{} }), []string{"storage: Required"}},
		{"virtual storage", virtual("cache.kcp.io", "ClusterCachedResourceEndpointSlice", "widgets", "abc"), nil},
		{"virtual storage without identity", virtual("cache.kcp.io", "ClusterCachedResourceEndpointSlice", "widgets", ""),
			[]string{"storage.virtual.identityHash: Required"}},
		{"virtual storage of nothing", virtual("", "", "", ""), []string{"reference.apiGroup: Required", "reference.kind: Required", "reference.name: Required"}},
		{"virtual storage of another kind", virtual("example.com", "WidgetEndpointSlice", "widgets", ""), nil},
		{"both storages", resource(func(r *apisv1alpha2.ResourceSchema) {
			r.Storage.Virtual = &apisv1alpha2.ResourceSchemaStorageVirtual{}
		}), []string{"exactly one of"}},
		{"identity", func(e *apisv1alpha2.APIExport) {
			e.Spec.Identity = &apisv1alpha2.Identity{SecretRef: &corev1.SecretReference{Namespace: "kcp-system", Name: "widgets"}}
		}, nil},
		{"empty identity", func(e *apisv1alpha2.APIExport) { e.Spec.Identity = &apisv1alpha2.Identity{} }, []string{"spec.identity.secretRef: Required"}},
		{"identity without names", func(e *apisv1alpha2.APIExport) {
			e.Spec.Identity = &apisv1alpha2.Identity{SecretRef: &corev1.SecretReference{}}
		}, []string{"secretRef.namespace: Required", "secretRef.name: Required"}},
		{"policy", func(e *apisv1alpha2.APIExport) {
			e.Spec.MaximalPermissionPolicy = &apisv1alpha2.MaximalPermissionPolicy{}
		}, []string{"spec.maximalPermissionPolicy.local: Required value: a maximal permission policy is local"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := &apisv1alpha2.APIExport{
				ObjectMeta: metav1.ObjectMeta{Name: "widgets", ResourceVersion: "1"},
				Spec: apisv1alpha2.APIExportSpec{Resources: []apisv1alpha2.ResourceSchema{
					{Name: "widgets", Group: "example.com", Schema: "v1.widgets.example.com", Storage: crdStorage},
				}},
			}
			tc.change(e)
			check(t, ValidateAPIExport(e), tc.want...)
			check(t, ValidateAPIExportUpdate(e, e), tc.want...)
		})
	}
}

func TestValidateAPIExportStatusUpdate_IdentityStays(t *testing.T) {
	old := &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "widgets", ResourceVersion: "1"}}
	e := old.DeepCopy()
	e.Status.IdentityHash = "abc"
	check(t, ValidateAPIExportStatusUpdate(e, old))
	check(t, ValidateAPIExportStatusUpdate(old, e), "status.identityHash")
}

func TestValidateAPIBinding(t *testing.T) {
	type binding = apisv1alpha2.APIBinding
	for _, tc := range []struct {
		name       string
		change     func(*binding)
		want       []string
		wantUpdate []string // beside want
	}{
		{"as it should be", func(*binding) {}, nil, nil},
		{"no export", func(b *binding) { b.Spec.Reference.Export = nil }, []string{"spec.reference.export: Required"}, []string{"APIExport reference must not be changed"}},
		{"no name", func(b *binding) { b.Spec.Reference.Export.Name = "" }, []string{"spec.reference.export.name: Required"}, []string{"APIExport reference must not be changed"}},
		{"path malformed", func(b *binding) { b.Spec.Reference.Export.Path = "Root" }, []string{"spec.reference.export.path"}, []string{"APIExport reference must not be changed"}},
		{"another export", func(b *binding) { b.Spec.Reference.Export.Name = "gadgets" }, nil, []string{"spec.reference: Invalid value"}},
		{"own workspace", func(b *binding) { b.Spec.Reference.Export.Path = "" }, nil, []string{"APIExport reference must not be changed"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			old := &binding{ObjectMeta: metav1.ObjectMeta{Name: "widgets", ResourceVersion: "1"}}
			old.Spec.Reference.Export = &apisv1alpha2.ExportBindingReference{Path: "root:org", Name: "widgets"}
			b := old.DeepCopy()
			tc.change(b)
			check(t, ValidateAPIBinding(b), tc.want...)
			check(t, ValidateAPIBindingUpdate(b, old), append(append([]string{}, tc.want...), tc.wantUpdate...)...)
		})
	}
}

func TestValidateAPIBindingStatusUpdate(t *testing.T) {
	old := &apisv1alpha2.APIBinding{ObjectMeta: metav1.ObjectMeta{Name: "widgets", ResourceVersion: "1"}}
	old.Status.Phase = apisv1alpha2.APIBindingPhaseBound
	b := old.DeepCopy()
	b.Status.APIExportClusterName = "root"
	b.Status.BoundResources = []apisv1alpha2.BoundAPIResource{{Group: "example.com", Resource: "widgets", Schema: apisv1alpha2.BoundAPIResourceSchema{Name: "s", UID: "u", IdentityHash: "i"}}}
	check(t, ValidateAPIBindingStatusUpdate(b, old))
	b.Status.Phase = ""
	b.Status.BoundResources = append(b.Status.BoundResources, b.Status.BoundResources[0])
	b.Status.BoundResources[1].Schema.UID = ""
	check(t, ValidateAPIBindingStatusUpdate(b, old), "status.phase", "boundResources[1]: Duplicate", "boundResources[1].schema.UID: Required")
}

func TestValidateAPIExportEndpointSlice(t *testing.T) {
	old := &apisv1alpha1.APIExportEndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "widgets", ResourceVersion: "1"}}
	check(t, ValidateAPIExportEndpointSlice(old), "spec.export.name: Required")
	old.Spec.APIExport = apisv1alpha1.ExportBindingReference{Name: "widgets", Path: "root"}
	check(t, ValidateAPIExportEndpointSlice(old))
	s := old.DeepCopy()
	s.Spec.Partition = "eu"
	check(t, ValidateAPIExportEndpointSliceUpdate(s, old))
	s.Spec.APIExport.Path = "root:org"
	check(t, ValidateAPIExportEndpointSliceUpdate(s, old), "spec.export")

	url := "https://example.com/services/apiexport/root/widgets"
	s.Status.APIExportEndpoints = []apisv1alpha1.APIExportEndpoint{{URL: url, Shards: &apisv1alpha1.EndpointShards{MatchAll: true}}}
	check(t, ValidateAPIExportEndpointSliceStatusUpdate(s, old))
	s.Status.APIExportEndpoints = append(s.Status.APIExportEndpoints, apisv1alpha1.APIExportEndpoint{URL: url, Shards: &apisv1alpha1.EndpointShards{}})
	check(t, ValidateAPIExportEndpointSliceStatusUpdate(s, old), "endpoints[1].url: Duplicate", "endpoints[1].shards")
}

const structural = `{"type":"object","properties":{"spec":{"type":"object","properties":{"color":{"type":"string"}}}}}`

func newSchema() *apisv1alpha1.APIResourceSchema {
	s := &apisv1alpha1.APIResourceSchema{
		ObjectMeta: metav1.ObjectMeta{Name: "v1.widgets.example.com"},
		Spec: apisv1alpha1.APIResourceSchemaSpec{
			Group: "example.com",
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "widgets", Singular: "widget", Kind: "Widget", ListKind: "WidgetList"},
			Scope: apiextensionsv1.NamespaceScoped,
			Versions: []apisv1alpha1.APIResourceVersion{
				{Name: "v1", Storage: true, Schema: runtime.RawExtension{Raw: []byte(structural)}},
			},
		},
	}
	apisv1alpha1.SetObjectDefaults_APIResourceSchema(s)
	return s
}

func TestValidateAPIResourceSchema(t *testing.T) {
	type schema = apisv1alpha1.APIResourceSchema
	raw := func(json string) func(*schema) {
		return func(s *schema) { s.Spec.Versions[0].Schema.Raw = []byte(json) }
	}
	webhook := func(url string, versions ...string) func(*schema) {
		return func(s *schema) {
			s.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: apisv1alpha1.WebhookConverter, Webhook: &apisv1alpha1.WebhookConversion{
				ClientConfig: &apisv1alpha1.WebhookClientConfig{URL: url}, ConversionReviewVersions: versions,
			}}
		}
	}
	second := func(name string) apisv1alpha1.APIResourceVersion {
		return apisv1alpha1.APIResourceVersion{Name: name, Schema: runtime.RawExtension{Raw: []byte(structural)}}
	}
	for _, tc := range []struct {
		name   string
		change func(*schema)
		want   []string
	}{
		{"as it should be", func(*schema) {}, nil},
		{"name of another resource", func(s *schema) { s.Name = "v1.gadgets.example.com" }, []string{"metadata.name"}},
		{"name without prefix", func(s *schema) { s.Name = "widgets.example.com" }, []string{"metadata.name"}},
		{"prefix with a dot", func(s *schema) { s.Name = "v1.2.widgets.example.com" }, []string{"metadata.name"}},
		{"dated prefix", func(s *schema) { s.Name = "v260801-1a2b3c.widgets.example.com" }, nil},
		{"core group", func(s *schema) { s.Spec.Group, s.Name = "", "v1.widgets.core" }, []string{"spec.group: Forbidden: schemas of the core group are not supported yet"}},
		{"group core", func(s *schema) { s.Spec.Group, s.Name = "core", "v1.widgets.core" }, []string{"spec.group: Invalid"}},
		{"group without dot", func(s *schema) { s.Spec.Group, s.Name = "example", "v1.widgets.example" }, []string{"spec.group: Invalid"}},
		{"short group", func(s *schema) { s.Spec.Group, s.Name = "batch", "v1.widgets.batch" }, nil},
		{"no names", func(s *schema) { s.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{} },
			[]string{"names.plural: Required", "names.singular: Required", "names.kind: Required", "names.listKind: Required"}},
		{"no scope", func(s *schema) { s.Spec.Scope = "" }, []string{"spec.scope: Required"}},
		{"scope unknown", func(s *schema) { s.Spec.Scope = "Global" }, []string{"spec.scope: Unsupported value"}},
		{"no versions", func(s *schema) { s.Spec.Versions = nil }, []string{"spec.versions: Required"}},
		{"version malformed", func(s *schema) { s.Spec.Versions[0].Name = "1" }, []string{"spec.versions[0].name"}},
		{"version 0", func(s *schema) { s.Spec.Versions[0].Name = "v0" }, []string{"spec.versions[0].name"}},
		{"no storage version", func(s *schema) { s.Spec.Versions[0].Storage = false }, []string{"spec.versions: Invalid"}},
		{"two versions", func(s *schema) {
			s.Spec.Versions = append(s.Spec.Versions, second("v2"))
			s.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: apisv1alpha1.NoneConverter}
		}, nil},
		{"two versions without conversion", func(s *schema) { s.Spec.Versions = append(s.Spec.Versions, second("v2")) }, []string{"spec.conversion: Required"}},
		{"one version twice", func(s *schema) {
			s.Spec.Versions = append(s.Spec.Versions, second("v1"))
			s.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: apisv1alpha1.NoneConverter}
		}, []string{"spec.versions[1].name: Duplicate"}},
		{"webhook", webhook("https://hooks.example.com/convert", "v1"), nil},
		{"webhook without TLS", webhook("http://hooks.example.com", "v1"), []string{"spec.conversion.webhook.clientConfig.url: Invalid"}},
		{"webhook without url", webhook("", "v1"), []string{"spec.conversion.webhook.clientConfig.url: Required"}},
		{"webhook without versions", webhook("https://hooks.example.com"), []string{"spec.conversion.webhook.conversionReviewVersions: Required"}},
		{"webhook with unknown versions", webhook("https://hooks.example.com", "v9"), []string{"spec.conversion.webhook.conversionReviewVersions: Invalid"}},
		{"webhook that is empty", func(s *schema) {
			s.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: apisv1alpha1.WebhookConverter, Webhook: &apisv1alpha1.WebhookConversion{}}
		}, []string{"spec.conversion.webhook.clientConfig: Required", "spec.conversion.webhook.conversionReviewVersions: Required"}},
		{"no webhook", func(s *schema) {
			s.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: apisv1alpha1.WebhookConverter}
		}, []string{"spec.conversion.webhook: Required"}},
		{"webhook with None", func(s *schema) {
			s.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: apisv1alpha1.NoneConverter, Webhook: &apisv1alpha1.WebhookConversion{}}
		}, []string{"spec.conversion.webhook: Forbidden"}},
		{"strategy unknown", func(s *schema) { s.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: "Magic"} }, []string{"spec.conversion.strategy: Unsupported"}},
		{"path segment names", func(s *schema) { s.Spec.NameValidation = apisv1alpha1.NameValidationPathSegmentName }, nil},
		{"name validation unknown", func(s *schema) { s.Spec.NameValidation = "Any" }, []string{"spec.nameValidation: Unsupported"}},
		{"no schema", raw(``), []string{"spec.versions[0].schema: Invalid"}},
		{"schema that is no JSON object", raw(`[1]`), []string{"spec.versions[0].schema: Invalid"}},
		{"schema that is not structural", raw(`{"type":"object","properties":{"spec":{}}}`), []string{"spec.versions[0].schema.properties[spec].type: Required"}},
		{"CEL that does not compile", raw(`{"type":"object","properties":{"spec":{"type":"object","x-kubernetes-validations":[{"rule":"self.nothing == 1"}]}}}`),
			[]string{"spec.versions[0].schema.properties[spec].x-kubernetes-validations[0].rule"}},
		{"CEL that costs too much", raw(`{"type":"object","properties":{"spec":{"type":"array","items":{"type":"array","items":{"type":"string"}},"x-kubernetes-validations":[{"rule":"self.all(x, self.all(y, x.all(a, y.all(b, a == b))))"}]}}}`),
			[]string{"rule: Forbidden: estimated rule cost", "rule: Forbidden: contributed", "spec.versions[0].schema: Forbidden"}},
		{"printer column without path", func(s *schema) {
			s.Spec.Versions[0].AdditionalPrinterColumns = []apiextensionsv1.CustomResourceColumnDefinition{{Name: "A", Type: "string"}}
		}, []string{"spec.versions[0].additionalPrinterColumns[0].jsonPath"}},
		{"scale without paths", func(s *schema) {
			s.Spec.Versions[0].Subresources.Scale = &apiextensionsv1.CustomResourceSubresourceScale{}
		}, []string{"spec.versions[0].subresources.scale.specReplicasPath", "spec.versions[0].subresources.scale.statusReplicasPath"}},
		{"selectable field", func(s *schema) {
			s.Spec.Versions[0].SelectableFields = []apiextensionsv1.SelectableField{{JSONPath: ".spec.color"}}
		}, nil},
		{"selectable field that is not there", func(s *schema) {
			s.Spec.Versions[0].SelectableFields = []apiextensionsv1.SelectableField{{JSONPath: ".spec.size"}}
		}, []string{"spec.versions[0].selectableFields[0].jsonPath"}},
		{"protected group", func(s *schema) { s.Spec.Group, s.Name = "x.k8s.io", "v1.widgets.x.k8s.io" }, []string{"metadata.annotations[api-approved.kubernetes.io]"}},
		{"protected group, approved", func(s *schema) {
			s.Spec.Group, s.Name = "x.k8s.io", "v1.widgets.x.k8s.io"
			s.Annotations = map[string]string{"api-approved.kubernetes.io": "https://github.com/kubernetes/kubernetes/pull/1"}
		}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSchema()
			tc.change(s)
			check(t, ValidateAPIResourceSchema(t.Context(), s), tc.want...)
		})
	}
}

func TestValidateAPIResourceSchemaUpdate(t *testing.T) {
	old := newSchema()
	old.ResourceVersion = "1"
	s := old.DeepCopy()
	s.Labels = map[string]string{"a": "b"}
	s.Spec.Versions[0].Schema.Raw = []byte(`{ "properties": {"spec":{"properties":{"color":{"type":"string"}},"type":"object"}}, "type":"object" }`)
	check(t, ValidateAPIResourceSchemaUpdate(s, old))
	for name, change := range map[string]func(*apisv1alpha1.APIResourceSchema){
		"schema":  func(s *apisv1alpha1.APIResourceSchema) { s.Spec.Versions[0].Schema.Raw = []byte(`{"type":"object"}`) },
		"scope":   func(s *apisv1alpha1.APIResourceSchema) { s.Spec.Scope = apiextensionsv1.ClusterScoped },
		"version": func(s *apisv1alpha1.APIResourceSchema) { s.Spec.Versions = nil },
	} {
		s := old.DeepCopy()
		change(s)
		if errs := ValidateAPIResourceSchemaUpdate(s, old); len(errs) != 1 || errs[0].Field != "spec" {
			t.Errorf("%s: got %v, want one fault of spec", name, errs)
		}
	}
}

func TestValidateAPIConversion(t *testing.T) {
	type spec = apisv1alpha1.APIConversionSpec
	rule := func(field, destination string) apisv1alpha1.APIConversionRule {
		return apisv1alpha1.APIConversionRule{Field: field, Destination: destination}
	}
	for _, tc := range []struct {
		name   string
		change func(*spec)
		want   []string
	}{
		{"as it should be", func(*spec) {}, nil},
		{"no conversions", func(s *spec) { s.Conversions = nil }, []string{"spec.conversions: Required"}},
		{"no versions", func(s *spec) { s.Conversions[0].From, s.Conversions[0].To = "", "2" }, []string{"spec.conversions[0].from: Required", "spec.conversions[0].to: Invalid"}},
		{"twice", func(s *spec) { s.Conversions = append(s.Conversions, s.Conversions[0]) }, []string{"spec.conversions[1]: Duplicate"}},
		{"no paths", func(s *spec) { s.Conversions[0].Rules[0] = rule("", "") }, []string{"rules[0].field: Required", "rules[0].destination: Required"}},
		{"bad paths", func(s *spec) { s.Conversions[0].Rules[0] = rule(".spec[0]", "$.spec") }, []string{"rules[0].field: Invalid", "rules[0].destination: Invalid"}},
		{"one destination twice", func(s *spec) { s.Conversions[0].Rules = append(s.Conversions[0].Rules, rule(".a", "spec.b")) }, []string{"spec.conversions[0].rules[1].destination: Duplicate"}},
		{"bad preserve", func(s *spec) { s.Conversions[0].Preserve = []string{"", ".a..b"} }, []string{"preserve[0]: Required", "preserve[1]: Invalid"}},
		{"too many rules", func(s *spec) { s.Conversions[0].Preserve = make([]string, 1000) }, []string{"spec.conversions: Too many"}},
		{"too large", func(s *spec) { s.Conversions[0].Rules[0].Transformation = strings.Repeat("x", 200<<10) }, []string{"spec.conversions: Invalid value: may have at most 196608 bytes"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &apisv1alpha1.APIConversion{ObjectMeta: metav1.ObjectMeta{Name: "v1.widgets.example.com"}, Spec: spec{
				Conversions: []apisv1alpha1.APIVersionConversion{{From: "v1", To: "v2", Rules: []apisv1alpha1.APIConversionRule{rule(".spec.a", ".spec.b")}}},
			}}
			old := c.DeepCopy()
			tc.change(&c.Spec)
			check(t, ValidateAPIConversion(c), tc.want...)
			c.ResourceVersion, old.ResourceVersion = "1", "1"
			check(t, ValidateAPIConversionUpdate(c, old), tc.want...)
		})
	}
}
