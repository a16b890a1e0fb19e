package storage

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	kjson "sigs.k8s.io/json"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Raw is a custom resource as the watch caches hold it: the stored bytes, and a head parsed from them for what must be
// answered without a schema. It is as small as can be, since there is one for each object: key and bytes share one
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
	// damaged is whether the bytes are not a JSON object with readable metadata.
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
	return []byte(r.envelope[r.keySize+1:])
}

// Damaged reports whether the stored bytes are not a JSON object with readable metadata.
func (r *Raw) Damaged() bool { return r.damaged }

// tail returns cluster, namespace and name, and with them the length of what comes before.
func (r *Raw) tail() (cluster, namespace, name string, base int) {
	// The key is /cr/<shard>/<group>/<resource>/<bucket>/<cluster>/[<namespace>/]<name>.
	k, at := r.Key(), 0
	for range 5 {
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

// base returns the key down to the bucket.
func (r *Raw) base() string {
	_, _, _, base := r.tail()
	return r.Key()[:base]
}

// clusterBase returns the key down to the cluster: the value of the trigger index.
func (r *Raw) clusterBase() string {
	cluster, _, _, base := r.tail()
	return r.Key()[:min(base+1+len(cluster), int(r.keySize))]
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

// rawCodec reads envelopes into Raw. Reading never fails: a list that holds one damaged object would keep the cache of
// thousands of clusters from starting.
type rawCodec struct {
	labels *interner
}

var _ runtime.Codec = rawCodec{}

// Identifier implements runtime.Encoder.
func (rawCodec) Identifier() runtime.Identifier { return "annex-raw" }

// Encode implements runtime.Encoder. Stock code encodes an empty object once to try the codec; nothing is written by it.
func (rawCodec) Encode(obj runtime.Object, w io.Writer) error {
	raw, ok := obj.(*Raw)
	if !ok {
		return fmt.Errorf("encoding %T as a raw object", obj)
	}
	_, err := io.WriteString(w, raw.envelope)
	return err
}

// Decode implements runtime.Decoder.
func (c rawCodec) Decode(data []byte, _ *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	raw, ok := into.(*Raw)
	if !ok {
		raw = &Raw{}
	}
	*raw = c.parse(data)
	return raw, &schema.GroupVersionKind{}, nil
}

func (c rawCodec) parse(data []byte) Raw {
	r := Raw{envelope: string(data)}
	size := strings.IndexByte(r.envelope, envelopeEnd)
	if size < 0 || len(r.envelope) > math.MaxUint32 {
		r.keySize, r.damaged = uint32(len(r.envelope)), true
		r.envelope += "\x00"
		return r
	}
	r.keySize = uint32(size)
	payload := data[size+1:]
	var object struct {
		Metadata struct {
			UID               string                  `json:"uid"`
			Labels            map[string]string       `json:"labels"`
			Finalizers        []string                `json:"finalizers"`
			OwnerReferences   []metav1.OwnerReference `json:"ownerReferences"`
			DeletionTimestamp *metav1.Time            `json:"deletionTimestamp"`
		} `json:"metadata"`
	}
	// Case must count: a schema may keep unknown fields, "Metadata" among them.
	if err := kjson.UnmarshalCaseSensitivePreserveInts(payload, &object); err != nil {
		r.damaged = true
		return r
	}
	m := object.Metadata
	if at := strings.Index(r.envelope[size+1:], `"uid":"`+m.UID+`"`); m.UID != "" && at >= 0 {
		r.uid = span{start: uint32(size + 1 + at + len(`"uid":"`)), size: uint32(len(m.UID))}
	}
	if len(m.Labels) > 0 || len(m.Finalizers) > 0 || len(m.OwnerReferences) > 0 || m.DeletionTimestamp != nil {
		r.head = &rawHead{
			labels:            c.labels.intern(m.Labels),
			finalizers:        m.Finalizers,
			owners:            m.OwnerReferences,
			deletionTimestamp: m.DeletionTimestamp,
		}
	}
	return r
}
