package corekcp

import (
	"k8s.io/apiserver/pkg/registry/generic"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

// NewGroup returns the storage of the group. external returns the address of the server as users see it, without a slash at
// the end, for example https://host:6443. The error says which store could not be set up.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter, external func() string) (*group.Group, error) {
	return kinds.NewGroup(corev1alpha1.GroupName, s, getter, logicalClusterKind(external), shardKind())
}
