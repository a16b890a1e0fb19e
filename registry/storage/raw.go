package storage

import (
	"strconv"
	"strings"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
)

// Raw is an object as the watch caches of custom and of bulky resources hold it: the stored bytes, and a head parsed from
// them for what must be answered without a schema. It is as small as can be, since there is one for each object: key and bytes share one
// string, and a head exists only when there is something to hold.
//
// It is a metav1.Object because the stock cacher would otherwise log whole objects. Strings and maps of a Raw are shared:
// its setters replace them and never change them in place.
type Raw struct {
	// envelope is the key without Config.Prefix, a NUL, and the stored bytes.
	envelope string
	head     *rawHead
	revision uint64
	keySize  uint32
	uid      span
	// damaged is whether the bytes are no object with readable metadata.
	damaged bool
}

// span is a part of Raw.envelope: the bytes [start, start+size).
type span struct{ start, size uint32 }

// rawHead holds what seldom is there.
type rawHead struct {
	labels            map[string]string // interned
	annotations       map[string]string // only what a setter put there
	finalizers        []string
	owners            []metav1.OwnerReference
	deletionTimestamp *metav1.Time
	// spec was taken out of the stored bytes at the offset specAt, as other objects have the same; zero for none.
	spec   unique.Handle[string]
	specAt uint32
}

var (
	_ runtime.Object = &Raw{}
	_ metav1.Object  = &Raw{}
)

// Key returns the key without Config.Prefix.
func (r *Raw) Key() string { return r.envelope[:r.keySize] }

// Data returns the stored bytes; a copy.
func (r *Raw) Data() []byte {
	if r.envelope == "" {
		return nil
	}
	rest := r.envelope[r.keySize+1:]
	if r.head == nil || r.head.spec == (unique.Handle[string]{}) {
		return []byte(rest)
	}
	spec := r.head.spec.Value()
	data := make([]byte, 0, len(rest)+len(spec))
	data = append(data, rest[:r.head.specAt]...)
	data = append(data, spec...)
	return append(data, rest[r.head.specAt:]...)
}

// Damaged reports whether the stored bytes are no object with readable metadata.
func (r *Raw) Damaged() bool { return r.damaged }

