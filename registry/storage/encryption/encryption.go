package encryption

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/identity"
)

// Encryption says how values are stored. A nil one stores all of them as they are, and refuses to read what is encrypted. It is safe for
// concurrent use.
type Encryption struct {
	resources value.ResourceTransformers
	mark      []byte
	sealed    sealed
}

// New returns an Encryption by the transformers of resources; nil if that is nil.
func New(resources value.ResourceTransformers) *Encryption {
	if resources == nil {
		return nil
	}
	mark := append([]byte("\x00rendered\x00"), make([]byte, 16)...)
	_, _ = rand.Read(mark[len(mark)-16:]) // never fails
	return &Encryption{resources: resources, mark: mark}
}

// plain is the transformer of resources that are not encrypted: it refuses to read what is.
var plain = identity.NewEncryptCheckTransformer()

// Of returns the transformer of the values of a resource. The data context of a value is its key in etcd.
func (e *Encryption) Of(gr schema.GroupResource) value.Transformer {
	if e == nil {
		return plain
	}
	return transformer{e, e.resources.TransformerForResource(gr)}
}

// Open returns the stored value of an object of a resource.
func (e *Encryption) Open(ctx context.Context, gr schema.GroupResource, kv *mvccpb.KeyValue) ([]byte, error) {
	data, _, err := e.Of(gr).TransformFromStorage(ctx, kv.Value, value.DefaultContext(kv.Key))
	if err != nil {
		return nil, fmt.Errorf("decrypting what is stored as %q: %w", kv.Key, err)
	}
	return data, nil
}

// Mark returns a value that was made and not stored, for who reads values.
func (e *Encryption) Mark(made []byte) []byte {
	if e == nil {
		return made
	}
	return append(bytes.Clone(e.mark), made...)
}

// Unmarked returns a value as it is in etcd, or as it was before Mark.
func (e *Encryption) Unmarked(value []byte) []byte {
	if e == nil {
		return value
	}
	return bytes.TrimPrefix(value, e.mark)
}

// transformer is the transformer of one resource, which lets marked values pass.
type transformer struct {
	of *Encryption
	value.Transformer
}

// TransformFromStorage implements value.Transformer.
func (t transformer) TransformFromStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	if made, ok := bytes.CutPrefix(data, t.of.mark); ok {
		return made, false, nil
	}
	return t.Transformer.TransformFromStorage(ctx, data, dataCtx)
}
