package scheme

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

// Served is a group version of ours with the kinds of its resources.
type Served struct {
	schema.GroupVersion
	// Kinds are sorted.
	Kinds []string
}

// Ours returns the group versions of our own API groups: what a host cluster has to forward. Groups are sorted by name, and
// the preferred version of a group comes first.
func Ours() []Served {
	s := runtime.NewScheme()
	utilruntime.Must(addOurs(s))
	groupVersions := s.PrioritizedVersionsAllGroups()
	slices.SortStableFunc(groupVersions, func(a, b schema.GroupVersion) int { return strings.Compare(a.Group, b.Group) })
	var all []Served
	for _, gv := range groupVersions {
		served := Served{GroupVersion: gv}
		kinds := s.KnownTypes(gv)
		for kind := range kinds {
			// Resources are the kinds that can be listed.
			if _, listed := kinds[kind+"List"]; listed {
				served.Kinds = append(served.Kinds, kind)
			}
		}
		// The core group is there for the kinds of the meta API, which have no resources.
		if gv.Group != "" && len(served.Kinds) > 0 {
			slices.Sort(served.Kinds)
			all = append(all, served)
		}
	}
	return all
}
