package layout

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

type everyBucketKey struct{}

// WithEveryBucket returns a context in which custom resources of all buckets are listed and watched at once. It is for all clusters only, and
// for readers that need no schema.
func WithEveryBucket(ctx context.Context) context.Context {
	return context.WithValue(ctx, everyBucketKey{}, true)
}

func inEveryBucket(ctx context.Context) bool {
	every, _ := ctx.Value(everyBucketKey{}).(bool)
	return every
}

// Resource says where the objects of one resource are stored.
type Resource struct {
	Resource schema.GroupResource
	// Root is the prefix with which stock stores begin their keys, and with which the real ones begin too.
	Root string
	// Custom is whether a bucket stands between root and cluster.
	Custom bool
}

// Place is where a request reads: below prefix, in one cluster or in all.
type Place struct {
	Key       string // the real key, or the prefix of a list or watch
	Cluster   logicalcluster.Name
	Namespace string // only when no cluster is named: the namespace of the objects, because the key cannot say it
	// EveryBucket is whether the objects may be in any bucket.
	EveryBucket bool
}

// Wildcard reports whether the request is for all clusters.
func (p Place) Wildcard() bool { return p.Cluster == "" }

// Base returns root and bucket.
func (l Resource) Base(ctx context.Context) (string, error) {
	if !l.Custom {
		return l.Root, nil
	}
	bucket, ok := BucketFrom(ctx)
	if !ok {
		return "", apierrors.NewInternalError(fmt.Errorf("request for %s does not say whose API it is for", l.Resource))
	}
	if !ValidSegment(bucket) {
		return "", apierrors.NewBadRequest(fmt.Sprintf("invalid identity %q", bucket))
	}
	return l.Root + "/" + bucket, nil
}

// One returns the real key of a single object or an error when ctx does not name exactly one cluster.
func (l Resource) One(ctx context.Context, verb, requested string) (Place, error) {
	cluster, ok := logicalcluster.FromContext(ctx)
	switch {
	case ok && ValidSegment(string(cluster)):
	case logicalcluster.IsWildcard(ctx):
		err := apierrors.NewMethodNotSupported(l.Resource, verb)
		err.ErrStatus.Message = fmt.Sprintf("%s needs one logical cluster; all clusters together can only be listed and watched", verb)
		return Place{}, err
	default:
		return Place{}, l.refuse(ctx)
	}
	base, err := l.Base(ctx)
	if err != nil {
		return Place{}, err
	}
	rest, err := l.rest(requested)
	if err != nil {
		return Place{}, err
	}
	if rest == "" {
		return Place{}, apierrors.NewInternalError(fmt.Errorf("key %q names no object", requested))
	}
	return Place{Key: base + "/" + string(cluster) + rest, Cluster: cluster}, nil
}

// Many returns where a list or watch reads. With the wildcard that is below the whole base, as the cluster comes before
// namespace and name; the caller then narrows by place.namespace and the field selector.
func (l Resource) Many(ctx context.Context, requested string, recursive bool) (Place, error) {
	rest, err := l.rest(requested)
	if err != nil {
		return Place{}, err
	}
	if !logicalcluster.IsWildcard(ctx) {
		cluster, ok := logicalcluster.FromContext(ctx)
		if !ok || !ValidSegment(string(cluster)) {
			return Place{}, l.refuse(ctx)
		}
		base, err := l.Base(ctx)
		if err != nil {
			return Place{}, err
		}
		if recursive {
			rest += "/"
		}
		return Place{Key: base + "/" + string(cluster) + rest, Cluster: cluster}, nil
	}
	p := Place{EveryBucket: l.Custom && inEveryBucket(ctx)}
	base := l.Root
	if _, one := BucketFrom(ctx); p.EveryBucket && one {
		return Place{}, apierrors.NewInternalError(fmt.Errorf("request for %s is for one API and for all", l.Resource))
	}
	if !p.EveryBucket {
		if base, err = l.Base(ctx); err != nil {
			return Place{}, err
		}
	}
	p.Key = base + "/"
	if rest != "" {
		segments := strings.Split(rest[1:], "/")
		if recursive || len(segments) == 2 {
			p.Namespace = segments[0]
		}
	}
	return p, nil
}

// rest returns what follows the root in a key that a stock store made: "", /name, /namespace or /namespace/name. Clients
// choose the segments: "." and ".." name nothing, and stock storage would call a key that holds them a fault of the server.
func (l Resource) rest(requested string) (string, error) {
	rest, ok := strings.CutPrefix(requested, l.Root)
	rest = strings.TrimSuffix(rest, "/")
	if !ok || (rest != "" && rest[0] != '/') || strings.Count(rest, "/") > 2 {
		return "", apierrors.NewInternalError(fmt.Errorf("key %q is not one of %s", requested, l.Resource))
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
func (l Resource) refuse(ctx context.Context) error {
	if logicalcluster.IsUnknown(ctx) {
		return apierrors.NewForbidden(l.Resource, "", fmt.Errorf("access denied"))
	}
	return apierrors.NewInternalError(fmt.Errorf("request for %s names no logical cluster", l.Resource))
}

// CacheKey returns the function by which a cacher finds the real key of a typed object, which keyOf cannot see: from the
// cluster annotation, which the guard has set from the key when the object was read.
func (l Resource) CacheKey(keyOf func(runtime.Object) (string, error)) func(runtime.Object) (string, error) {
	return func(obj runtime.Object) (string, error) {
		accessor, err := meta.Accessor(obj)
		if err != nil {
			return "", err
		}
		cluster := logicalcluster.From(accessor)
		if cluster == "" {
			return "", fmt.Errorf("object of %s does not say which cluster it is in", l.Resource)
		}
		requested, err := keyOf(obj)
		if err != nil {
			return "", err
		}
		rest, err := l.rest(requested)
		if err != nil {
			return "", err
		}
		return l.Root + "/" + string(cluster) + rest, nil
	}
}
