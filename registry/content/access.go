package content

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/registry/storage/head"
)

var (
	namespaces  = apischema.GroupResource{Resource: "namespaces"}
	definitions = apischema.GroupResource{Group: apiextensionsv1.GroupName, Resource: "customresourcedefinitions"}
	bindings    = apisv1alpha2.Resource("apibindings")
)

// access reads and deletes single objects for one call, and asks once how each kind of custom resource is served.
type access struct {
	*Content
	mu    sync.Mutex
	kinds map[kind]served
}

// kind is one custom resource in one cluster, as it is stored: within namespaces or not.
type kind struct {
	cluster    logicalcluster.Name
	resource   apischema.GroupResource
	bucket     string
	namespaced bool
}

// served is how a kind is served: by no storage when nothing serves it.
type served struct {
	resource *catalog.Resource
	storage  schema.Storage
	err      error
	// kept is whether an object that the storage cannot read stays: a webhook that does not answer now may be the reason, or a change of the
	// version in which it is stored.
	kept bool
}

func (c *Content) access() *access { return &access{Content: c, kinds: map[kind]served{}} }

func (a *access) get(ctx context.Context, h head.Head) (client.Object, error) {
	if h.Bucket == "" {
		obj, err := a.Client.Get(ctx, h.Resource, keyOf(h))
		return same(h, obj, err)
	}
	from, err := a.storage(ctx, h)
	if err != nil {
		return nil, err
	}
	if from == nil {
		return nil, apierrors.NewNotFound(h.Resource, h.Name)
	}
	return read(ctx, from, h)
}

// read returns the custom resource that h is of, from its storage.
func read(ctx context.Context, from schema.Storage, h head.Head) (client.Object, error) {
	obj, err := from.Get(within(ctx, h), h.Name, &metav1.GetOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, err
	}
	whole, ok := obj.(client.Object)
	if !ok {
		return nil, fmt.Errorf("reading %s %q: unexpected type %T", h.Resource, h.Name, obj)
	}
	return same(h, whole, nil)
}

// same returns obj if it is the one that h is of, NotFound if it came after that.
func same(h head.Head, obj client.Object, err error) (client.Object, error) {
	if err == nil && obj.GetUID() != h.UID {
		return nil, apierrors.NewNotFound(h.Resource, h.Name)
	}
	return obj, err
}

func (a *access) delete(ctx context.Context, h head.Head) error {
	options := &metav1.DeleteOptions{}
	if !h.Damaged {
		options.Preconditions = &metav1.Preconditions{UID: &h.UID}
	}
	if h.Bucket == "" {
		return a.Client.Delete(ctx, h.Resource, keyOf(h), options.Preconditions)
	}
	by, err := a.served(ctx, h)
	if err != nil {
		return err
	}
	if by.storage == nil {
		return a.Backend.Drop(ctx, h, fmt.Errorf("nothing serves %s of bucket %q any more", h.Resource, h.Bucket))
	}
	ctx = within(ctx, h)
	if !by.kept {
		ctx = storage.DroppingUnreadable(ctx)
	}
	return a.deleteServed(ctx, by, h, options)
}

// unserved reports whether nothing serves the object of h any more, as far as that can be told now.
func (a *access) unserved(ctx context.Context, h head.Head) bool {
	if h.Bucket == "" {
		return false
	}
	from, err := a.storage(ctx, h)
	return err == nil && from == nil
}

// within returns ctx as the storage of custom resources expects it.
func within(ctx context.Context, h head.Head) context.Context {
	return genericapirequest.WithNamespace(storage.WithBucket(logicalcluster.WithCluster(ctx, h.Cluster), h.Bucket), h.Namespace)
}

// storage returns the storage of the custom resource that h is of; nil when nothing serves it in its cluster.
func (a *access) storage(ctx context.Context, h head.Head) (schema.Storage, error) {
	by, err := a.served(ctx, h)
	return by.storage, err
}

