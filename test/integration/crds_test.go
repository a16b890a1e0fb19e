package integration

import (
	"context"
	"slices"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/schemas/crd"
	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/projects"
)

// What well-known projects define costs far less than the limits allow, and is served.
func TestCRDs_OfWellKnownProjects(t *testing.T) {
	s := annex.Start(t)
	for _, project := range projects.All {
		t.Run(project.Name, func(t *testing.T) {
			path, _ := newWorkspace(t, s, "root", uniqueName("crds"))
			_, client := annex.Clients(t, s.Workspace(path))
			found := project.Definitions(t)
			for _, definition := range found {
				internal := &apiextensions.CustomResourceDefinition{}
				if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(definition, internal, nil); err != nil {
					t.Fatal(err)
				}
				cost, errs := crd.CheckLimits(internal)
				if len(errs) > 0 || 4*cost.Bytes > crd.Limits.Bytes || 4*cost.Nodes > crd.Limits.Nodes || 4*cost.Patterns > crd.Limits.Patterns || 4*cost.Rules > crd.Limits.Rules || 4*cost.Defaults > crd.Limits.Defaults {
					t.Errorf("%s costs %+v, more than a quarter of %+v: %v", definition.Name, cost, crd.Limits, errs)
				}
				obj, err := runtime.DefaultUnstructuredConverter.ToUnstructured(definition)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := client.Resource(crds).Create(t.Context(), &unstructured.Unstructured{Object: obj}, metav1.CreateOptions{}); err != nil {
					t.Errorf("%s: %v", definition.Name, err)
				}
			}
			if t.Failed() {
				return
			}
			for _, definition := range found {
				served := slices.IndexFunc(definition.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Served })
				gvr := schema.GroupVersionResource{Group: definition.Spec.Group, Version: definition.Spec.Versions[served].Name, Resource: definition.Spec.Names.Plural}
				annex.Eventually(t, func(ctx context.Context) error {
					_, err := client.Resource(gvr).List(ctx, metav1.ListOptions{})
					return err
				})
			}
		})
	}
}
