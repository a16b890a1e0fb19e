package orphans

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

// there is what others can belong to, at one revision.
type there struct {
	revision int64
	keys     map[layout.Key]struct{} // of all owners
	served   map[kind]scope
}

// kind is a resource that a cluster defines or binds. The bucket is empty for a typed resource.
type kind struct {
	cluster  logicalcluster.Name
	resource schema.GroupResource
	bucket   string
}

// scope is a set of scopes.
type scope int

const (
	anyScope    scope = 0 // it is not known
	namespaced  scope = 1
	clusterWide scope = 2
)

func scopeOf(inNamespace bool) scope {
	if inNamespace {
		return namespaced
	}
	return clusterWide
}

func (t *there) has(k layout.Key) bool {
	_, ok := t.keys[k]
	return ok
}

// read returns what is there now.
func (s Store) read(ctx context.Context) (*there, error) {
	revision, err := s.current(ctx, s.KV)
	if err != nil {
		return nil, err
	}
	t := &there{revision: revision, keys: map[layout.Key]struct{}{}, served: map[kind]scope{}}
	for _, gr := range []schema.GroupResource{owners.LogicalClusters, owners.Namespaces} {
		for kv, err := range s.below(ctx, layout.TypedRoot(gr)+"/", t.revision, clientv3.WithKeysOnly()) {
			if err != nil {
				return nil, err
			}
			if k, err := layout.Parse(strings.TrimPrefix(string(kv.Key), s.Prefix)); err == nil {
				t.keys[k] = struct{}{}
			}
		}
	}
	bound := map[string]scope{} // by the UID of the schema
	if err := s.each(ctx, owners.Definitions, t.revision, func(k layout.Key, obj runtime.Object) {
		t.keys[k] = struct{}{}
		crd, ok := obj.(*apiextensions.CustomResourceDefinition)
		switch its := scopeOf(ok && crd.Spec.Scope == apiextensions.NamespaceScoped); {
		case !ok:
		case k.Cluster == logicalcluster.SystemBoundCRDs:
			bound[k.Name] = its
		default:
			t.served[kind{k.Cluster, schema.GroupResource{Group: crd.Spec.Group, Resource: crd.Spec.Names.Plural}, layout.LocalBucket}] = its
		}
	}); err != nil {
		return nil, err
	}
	err = s.each(ctx, owners.Bindings, t.revision, func(k layout.Key, obj runtime.Object) {
		t.keys[k] = struct{}{}
		binding, ok := obj.(*apisv1alpha2.APIBinding)
		if !ok {
			return
		}
		for _, r := range binding.Status.BoundResources {
			of := kind{k.Cluster, schema.GroupResource{Group: r.Group, Resource: r.Resource}, r.Schema.IdentityHash}
			if kinds.All.IsWhereBound(of.resource) {
				of.bucket = ""
			}
			before, also := t.served[of]
			t.served[of] = before | bound[r.Schema.UID]
			if its := bound[r.Schema.UID]; its == anyScope || also && before == anyScope {
				t.served[of] = anyScope
			}
		}
	})
	return t, err
}

// each calls do with every object of a typed resource. An object that cannot be read ends the walk: what belongs to it must not be
// taken for an orphan.
func (s Store) each(ctx context.Context, gr schema.GroupResource, revision int64, do func(layout.Key, runtime.Object)) error {
	codec, err := s.Codec(gr)
	if err != nil {
		return fmt.Errorf("finding the codec of %s: %w", gr, err)
	}
	for kv, err := range s.below(ctx, layout.TypedRoot(gr)+"/", revision) {
		if err != nil {
			return err
		}
		k, err := layout.Parse(strings.TrimPrefix(string(kv.Key), s.Prefix))
		if err != nil {
			continue
		}
		data, err := s.Encryption.Open(ctx, gr, kv)
		if err != nil {
			return err
		}
		obj, err := runtime.Decode(codec, data)
		if err != nil {
			return fmt.Errorf("reading %s, which others may belong to: %w", kv.Key, err)
		}
		do(k, obj)
	}
	return nil
}
