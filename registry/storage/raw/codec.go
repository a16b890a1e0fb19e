package raw

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unique"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	kjson "sigs.k8s.io/json"

	"github.com/annex-dev/annex/registry/storage/intern"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/pack"
)

// minShared is the least size in bytes of a part that is shared. What is smaller is packed.
const minShared = 2 << 10

// Codec reads envelopes into [Object]s. Reading never fails: a list that holds one damaged object would keep the cache of
// thousands of clusters from starting.
type Codec struct {
	labels *intern.Maps
	// share is whether equal parts of different objects are kept once: specs, and the fields that a manager owns.
	share bool
	packs *pack.Packer
	find  Find // may be nil
}

// Find returns what the object at key is made from if nobody has written it, and its number there; nil if that is not known.
type Find func(key string) (from Made, part int)

var _ runtime.Codec = Codec{}

// Identifier implements runtime.Encoder.
func (Codec) Identifier() runtime.Identifier { return "annex-raw" }

// Encode implements runtime.Encoder. Stock code encodes an empty object once to try the codec; nothing is written by it.
func (Codec) Encode(obj runtime.Object, w io.Writer) error {
	raw, ok := obj.(*Object)
	if !ok {
		return fmt.Errorf("encoding %T as a raw object", obj)
	}
	_, err := w.Write(raw.Data())
	return err
}

// Decode implements runtime.Decoder.
func (c Codec) Decode(data []byte, _ *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	raw, ok := into.(*Object)
	if !ok {
		raw = &Object{}
	}
	*raw = c.parse(string(data), 0)
	return raw, &schema.GroupVersionKind{}, nil
}

// parse reads an envelope of a revision, or of any if it is 0.
func (c Codec) parse(envelope string, revision int64) Object {
	size := strings.IndexByte(envelope, layout.EnvelopeEnd)
	if size < 0 || len(envelope) > math.MaxUint32 {
		return Object{envelope: envelope + "\x00", keySize: uint32(len(envelope)), damaged: true}
	}
	payload := envelope[size+1:]
	if made, part := c.made(envelope[:size], payload, revision); made != nil {
		if head, ok := c.headOf(made, part, payload); ok {
			return Object{
				envelope: strings.Clone(envelope[:size]), keySize: uint32(size), uid: span{size: uint32(len(payload))},
				head: head, made: made, part: uint16(part),
			}
		}
	}
	r := Object{envelope: envelope, keySize: uint32(size)}
	parts, ok := parseObject(payload, c.share && len(payload) >= minShared)
	if !ok {
		r.damaged = true
		return r
	}
	h, rest, uid := c.meta(parts.kept), payload, string(parts.kept.UID)
	h.cuts, rest = takeOut(payload, parts.alike)
	packed := ""
	if packed, h.packed = c.packs.Pack(r.base(), rest); h.packed != nil {
		rest = uid + packed
	}
	if h.cuts != nil || h.packed != nil {
		r.envelope = envelope[:size+1] + rest
	}
	// The UID is found after the spec is out, which may hold the like.
	if at := strings.Index(rest, uid); at >= 0 && uid != "" {
		r.uid = span{start: uint32(size + 1 + at), size: uint32(len(uid))}
	}
	r.head = h.unlessEmpty()
	return r
}

// made returns what the object at key with these stored bytes is made from, and its number there; nil if it is made from nothing.
func (c Codec) made(key, payload string, revision int64) (Made, int) {
	if c.find == nil {
		return nil, 0
	}
	made, part := c.find(key)
	switch {
	case made == nil || part > math.MaxUint16:
	case revision != 0 && revision == made.Revision():
		return made, part
	case revision == 0 && string(made.Data(part)) == payload:
		return made, part
	}
	return nil, 0
}

// headOf returns the head of an object that is made from something.
func (c Codec) headOf(made Made, part int, payload string) (*meta, bool) {
	alike := made.Alike(part)
	if alike != nil {
		if known := alike.head.Load(); known != nil {
			return *known, true
		}
	}
	parts, ok := parseObject(payload, false)
	if !ok {
		return nil, false
	}
	h := c.meta(parts.kept)
	head := h.unlessEmpty()
	if alike != nil {
		alike.head.Store(&head)
	}
	return head, true
}

// meta returns what is kept of metadata.
func (c Codec) meta(m kept) meta {
	return meta{labels: c.labels.Intern(m.Labels), finalizers: m.Finalizers, owners: m.OwnerReferences, deletionTimestamp: m.DeletionTimestamp}
}

// takeOut takes parts out of payload that are long enough to be shared, and returns them and what remains.
func takeOut(payload string, parts []span) ([]cut, string) {
	parts = slices.DeleteFunc(parts, func(s span) bool { return s.size < minShared })
	if len(parts) == 0 {
		return nil, payload
	}
	slices.SortFunc(parts, func(x, y span) int { return cmp.Compare(x.start, y.start) })
	var (
		rest strings.Builder
		cuts []cut
		done uint32
	)
	for _, s := range parts {
		if s.start < done {
			continue // found in a part that is out already
		}
		rest.WriteString(payload[done:s.start])
		done = s.start + s.size
		cuts = append(cuts, cut{part: unique.Make(payload[s.start:done]), at: uint32(rest.Len())})
	}
	rest.WriteString(payload[done:])
	return cuts, rest.String()
}

// objectParts is what is read of stored bytes.
type objectParts struct {
	kept kept
	// alike are the parts in the stored bytes that many objects may have alike.
	alike []span
}

