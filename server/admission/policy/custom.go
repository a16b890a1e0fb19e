package policy

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/lru"
	"github.com/annex-dev/annex/registry/room"
	registryschema "github.com/annex-dev/annex/registry/schema"
	"github.com/annex-dev/annex/registry/storage"
)

// Custom reads what workspaces define: catalog.Catalog and schema.Handlers.
type Custom struct {
	Catalog interface {
		For(ctx context.Context, cluster logicalcluster.Name) (*catalog.Snapshot, error)
	}
	Schemas interface {
		Storage(resource *catalog.Resource, cluster logicalcluster.Name) (registryschema.Storage, error)
		Convert(resource *catalog.Resource, cluster logicalcluster.Name, objects []*unstructured.Unstructured, version string) ([]*unstructured.Unstructured, error)
	}
}

// version names a version of a definition.
type version struct{ hash, name string }

// converterBytes is how much a type converter takes for each byte of its definition.
const converterBytes = 16

// converters merge what mutating policies apply, for custom resources by their schemas.
type converters struct {
	static managedfields.TypeConverter
	kept   *lru.Cache[version, managedfields.TypeConverter]
}

// of returns the converter of one version of a custom resource.
func (c *converters) of(resource *catalog.Resource, name string, cluster logicalcluster.Name) (managedfields.TypeConverter, error) {
	key := version{hash: resource.Hash, name: name}
	if known, ok := c.kept.Get(key); ok {
		return known, nil
	}
	var made managedfields.TypeConverter
	var err error
	room.Large(resource.CRD.Size(), func() { made, err = newConverter(resource.CRD, name) })
	if err != nil {
		return nil, fmt.Errorf("reading the schema of %s: %w", resource.GroupResource(), err)
	}
	c.kept.Put(key, made, int64(converterBytes*resource.CRD.Size()), cluster.String())
	return made, nil
}

func newConverter(crd *apiextensionsv1.CustomResourceDefinition, name string) (managedfields.TypeConverter, error) {
	document, err := builder.BuildOpenAPIV3(crd, name, builder.Options{V2: false})
	if err != nil {
		return nil, err
	}
	return managedfields.NewTypeConverter(document.Components.Schemas, crd.Spec.PreserveUnknownFields)
}

// customObjects reads the custom resources of one kind in one workspace.
type customObjects struct {
	ctx      context.Context
	cluster  logicalcluster.Name
	resource *catalog.Resource
	storage  registryschema.Storage
	convert  func(objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, error)
}

// within returns the context in which objects of a namespace are read, on the account of the server.
func (c *customObjects) within(namespace string) context.Context {
	ctx := storage.WithBucket(logicalcluster.WithCluster(storage.NotDeletingCached(c.ctx), c.cluster), c.resource.Bucket)
	return storage.WithFilter(genericapirequest.WithNamespace(ctx, namespace), nil)
}

func (c *customObjects) get(namespace, name string) (runtime.Object, error) {
	obj, err := c.storage.Get(c.within(namespace), name, &metav1.GetOptions{ResourceVersion: "0"})
	if apierrors.IsNotFound(err) { // the cache may be behind
		obj, err = c.storage.Get(c.within(namespace), name, &metav1.GetOptions{})
	}
	if err != nil {
		return nil, err
	}
	all, err := c.served(obj)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

func (c *customObjects) list(namespace string, selector labels.Selector) ([]runtime.Object, error) {
	list, err := c.storage.List(c.within(namespace), &metainternalversion.ListOptions{ResourceVersion: "0", LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	items, ok := list.(*unstructured.UnstructuredList)
	if !ok {
		return nil, fmt.Errorf("listing %s: unexpected type %T", c.resource.GroupResource(), list)
	}
	objects := make([]runtime.Object, len(items.Items))
	for i := range items.Items {
		objects[i] = &items.Items[i]
	}
	return c.served(objects...)
}

// served returns objects, which are as the version that is stored shows them, in the version that the policy names.
func (c *customObjects) served(objects ...runtime.Object) ([]runtime.Object, error) {
	custom := make([]*unstructured.Unstructured, len(objects))
	for i, obj := range objects {
		var ok bool
		if custom[i], ok = obj.(*unstructured.Unstructured); !ok {
			return nil, fmt.Errorf("reading %s: unexpected type %T", c.resource.GroupResource(), obj)
		}
	}
	if len(custom) == 0 {
		return nil, nil
	}
	shown, err := c.convert(custom)
	if err != nil {
		return nil, err
	}
	all := make([]runtime.Object, len(shown))
	for i := range shown {
		all[i] = shown[i]
	}
	return all, nil
}
