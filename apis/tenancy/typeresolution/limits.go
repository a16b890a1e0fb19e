package typeresolution

import (
	"fmt"
	"slices"
	"strings"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// Allowed returns nil if a workspace with the aliases child is allowed directly below one with the aliases parent. Every
// alias of either may limit the other; since aliases count, a type that extends an allowed one is allowed. The last alias
// is the type itself, and is named in the error.
func Allowed(parent, child []*Type) error {
	for _, t := range child {
		limit := t.Spec.LimitAllowedParents
		switch {
		case limit == nil:
		case limit.None:
			return fmt.Errorf("workspace type %s cannot have any parent%s", Qualified(t), by(child, t))
		case len(limit.Types) > 0 && !implements(t, parent, limit.Types):
			return fmt.Errorf("workspace type %s only allows %s parent workspaces, but parent type %s only implements %s",
				Qualified(t), references(t, limit.Types), Qualified(parent[len(parent)-1]), names(parent))
		}
	}
	for _, t := range parent {
		limit := t.Spec.LimitAllowedChildren
		switch {
		case limit == nil:
		case limit.None:
			return fmt.Errorf("workspace type %s cannot have any child workspaces%s", Qualified(t), by(parent, t))
		case len(limit.Types) > 0 && !implements(t, child, limit.Types):
			return fmt.Errorf("workspace type %s only allows %s child workspaces, but child type %s only implements %s",
				Qualified(t), references(t, limit.Types), Qualified(child[len(child)-1]), names(child))
		}
	}
	return nil
}

// implements reports whether one of the aliases is in the list of allowed ones. A reference may contain the path of the
// workspace or the name of its cluster. Without either, it refers to the workspace of the type that sets the limit.
func implements(limiting *Type, aliases []*Type, allowed []tenancyv1alpha1.WorkspaceTypeReference) bool {
	return slices.ContainsFunc(allowed, func(ref tenancyv1alpha1.WorkspaceTypeReference) bool {
		path := logicalcluster.Path(ref.Path)
		if path.Empty() {
			path = Path(limiting)
		}
		return slices.ContainsFunc(aliases, func(t *Type) bool {
			return t.Name == string(ref.Name) && (path == Path(t) || path == logicalcluster.From(t).Path())
		})
	})
}

// by returns a note if the limit was inherited; otherwise the empty string.
func by(aliases []*Type, t *Type) string {
	if self := aliases[len(aliases)-1]; self != t {
		return fmt.Sprintf(" (inherited by %s)", Qualified(self))
	}
	return ""
}

func references(t *Type, refs []tenancyv1alpha1.WorkspaceTypeReference) string {
	var list []string
	for _, ref := range refs {
		path := logicalcluster.Path(ref.Path)
		if path.Empty() {
			path = Path(t)
		}
		list = append(list, path.Join(string(ref.Name)).String())
	}
	return "[" + strings.Join(list, " ") + "]"
}

func names(aliases []*Type) string {
	var list []string
	for _, t := range aliases {
		list = append(list, Qualified(t))
	}
	return "[" + strings.Join(list, " ") + "]"
}
