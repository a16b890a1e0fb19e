package raw

import (
	"strconv"
	"strings"
	"sync/atomic"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/pack"
)

// Object is an object as the watch caches of hold it: the stored bytes, and a head parsed from
// them for what must be answered without a schema. It is as small as can be, since there is one for each object: key and bytes share one
// string, and a head exists only when there is something to hold.
//
// It is a metav1.Object because the stock cacher would otherwise log whole objects. Strings and maps of an Object are shared:
// its setters replace them and never change them in place.
type Object struct {
	// envelope is the key without Config.Prefix, a NUL, and the stored bytes. If these are packed, the UID comes before them.
	envelope string
	head     *meta
	revision uint64
	keySize  uint32
	uid      span
	// damaged is whether the bytes are no object with readable metadata.
	damaged bool
	// made has the stored bytes instead of the envelope, if it is not nil: those of its object number part, of uid.size bytes.
	part uint16
	made Made
}

// Made is what many objects of a cluster are made from, so that nobody has to keep their bytes. It does not change.
type Made interface {
	// Data returns the bytes of an object, and UID its UID.
	Data(part int) []byte
	UID(part int) types.UID
	// Revision is the one in which all of them were made. No other object is of it.
	Revision() int64
	// Alike returns what the object of each cluster with the same number shares; nil if their heads differ.
	Alike(part int) *Alike
}

// Alike is what objects of many clusters have alike. The zero value is nothing yet. It is safe for concurrent use.
type Alike struct{ head atomic.Pointer[*meta] }

// span is a part of Object.envelope: the bytes [start, start+size).
type span struct{ start, size uint32 }

// meta holds what seldom is there.
type meta struct {
	labels            map[string]string // interned
	annotations       map[string]string // only what a setter put there
	finalizers        []string
	owners            []metav1.OwnerReference
	deletionTimestamp *metav1.Time
	// cuts are what was taken out of the stored bytes, as other objects have the same; in order.
	cuts []cut
	// packed is what the rest of the stored bytes was packed with; nil if it is not packed.
	packed *pack.Dictionary
}

// unlessEmpty returns m; nil if there is nothing in it.
func (m meta) unlessEmpty() *meta {
	if m.labels == nil && m.annotations == nil && m.finalizers == nil && m.owners == nil && m.deletionTimestamp == nil && m.cuts == nil && m.packed == nil {
		return nil
	}
	return &m
}

// cut is a part that was taken out of stored bytes, and the offset in what remains at which it was.
type cut struct {
	part unique.Handle[string]
	at   uint32
}

var (
	_ runtime.Object = &Object{}
	_ metav1.Object  = &Object{}
)

// Key returns the key without Config.Prefix.
func (r *Object) Key() string { return r.envelope[:r.keySize] }

// Data returns the stored bytes; a copy.
func (r *Object) Data() []byte {
	switch {
	case r.made != nil:
		return r.made.Data(int(r.part))
	case r.envelope == "":
		return nil
	}
	rest, cuts := r.unpacked(), r.readHead().cuts
	if len(cuts) == 0 {
		return rest
	}
	data, done := make([]byte, 0, r.Size()), uint32(0)
	for _, c := range cuts {
		data = append(data, rest[done:c.at]...)
		data = append(data, c.part.Value()...)
		done = c.at
	}
	return append(data, rest[done:]...)
}

// unpacked returns the stored bytes without what was taken out; a copy.
func (r *Object) unpacked() []byte {
	rest := r.envelope[r.keySize+1:]
	if packed := r.readHead().packed; packed != nil {
		return packed.Unpack(rest[r.uid.size:])
	}
	return []byte(rest)
}

// Size returns how many bytes [Object.Data] has.
func (r *Object) Size() int {
	switch {
	case r.made != nil:
		return int(r.uid.size)
	case r.envelope == "":
		return 0
	}
	size, h := len(r.envelope)-int(r.keySize)-1, r.readHead()
	if h.packed != nil {
		size = h.packed.Size(r.envelope[r.keySize+1+r.uid.size:])
	}
	for _, c := range h.cuts {
		size += len(c.part.Value())
	}
	return size
}