// tail returns cluster, namespace and name, and with them the length of what comes before.
func (r *Raw) tail() (cluster, namespace, name string, base int) {
	k, at, above := r.Key(), 0, 2 // /<group>/<resource>
	if strings.HasPrefix(k, customRoot+"/") {
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
func (r *Raw) Head() head.Head {
	cluster, namespace, name, base := r.tail()
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
	if strings.HasPrefix(above, customRoot+"/") {
		bucket = last()
	}
	resource := schema.GroupResource{Resource: last(), Group: last()}
	if bucket == "" && resource.Group == coreGroup {
		resource.Group = ""
	}
	return head.Head{
		Resource: resource, Bucket: bucket, Cluster: logicalcluster.Name(cluster), Namespace: namespace, Name: name,
		UID: r.GetUID(), ResourceVersion: r.GetResourceVersion(), Labels: r.GetLabels(), Finalizers: r.GetFinalizers(),
		OwnerReferences: r.GetOwnerReferences(), DeletionTimestamp: r.GetDeletionTimestamp(), Damaged: r.damaged,
	}
}

// base returns the key down to the bucket, or the resource if there is none.
func (r *Raw) base() string {
	_, _, _, base := r.tail()
	return r.Key()[:base]
}

// clusterBase returns the key down to the cluster: the value of the trigger index.
func (r *Raw) clusterBase() string {
	cluster, _, _, base := r.tail()
	if cluster == "" {
		return ""
	}
	return r.Key()[:base+1+len(cluster)]
}

// GetObjectKind implements runtime.Object; the kind is in the bytes only.
func (r *Raw) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object. What the copies share is never changed.
func (r *Raw) DeepCopyObject() runtime.Object {
	c := *r
	return &c
}

// GetNamespace implements metav1.Object.
func (r *Raw) GetNamespace() string {
	_, namespace, _, _ := r.tail()
	return namespace
}

// GetName implements metav1.Object.
func (r *Raw) GetName() string {
	_, _, name, _ := r.tail()
	return name
}

// GetUID implements metav1.Object.
func (r *Raw) GetUID() types.UID { return types.UID(r.envelope[r.uid.start:][:r.uid.size]) }

// GetResourceVersion implements metav1.Object.
func (r *Raw) GetResourceVersion() string {
	if r.revision == 0 {
		return ""
	}
	return strconv.FormatUint(r.revision, 10)
}

// SetResourceVersion implements metav1.Object. Only revisions of etcd and "" are ever set.
func (r *Raw) SetResourceVersion(version string) { r.revision, _ = strconv.ParseUint(version, 10, 64) }

// GetLabels implements metav1.Object.
func (r *Raw) GetLabels() map[string]string { return r.readHead().labels }

// GetAnnotations implements metav1.Object: the cluster, which no user can forge, and no annotation of the object itself.
func (r *Raw) GetAnnotations() map[string]string {
	if h := r.readHead(); h.annotations != nil {
		return h.annotations
	}
	cluster, _, _, _ := r.tail()
	if cluster == "" {
		return nil
	}
	return map[string]string{logicalcluster.AnnotationKey: cluster}
}

// SetAnnotations implements metav1.Object. The cacher marks bookmarks with it.
func (r *Raw) SetAnnotations(annotations map[string]string) {
	h := r.readHead()
	h.annotations = annotations
	r.head = &h
}

// GetFinalizers implements metav1.Object.
func (r *Raw) GetFinalizers() []string { return r.readHead().finalizers }

// GetOwnerReferences implements metav1.Object.
func (r *Raw) GetOwnerReferences() []metav1.OwnerReference { return r.readHead().owners }

// GetDeletionTimestamp implements metav1.Object.
func (r *Raw) GetDeletionTimestamp() *metav1.Time { return r.readHead().deletionTimestamp }

// readHead returns the head by value.
func (r *Raw) readHead() rawHead {
	if r.head == nil {
		return rawHead{}
	}
	return *r.head
}

// The rest of metav1.Object is not in the head: nobody asks a watch cache for it. Setters change nothing.

// SetNamespace implements metav1.Object.
func (r *Raw) SetNamespace(string) {}

// SetName implements metav1.Object.
func (r *Raw) SetName(string) {}

// GetGenerateName implements metav1.Object.
func (r *Raw) GetGenerateName() string { return "" }

// SetGenerateName implements metav1.Object.
func (r *Raw) SetGenerateName(string) {}

// SetUID implements metav1.Object.
func (r *Raw) SetUID(types.UID) {}

// GetGeneration implements metav1.Object.
func (r *Raw) GetGeneration() int64 { return 0 }

// SetGeneration implements metav1.Object.
func (r *Raw) SetGeneration(int64) {}

// GetSelfLink implements metav1.Object.
func (r *Raw) GetSelfLink() string { return "" }

// SetSelfLink implements metav1.Object.
func (r *Raw) SetSelfLink(string) {}

// GetCreationTimestamp implements metav1.Object.
func (r *Raw) GetCreationTimestamp() metav1.Time { return metav1.Time{} }

// SetCreationTimestamp implements metav1.Object.
func (r *Raw) SetCreationTimestamp(metav1.Time) {}

// SetDeletionTimestamp implements metav1.Object.
func (r *Raw) SetDeletionTimestamp(*metav1.Time) {}

// GetDeletionGracePeriodSeconds implements metav1.Object.
func (r *Raw) GetDeletionGracePeriodSeconds() *int64 { return nil }

// SetDeletionGracePeriodSeconds implements metav1.Object.
func (r *Raw) SetDeletionGracePeriodSeconds(*int64) {}

// SetLabels implements metav1.Object.
func (r *Raw) SetLabels(map[string]string) {}

// SetFinalizers implements metav1.Object.
func (r *Raw) SetFinalizers([]string) {}

// SetOwnerReferences implements metav1.Object.
func (r *Raw) SetOwnerReferences([]metav1.OwnerReference) {}

// GetManagedFields implements metav1.Object.
func (r *Raw) GetManagedFields() []metav1.ManagedFieldsEntry { return nil }

// SetManagedFields implements metav1.Object.
func (r *Raw) SetManagedFields([]metav1.ManagedFieldsEntry) {}

// RawList is a list of [Raw].
type RawList struct {
	metav1.ListMeta
	Items []Raw
}

var _ runtime.Object = &RawList{}

// GetObjectKind implements runtime.Object.
func (l *RawList) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object.
func (l *RawList) DeepCopyObject() runtime.Object {
	c := &RawList{Items: append([]Raw(nil), l.Items...)}
	l.ListMeta.DeepCopyInto(&c.ListMeta)
	return c
}