// served returns how the custom resource that h is of is served in its cluster.
func (a *access) served(ctx context.Context, h head.Head) (served, error) {
	k := kind{cluster: h.Cluster, resource: h.Resource, bucket: h.Bucket, namespaced: h.Namespace != ""}
	a.mu.Lock()
	defer a.mu.Unlock()
	known, ok := a.kinds[k]
	if !ok {
		var resource *catalog.Resource
		// What is stored under another scope has no name there.
		if resource, known.err = a.resource(ctx, k); resource != nil && resource.Namespaced == k.namespaced {
			known.resource = resource
			known.storage, known.err = a.Schemas.Storage(resource, h.Cluster)
		}
		a.kinds[k] = known
	}
	if known.err != nil || known.resource == nil || !schema.Converts(known.resource) {
		return known, known.err
	}
	// The webhook may be gone, and must not keep what it converts.
	version, err := a.Backend.StoredVersion(ctx, h)
	if err != nil || version == "" {
		known.kept = !h.Damaged
		return known, err
	}
	stored, err := a.Schemas.Stored(known.resource, h.Cluster, version)
	if stored != nil || err != nil {
		known.storage, known.kept = stored, true
	}
	return known, err
}

// resource returns what k is in the catalog; nil when nothing serves it. Since objects are then deleted unread, all reads here
// see every write that was acknowledged before.
func (c *Content) resource(ctx context.Context, k kind) (*catalog.Resource, error) {
	snapshot, err := c.Catalog.Refresh(ctx, k.cluster)
	if err != nil {
		return nil, err
	}
	if resource, ok := snapshot.Lookup(k.resource); ok && resource.Bucket == k.bucket {
		return resource, nil
	}
	// Another API may have the name in this cluster.
	if k.bucket == client.LocalBucket {
		return c.local(ctx, k)
	}
	return c.bound(ctx, k)
}

// local returns what k is by the definition in its cluster.
func (c *Content) local(ctx context.Context, k kind) (*catalog.Resource, error) {
	crd, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, c.Live, definitions, client.Key{Cluster: k.cluster, Name: k.resource.String()})
	if err != nil || crd == nil {
		return nil, err
	}
	// The names of a definition that is being deleted are never decided.
	if crd.DeletionTimestamp == nil && apihelpers.FindCRDCondition(crd, apiextensionsv1.NamesAccepted) == nil && crd.Status.AcceptedNames.Plural == "" {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("the names of %s are not decided yet", k.resource))
	}
	if crd.Status.AcceptedNames.Plural != k.resource.Resource {
		return nil, nil
	}
	return c.Catalog.ResourceOf(crd, k.bucket)
}

// bound returns what k is by an APIBinding of its cluster.
func (c *Content) bound(ctx context.Context, k kind) (*catalog.Resource, error) {
	all, err := client.List[apisv1alpha2.APIBinding](ctx, c.Live, bindings, client.Scope{Cluster: k.cluster})
	if err != nil {
		return nil, err
	}
	for _, binding := range all {
		i := slices.IndexFunc(binding.Status.BoundResources, func(r apisv1alpha2.BoundAPIResource) bool {
			return r.Group == k.resource.Group && r.Resource == k.resource.Resource && r.Schema.IdentityHash == k.bucket
		})
		if i < 0 {
			continue
		}
		uid := binding.Status.BoundResources[i].Schema.UID
		resource, ok, err := c.Catalog.BoundResource(ctx, k.resource, uid, k.bucket)
		if err != nil {
			return nil, err
		}
		if ok {
			return resource, nil
		}
		// The catalog may not know it yet.
		crd, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, c.Live, definitions, client.Key{Cluster: logicalcluster.SystemBoundCRDs, Name: uid})
		if err != nil {
			return nil, err
		}
		if crd != nil {
			return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("the definition of %s is not known yet", k.resource))
		}
	}
	return nil, nil
}
