package tenancy

import (
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

// URLs says how the addresses of workspaces are made.
type URLs struct {
	// External returns the address of the server as users see it, without a slash at the end, for example https://host:6443.
	External func() string
	// Virtual returns the address of virtual workspaces in the same way.
	Virtual func() string
	// PathOf returns the canonical path of a logical cluster; false when it is not known.
	PathOf func(logicalcluster.Name) (logicalcluster.Path, bool)
}

// Of returns the address of the workspace called name in the cluster parent, for example
// https://host:6443/clusters/root:org. The parent stands with its name if its path is not known.
func (u URLs) Of(parent logicalcluster.Name, name string) string {
	path, known := u.PathOf(parent)
	if !known {
		path = parent.Path()
	}
	return u.External() + "/clusters/" + path.Join(name).String()
}

// NewGroup returns the storage of the group. The error says which store could not be set up.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter, urls URLs) (*group.Group, error) {
	return kinds.NewGroup(tenancyv1alpha1.GroupName, s, getter, workspaceKind(urls), workspaceTypeKind(urls), workspaceAuthenticationConfigurationKind())
}