// Damaged reports whether the stored bytes are no object with readable metadata.
func (r *Object) Damaged() bool { return r.damaged }

// Tail returns cluster, namespace and name, and with them the length of what comes before.
func (r *Object) Tail() (cluster, namespace, name string, base int) {
	k, at, above := r.Key(), 0, 2 // /<group>/<resource>
	if strings.HasPrefix(k, layout.CustomRoot+"/") {
		above = 5 // /cr/<shard>/<group>/<resource>/<bucket>
	}
	for range above {
		next := strings.IndexByte(k[at+min(1, len(k)-at):], '/')
		if next < 0 {
			return "", "", "", 0
		}
		at += next + 1
	}
	cluster, rest, _ := strings.Cut(k[at+1:], "/")
	if ns, n, ok := strings.Cut(rest, "/"); ok {
		return cluster, ns, n, at
	}
	return cluster, "", rest, at
}

// Head returns what the key and the stored metadata say. Its maps and slices are shared.
func (r *Object) Head() head.Head {
	cluster, namespace, name, base := r.Tail()
	if cluster == "" {
		return head.Head{Damaged: true}
	}
	above := r.Key()[:base]
	last := func() string {
		at := strings.LastIndexByte(above, '/')
		segment := above[at+1:]
		above = above[:at]
		return segment
	}
	bucket := ""
	if strings.HasPrefix(above, layout.CustomRoot+"/") {
		bucket = last()
	}
	resource := schema.GroupResource{Resource: last(), Group: last()}
	if bucket == "" && resource.Group == layout.CoreGroup {
		resource.Group = ""
	}
	return head.Head{
		Resource: resource, Bucket: bucket, Cluster: logicalcluster.Name(cluster), Namespace: namespace, Name: name,
		UID: r.GetUID(), ResourceVersion: r.GetResourceVersion(), Labels: r.GetLabels(), Finalizers: r.GetFinalizers(),
		OwnerReferences: r.GetOwnerReferences(), DeletionTimestamp: r.GetDeletionTimestamp(), Damaged: r.damaged,
	}
}

// base returns the key down to the bucket, or the resource if there is none.
func (r *Object) base() string {
	_, _, _, base := r.Tail()
	return r.Key()[:base]
}

// clusterBase returns the key down to the cluster: the value of the trigger index.
func (r *Object) clusterBase() string {
	cluster, _, _, base := r.Tail()
	if cluster == "" {
		return ""
	}
	return r.Key()[:base+1+len(cluster)]
}

// GetObjectKind implements runtime.Object; the kind is in the bytes only.
func (r *Object) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. What the copies share is never changed.
func (r *Object) DeepCopyObject() runtime.Object {
	c := *r
	return &c
}

// GetNamespace implements metav1.Object.
func (r *Object) GetNamespace() string {
	_, namespace, _, _ := r.Tail()
	return namespace
}

// GetName implements metav1.Object.
func (r *Object) GetName() string {
	_, _, name, _ := r.Tail()
	return name
}

// GetUID implements metav1.Object.
func (r *Object) GetUID() types.UID {
	if r.made != nil {
		return r.made.UID(int(r.part))
	}
	return types.UID(r.envelope[r.uid.start:][:r.uid.size])
}

// GetResourceVersion implements metav1.Object.
func (r *Object) GetResourceVersion() string {
	if r.revision == 0 {
		return ""
	}
	return strconv.FormatUint(r.revision, 10)
}

// SetResourceVersion implements metav1.Object. Only revisions of etcd and "" are ever set.
func (r *Object) SetResourceVersion(version string) {
	r.revision, _ = strconv.ParseUint(version, 10, 64)
}

// GetLabels implements metav1.Object.
func (r *Object) GetLabels() map[string]string { return r.readHead().labels }

