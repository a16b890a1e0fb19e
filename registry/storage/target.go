package storage

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

type bucketKey struct{}

// WithBucket returns a context in which custom resources of the bucket are read and written: the identity hash of their
// export, or [LocalBucket].
func WithBucket(ctx context.Context, bucket string) context.Context {
	return context.WithValue(ctx, bucketKey{}, bucket)
}

// BucketFrom returns the bucket that ctx is for; false when there is none.
func BucketFrom(ctx context.Context) (string, bool) {
	bucket, _ := ctx.Value(bucketKey{}).(string)
	return bucket, bucket != ""
}

// layout says where the objects of one resource lie.
type layout struct {
	resource schema.GroupResource
	// root is the prefix with which stock stores begin their keys, and with which the real ones begin too.
	root string
	// custom is whether a bucket stands between root and cluster.
	custom bool
}

// place is where a request reads: below prefix, in one cluster or in all.
type place struct {
	key       string // the real key, or the prefix of a list or watch
	cluster   logicalcluster.Name
	namespace string // only when no cluster is named: the namespace that objects must lie in, as the key cannot say it
}

func (p place) wildcard() bool { return p.cluster == "" }

// base returns root and bucket.
func (l layout) base(ctx context.Context) (string, error) {
	if !l.custom {
		return l.root, nil
	}
	bucket, ok := BucketFrom(ctx)
	if !ok {
		return "", apierrors.NewInternalError(fmt.Errorf("request for %s does not say whose API it is for", l.resource))
	}
	if !validSegment(bucket) {
		return "", apierrors.NewBadRequest(fmt.Sprintf("invalid identity %q", bucket))
	}
	return l.root + "/" + bucket, nil
}

// one returns the real key of a single object or an error when ctx does not name exactly one cluster.
func (l layout) one(ctx context.Context, verb, requested string) (place, error) {
	cluster, ok := logicalcluster.FromContext(ctx)
	switch {
	case ok && validSegment(string(cluster)):
	case logicalcluster.IsWildcard(ctx):
		err := apierrors.NewMethodNotSupported(l.resource, verb)
		err.ErrStatus.Message = fmt.Sprintf("%s needs one logical cluster; all clusters together can only be listed and watched", verb)
		return place{}, err
	default:
		return place{}, l.refuse(ctx)
	}
	base, err := l.base(ctx)
	if err != nil {
		return place{}, err
	}
	rest, err := l.rest(requested)
	if err != nil {
		return place{}, err
	}
	if rest == "" {
		return place{}, apierrors.NewInternalError(fmt.Errorf("key %q names no object", requested))
	}
	return place{key: base + "/" + string(cluster) + rest, cluster: cluster}, nil
}

// many returns where a list or watch reads. With the wildcard that is below the whole base, as the cluster comes before
// namespace and name; the caller then narrows by place.namespace and the field selector.
func (l layout) many(ctx context.Context, requested string, recursive bool) (place, error) {
	rest, err := l.rest(requested)
	if err != nil {
		return place{}, err
	}
	if !logicalcluster.IsWildcard(ctx) {
		cluster, ok := logicalcluster.FromContext(ctx)
		if !ok || !validSegment(string(cluster)) {
			return place{}, l.refuse(ctx)
		}
		base, err := l.base(ctx)
		if err != nil {
			return place{}, err
		}
		if recursive {
			rest += "/"
		}
		return place{key: base + "/" + string(cluster) + rest, cluster: cluster}, nil
	}
	base, err := l.base(ctx)
	if err != nil {
		return place{}, err
	}
	p := place{key: base + "/"}
	if rest != "" {
		segments := strings.Split(rest[1:], "/")
		if recursive || len(segments) == 2 {
			p.namespace = segments[0]
		}
	}
	return p, nil
}

// rest returns what follows the root in a key that a stock store made: "", /name, /namespace or /namespace/name. Clients
// choose the segments: "." and ".." name nothing, and stock storage would call a key that holds them a fault of the server.
func (l layout) rest(requested string) (string, error) {
	rest, ok := strings.CutPrefix(requested, l.root)
	rest = strings.TrimSuffix(rest, "/")
	if !ok || (rest != "" && rest[0] != '/') || strings.Count(rest, "/") > 2 {
		return "", apierrors.NewInternalError(fmt.Errorf("key %q is not one of %s", requested, l.resource))
	}
	for segment := range strings.SplitSeq(rest, "/") {
		if segment == "." || segment == ".." {
			return "", apierrors.NewBadRequest(fmt.Sprintf("invalid name or namespace %q", segment))
		}
	}
	return rest, nil
}

// refuse answers a request without a usable target: like a cluster one may not enter when the name resolved to nothing,
// and as a fault of the server when nobody set a target at all.
func (l layout) refuse(ctx context.Context) error {
	if logicalcluster.IsUnknown(ctx) {
		return apierrors.NewForbidden(l.resource, "", fmt.Errorf("access denied"))
	}
	return apierrors.NewInternalError(fmt.Errorf("request for %s names no logical cluster", l.resource))
}

// cacheKey returns the function by which a cacher finds the real key of a typed object, which keyOf cannot see: from the
// cluster annotation, which the guard has set from the key when the object was read.
func (l layout) cacheKey(keyOf func(runtime.Object) (string, error)) func(runtime.Object) (string, error) {
	return func(obj runtime.Object) (string, error) {
		accessor, err := meta.Accessor(obj)
		if err != nil {
			return "", err
		}
		cluster := logicalcluster.From(accessor)
		if cluster == "" {
			return "", fmt.Errorf("object of %s does not say which cluster it is in", l.resource)
		}
		requested, err := keyOf(obj)
		if err != nil {
			return "", err
		}
		rest, err := l.rest(requested)
		if err != nil {
			return "", err
		}
		return l.root + "/" + string(cluster) + rest, nil
	}
}
