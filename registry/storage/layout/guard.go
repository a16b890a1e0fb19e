package layout

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// The guard makes key and object prove each other. The stock etcd store passes bytes through a transformer, which knows
// the key, and a codec, which knows the object; between the two the bytes travel in an envelope:
//
//	<cluster>/[<namespace>/]<name> NUL <stored bytes>
//
// Reading, the transformer writes the envelope from the key, and the codec compares it with what it decoded and sets the
// cluster annotation. Writing, the codec writes it from the object, and the transformer refuses it when the key, or the
// target of the request, is another. An object whose annotation was forged therefore reaches no other cluster's key.

// EnvelopeEnd ends the key in an envelope.
const EnvelopeEnd = 0

// Transformer is the half of the guard that knows the key.
type Transformer struct {
	Layout Resource
	Prefix string // Config.Prefix
	// Below encrypts the stored bytes; nil if they are stored as they are.
	Below value.Transformer
}

var _ value.Transformer = Transformer{}

// TransformFromStorage implements value.Transformer.
func (t Transformer) TransformFromStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	_, tail, err := t.split(dataCtx)
	if err != nil {
		return nil, false, err
	}
	stale := false
	if t.Below != nil {
		if data, stale, err = t.Below.TransformFromStorage(ctx, data, dataCtx); err != nil {
			return nil, false, err
		}
	}
	out := make([]byte, 0, len(tail)+1+len(data))
	out = append(out, tail...)
	out = append(out, EnvelopeEnd)
	return append(out, data...), stale, nil
}

// TransformToStorage implements value.Transformer.
func (t Transformer) TransformToStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, error) {
	bucket, tail, err := t.split(dataCtx)
	if err != nil {
		return nil, err
	}
	claimed, payload, ok := bytes.Cut(data, []byte{EnvelopeEnd})
	if !ok || string(claimed) != tail {
		return nil, fmt.Errorf("refused write: the object belongs to %q, not to %q", claimed, tail)
	}
	target, _ := logicalcluster.FromContext(ctx)
	if cluster, _, _ := strings.Cut(tail, "/"); target == "" || string(target) != cluster {
		return nil, fmt.Errorf("refused write: the request is for cluster %q, not for %q", target, cluster)
	}
	if t.Layout.Custom {
		if want, _ := BucketFrom(ctx); want != bucket {
			return nil, fmt.Errorf("refused write: the request is for bucket %q, not for %q", want, bucket)
		}
	}
	if t.Below != nil {
		return t.Below.TransformToStorage(ctx, payload, dataCtx)
	}
	return payload, nil
}

// split returns the bucket in a key, and what follows: cluster, namespace and name.
func (t Transformer) split(dataCtx value.Context) (bucket, tail string, err error) {
	full := string(dataCtx.AuthenticatedData())
	tail, ok := strings.CutPrefix(full, t.Prefix+t.Layout.Root+"/")
	if ok && t.Layout.Custom {
		bucket, tail, ok = strings.Cut(tail, "/")
	}
	if !ok {
		return "", "", fmt.Errorf("key %q does not belong to %s", full, t.Layout.Resource)
	}
	return bucket, tail, nil
}

// Codec is the half of the guard that knows the object.
type Codec struct {
	runtime.Codec
	Layout Resource
	// KeyOf returns the key of an object as a stock store makes it: root, namespace and name.
	KeyOf func(runtime.Object) (string, error)
}

// Identifier implements runtime.Encoder.
func (c Codec) Identifier() runtime.Identifier { return c.Codec.Identifier() + "+guard" }

// Encode implements runtime.Encoder.
func (c Codec) Encode(obj runtime.Object, w io.Writer) error {
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return fmt.Errorf("encoding an object of %s: %w", c.Layout.Resource, err)
	}
	tail, err := c.tail(obj, logicalcluster.From(accessor))
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, tail+"\x00"); err != nil {
		return err
	}
	if c.Layout.Custom {
		obj = withoutCluster(obj)
	}
	return c.Codec.Encode(obj, w)
}

// Decode implements runtime.Decoder.
func (c Codec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	claimed, payload, ok := bytes.Cut(data, []byte{EnvelopeEnd})
	if !ok {
		return nil, nil, fmt.Errorf("stored object of %s has no envelope", c.Layout.Resource)
	}
	obj, gvk, err := c.Codec.Decode(payload, defaults, into)
	if err != nil {
		return obj, gvk, err
	}
	cluster, _, _ := strings.Cut(string(claimed), "/")
	if tail, err := c.tail(obj, logicalcluster.Name(cluster)); err != nil || tail != string(claimed) {
		return nil, nil, fmt.Errorf("object stored as %q of %s says it is %q", claimed, c.Layout.Resource, tail)
	}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return nil, nil, fmt.Errorf("decoding an object of %s: %w", c.Layout.Resource, err)
	}
	StampMeta(accessor, logicalcluster.Name(cluster))
	return obj, gvk, nil
}

func (c Codec) tail(obj runtime.Object, cluster logicalcluster.Name) (string, error) {
	if cluster == "" {
		return "", fmt.Errorf("object of %s does not say which cluster it is in", c.Layout.Resource)
	}
	requested, err := c.KeyOf(obj)
	if err != nil {
		return "", err
	}
	rest, err := c.Layout.rest(requested)
	if err != nil {
		return "", err
	}
	return string(cluster) + rest, nil
}

// Stamp makes obj say which cluster it is in, whatever it said before. It leaves a map that others may hold untouched.
func Stamp(obj runtime.Object, cluster logicalcluster.Name) error {
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	StampMeta(accessor, cluster)
	return nil
}

// StampMeta does the same through metadata.
func StampMeta(accessor metav1.Object, cluster logicalcluster.Name) {
	annotations := accessor.GetAnnotations()
	if annotations[logicalcluster.AnnotationKey] == string(cluster) {
		return
	}
	stamped := make(map[string]string, len(annotations)+1)
	maps.Copy(stamped, annotations)
	stamped[logicalcluster.AnnotationKey] = string(cluster)
	accessor.SetAnnotations(stamped)
}

// withoutCluster returns an unstructured object without the cluster annotation, as custom resources are stored: their key
// says it. The original stays as it is; what did not change is shared.
func withoutCluster(obj runtime.Object) runtime.Object {
	u, ok := obj.(runtime.Unstructured)
	if !ok {
		return obj
	}
	content := u.UnstructuredContent()
	metadata, _ := content["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	if _, ok := annotations[logicalcluster.AnnotationKey]; !ok {
		return obj
	}
	content, metadata = maps.Clone(content), maps.Clone(metadata)
	content["metadata"] = metadata
	if len(annotations) == 1 {
		delete(metadata, "annotations")
	} else {
		annotations = maps.Clone(annotations)
		delete(annotations, logicalcluster.AnnotationKey)
		metadata["annotations"] = annotations
	}
	stripped := u.NewEmptyInstance()
	stripped.SetUnstructuredContent(content)
	return stripped
}
