package storage

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

const envelopeEnd = 0

// guardTransformer is the half of the guard that knows the key.
type guardTransformer struct {
	layout layout
	prefix string // Config.Prefix
}

var _ value.Transformer = guardTransformer{}

// TransformFromStorage implements value.Transformer.
func (t guardTransformer) TransformFromStorage(_ context.Context, data []byte, dataCtx value.Context) ([]byte, bool, error) {
	_, tail, err := t.split(dataCtx)
	if err != nil {
		return nil, false, err
	}
	out := make([]byte, 0, len(tail)+1+len(data))
	out = append(out, tail...)
	out = append(out, envelopeEnd)
	return append(out, data...), false, nil
}

// TransformToStorage implements value.Transformer.
func (t guardTransformer) TransformToStorage(ctx context.Context, data []byte, dataCtx value.Context) ([]byte, error) {
	bucket, tail, err := t.split(dataCtx)
	if err != nil {
		return nil, err
	}
	claimed, payload, ok := bytes.Cut(data, []byte{envelopeEnd})
	if !ok || string(claimed) != tail {
		return nil, fmt.Errorf("refused write: the object belongs to %q, not to %q", claimed, tail)
	}
	target, _ := logicalcluster.FromContext(ctx)
	if cluster, _, _ := strings.Cut(tail, "/"); target == "" || string(target) != cluster {
		return nil, fmt.Errorf("refused write: the request is for cluster %q, not for %q", target, cluster)
	}
	if t.layout.custom {
		if want, _ := BucketFrom(ctx); want != bucket {
			return nil, fmt.Errorf("refused write: the request is for bucket %q, not for %q", want, bucket)
		}
	}
	return payload, nil
}

// split returns the bucket in a key, and what follows: cluster, namespace and name.
func (t guardTransformer) split(dataCtx value.Context) (bucket, tail string, err error) {
	full := string(dataCtx.AuthenticatedData())
	tail, ok := strings.CutPrefix(full, t.prefix+t.layout.root+"/")
	if ok && t.layout.custom {
		bucket, tail, ok = strings.Cut(tail, "/")
	}
	if !ok {
		return "", "", fmt.Errorf("key %q does not belong to %s", full, t.layout.resource)
	}
	return bucket, tail, nil
}

// guardCodec is the half of the guard that knows the object.
type guardCodec struct {
	runtime.Codec
	layout layout
	// keyOf returns the key of an object as a stock store makes it: root, namespace and name.
	keyOf func(runtime.Object) (string, error)
	// share lets a decoded object share what is equal with others; nil for custom resources, which are kept as bytes.
	share func(runtime.Object, metav1.Object)
}

// Identifier implements runtime.Encoder.
func (c guardCodec) Identifier() runtime.Identifier { return c.Codec.Identifier() + "+guard" }

// Encode implements runtime.Encoder.
func (c guardCodec) Encode(obj runtime.Object, w io.Writer) error {
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return fmt.Errorf("encoding an object of %s: %w", c.layout.resource, err)
	}
	tail, err := c.tail(obj, logicalcluster.From(accessor))
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, tail+"\x00"); err != nil {
		return err
	}
	if c.layout.custom {
		obj = withoutCluster(obj)
	}
	return c.Codec.Encode(obj, w)
}

// Decode implements runtime.Decoder.
func (c guardCodec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	claimed, payload, ok := bytes.Cut(data, []byte{envelopeEnd})
	if !ok {
		return nil, nil, fmt.Errorf("stored object of %s has no envelope", c.layout.resource)
	}
	obj, gvk, err := c.Codec.Decode(payload, defaults, into)
	if err != nil {
		return obj, gvk, err
	}
	cluster, _, _ := strings.Cut(string(claimed), "/")
	if tail, err := c.tail(obj, logicalcluster.Name(cluster)); err != nil || tail != string(claimed) {
		return nil, nil, fmt.Errorf("object stored as %q of %s says it is %q", claimed, c.layout.resource, tail)
	}
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return nil, nil, fmt.Errorf("decoding an object of %s: %w", c.layout.resource, err)
	}
	stampMeta(accessor, logicalcluster.Name(cluster))
	if c.share != nil {
		c.share(obj, accessor)
	}
	return obj, gvk, nil
}

func (c guardCodec) tail(obj runtime.Object, cluster logicalcluster.Name) (string, error) {
	if cluster == "" {
		return "", fmt.Errorf("object of %s does not say which cluster it is in", c.layout.resource)
	}
	requested, err := c.keyOf(obj)
	if err != nil {
		return "", err
	}
	rest, err := c.layout.rest(requested)
	if err != nil {
		return "", err
	}
	return string(cluster) + rest, nil
}

// stamp makes obj say which cluster it is in, whatever it said before. It leaves a map that others may hold untouched.
func stamp(obj runtime.Object, cluster logicalcluster.Name) error {
	accessor, err := meta.Accessor(obj)
	if err != nil {
		return err
	}
	stampMeta(accessor, cluster)
	return nil
}

func stampMeta(accessor metav1.Object, cluster logicalcluster.Name) {
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
