package validation

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// Each mistake is answered with one fault that names it and says what to do.
func TestMistakes_AreNamed(t *testing.T) {
	schema := func(change func(*apisv1alpha1.APIResourceSchema)) field.ErrorList {
		s := newSchema()
		change(s)
		return ValidateAPIResourceSchema(t.Context(), s)
	}
	raw := func(json string) field.ErrorList {
		return schema(func(s *apisv1alpha1.APIResourceSchema) { s.Spec.Versions[0].Schema.Raw = []byte(json) })
	}
	export := func(change func(*apisv1alpha2.APIExport)) field.ErrorList {
		e := &apisv1alpha2.APIExport{ObjectMeta: metav1.ObjectMeta{Name: "widgets"}, Spec: apisv1alpha2.APIExportSpec{
			Resources: []apisv1alpha2.ResourceSchema{{
				Name: "widgets", Group: "example.com", Schema: "v1.widgets.example.com", Storage: apisv1alpha2.ResourceSchemaStorage{CRD: &apisv1alpha2.ResourceSchemaStorageCRD{}},
			}},
			PermissionClaims: []apisv1alpha2.PermissionClaim{{GroupResource: apisv1alpha2.GroupResource{Group: "example.org", Resource: "things"}, Verbs: []string{"get"}, IdentityHash: "abc"}},
		}}
		change(e)
		return ValidateAPIExport(e)
	}
	hash := func(hash string) field.ErrorList {
		return export(func(e *apisv1alpha2.APIExport) { e.Spec.PermissionClaims[0].IdentityHash = hash })
	}
	second := apisv1alpha1.APIResourceVersion{Name: "v2", Storage: true, Schema: runtime.RawExtension{Raw: []byte(structural)}}
	for name, tc := range map[string]struct {
		errs field.ErrorList
		want string
	}{
		"openAPIV3Schema below schema": {raw(`{"openAPIV3Schema":` + structural + `}`), "spec.versions[0].schema: Invalid value: openAPIV3Schema is one level too deep"},
		"a whole definition as the schema": {raw(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{}}`),
			`spec.versions[0].schema: Invalid value: this is a whole object of kind "CustomResourceDefinition"`},
		"the spec of a definition as the schema": {raw(`{"group":"example.com","names":{},"versions":[]}`), "spec.versions[0].schema: Invalid value: this is the spec of a CustomResourceDefinition"},
		"the schema as a text":                   {raw(`"type: object\nproperties: {}\n"`), "spec.versions[0].schema: Invalid value: must be an object, not a text"},
		"a schema without a type":                {raw(`{"properties":{"spec":{"type":"object"}}}`), "spec.versions[0].schema.type: Required value: a schema begins with type: object"},
		"a schema of another type":               {raw(`{"type":"array","items":{"type":"string"}}`), `spec.versions[0].schema.type: Invalid value: "array": must be object`},
		"no singular":                            {schema(func(s *apisv1alpha1.APIResourceSchema) { s.Spec.Names.Singular = "" }), "spec.names.singular: Required value: a CustomResourceDefinition fills this in, an APIResourceSchema does not: usually widget"},
		"no listKind":                            {schema(func(s *apisv1alpha1.APIResourceSchema) { s.Spec.Names.ListKind = "" }), "spec.names.listKind: Required value: a CustomResourceDefinition fills this in, an APIResourceSchema does not: usually WidgetList"},
		"the name of a definition":               {schema(func(s *apisv1alpha1.APIResourceSchema) { s.Name = "widgets.example.com" }), "metadata.name: Invalid value: \"widgets.example.com\": must end in .widgets.example.com: this is the name of a CustomResourceDefinition; put a prefix and a dot before it, such as v1.widgets.example.com"},
		"a name without the resource":            {schema(func(s *apisv1alpha1.APIResourceSchema) { s.Name = "widgets-v1" }), "the name is <prefix>.<plural>.<group>, such as v1.widgets.example.com"},
		"the group in the plural": {schema(func(s *apisv1alpha1.APIResourceSchema) {
			s.Spec.Names.Plural, s.Name = "widgets.example.com", "v1.widgets.example.com.example.com"
		}), "spec.names.plural: Invalid value: \"widgets.example.com\": must not contain the group: write widgets here and example.com as the group"},
		"the scope in lower case": {schema(func(s *apisv1alpha1.APIResourceSchema) { s.Spec.Scope = "namespaced" }), `spec.scope: Invalid value: "namespaced": must be Namespaced, with a capital letter`},
		"no version that stores":  {schema(func(s *apisv1alpha1.APIResourceSchema) { s.Spec.Versions[0].Storage = false }), "spec.versions: Invalid value: 0: must have exactly one version with storage: true, but none has it"},
		"two versions that store": {schema(func(s *apisv1alpha1.APIResourceSchema) {
			s.Spec.Versions = append(s.Spec.Versions, second)
			s.Spec.Conversion = &apisv1alpha1.CustomResourceConversion{Strategy: apisv1alpha1.NoneConverter}
		}), "spec.versions: Invalid value: 2: must have exactly one version with storage: true, but these have it: v1, v2"},
		"a resource twice in an export": {export(func(e *apisv1alpha2.APIExport) {
			again := e.Spec.Resources[0]
			again.Schema = "v2.widgets.example.com"
			e.Spec.Resources = append(e.Spec.Resources, again)
		}), `spec.resources[1]: Duplicate value: "widgets.example.com": spec.resources[0] is the same resource`},
		"a schema of another group": {export(func(e *apisv1alpha2.APIExport) { e.Spec.Resources[0].Schema = "v1.widgets.example.org" }),
			`spec.resources[0].schema: Invalid value: "v1.widgets.example.org": must end in .widgets.example.com: this name is for widgets of group example.org`},
		"a hash with a line end": {hash("0123abcd\n"), "spec.permissionClaims[0].identityHash: Invalid value: \"0123abcd\\n\": must be the identity hash of an APIExport: remove the quotes"},
		"a hash in quotes":       {hash(`"0123abcd"`), "remove the quotes, spaces and line ends around it"},
	} {
		t.Run(name, func(t *testing.T) { check(t, tc.errs, tc.want) })
	}
	check(t, hash("not a hash"), "spec.permissionClaims[0].identityHash: Invalid value: \"not a hash\": must be the identity hash of an APIExport")
}

func TestWarnAPIResourceSchema(t *testing.T) {
	s := newSchema()
	if got := WarnAPIResourceSchema(s); len(got) != 0 {
		t.Errorf("a schema without a status: %v", got)
	}
	s.Spec.Versions[0].Schema.Raw = []byte(`{"type":"object","properties":{"status":{"type":"object"}}}`)
	if got := WarnAPIResourceSchema(s); len(got) != 1 || !strings.HasPrefix(got[0], "spec.versions[0].subresources.status is not set") {
		t.Errorf("a status without its subresource: %v", got)
	}
	s.Spec.Versions[0].Subresources.Status = &apiextensionsv1.CustomResourceSubresourceStatus{}
	if got := WarnAPIResourceSchema(s); len(got) != 0 {
		t.Errorf("a status with its subresource: %v", got)
	}
}
