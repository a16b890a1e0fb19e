package raw

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
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
)

// minShared is the least size in bytes of a spec that is shared: an entry in the table of shared ones costs about 150.
const minShared = 512

// Codec reads envelopes into [Object]s. Reading never fails: a list that holds one damaged object would keep the cache of
// thousands of clusters from starting.
type Codec struct {
	labels *intern.Maps
	// shareSpecs is whether equal specs of different objects are kept once.
	shareSpecs bool
}

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
	*raw = c.parse(string(data))
	return raw, &schema.GroupVersionKind{}, nil
}

func (c Codec) parse(envelope string) Object {
	size := strings.IndexByte(envelope, layout.EnvelopeEnd)
	if size < 0 || len(envelope) > math.MaxUint32 {
		return Object{envelope: envelope + "\x00", keySize: uint32(len(envelope)), damaged: true}
	}
	r := Object{envelope: envelope, keySize: uint32(size)}
	payload := envelope[size+1:]
	parts, ok := parseObject(payload, c.shareSpecs)
	if !ok {
		r.damaged = true
		return r
	}
	m := parts.kept
	h := meta{labels: c.labels.Intern(m.Labels), finalizers: m.Finalizers, owners: m.OwnerReferences, deletionTimestamp: m.DeletionTimestamp}
	if c.shareSpecs && parts.spec.size >= minShared {
		start, end := parts.spec.start, parts.spec.start+parts.spec.size
		h.spec, h.specAt = unique.Make(payload[start:end]), start
		r.envelope = envelope[:size+1] + payload[:start] + payload[end:]
	}
	// The UID is found after the spec is out, which may hold the like.
	if at := strings.Index(r.envelope[size+1:], string(m.UID)); m.UID != "" && at >= 0 {
		r.uid = span{start: uint32(size + 1 + at), size: uint32(len(m.UID))}
	}
	if h.labels != nil || h.finalizers != nil || h.owners != nil || h.deletionTimestamp != nil || h.spec != (unique.Handle[string]{}) {
		r.head = &h
	}
	return r
}

// objectParts is what is read of stored bytes.
type objectParts struct {
	kept kept
	spec span // in the stored bytes; empty when there is none
}

// kept is the part of an object's metadata that is kept.
type kept struct {
	UID               types.UID               `json:"uid"`
	Labels            map[string]string       `json:"labels"`
	Finalizers        []string                `json:"finalizers"`
	OwnerReferences   []metav1.OwnerReference `json:"ownerReferences"`
	DeletionTimestamp *metav1.Time            `json:"deletionTimestamp"`
}

// MetadataOf returns the metadata of stored bytes; false if it cannot be read. Only the fields of a head are set.
func MetadataOf(payload []byte) (metav1.ObjectMeta, bool) {
	parts, ok := parseObject(string(payload), false)
	m := parts.kept
	return metav1.ObjectMeta{UID: m.UID, Labels: m.Labels, Finalizers: m.Finalizers, OwnerReferences: m.OwnerReferences, DeletionTimestamp: m.DeletionTimestamp}, ok
}

// parseObject reads an object that is stored as JSON or as protobuf; false if it cannot be read. The spec is looked for
// only when it is to be shared.
func parseObject(payload string, withSpec bool) (objectParts, bool) {
	if strings.HasPrefix(payload, ProtobufMagic) {
		return parseProtobuf([]byte(payload), withSpec)
	}
	// Case must count: a schema may keep unknown fields, "Metadata" among them.
	var object struct {
		Metadata kept `json:"metadata"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts([]byte(payload), &object); err != nil {
		return objectParts{}, false
	}
	parts := objectParts{kept: object.Metadata}
	if !withSpec {
		return parts, true
	}
	var body struct {
		Spec json.RawMessage `json:"spec"`
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts([]byte(payload), &body); err != nil {
		return objectParts{}, false
	}
	// What is taken out at a place goes in at the same place: it need not be the spec itself that is found.
	if at := strings.Index(payload, string(body.Spec)); len(body.Spec) > 0 && at >= 0 {
		parts.spec = span{start: uint32(at), size: uint32(len(body.Spec))}
	}
	return parts, true
}

// ProtobufMagic begins what Kubernetes stores as protobuf; a runtime.Unknown follows, with the object in its field raw.
const ProtobufMagic = "k8s\x00"

// Field numbers of runtime.Unknown and of every object of a Kubernetes API.
const (
	unknownRaw     = 2
	objectMetadata = 1
	objectSpec     = 2
)

func parseProtobuf(payload []byte, withSpec bool) (objectParts, bool) {
	object, ok := protobufField(payload, span{start: uint32(len(ProtobufMagic)), size: uint32(len(payload) - len(ProtobufMagic))}, unknownRaw)
	if !ok {
		return objectParts{}, false
	}
	metadata, ok := protobufField(payload, object, objectMetadata)
	if !ok {
		return objectParts{}, false
	}
	var m metav1.ObjectMeta
	if err := m.Unmarshal(payload[metadata.start:][:metadata.size]); err != nil {
		return objectParts{}, false
	}
	parts := objectParts{kept: kept{UID: m.UID, Labels: m.Labels, Finalizers: m.Finalizers, OwnerReferences: m.OwnerReferences, DeletionTimestamp: m.DeletionTimestamp}}
	if withSpec {
		parts.spec, _ = protobufField(payload, object, objectSpec)
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
