package topology

import (
	"k8s.io/apiserver/pkg/registry/generic"

	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	"github.com/annex-dev/annex/apis/topology/validation"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

// NewGroup returns the storage of the group. The error says which store could not be set up.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter) (*group.Group, error) {
	return kinds.NewGroup(topologyv1alpha1.GroupName, s, getter, partitionKind(), partitionSetKind())
}

func partitionKind() *kinds.Kind[topologyv1alpha1.Partition, *topologyv1alpha1.Partition] {
	return &kinds.Kind[topologyv1alpha1.Partition, *topologyv1alpha1.Partition]{
		ValidateCreate: validation.ValidatePartition,
		ValidateUpdate: validation.ValidatePartitionUpdate,
	}
}

func partitionSetKind() *kinds.Kind[topologyv1alpha1.PartitionSet, *topologyv1alpha1.PartitionSet] {
	return &kinds.Kind[topologyv1alpha1.PartitionSet, *topologyv1alpha1.PartitionSet]{
		ValidateCreate:       validation.ValidatePartitionSet,
		ValidateUpdate:       validation.ValidatePartitionSetUpdate,
		ValidateStatusUpdate: validation.ValidatePartitionSetStatusUpdate,
	}
}
