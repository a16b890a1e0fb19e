package policy

import (
	"context"
	"fmt"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	registryschema "github.com/annex-dev/annex/registry/schema"
)

// objects reads the parameters of one kind in the workspace of a request.
type objects interface {
	get(namespace, name string) (runtime.Object, error)
	list(namespace string, selector labels.Selector) ([]runtime.Object, error)
}

// param is a kind of parameters.
type param struct {
	resource schema.GroupVersionResource
	scope    meta.RESTScope
	objects  objects
}

// param returns how objects of kind are read in cluster. The server's own writes, for which own stands, wait for no webhook that converts them:
// its controllers write for all workspaces, and a conversion may take half a minute.
func (p *Plugins) param(ctx context.Context, cluster logicalcluster.Name, kind *admissionregistrationv1.ParamKind, own bool) (*param, error) {
	gv, err := schema.ParseGroupVersion(kind.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("reading the paramKind: %w", err)
	}
	snapshot, err := p.custom.Catalog.For(ctx, cluster)
	if err != nil {
		return nil, err
	}
	for _, row := range kinds.All.Rows() {
		gr := row.GroupResource()
		if gr.Group != gv.Group || row.Kind() != kind.Kind || row.Versions[0] != gv.Version || row.MediaType == "" {
			continue
		}
		if _, bound := snapshot.Lookup(gr); !bound && !kinds.All.IsEverywhere(gr) {
			break
		}
		return &param{resource: gv.WithResource(gr.Resource), scope: scope(row.Namespaced), objects: &builtinObjects{plugins: p, ctx: ctx, cluster: cluster, resource: gr}}, nil
	}
	for _, resource := range snapshot.Resources() {
		if resource.Group != gv.Group || resource.Kind != kind.Kind || resource.Typed || !serves(resource, gv.Version) {
			continue
		}
		if own && registryschema.Converts(resource) {
			return nil, fmt.Errorf("the server reads no parameters that a webhook converts, such as %s, for what it writes itself", gv.WithKind(kind.Kind))
		}
		storage, err := p.custom.Schemas.Storage(resource, cluster)
		if err != nil {
			return nil, err
		}
		return &param{resource: gv.WithResource(resource.Plural), scope: scope(resource.Namespaced),
			objects: &customObjects{ctx: ctx, cluster: cluster, resource: resource, storage: storage,
				convert: func(objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, error) {
					return p.custom.Schemas.Convert(resource, cluster, objects, gv.Version)
				}}}, nil
	}
	return nil, fmt.Errorf("failed to find resource referenced by paramKind: '%v'", gv.WithKind(kind.Kind))
}

func scope(namespaced bool) meta.RESTScope {
	if namespaced {
		return meta.RESTScopeNamespace
	}
	return meta.RESTScopeRoot
}

// serves reports whether a version of a custom resource is served.
func serves(resource *catalog.Resource, name string) bool {
	for _, v := range resource.CRD.Spec.Versions {
		if v.Name == name {
			return v.Served
		}
	}
	return false
}

// builtinObjects reads the objects of the process's own kinds.
type builtinObjects struct {
	plugins  *Plugins
	ctx      context.Context
	cluster  logicalcluster.Name
	resource schema.GroupResource
}

func (b *builtinObjects) get(namespace, name string) (runtime.Object, error) {
	key := client.Key{Cluster: b.cluster, Namespace: namespace, Name: name}
	obj, err := b.plugins.workspace.Cached.Get(b.ctx, b.resource, key)
	if err != nil {
		return b.plugins.workspace.Live.Get(b.ctx, b.resource, key)
	}
	return obj, nil
}

func (b *builtinObjects) list(namespace string, selector labels.Selector) ([]runtime.Object, error) {
	found, err := b.plugins.workspace.Cached.List(b.ctx, b.resource, client.Scope{Cluster: b.cluster, Namespace: namespace, Selector: selector})
	all := make([]runtime.Object, len(found))
	for i, obj := range found {
		all[i] = obj
	}
	return all, err
}

// informer shows objects to the stock dispatchers, which read parameters from informers.
type informer struct {
	cache.SharedIndexInformer
	objects objects
}

// HasSynced implements cache.SharedIndexInformer.
func (i informer) HasSynced() bool { return true }

// Informer implements informers.GenericInformer.
func (i informer) Informer() cache.SharedIndexInformer { return i }

// Lister implements informers.GenericInformer.
func (i informer) Lister() cache.GenericLister { return lister{objects: i.objects} }

type lister struct {
	objects   objects
	namespace string
}

// List implements cache.GenericLister.
func (l lister) List(selector labels.Selector) ([]runtime.Object, error) {
	all, err := l.objects.list(l.namespace, selector)
	return slices.Clip(all), err
}

// Get implements cache.GenericLister.
func (l lister) Get(name string) (runtime.Object, error) { return l.objects.get(l.namespace, name) }

// ByNamespace implements cache.GenericLister.
func (l lister) ByNamespace(namespace string) cache.GenericNamespaceLister {
	return lister{objects: l.objects, namespace: namespace}
}