// kept is the part of an object's metadata that is kept.
type kept struct {
	UID               types.UID               `json:"uid"`
	Labels            map[string]string       `json:"labels"`
	Finalizers        []string                `json:"finalizers"`
	OwnerReferences   []metav1.OwnerReference `json:"ownerReferences"`
	DeletionTimestamp *metav1.Time            `json:"deletionTimestamp"`
}

// annotationsOf returns the annotations of an object that is stored as JSON or as protobuf; nil if they cannot be read.
func annotationsOf(payload string) map[string]string {
	if strings.HasPrefix(payload, ProtobufMagic) {
		m, _, _ := protobufMetadata([]byte(payload))
		return m.Annotations
	}
	var object struct {
		Metadata struct {
			Annotations map[string]string `json:"annotations"`
		} `json:"metadata"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts([]byte(payload), &object); err != nil {
		return nil
	}
	return object.Metadata.Annotations
}

// MetadataOf returns the metadata of stored bytes; false if it cannot be read. Only the fields of a head are set.
func MetadataOf(payload []byte) (metav1.ObjectMeta, bool) {
	parts, ok := parseObject(string(payload), false)
	m := parts.kept
	return metav1.ObjectMeta{UID: m.UID, Labels: m.Labels, Finalizers: m.Finalizers, OwnerReferences: m.OwnerReferences, DeletionTimestamp: m.DeletionTimestamp}, ok
}

// parseObject reads an object that is stored as JSON or as protobuf; false if it cannot be read. What may be alike in many is looked
// for only when it is to be shared.
func parseObject(payload string, alike bool) (objectParts, bool) {
	if strings.HasPrefix(payload, ProtobufMagic) {
		return parseProtobuf([]byte(payload), alike)
	}
	// Case must count: a schema may keep unknown fields, "Metadata" among them.
	if alike {
		var object struct {
			Metadata struct {
				kept
				ManagedFields []struct {
					FieldsV1 json.RawMessage `json:"fieldsV1"`
				} `json:"managedFields"`
			} `json:"metadata"`
			Spec json.RawMessage `json:"spec"`
		}
		if err := kjson.UnmarshalCaseSensitivePreserveInts([]byte(payload), &object); err == nil {
			parts := objectParts{kept: object.Metadata.kept}
			parts.find(payload, object.Spec)
			for _, m := range object.Metadata.ManagedFields {
				parts.find(payload, m.FieldsV1)
			}
			return parts, true
		}
	}
	var object struct {
		Metadata kept `json:"metadata"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts([]byte(payload), &object); err != nil {
		return objectParts{}, false
	}
	return objectParts{kept: object.Metadata}, true
}

// find adds a part of payload that may be alike in many objects. What is taken out at a place goes in at the same place: it need not be
// the part itself that is found.
func (p *objectParts) find(payload string, part []byte) {
	if len(part) < minShared {
		return
	}
	if at := strings.Index(payload, string(part)); at >= 0 {
		p.alike = append(p.alike, span{start: uint32(at), size: uint32(len(part))})
	}
}

// ProtobufMagic begins what Kubernetes stores as protobuf; a runtime.Unknown follows, with the object in its field raw.
const ProtobufMagic = "k8s\x00"

// Field numbers of runtime.Unknown and of every object of a Kubernetes API.
const (
	unknownRaw     = 2
	objectMetadata = 1
	objectSpec     = 2
)

// protobufMetadata returns the metadata of an object that is stored as protobuf, and where the object is; false if it cannot be read.
func protobufMetadata(payload []byte) (m metav1.ObjectMeta, object span, ok bool) {
	object, ok = protobufField(payload, span{start: uint32(len(ProtobufMagic)), size: uint32(len(payload) - len(ProtobufMagic))}, unknownRaw)
	if !ok {
		return m, object, false
	}
	metadata, ok := protobufField(payload, object, objectMetadata)
	if !ok {
		return m, object, false
	}
	return m, object, m.Unmarshal(payload[metadata.start:][:metadata.size]) == nil
}

func parseProtobuf(payload []byte, alike bool) (objectParts, bool) {
	m, object, ok := protobufMetadata(payload)
	if !ok {
		return objectParts{}, false
	}
	parts := objectParts{kept: kept{UID: m.UID, Labels: m.Labels, Finalizers: m.Finalizers, OwnerReferences: m.OwnerReferences, DeletionTimestamp: m.DeletionTimestamp}}
	if alike {
		if spec, ok := protobufField(payload, object, objectSpec); ok {
			parts.alike = append(parts.alike, spec)
		}
		for _, entry := range m.ManagedFields {
			if entry.FieldsV1 != nil {
				parts.find(string(payload), entry.FieldsV1.GetRawBytes())
			}
		}
	}
	return parts, true
}

// protobufField finds the bytes of a length-delimited field of the message in within; false if there is none. Of several
// it finds the first.
func protobufField(data []byte, within span, want protowire.Number) (span, bool) {
	at, end := int(within.start), int(within.start+within.size)
	for at < end {
		number, kind, n := protowire.ConsumeTag(data[at:end])
		if n < 0 {
			return span{}, false
		}
		at += n
		size := protowire.ConsumeFieldValue(number, kind, data[at:end])
		if size < 0 {
			return span{}, false
		}
		if number == want && kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(data[at:end])
			return span{start: uint32(at + size - len(value)), size: uint32(len(value))}, true
		}
		at += size
	}
	return span{}, false
}
