package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

const version = "v1"

var namespacesResource = corev1.Resource("namespaces")

// NewGroup returns the storage of the core group. The error names the store that could not be set up.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter) (*group.Group, error) {
	g, err := kinds.NewGroup(corev1.GroupName, s, getter,
		namespaces(), configMaps(), secrets(), serviceAccounts(), eventKind(), limitRanges(), resourceQuotas())
	if err != nil {
		return nil, err
	}
	guardNamespaces(g)
	return g, nil
}
