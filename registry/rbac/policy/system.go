package policy

import (
	"context"
	"slices"
	"strings"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// SystemRole reports whether name is reserved for ClusterRoles of the system: a name that begins with "system:", and the four
// names without it that Kubernetes has. The list never grows, so that a name which a workspace may use today does not become
// one of the system later: every other role that a version adds begins with "system:".
//
// A reserved name means the role of system:admin in every cluster, whether there is one or not. Only root has reserved roles of
// its own, which the server creates.
func SystemRole(name string) bool {
	return strings.HasPrefix(name, "system:") || slices.Contains([]string{"cluster-admin", "admin", "edit", "view"}, name)
}

// holdsSystemRoles reports whether ClusterRoles with reserved names count where they are stored.
func holdsSystemRoles(cluster logicalcluster.Name) bool {
	return cluster == logicalcluster.SystemAdmin || cluster == logicalcluster.Root
}

// Taken reports whether the name of a ClusterRole means one of the system, so that a role with that name in another cluster than
// system:admin would mean nothing: the name is reserved, or an operator has made such a role in system:admin.
func (e *Evaluator) Taken(ctx context.Context, name string) (bool, error) {
	if SystemRole(name) {
		return true, nil
	}
	admin, err := read(ctx, logicalcluster.SystemAdmin, e.indexes.Get)
	if err != nil {
		return false, err
	}
	_, taken := admin.rules[roleKey{name: name}]
	return taken, nil
}
