package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Remaining says what a deletion of content could not remove yet.
type Remaining struct {
	// Resources maps each resource to how many of its objects are left.
	Resources map[schema.GroupResource]int
	// Finalizers maps each finalizer that holds an object to how many objects it holds.
	Finalizers map[string]int
}

// Empty reports whether nothing is left.
func (r Remaining) Empty() bool { return len(r.Resources) == 0 }

// Message lists what is left in words for a condition, sorted; for example
// "some resources are remaining: configmaps has 2 resource instances; finalizers: example.com/hold in 1 resource instances".
func (r Remaining) Message() string {
	if r.Empty() {
		return ""
	}
	var resources, finalizers []string
	for gr, n := range r.Resources {
		resources = append(resources, fmt.Sprintf("%s has %d resource instances", gr, n))
	}
	slices.Sort(resources)
	for _, f := range slices.Sorted(maps.Keys(r.Finalizers)) {
		finalizers = append(finalizers, fmt.Sprintf("%s in %d resource instances", f, r.Finalizers[f]))
	}
	message := "some resources are remaining: " + strings.Join(resources, ", ")
	if len(finalizers) > 0 {
		message += "; finalizers: " + strings.Join(finalizers, ", ")
	}
	return message
}

// Content deletes what lies in a cluster, whatever its resource.
type Content interface {
	// DeleteAll asks for the deletion of every object in namespace, or in the whole cluster when namespace is empty,
	// finalizers honored, and returns what is left. Resources for which skip is true are left alone and not counted.
	DeleteAll(ctx context.Context, cluster logicalcluster.Name, namespace string, skip func(schema.GroupResource) bool) (Remaining, error)
	// Purge removes every key of the cluster from storage at once and returns how many there were; normally none.
	Purge(ctx context.Context, cluster logicalcluster.Name) (int64, error)
}