// GetAnnotations implements metav1.Object: the cluster, which no user can forge, and no annotation of the object itself.
func (r *Object) GetAnnotations() map[string]string {
	if h := r.readHead(); h.annotations != nil {
		return h.annotations
	}
	cluster, _, _, _ := r.Tail()
	if cluster == "" {
		return nil
	}
	return map[string]string{logicalcluster.AnnotationKey: cluster}
}

// StoredAnnotations returns the annotations of the object itself, from its bytes; nil if these cannot be read.
func (r *Object) StoredAnnotations() map[string]string { return annotationsOf(string(r.Data())) }

// SetAnnotations implements metav1.Object. The cacher marks bookmarks with it.
func (r *Object) SetAnnotations(annotations map[string]string) {
	h := r.readHead()
	h.annotations = annotations
	r.head = &h
}

// GetFinalizers implements metav1.Object.
func (r *Object) GetFinalizers() []string { return r.readHead().finalizers }

// GetOwnerReferences implements metav1.Object.
func (r *Object) GetOwnerReferences() []metav1.OwnerReference { return r.readHead().owners }

// GetDeletionTimestamp implements metav1.Object.
func (r *Object) GetDeletionTimestamp() *metav1.Time { return r.readHead().deletionTimestamp }

// readHead returns the head by value.
func (r *Object) readHead() meta {
	if r.head == nil {
		return meta{}
	}
	return *r.head
}

// The rest of metav1.Object is not in the head: nobody asks a watch cache for it. Setters change nothing.

// SetNamespace implements metav1.Object.
func (r *Object) SetNamespace(string) {}

// SetName implements metav1.Object.
func (r *Object) SetName(string) {}

// GetGenerateName implements metav1.Object.
func (r *Object) GetGenerateName() string { return "" }

// SetGenerateName implements metav1.Object.
func (r *Object) SetGenerateName(string) {}

// SetUID implements metav1.Object.
func (r *Object) SetUID(types.UID) {}

// GetGeneration implements metav1.Object.
func (r *Object) GetGeneration() int64 { return 0 }

// SetGeneration implements metav1.Object.
func (r *Object) SetGeneration(int64) {}

// GetSelfLink implements metav1.Object.
func (r *Object) GetSelfLink() string { return "" }

// SetSelfLink implements metav1.Object.
func (r *Object) SetSelfLink(string) {}

// GetCreationTimestamp implements metav1.Object.
func (r *Object) GetCreationTimestamp() metav1.Time { return metav1.Time{} }

// SetCreationTimestamp implements metav1.Object.
func (r *Object) SetCreationTimestamp(metav1.Time) {}

// SetDeletionTimestamp implements metav1.Object.
func (r *Object) SetDeletionTimestamp(*metav1.Time) {}

// GetDeletionGracePeriodSeconds implements metav1.Object.
func (r *Object) GetDeletionGracePeriodSeconds() *int64 { return nil }

// SetDeletionGracePeriodSeconds implements metav1.Object.
func (r *Object) SetDeletionGracePeriodSeconds(*int64) {}

// SetLabels implements metav1.Object.
func (r *Object) SetLabels(map[string]string) {}

// SetFinalizers implements metav1.Object.
func (r *Object) SetFinalizers([]string) {}

// SetOwnerReferences implements metav1.Object.
func (r *Object) SetOwnerReferences([]metav1.OwnerReference) {}

// GetManagedFields implements metav1.Object.
func (r *Object) GetManagedFields() []metav1.ManagedFieldsEntry { return nil }

// SetManagedFields implements metav1.Object.
func (r *Object) SetManagedFields([]metav1.ManagedFieldsEntry) {}

// List is a list of [Object]s.
type List struct {
	metav1.ListMeta
	Items []Object
}

var _ runtime.Object = &List{}

// GetObjectKind implements runtime.Object.
func (l *List) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object.
func (l *List) DeepCopyObject() runtime.Object {
	c := &List{Items: append([]Object(nil), l.Items...)}
	l.ListMeta.DeepCopyInto(&c.ListMeta)
	return c
}
