package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/clusterrole"
	"github.com/annex-dev/annex/controllers/endpointslice"
	"github.com/annex-dev/annex/controllers/multicluster"
	"github.com/annex-dev/annex/controllers/publish"
	publishing "github.com/annex-dev/annex/schemas/publish"
	"github.com/annex-dev/annex/test/framework/annex"
)

// clustersByPath says which cluster is at a path; a name is its own path.
type clustersByPath map[logicalcluster.Path]logicalcluster.Name

func (c clustersByPath) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	if name, ok := c[path]; ok {
		return name, true, nil
	}
	name, ok := path.Name()
	return name, ok, nil
}

// lampsOf is a definition that its cluster publishes. Lamps have that field.
func lampsOf(field string) *apiextensionsv1.CustomResourceDefinition {
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "lamps.example.com", Annotations: map[string]string{publishing.AnnotationKey: "lamps"}},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "lamps", Singular: "lamp", Kind: "Lamp", ListKind: "LampList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{
				OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{field: {Type: "string"}}},
			}}},
		},
	}
}

// published waits until the export of lamps in a cluster has one schema, with that field, and returns its name.
func published(t *testing.T, c client.Client, cluster logicalcluster.Name, field string) string {
	t.Helper()
	schemas := apisv1alpha1.Resource("apiresourceschemas")
	var name string
	annex.Eventually(t, func(ctx context.Context) error {
		export, err := client.Find[apisv1alpha2.APIExport](ctx, c, apisv1alpha2.Resource("apiexports"), client.Key{Cluster: cluster, Name: "lamps"})
		if err != nil || export == nil || len(export.Spec.Resources) != 1 {
			return fmt.Errorf("the export is %v, %w", export, err)
		}
		name = export.Spec.Resources[0].Schema
		schema, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, c, schemas, client.Key{Cluster: cluster, Name: name})
		if err != nil || schema == nil || !strings.Contains(string(schema.Spec.Versions[0].Schema.Raw), field) {
			return fmt.Errorf("the schema is %v, %w", schema, err)
		}
		return nil
	})
	return name
}

// Controllers of the server work as well from outside of it. The server that they work on runs none itself: one writes spec,
// another one status, and the third creates, changes and deletes objects of other kinds than it is told of.
func TestRemote_ControllersOfTheServerRunOutsideOfIt(t *testing.T) {
	server := annex.Start(t)
	clusters := clustersByPath{}
	for _, name := range []string{"one", "two"} {
		path, cluster := server.NewWorkspace("root", name, "")
		server.Kubectl(path, gadgetSchema, "apply", "-f", "-")
		clusters[logicalcluster.Path(path)] = logicalcluster.Name(cluster)
	}
	bindGadgets(t, server, "root:two", "root:one", string(clusters["root:one"]))
	bindGadgets(t, server, "root:one", "root:two", string(clusters["root:two"]))
	// The controllers of the server have done their work before they end.
	inside := newRemote(t, server.Config(annex.ContextShardBase), "")
	for _, cluster := range clusters {
		await(t, inside, apisv1alpha1.Resource("apiexportendpointslices"), client.Key{Cluster: cluster, Name: "gadgets"}, func(slice *apisv1alpha1.APIExportEndpointSlice) bool {
			return len(slice.Status.APIExportEndpoints) == 1
		})
	}
	server.Stop()
	idle, err := annex.Launch(t.Context(), server.Dir(), "--run-controllers=false")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(idle.Kill)

	config := idle.For(t).Config(annex.ContextShardBase)
	config.UserAgent = "outside/1"
	c := newRemote(t, config, "")
	ctx, stop := context.WithCancel(t.Context())
	parts := multicluster.Config{Client: c, Live: c, Resolver: clusters}
	specs := slices.Concat(clusterrole.Specs(parts), endpointslice.Specs(parts), publish.Specs(parts))
	ended := make(chan error, len(specs))
	for _, spec := range specs {
		go func() { ended <- multicluster.Run(ctx, c, spec) }()
	}
	t.Cleanup(func() {
		stop()
		for range specs {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})

	roles, slicesOf := rbacv1.Resource("clusterroles"), apisv1alpha1.Resource("apiexportendpointslices")
	verbs := map[logicalcluster.Name]string{clusters["root:one"]: "get", clusters["root:two"]: "watch"}
	for cluster, verb := range verbs {
		part := &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: "part", Labels: map[string]string{"part-of": "same"}},
			Rules:      []rbacv1.PolicyRule{{Verbs: []string{verb}, APIGroups: []string{""}, Resources: []string{"configmaps"}}},
		}
		same := &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: "same"},
			AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
				{MatchLabels: map[string]string{"part-of": "same"}},
			}},
		}
		slice := &apisv1alpha1.APIExportEndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Name: "same"},
			Spec:       apisv1alpha1.APIExportEndpointSliceSpec{APIExport: apisv1alpha1.ExportBindingReference{Name: "gadgets"}},
		}
		for _, role := range []*rbacv1.ClusterRole{part, same} {
			if _, err := c.Create(ctx, roles, cluster, role); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Create(ctx, slicesOf, cluster, slice); err != nil {
			t.Fatal(err)
		}
	}
	for cluster, verb := range verbs {
		key := client.Key{Cluster: cluster, Name: "same"}
		role := await(t, c, roles, key, func(role *rbacv1.ClusterRole) bool {
			return len(role.Rules) == 1 && slices.Equal(role.Rules[0].Verbs, []string{verb})
		})
		slice := await(t, c, slicesOf, key, func(slice *apisv1alpha1.APIExportEndpointSlice) bool {
			return len(slice.Status.APIExportEndpoints) == 1 &&
				strings.HasSuffix(slice.Status.APIExportEndpoints[0].URL, "/services/apiexport/"+string(cluster)+"/gadgets")
		})
		// What the controllers of the server made before is as it should be for the ones outside.
		await(t, c, slicesOf, client.Key{Cluster: cluster, Name: "gadgets"}, func(slice *apisv1alpha1.APIExportEndpointSlice) bool {
			return len(slice.Status.APIExportEndpoints) == 1 && len(slice.ManagedFields) == 1
		})
		for _, obj := range []client.Object{role, slice} {
			for _, fields := range obj.GetManagedFields() {
				if fields.Manager != "outside" {
					t.Errorf("%T %s was written by %s", obj, key, fields.Manager)
				}
			}
		}
	}

	definitions := apiextensionsv1.Resource("customresourcedefinitions")
	for cluster, field := range map[logicalcluster.Name]string{clusters["root:one"]: "shade", clusters["root:two"]: "socket"} {
		definition, err := c.Create(ctx, definitions, cluster, lampsOf(field))
		if err != nil {
			t.Fatal(err)
		}
		before := published(t, c, cluster, field)
		changed := definition.DeepCopyObject().(*apiextensionsv1.CustomResourceDefinition)
		changed.Spec = lampsOf("bulb-of-" + field).Spec
		if _, err := c.Update(ctx, definitions, cluster, changed); err != nil {
			t.Fatal(err)
		}
		after := published(t, c, cluster, "bulb-of-"+field)
		annex.Eventually(t, func(ctx context.Context) error {
			found, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, c, apisv1alpha1.Resource("apiresourceschemas"), client.Key{Cluster: cluster, Name: before})
			if err != nil || found != nil || before == after {
				return fmt.Errorf("the schema %s, which nothing uses, is %v, %w", before, found, err)
			}
			return nil
		})
	}
}
