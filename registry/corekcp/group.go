package corekcp

import (
	"k8s.io/apiserver/pkg/registry/generic"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/scheme"
)

// NewGroup returns the storage of the group. external returns the address of the server as users see it, without a slash at
// the end, for example https://host:6443. The error says which store could not be set up.
func NewGroup(s *scheme.Scheme, getter generic.RESTOptionsGetter, external func() string) (*group.Group, error) {
	g := &group.Group{Name: corev1alpha1.GroupName}
	if err := logicalClusterKind(external).Install(g, s, getter); err != nil {
		return nil, err
	}
	if err := shardKind().Install(g, s, getter); err != nil {
		return nil, err
	}
	return g, nil
}
