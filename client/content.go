package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

// Add counts one object that is left.
func (r *Remaining) Add(resource schema.GroupResource, finalizers []string) {
	if r.Resources == nil {
		r.Resources, r.Finalizers = map[schema.GroupResource]int{}, map[string]int{}
	}
	r.Resources[resource]++
	for _, finalizer := range finalizers {
		r.Finalizers[finalizer]++
	}
}

// ContentScope says what of the content of a cluster is meant.
type ContentScope struct {
	Cluster   logicalcluster.Name
	Namespace string // empty for all namespaces and what has none
	// Wanted reports whether the objects of a resource in a bucket are meant; nil stands for all. The bucket is the identity
	// hash of an export or LocalBucket for custom resources, and empty for typed ones.
	Wanted func(resource schema.GroupResource, bucket string) bool
	// Stage puts resources in order: objects are deleted once nothing of an earlier stage is left. Nil stands for one stage.
	Stage func(resource schema.GroupResource) int
	// Release takes the finalizers that are the caller's own off an object that is being deleted, and reports whether that ended
	// it; nil if the caller has none. It is called when nothing of an earlier stage is left, and only for objects that were being
	// deleted at that time: what they no longer let in cannot have come later.
	Release func(ctx context.Context, resource schema.GroupResource, key Key) (gone bool, err error)
}

// LocalBucket is the bucket of custom resources whose CustomResourceDefinition is in their own cluster.
const LocalBucket = "crd"

// Kind is what a group, a version and a kind stand for in a cluster.
type Kind struct {
	Resource schema.GroupResource
	// Bucket is that of a [Head].
	Bucket     string
	Namespaced bool
}

// Content works on what clusters store, typed and custom resources alike, by the heads of objects.
type Content interface {
	// List returns the heads of the objects in scope, as they are now or later; of all clusters if scope names none.
	List(ctx context.Context, scope ContentScope) ([]Head, error)
	// Watch calls handle, one call at a time, for everything that happens to heads in all clusters until ctx ends. It starts over by
	// itself and returns only with ctx.
	Watch(ctx context.Context, scope WatchScope, handle func(HeadEvent)) error
	// KindOf returns what objects of gvk are in cluster; nil when nothing serves them there, as of now or later. Without a version, it is what custom
	// resources of that group and kind are.
	KindOf(ctx context.Context, cluster logicalcluster.Name, gvk schema.GroupVersionKind) (*Kind, error)
	// ServedAs returns the group, the version and the kind of the object of h; zero when nothing serves it.
	ServedAs(ctx context.Context, h Head) (schema.GroupVersionKind, error)
	// Find returns the head of the object called key; nil when there is none. It may be a little behind, but not behind what a Watch has
	// delivered; with now, it is as of now or later.
	Find(ctx context.Context, kind Kind, key Key, now bool) (*Head, error)
	// Get returns the whole object of h as the watch caches have it: of its Go type if it is typed, otherwise unstructured. NotFound when it
	// is gone, or when nothing serves it any more.
	Get(ctx context.Context, h Head) (Object, error)
	// Stored calls visit with each custom resource in scope as it is stored, and ends with its first error: the object is in the version in which it
	// was written, with neither defaults nor what storage adds when it reads, and visit may keep or change it. It is nil for an object whose
	// stored bytes cannot be read. The objects of one resource of a cluster are as they are at one time, the time of the call or later.
	Stored(ctx context.Context, scope ContentScope, visit func(h Head, stored *unstructured.Unstructured) error) error
	// Rewrite stores the custom resource of h in version, in which its cluster stores the resource now. Clients see nothing of it but another
	// resourceVersion. It is not validated, and neither admission nor quotas are asked. A *NotRewrittenError says why that is impossible. Conflict when
	// the cluster stores the resource in another version, NotFound when the object is gone or nothing serves it.
	Rewrite(ctx context.Context, h Head, version string) error
	// Retire makes sure that no custom resource is stored in a version any more.
	Retire(ctx context.Context, r Retirement) error
	// Delete begins or completes the deletion of the object of h as options say; nil for the defaults. NotFound when it is gone, Conflict
	// when another object has its name.
	Delete(ctx context.Context, h Head, options *metav1.DeleteOptions) error
	// Update writes what change makes of the object of h, which is a copy. NotFound when it is gone, Conflict when it has changed meanwhile.
	Update(ctx context.Context, h Head, change func(Object)) error
	// DeleteAll asks for the deletion of every object in scope, finalizers honored, and returns what is left of the first stage
	// that does not end. It goes on with the other objects of a stage after an error. What it does not find was not there when
	// it was called.
	DeleteAll(ctx context.Context, scope ContentScope) (Remaining, error)
	// Purge removes every key of the cluster from storage at once and returns how many there were; normally none.
	Purge(ctx context.Context, cluster logicalcluster.Name) (int64, error)
}
