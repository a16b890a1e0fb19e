package engine

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	"k8s.io/utils/ptr"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/operator"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
	"github.com/annex-dev/annex/cmd/annex/sync/projection"
)

const (
	// workers reconcile the objects of one resource.
	workers = 4
	// byRelated is an index of objects by the related objects that they name.
	byRelated = "related"
	// anyName stands for all names in the index.
	anyName = "*"
)

// relatedKinds are the kinds of related objects, by resource.
var relatedKinds = map[string]schema.GroupVersionKind{
	"secrets":    corev1.SchemeGroupVersion.WithKind("Secret"),
	"configmaps": corev1.SchemeGroupVersion.WithKind("ConfigMap"),
}

var namespaceKind = corev1.SchemeGroupVersion.WithKind("Namespace")

// syncer keeps the objects of one resource in step.
type syncer struct {
	*Agent
	resource  *config.Resource
	converter *projection.Converter
	related   []related
	// objects and namespaces select what is synchronized; namespaces is nil for all.
	objects, namespaces labels.Selector
}

// newSyncer returns the syncer of a resource, which follows nothing yet.
func (a *Agent) newSyncer(r *config.Resource, plan projection.Plan) (*syncer, error) {
	s := &syncer{Agent: a, resource: r, objects: labels.Everything()}
	var err error
	if s.converter, err = projection.NewConverter(r, plan, a.names); err != nil {
		return nil, err
	}
	if s.related, err = newRelated(r, plan); err != nil {
		return nil, err
	}
	if r.Filter != nil && r.Filter.Labels != nil {
		if s.objects, err = metav1.LabelSelectorAsSelector(r.Filter.Labels); err != nil {
			return nil, fmt.Errorf("reading the filter: %w", err)
		}
	}
	if r.Filter != nil && r.Filter.Namespaces != nil {
		if s.namespaces, err = metav1.LabelSelectorAsSelector(r.Filter.Namespaces); err != nil {
			return nil, fmt.Errorf("reading the filter: %w", err)
		}
	}
	return s, nil
}

// follow follows the objects of the i-th resource from now on.
func (a *Agent) follow(ctx context.Context, i int, plan projection.Plan) error {
	s, err := a.newSyncer(&a.config.Resources[i], plan)
	if err != nil {
		return err
	}
	if err := s.index(ctx); err != nil {
		return err
	}
	b := operator.ControllerManagedBy(a.manager).Named("sync-" + plan.Resource.String()).For(s.newConsumer()).
		WithOptions(controller.TypedOptions[operator.Request]{MaxConcurrentReconciles: workers, SkipNameValidation: ptr.To(true)})
	kinds := s.relatedResources()
	for _, resource := range kinds {
		b = b.Watches(metadataOf(relatedKinds[resource]), handler.TypedEnqueueRequestsFromMapFunc(func(ctx context.Context, obj ctrlclient.Object) []operator.Request {
			return s.namedInWorkspace(ctx, resource, client.KeyOf(obj))
		}))
	}
	if s.namespaces != nil {
		b = b.Watches(metadataOf(namespaceKind), handler.TypedEnqueueRequestsFromMapFunc(s.inNamespace))
	}
	c, err := b.Build(operator.Func(s.reconcile))
	if err != nil {
		return err
	}
	counterparts := handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, obj *unstructured.Unstructured) []operator.Request {
		if key, ok := s.names.Of(obj); ok {
			return []operator.Request{requestFor(key)}
		}
		return nil
	})
	if err := c.Watch(source.TypedKind(a.service.GetCache(), s.newCounterpart(), counterparts)); err != nil {
		return fmt.Errorf("watching %s in the service cluster: %w", plan.Service, err)
	}
	for _, resource := range kinds {
		named := handler.TypedEnqueueRequestsFromMapFunc(func(ctx context.Context, obj *metav1.PartialObjectMetadata) []operator.Request {
			return s.namedInService(ctx, resource, ctrlclient.ObjectKeyFromObject(obj))
		})
		if err := c.Watch(source.TypedKind(a.service.GetCache(), metadataOf(relatedKinds[resource]), named)); err != nil {
			return fmt.Errorf("watching %s in the service cluster: %w", resource, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.syncers[i] = s
	return nil
}

// index adds the indexes on both sides.
func (s *syncer) index(ctx context.Context) error {
	if err := s.manager.IndexField(s.newConsumer(), byRelated, func(obj ctrlclient.Object) []string {
		return s.namesInWorkspace(obj.(*unstructured.Unstructured))
	}); err != nil {
		return err
	}
	if err := s.service.GetFieldIndexer().IndexField(ctx, s.newCounterpart(), byRelated, func(obj ctrlclient.Object) []string {
		return s.namesInService(obj.(*unstructured.Unstructured))
	}); err != nil {
		return fmt.Errorf("indexing %s in the service cluster: %w", s.converter.Service, err)
	}
	return nil
}

func (s *syncer) newConsumer() *unstructured.Unstructured {
	return newObject(s.converter.Consumer)
}

func (s *syncer) newCounterpart() *unstructured.Unstructured {
	return newObject(s.converter.Service)
}

func newObject(kind schema.GroupVersionKind) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(kind)
	return obj
}

func newList(kind schema.GroupVersionKind) *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	return list
}

