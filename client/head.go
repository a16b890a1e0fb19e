package client

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Head is an object without its content. Its maps, slices and pointers are shared with caches: do not change them. Its strings may be
// parts of larger ones: clone what you keep.
type Head struct {
	// Resource is the resource that the object is of. Its group is empty for the core group.
	Resource schema.GroupResource
	// Bucket is the identity hash of the API that a custom resource belongs to, or "crd" for a CRD of the cluster itself. It
	// is empty for typed resources.
	Bucket    string
	Cluster   logicalcluster.Name
	Namespace string // empty for cluster-scoped objects
	Name      string
	UID       types.UID
	// ResourceVersion is empty for an object that is not stored yet.
	ResourceVersion   string
	Labels            map[string]string
	Finalizers        []string
	OwnerReferences   []metav1.OwnerReference
	DeletionTimestamp *metav1.Time // nil unless the object is being deleted
	// Rendered is whether nothing is stored of the object: it exists as long as its LogicalCluster. It is known only in a list of one
	// cluster.
	Rendered bool
	// Damaged is whether the stored bytes cannot be read as an object. Nothing but the key is known then: Resource, Bucket,
	// Cluster, Namespace and Name.
	Damaged bool
}

// HeadOf returns the head of an object that says which cluster it is in, as every object does that storage returns.
func HeadOf(resource schema.GroupResource, bucket string, obj metav1.Object) Head {
	return Head{
		Resource:          resource,
		Bucket:            bucket,
		Cluster:           logicalcluster.From(obj),
		Namespace:         obj.GetNamespace(),
		Name:              obj.GetName(),
		UID:               obj.GetUID(),
		ResourceVersion:   obj.GetResourceVersion(),
		Labels:            obj.GetLabels(),
		Finalizers:        obj.GetFinalizers(),
		OwnerReferences:   obj.GetOwnerReferences(),
		DeletionTimestamp: obj.GetDeletionTimestamp(),
	}
}

// Key returns the key of the object.
func (h Head) Key() Key { return Key{Cluster: h.Cluster, Namespace: h.Namespace, Name: h.Name} }

// MadeTogether reports whether the objects of two heads of one cluster appeared in the same revision, as only those do that the cluster has from
// the beginning, its LogicalCluster included. Nobody has written either since.
func MadeTogether(a, b Head) bool { return a.ResourceVersion == b.ResourceVersion }

// HeadEvent is one step of a watch of heads.
type HeadEvent struct {
	Type EventType
	// Source names the watch cache that the event is from. Each begins with Reset and goes on as EventType says: a Reset concerns only
	// what came from the same source. It is empty for one last Synced, once all sources have shown all that exists.
	Source string
	// Head is zero for Reset and Synced. For Deleted it is the last state.
	Head Head
}

// WatchScope says which heads a watch delivers. The zero value stands for all.
type WatchScope struct {
	// Resource is the only resource that is watched; empty for all.
	Resource schema.GroupResource
	// Except are typed resources that are not watched.
	Except []schema.GroupResource
	// Listed reports whether a watch that begins, or begins anew, shows an object that exists; nil for all. What changes later comes in
	// any case.
	Listed func(Head) bool
}
