package validation

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
)

// check fails unless errs are one for each part of wants, in any order.
func check(t *testing.T, errs field.ErrorList, wants ...string) {
	t.Helper()
	all := ""
	if err := errs.ToAggregate(); err != nil {
		all = err.Error()
	}
	if len(errs) != len(wants) {
		t.Errorf("%d errors, want %d: %s", len(errs), len(wants), all)
	}
	for _, want := range wants {
		if !strings.Contains(all, want) {
			t.Errorf("no error contains %q: %s", want, all)
		}
	}
}

func flavors() *cachev1alpha1.ClusterCachedResource {
	return &cachev1alpha1.ClusterCachedResource{ObjectMeta: metav1.ObjectMeta{Name: "flavors"}, Spec: cachev1alpha1.ClusterCachedResourceSpec{
		GroupVersionResource: cachev1alpha1.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "flavors"},
	}}
}

func TestValidateClusterCachedResource(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*cachev1alpha1.ClusterCachedResource)
		wants  []string
	}{
		"valid": {func(*cachev1alpha1.ClusterCachedResource) {}, nil},
		"selector": {func(r *cachev1alpha1.ClusterCachedResource) {
			r.Spec.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"shared": "yes"}}
		}, nil},
		"no resource":  {func(r *cachev1alpha1.ClusterCachedResource) { r.Spec.Resource = "" }, []string{"spec.resource: Required"}},
		"no version":   {func(r *cachev1alpha1.ClusterCachedResource) { r.Spec.Version = "" }, []string{"spec.version: Required"}},
		"core group":   {func(r *cachev1alpha1.ClusterCachedResource) { r.Spec.Group = "" }, []string{"spec.group: Invalid"}},
		"own group":    {func(r *cachev1alpha1.ClusterCachedResource) { r.Spec.Group = "apis.kcp.io" }, []string{"spec.group: Invalid"}},
		"bad group":    {func(r *cachev1alpha1.ClusterCachedResource) { r.Spec.Group = "a/b" }, []string{"spec.group: Invalid"}},
		"bad resource": {func(r *cachev1alpha1.ClusterCachedResource) { r.Spec.Resource = "flavors/status" }, []string{"spec.resource: Invalid"}},
		"bad selector": {func(r *cachev1alpha1.ClusterCachedResource) {
			r.Spec.LabelSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}
		}, []string{"spec.labelSelector.matchExpressions[0].operator: Invalid"}},
		"empty identity": {func(r *cachev1alpha1.ClusterCachedResource) { r.Spec.Identity = &cachev1alpha1.Identity{} }, []string{"spec.identity.secretRef: Required"}},
		"identity without names": {func(r *cachev1alpha1.ClusterCachedResource) {
			r.Spec.Identity = &cachev1alpha1.Identity{SecretRef: &corev1.SecretReference{}}
		}, []string{"secretRef.namespace: Required", "secretRef.name: Required"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := flavors()
			tc.change(r)
			check(t, ValidateClusterCachedResource(r), tc.wants...)
		})
	}
}

func TestValidateClusterCachedResourceUpdate(t *testing.T) {
	old, r := flavors(), flavors()
	old.ResourceVersion, r.ResourceVersion = "1", "1"
	r.Spec.LabelSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"shared": "yes"}}
	check(t, ValidateClusterCachedResourceUpdate(r, old))
	r.Spec.Resource = "others"
	check(t, ValidateClusterCachedResourceUpdate(r, old), "group, version and resource must not be changed")

	r = flavors()
	r.ResourceVersion = "1"
	old.Status.IdentityHash = "abc"
	r.Status = cachev1alpha1.ClusterCachedResourceStatus{IdentityHash: "def", Phase: "Odd"}
	check(t, ValidateClusterCachedResourceStatusUpdate(r, old), "status.identityHash: Invalid", "status.phase: Unsupported")
}

func TestValidateClusterCachedResourceEndpointSlice(t *testing.T) {
	slice := func() *cachev1alpha1.ClusterCachedResourceEndpointSlice {
		return &cachev1alpha1.ClusterCachedResourceEndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "s", ResourceVersion: "1"}, Spec: cachev1alpha1.ClusterCachedResourceEndpointSliceSpec{
			ClusterCachedResource: cachev1alpha1.ClusterCachedResourceReference{Name: "flavors"},
			APIExport:             cachev1alpha1.ExportBindingReference{Path: "root:org", Name: "flavors"},
		}}
	}
	check(t, ValidateClusterCachedResourceEndpointSlice(slice()))
	bad := slice()
	bad.Spec = cachev1alpha1.ClusterCachedResourceEndpointSliceSpec{
		ClusterCachedResource: cachev1alpha1.ClusterCachedResourceReference{Path: "*"}, APIExport: cachev1alpha1.ExportBindingReference{Path: "root::x"}, Partition: "A",
	}
	check(t, ValidateClusterCachedResourceEndpointSlice(bad), "clusterCachedResource.path: Invalid", "clusterCachedResource.name: Required",
		"export.path: Invalid", "export.name: Required", "partition: Invalid")

	changed := slice()
	changed.Spec.ClusterCachedResource.Name, changed.Spec.APIExport.Name, changed.Spec.Partition = "a", "b", "p"
	check(t, ValidateClusterCachedResourceEndpointSliceUpdate(changed, slice()), "ClusterCachedResource reference must not be changed", "APIExport reference must not be changed")

	status := slice()
	status.Status.Endpoints = []cachev1alpha1.ClusterCachedResourceEndpoint{{URL: "/services"}, {URL: "https://a"}, {URL: "https://a"}, {}}
	check(t, ValidateClusterCachedResourceEndpointSliceStatusUpdate(status, slice()), "endpoints[0].url: Invalid", "endpoints[2].url: Duplicate", "endpoints[3].url: Required")
}