func requestFor(key client.Key) operator.Request {
	r := operator.Request{ClusterName: key.Cluster}
	r.Namespace, r.Name = key.Namespace, key.Name
	return r
}

func indexValue(resource, namespace, name string) string {
	return resource + "|" + namespace + "/" + name
}

// namedInWorkspace returns the objects to which a related object in a workspace belongs, or may belong.
func (s *syncer) namedInWorkspace(ctx context.Context, resource string, key client.Key) []operator.Request {
	keys := s.whoNamesInWorkspace(ctx, resource, key)
	key.Name = anyName
	return requestsFor(append(keys, s.whoNamesInWorkspace(ctx, resource, key)...))
}

// whoNamesInWorkspace returns the objects that name a related object in a workspace.
func (s *syncer) whoNamesInWorkspace(ctx context.Context, resource string, key client.Key) []client.Key {
	list := newList(s.converter.Consumer)
	if err := s.manager.In(key.Cluster).List(ctx, list, ctrlclient.MatchingFields{byRelated: indexValue(resource, key.Namespace, key.Name)}); err != nil {
		klog.FromContext(ctx).Error(err, "Finding what a related object belongs to", "cluster", key.Cluster, "resource", resource)
		return nil
	}
	var keys []client.Key
	for i := range list.Items {
		keys = append(keys, client.KeyOf(&list.Items[i]))
	}
	return keys
}

// namedInService returns the objects to which a related object in the service cluster belongs, or may belong.
func (s *syncer) namedInService(ctx context.Context, resource string, at ctrlclient.ObjectKey) []operator.Request {
	return requestsFor(append(s.whoNamesInService(ctx, resource, at.Namespace, at.Name), s.whoNamesInService(ctx, resource, at.Namespace, anyName)...))
}

// whoNamesInService returns the objects whose counterparts name a related object in the service cluster.
func (s *syncer) whoNamesInService(ctx context.Context, resource, namespace, name string) []client.Key {
	list := newList(s.converter.Service)
	if err := s.service.GetCache().List(ctx, list, ctrlclient.MatchingFields{byRelated: indexValue(resource, namespace, name)}); err != nil {
		klog.FromContext(ctx).Error(err, "Finding what a related object belongs to", "resource", resource)
		return nil
	}
	var keys []client.Key
	for i := range list.Items {
		if key, ok := s.names.Of(&list.Items[i]); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

func requestsFor(keys []client.Key) []operator.Request {
	var requests []operator.Request
	for _, key := range keys {
		requests = append(requests, requestFor(key))
	}
	return requests
}

// inNamespace returns the objects in a namespace of a workspace.
func (s *syncer) inNamespace(ctx context.Context, namespace ctrlclient.Object) []operator.Request {
	cluster := logicalcluster.From(namespace)
	list := newList(s.converter.Consumer)
	if err := s.manager.In(cluster).List(ctx, list, ctrlclient.InNamespace(namespace.GetName())); err != nil {
		klog.FromContext(ctx).Error(err, "Finding the objects of a namespace", "cluster", cluster)
		return nil
	}
	var requests []operator.Request
	for i := range list.Items {
		requests = append(requests, requestFor(client.KeyOf(&list.Items[i])))
	}
	return requests
}
