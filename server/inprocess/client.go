package inprocess

import (
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/storage"
)

// UserName is who the server itself is in admission and audit.
const UserName = "system:apiserver"

// FieldManager owns the fields that the server itself writes.
const FieldManager = "annex"

// Config is what a client needs.
type Config struct {
	Scheme *runtime.Scheme
	Groups []*group.Group
	// TypeConverters maps each API group to the converter that tracks managed fields of its types.
	TypeConverters map[string]managedfields.TypeConverter
	// Admission sees every write, as user [UserName] of group system:masters.
	Admission admission.Interface
}

// Client implements client.Client. It is safe for concurrent use once [Client.Serve] has returned.
type Client struct {
	resources map[schema.GroupResource]*resource
	admission admission.Interface
	objects   admission.ObjectInterfaces
	user      user.Info
}

// resource is one resource that the client can work on.
type resource struct {
	gvr schema.GroupVersionResource
	gvk schema.GroupVersionKind
	// convert is nil unless the store works on a Go type that is not the served one, as for CustomResourceDefinitions.
	convert    runtime.ObjectConvertor
	create     runtime.ObjectCreater
	namespaced bool
	store      *genericregistry.Store
	deleter    rest.GracefulDeleter
	fields     *managedfields.FieldManager
}

var _ client.Client = &Client{}

// New returns a client that knows no resource yet. Admission and other parts of the storage that it will work on read
// through it, so it exists before they do.
func New() *Client {
	return &Client{
		resources: map[schema.GroupResource]*resource{},
		user:      &user.DefaultInfo{Name: UserName, Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}},
	}
}

// As returns a client that writes as u would: admission decides about u, and nobody asks RBAC. It shares everything else with
// c, which must be serving.
func (c *Client) As(u user.Info) *Client {
	as := *c
	as.user = u
	return &as
}

// Serve gives the client every resource that one of the groups has a system store for.
func (c *Client) Serve(config Config) error {
	c.admission = config.Admission
	c.objects = admission.NewObjectInterfacesFromScheme(config.Scheme)
	for _, g := range config.Groups {
		for name, store := range g.System {
			r, err := newResource(config, g, name, store)
			if err != nil {
				return fmt.Errorf("preparing writes of %s in group %q: %w", name, g.Name, err)
			}
			c.resources[schema.GroupResource{Group: g.Name, Resource: name}] = r
		}
	}
	return nil
}

func newResource(c Config, g *group.Group, name string, store *genericregistry.Store) (*resource, error) {
	kinds, _, err := c.Scheme.ObjectKinds(store.New())
	if err != nil {
		return nil, fmt.Errorf("finding the kind: %w", err)
	}
	r := &resource{store: store, namespaced: store.NamespaceScoped()}
	for _, version := range c.Scheme.PrioritizedVersionsForGroup(g.Name) {
		storage, served := g.Versions[version.Version][name]
		if !served {
			continue
		}
		r.gvk, r.gvr = version.WithKind(kinds[0].Kind), version.WithResource(name)
		if !slices.Contains(kinds, r.gvk) {
			r.convert, r.create = c.Scheme, c.Scheme
		}
		r.deleter, _ = storage.(rest.GracefulDeleter)
		break
	}
	if r.gvk.Empty() {
		return nil, fmt.Errorf("no version of %T is served", store.New())
	}
	if converter := c.TypeConverters[g.Name]; converter != nil {
		hub := schema.GroupVersion{Group: g.Name, Version: runtime.APIVersionInternal}
		r.fields, err = managedfields.NewDefaultFieldManager(converter, c.Scheme, c.Scheme, c.Scheme, r.gvk, hub, "", nil)
		if err != nil {
			return nil, fmt.Errorf("building the field manager: %w", err)
		}
	}
	return r, nil
}

func (c *Client) resource(gr schema.GroupResource) (*resource, error) {
	r, ok := c.resources[gr]
	if !ok {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "resources"}, gr.String())
	}
	return r, nil
}

// context returns ctx as the storage of one cluster, or of all when cluster is empty, expects it. The filter of a request does
// not hold for what the server does on its own account meanwhile.
func (c *Client) context(ctx context.Context, cluster logicalcluster.Name, namespace string) context.Context {
	if cluster.Empty() {
		ctx = logicalcluster.WithWildcard(ctx)
	} else {
		ctx = logicalcluster.WithCluster(ctx, cluster)
	}
	return storage.WithFilter(genericapirequest.WithUser(genericapirequest.WithNamespace(ctx, namespace), c.user), nil)
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
		obj, err := r.fromStorage(item)
		objects = append(objects, obj)
		return err
	})
	return objects, err
}
