package topology

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"

	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	"github.com/annex-dev/annex/apis/topology/validation"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kind"
	"github.com/annex-dev/annex/registry/scheme"
)

// NewGroup returns the storage of the group. The error says which store could not be set up.
func NewGroup(s *scheme.Scheme, getter generic.RESTOptionsGetter) (*group.Group, error) {
	g := &group.Group{Name: topologyv1alpha1.GroupName}
	if err := partitionKind().Install(g, s, getter); err != nil {
		return nil, err
	}
	if err := partitionSetKind().Install(g, s, getter); err != nil {
		return nil, err
	}
	return g, nil
}

// PartitionColumns returns what kubectl get partitions shows after the name.
func PartitionColumns() []apiextensionsv1.CustomResourceColumnDefinition {
	return []apiextensionsv1.CustomResourceColumnDefinition{
		{Name: "Owner", Type: "string", JSONPath: ".metadata.ownerReferences[0].name", Description: "PartitionSet that made the partition"},
		{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
	}
}

// PartitionSetColumns returns what kubectl get partitionsets shows after the name.
func PartitionSetColumns() []apiextensionsv1.CustomResourceColumnDefinition {
	return []apiextensionsv1.CustomResourceColumnDefinition{
		{Name: "Count", Type: "integer", JSONPath: ".status.count", Description: "How many partitions there are"},
		{Name: "Age", Type: "date", JSONPath: ".metadata.creationTimestamp"},
	}
}

func partitionKind() *kind.Kind[topologyv1alpha1.Partition, *topologyv1alpha1.Partition] {
	return &kind.Kind[topologyv1alpha1.Partition, *topologyv1alpha1.Partition]{
		Version:        topologyv1alpha1.SchemeGroupVersion.Version,
		Resource:       topologyv1alpha1.Resource("partitions"),
		Singular:       "partition",
		List:           func() runtime.Object { return &topologyv1alpha1.PartitionList{} },
		Columns:        PartitionColumns(),
		Spec:           func(p *topologyv1alpha1.Partition) any { return &p.Spec },
		Validate:       validation.ValidatePartition,
		ValidateUpdate: validation.ValidatePartitionUpdate,
	}
}

func partitionSetKind() *kind.Kind[topologyv1alpha1.PartitionSet, *topologyv1alpha1.PartitionSet] {
	return &kind.Kind[topologyv1alpha1.PartitionSet, *topologyv1alpha1.PartitionSet]{
		Version:              topologyv1alpha1.SchemeGroupVersion.Version,
		Resource:             topologyv1alpha1.Resource("partitionsets"),
		Singular:             "partitionset",
		List:                 func() runtime.Object { return &topologyv1alpha1.PartitionSetList{} },
		Columns:              PartitionSetColumns(),
		Spec:                 func(p *topologyv1alpha1.PartitionSet) any { return &p.Spec },
		CopyStatus:           func(to, from *topologyv1alpha1.PartitionSet) { to.Status = *from.Status.DeepCopy() },
		Validate:             validation.ValidatePartitionSet,
		ValidateUpdate:       validation.ValidatePartitionSetUpdate,
		ValidateStatusUpdate: validation.ValidatePartitionSetStatusUpdate,
	}
}
