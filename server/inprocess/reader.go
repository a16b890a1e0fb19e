package inprocess

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/follow"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/storage"
)

// UserName is who the server itself is in admission and audit.
const UserName = "system:apiserver"

// itself is the server as a user.
var itself = &user.DefaultInfo{Name: UserName, Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}}

// Itself returns the server as a user.
func Itself() user.Info { return itself }

// readyInterval is how often a watch cache that is not filled yet is looked at.
const readyInterval = 20 * time.Millisecond

// Reader implements client.Reader. It is safe for concurrent use.
type Reader struct {
	resources map[schema.GroupResource]*resource
}

var _ client.Reader = &Reader{}

// resource is one resource that can be read.
type resource struct {
	gvr schema.GroupVersionResource
	gvk schema.GroupVersionKind
	// convert is nil unless the store works on a Go type that is not the served one, as for CustomResourceDefinitions.
	convert    runtime.ObjectConvertor
	create     runtime.ObjectCreater
	namespaced bool
	store      *genericregistry.Store
	deleter    rest.GracefulDeleter
	served     served
	// everything lists the resource in all clusters, a page at a time.
	everything *follow.Together[client.Object]
}

// NewReader returns a reader of every resource that one of the groups has a system store for.
func NewReader(types *runtime.Scheme, groups []*group.Group) (*Reader, error) {
	reader := &Reader{resources: map[schema.GroupResource]*resource{}}
	for _, g := range groups {
		for name, store := range g.System {
			r, err := newResource(types, g, name, store)
			if err != nil {
				return nil, fmt.Errorf("preparing to read %s in group %q: %w", name, g.Name, err)
			}
			gr := schema.GroupResource{Group: g.Name, Resource: name}
			r.everything = &follow.Together[client.Object]{Wait: r.ready, List: func(ctx context.Context, next string) (follow.Page[client.Object], error) {
				return reader.list(ctx, gr, client.Scope{}, metainternalversion.ListOptions{ResourceVersion: consistent, Limit: pageSize, Continue: next})
			}}
			reader.resources[gr] = r
		}
	}
	return reader, nil
}

func newResource(types *runtime.Scheme, g *group.Group, name string, store *genericregistry.Store) (*resource, error) {
	kinds, _, err := types.ObjectKinds(store.New())
	if err != nil {
		return nil, fmt.Errorf("finding the kind: %w", err)
	}
	r := &resource{store: store, namespaced: store.NamespaceScoped()}
	for _, version := range types.PrioritizedVersionsForGroup(g.Name) {
		storage, served := g.Versions[version.Version][name]
		if !served {
			continue
		}
		r.gvk, r.gvr = version.WithKind(kinds[0].Kind), version.WithResource(name)
		if !slices.Contains(kinds, r.gvk) {
			r.convert, r.create = types, types
		}
		r.deleter, _ = storage.(rest.GracefulDeleter)
		break
	}
	if r.gvk.Empty() {
		return nil, fmt.Errorf("no version of %T is served", store.New())
	}
	return r, nil
}

// ready returns when the watch cache is filled, or ctx ends.
func (r *resource) ready(ctx context.Context) {
	_ = wait.PollUntilContextCancel(ctx, readyInterval, true, func(context.Context) (bool, error) { return r.store.ReadinessCheck() == nil, nil })
}

func (c *Reader) resource(gr schema.GroupResource) (*resource, error) {
	r, ok := c.resources[gr]
	if !ok {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "resources"}, gr.String())
	}
	return r, nil
}

// at returns ctx as the storage of one cluster, or of all when cluster is empty, expects it of u. The filter of a request does not
// apply to what the server does on its own account meanwhile, nor does what the deletion of another object may read.
func at(ctx context.Context, u user.Info, cluster logicalcluster.Name, namespace string) context.Context {
	ctx = storage.NotDeletingCached(ctx)
	if cluster.Empty() {
		ctx = logicalcluster.WithWildcard(ctx)
	} else {
		ctx = logicalcluster.WithCluster(ctx, cluster)
	}
	return storage.WithFilter(genericapirequest.WithUser(genericapirequest.WithNamespace(ctx, namespace), u), nil)
}

// shared returns obj, which was read, as the served type. Readers of one object get the same.
func (r *resource) shared(obj runtime.Object) (client.Object, error) {
	if r.convert == nil {
		return r.fromStorage(obj)
	}
	return r.served.of(obj, r.fromStorage)
}

// fromStorage returns obj as the served type.
func (r *resource) fromStorage(obj runtime.Object) (client.Object, error) {
	if r.convert != nil {
		served, err := r.create.New(r.gvk)
		if err != nil {
			return nil, fmt.Errorf("making a %s: %w", r.gvk.Kind, err)
		}
		if err := r.convert.Convert(obj, served, nil); err != nil {
			return nil, fmt.Errorf("converting a %s from storage: %w", r.gvk.Kind, err)
		}
		obj = served
	}
	o, ok := obj.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T has no metadata", obj)
	}
	return o, nil
}

// toStorage returns a copy of obj as the type that the store works on.
func (r *resource) toStorage(obj client.Object) (runtime.Object, error) {
	if r.convert == nil {
		return obj.DeepCopyObject(), nil
	}
	stored := r.store.New()
	if err := r.convert.Convert(obj.DeepCopyObject(), stored, nil); err != nil {
		return nil, fmt.Errorf("converting a %s for storage: %w", r.gvk.Kind, err)
	}
	return stored, nil
}

func (r *resource) fromList(list runtime.Object) ([]client.Object, error) {
	objects := make([]client.Object, 0, meta.LenList(list))
	err := meta.EachListItem(list, func(item runtime.Object) error {
		obj, err := r.shared(item)
		objects = append(objects, obj)
		return err
	})
	return objects, err
}
