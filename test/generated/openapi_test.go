package generated

import (
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/annex-dev/annex/generated/openapi"
)

const refPrefix = "#/components/schemas/"

func definitions() map[string]common.OpenAPIDefinition {
	return openapi.GetOpenAPIDefinitions(func(name string) spec.Ref { return spec.MustCreateRef(refPrefix + name) })
}

func TestOpenAPI_NamesAreThoseOfTheGroups(t *testing.T) {
	defs := definitions()
	for _, want := range []string{
		"io.kcp.tenancy.v1alpha1.Workspace", "io.kcp.tenancy.v1alpha1.WorkspaceType", "io.kcp.core.v1alpha1.LogicalCluster", "io.kcp.core.v1alpha1.Shard",
		"io.kcp.apis.v1alpha1.APIResourceSchema", "io.kcp.apis.v1alpha1.APIExport", "io.kcp.apis.v1alpha1.APIBinding", "io.kcp.apis.v1alpha1.APIExportEndpointSlice",
		"io.kcp.apis.v1alpha2.APIExport", "io.kcp.apis.v1alpha2.APIBinding", "io.kcp.topology.v1alpha1.Partition", "io.kcp.topology.v1alpha1.PartitionSet", "io.kcp.cache.v1alpha1.ClusterCachedResource", "dev.annex.v1alpha1.HostBinding",
		"io.kcp.conditions.v1alpha1.Condition",
		"io.k8s.api.core.v1.ConfigMap", "io.k8s.api.rbac.v1.ClusterRole", "io.k8s.api.coordination.v1.Lease", "io.k8s.api.events.v1.Event",
		"io.k8s.api.authorization.v1.SubjectAccessReview", "io.k8s.api.authentication.v1.TokenReview", "io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
		"io.k8s.api.autoscaling.v1.Scale", "io.k8s.api.certificates.v1.CertificateSigningRequest", "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
		"io.k8s.apimachinery.pkg.apis.meta.v1.Status", "io.k8s.apimachinery.pkg.version.Info", "io.k8s.apimachinery.pkg.api.resource.Quantity",
		apiextensionsv1.CustomResourceDefinition{}.OpenAPIModelName(),
	} {
		if _, ok := defs[want]; !ok {
			t.Errorf("no definition of %s", want)
		}
	}
	for name := range defs {
		if strings.Contains(name, "annex") && !strings.HasPrefix(name, "dev.annex.") {
			t.Errorf("%s is named after a Go package; its package lacks the model-package marker", name)
		}
	}
}

func TestOpenAPI_ReferencesLeadSomewhere(t *testing.T) {
	defs := definitions()
	for name, def := range defs {
		for _, dep := range def.Dependencies {
			if _, ok := defs[dep]; !ok {
				t.Errorf("%s refers to %s, which is not defined", name, dep)
			}
		}
	}
}

func TestOpenAPI_ListTypes(t *testing.T) {
	defs := definitions()
	for _, tc := range []struct {
		model, field, wantType string
		wantKeys               []string
	}{
		{"io.kcp.apis.v1alpha2.APIExportSpec", "resources", "map", []string{"name", "group"}},
		{"io.kcp.apis.v1alpha2.APIBindingSpec", "permissionClaims", "map", []string{"group", "resource", "identityHash"}},
		{"io.kcp.apis.v1alpha2.APIBindingStatus", "boundResources", "map", []string{"group", "resource"}},
		{"io.kcp.apis.v1alpha1.APIExportSpec", "latestResourceSchemas", "set", nil},
		{"io.kcp.apis.v1alpha1.APIResourceSchemaSpec", "versions", "map", []string{"name"}},
		{"io.kcp.apis.v1alpha1.APIExportEndpointSliceStatus", "endpoints", "map", []string{"url"}},
		{"io.kcp.tenancy.v1alpha1.WorkspaceStatus", "conditions", "map", []string{"type"}},
	} {
		extensions := defs[tc.model].Schema.Properties[tc.field].Extensions
		keys, _ := extensions.GetStringSlice("x-kubernetes-list-map-keys")
		got, _ := extensions.GetString("x-kubernetes-list-type")
		if got == "" {
			// The generator writes keys as []interface{} and the type as string.
			got, _ = extensions["x-kubernetes-list-type"].(string)
		}
		if keys == nil {
			list, _ := extensions["x-kubernetes-list-map-keys"].([]any)
			for _, k := range list {
				keys = append(keys, k.(string))
			}
		}
		if got != tc.wantType || !slices.Equal(keys, tc.wantKeys) {
			t.Errorf("%s.%s is %q by %v, want %q by %v", tc.model, tc.field, got, keys, tc.wantType, tc.wantKeys)
		}
	}
}

// A keyed list whose keys may be left out needs defaults for them, or server-side apply refuses the object.
func TestOpenAPI_OptionalListKeysHaveDefaults(t *testing.T) {
	for name, def := range definitions() {
		if !strings.HasPrefix(name, "io.kcp.") {
			continue
		}
		for field, prop := range def.Schema.Properties {
			keys, _ := prop.Extensions["x-kubernetes-list-map-keys"].([]any)
			if len(keys) == 0 || prop.Items == nil {
				continue
			}
			item := strings.TrimPrefix(prop.Items.Schema.Ref.String(), refPrefix)
			if item == "" && len(prop.Items.Schema.AllOf) == 1 {
				item = strings.TrimPrefix(prop.Items.Schema.AllOf[0].Ref.String(), refPrefix)
			}
			target, ok := definitions()[item]
			if !ok {
				t.Errorf("%s.%s: items %q are not defined", name, field, item)
				continue
			}
			for _, key := range keys {
				k := key.(string)
				if !slices.Contains(target.Schema.Required, k) && target.Schema.Properties[k].Default == nil {
					t.Errorf("%s.%s: key %s of %s is optional and has no default", name, field, k, item)
				}
			}
		}
	}
}

func TestOpenAPI_MakesATypeConverter(t *testing.T) {
	schemas := map[string]*spec.Schema{}
	for name, def := range definitions() {
		s := def.Schema
		schemas[name] = &s
	}
	if _, err := managedfields.NewTypeConverter(schemas, false); err != nil {
		t.Fatal(err)
	}
	if _, err := schemaconv.ToSchemaFromOpenAPI(schemas, false); err != nil {
		t.Fatal(err)
	}
}
