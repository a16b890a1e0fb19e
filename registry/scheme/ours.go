package scheme

import (
	"k8s.io/apimachinery/pkg/runtime"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
)

// ours lists the kinds of our own groups. They are stored as JSON.
func ours() []row {
	one := func(group, version, name string, object, list runtime.Object) row {
		return row{group: group, name: name, version: version, mediaType: runtime.ContentTypeJSON, object: object, list: list}
	}
	const v1alpha1, v1alpha2 = "v1alpha1", "v1alpha2"
	return []row{
		one(tenancyv1alpha1.GroupName, v1alpha1, "workspaces", &tenancyv1alpha1.Workspace{}, &tenancyv1alpha1.WorkspaceList{}),
		one(tenancyv1alpha1.GroupName, v1alpha1, "workspacetypes", &tenancyv1alpha1.WorkspaceType{}, &tenancyv1alpha1.WorkspaceTypeList{}),
		one(corev1alpha1.GroupName, v1alpha1, "logicalclusters", &corev1alpha1.LogicalCluster{}, &corev1alpha1.LogicalClusterList{}),
		one(corev1alpha1.GroupName, v1alpha1, "shards", &corev1alpha1.Shard{}, &corev1alpha1.ShardList{}),
		one(topologyv1alpha1.GroupName, v1alpha1, "partitions", &topologyv1alpha1.Partition{}, &topologyv1alpha1.PartitionList{}),
		one(topologyv1alpha1.GroupName, v1alpha1, "partitionsets", &topologyv1alpha1.PartitionSet{}, &topologyv1alpha1.PartitionSetList{}),
		one(apisv1alpha1.GroupName, v1alpha1, "apiresourceschemas", &apisv1alpha1.APIResourceSchema{}, &apisv1alpha1.APIResourceSchemaList{}),
		one(apisv1alpha1.GroupName, v1alpha1, "apiexportendpointslices", &apisv1alpha1.APIExportEndpointSlice{}, &apisv1alpha1.APIExportEndpointSliceList{}),
		one(apisv1alpha2.GroupName, v1alpha2, "apiexports", &apisv1alpha2.APIExport{}, &apisv1alpha2.APIExportList{}),
		one(apisv1alpha2.GroupName, v1alpha2, "apibindings", &apisv1alpha2.APIBinding{}, &apisv1alpha2.APIBindingList{}),
		one(annexv1alpha1.GroupName, v1alpha1, "hostbindings", &annexv1alpha1.HostBinding{}, &annexv1alpha1.HostBindingList{}),
	}
}

// addOurs registers the versions of our own groups with their defaults.
func addOurs(s *runtime.Scheme) error {
	for _, add := range []func(*runtime.Scheme) error{
		tenancyv1alpha1.AddToScheme, tenancyv1alpha1.RegisterDefaults,
		corev1alpha1.AddToScheme, corev1alpha1.RegisterDefaults,
		topologyv1alpha1.AddToScheme, topologyv1alpha1.RegisterDefaults,
		apisv1alpha1.AddToScheme, apisv1alpha1.RegisterDefaults,
		apisv1alpha2.AddToScheme, apisv1alpha2.RegisterDefaults,
		annexv1alpha1.AddToScheme, annexv1alpha1.RegisterDefaults,
		apisv1alpha1.RegisterConversions,
	} {
		if err := add(s); err != nil {
			return err
		}
	}
	return s.SetVersionPriority(apisv1alpha2.SchemeGroupVersion, apisv1alpha1.SchemeGroupVersion)
}
