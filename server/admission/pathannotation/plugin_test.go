package pathannotation

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	admissiontesting "k8s.io/apiserver/pkg/admission/testing"
	"k8s.io/apiserver/pkg/authentication/user"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/server/admission/tree"
)

var (
	alice  = &user.DefaultInfo{Name: "alice"}
	master = &user.DefaultInfo{Groups: []string{user.SystemPrivilegedGroup}}
)

type noPaths struct{}

func (noPaths) Resolve(context.Context, logicalcluster.Path) (logicalcluster.Name, bool, error) {
	return "", false, nil
}

func object(path string) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{Name: "cluster"}
	if path != "" {
		meta.Annotations = map[string]string{logicalcluster.PathAnnotationKey: path}
	}
	return meta
}

func TestAdmit(t *testing.T) {
	exports, types, configMaps := tree.APIExports, tree.WorkspaceTypes, corev1.Resource("configmaps")
	for name, tc := range map[string]struct {
		in       logicalcluster.Name
		resource schema.GroupResource
		obj, old runtime.Object
		by       user.Info
		want     string
	}{
		"export gets it":                      {"orgid", exports, &apisv1alpha2.APIExport{ObjectMeta: object("")}, nil, alice, "root:org"},
		"type gets it":                        {"orgid", types, &tenancyv1alpha1.WorkspaceType{ObjectMeta: object("")}, nil, alice, "root:org"},
		"made up value is replaced":           {"orgid", exports, &apisv1alpha2.APIExport{ObjectMeta: object("root")}, nil, alice, "root:org"},
		"the system knows better":             {"newid", exports, &apisv1alpha2.APIExport{ObjectMeta: object("root:new")}, nil, master, "root:new"},
		"the system may leave it out":         {"orgid", exports, &apisv1alpha2.APIExport{ObjectMeta: object("")}, nil, master, "root:org"},
		"other objects have none":             {"orgid", configMaps, &corev1.ConfigMap{ObjectMeta: object("")}, nil, alice, ""},
		"others that carry one":               {"orgid", configMaps, &corev1.ConfigMap{ObjectMeta: object("root")}, nil, alice, "root:org"},
		"cluster without a LogicalCluster":    {"system:admin", exports, &apisv1alpha2.APIExport{ObjectMeta: object("")}, nil, master, "system:admin"},
		"that of a cluster stays":             {"orgid", tree.LogicalClusters, &corev1alpha1.LogicalCluster{ObjectMeta: object("root:x")}, &corev1alpha1.LogicalCluster{ObjectMeta: object("root:org")}, alice, "root:org"},
		"that of a cluster cannot be removed": {"orgid", tree.LogicalClusters, &corev1alpha1.LogicalCluster{ObjectMeta: object("")}, &corev1alpha1.LogicalCluster{ObjectMeta: object("root:org")}, alice, "root:org"},
		"that of a cluster cannot be added":   {"orgid", tree.LogicalClusters, &corev1alpha1.LogicalCluster{ObjectMeta: object("root:x")}, &corev1alpha1.LogicalCluster{ObjectMeta: object("")}, alice, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fake := clienttest.NewFake(clienttest.In("orgid", &corev1alpha1.LogicalCluster{ObjectMeta: object("root:org")}))
			op := admission.Create
			if tc.old != nil {
				op = admission.Update
			}
			a := admission.NewAttributesRecord(tc.obj, tc.old, schema.GroupVersionKind{}, "", "cluster", tc.resource.WithVersion("v1"), "", op, nil, false, tc.by)
			plugin := admissiontesting.WithReinvocationTesting(t, New(&tree.Tree{Cached: fake, Live: fake, Resolver: noPaths{}}).(admission.MutationInterface))
			if err := plugin.Admit(logicalcluster.WithCluster(t.Context(), tc.in), a, nil); err != nil {
				t.Fatal(err)
			}
			if got := tc.obj.(client.Object).GetAnnotations()[logicalcluster.PathAnnotationKey]; got != tc.want {
				t.Errorf("path is %q, want %q", got, tc.want)
			}
		})
	}
}
