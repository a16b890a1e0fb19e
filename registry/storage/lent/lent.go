package lent

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

type contextKey struct{}

// With returns a context in which what a [Storage] reads looks as if it were in cluster to, and in which it writes nothing.
func With(ctx context.Context, to logicalcluster.Name) context.Context {
	return context.WithValue(ctx, contextKey{}, to)
}

// to returns the cluster that the request of ctx is of, if it reads what another cluster lends.
func to(ctx context.Context) (logicalcluster.Name, bool) {
	cluster, ok := ctx.Value(contextKey{}).(logicalcluster.Name)
	return cluster, ok
}

// Storage is a storage of custom resources that heeds [With].
type Storage struct {
	apistorage.Interface
	Resource schema.GroupResource
}

var _ apistorage.Interface = Storage{}

// Get implements storage.Interface.
func (s Storage) Get(ctx context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error {
	err := s.Interface.Get(ctx, key, opts, out)
	cluster, lent := to(ctx)
	if err != nil || !lent {
		return err
	}
	u, ok := out.(*unstructured.Unstructured)
	if !ok {
		return unexpected(out)
	}
	if len(u.Object) > 0 { // or it was not found, and that is to be ignored
		*u = *shown(u, cluster)
	}
	return nil
}

// GetList implements storage.Interface.
func (s Storage) GetList(ctx context.Context, key string, opts apistorage.ListOptions, out runtime.Object) error {
	err := s.Interface.GetList(ctx, key, opts, out)
	cluster, lent := to(ctx)
	if err != nil || !lent {
		return err
	}
	list, ok := out.(*unstructured.UnstructuredList)
	if !ok {
		return unexpected(out)
	}
	for i := range list.Items {
		list.Items[i] = *shown(&list.Items[i], cluster)
	}
	return nil
}

// Watch implements storage.Interface.
func (s Storage) Watch(ctx context.Context, key string, opts apistorage.ListOptions) (watch.Interface, error) {
	w, err := s.Interface.Watch(ctx, key, opts)
	cluster, lent := to(ctx)
	if err != nil || !lent {
		return w, err
	}
	return watch.Filter(w, func(event watch.Event) (watch.Event, bool) {
		switch event.Type {
		case watch.Added, watch.Modified, watch.Deleted:
		default:
			return event, true // it has no object of a cluster
		}
		obj := event.Object
		if shared, ok := obj.(runtime.CacheableObject); ok {
			obj = shared.GetObject()
		}
		u, ok := obj.(*unstructured.Unstructured)
		if !ok {
			return watch.Event{Type: watch.Error, Object: &apierrors.NewInternalError(unexpected(obj)).ErrStatus}, true
		}
		event.Object = shown(u, cluster)
		return event, true
	}), nil
}

// Create implements storage.Interface.
func (s Storage) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	if err := s.refuse(ctx, "create"); err != nil {
		return err
	}
	return s.Interface.Create(ctx, key, obj, out, ttl)
}

// Delete implements storage.Interface.
func (s Storage) Delete(ctx context.Context, key string, out runtime.Object, preconditions *apistorage.Preconditions,
	validate apistorage.ValidateObjectFunc, cached runtime.Object, opts apistorage.DeleteOptions) error {
	if err := s.refuse(ctx, "delete"); err != nil {
		return err
	}
	return s.Interface.Delete(ctx, key, out, preconditions, validate, cached, opts)
}

// GuaranteedUpdate implements storage.Interface.
func (s Storage) GuaranteedUpdate(ctx context.Context, key string, destination runtime.Object, ignoreNotFound bool,
	preconditions *apistorage.Preconditions, try apistorage.UpdateFunc, cached runtime.Object) error {
	if err := s.refuse(ctx, "update"); err != nil {
		return err
	}
	return s.Interface.GuaranteedUpdate(ctx, key, destination, ignoreNotFound, preconditions, try, cached)
}

// refuse returns an error for a write of what another cluster lends.
func (s Storage) refuse(ctx context.Context, verb string) error {
	if _, lent := to(ctx); lent {
		return apierrors.NewMethodNotSupported(s.Resource, verb)
	}
	return nil
}

func unexpected(obj runtime.Object) error {
	return fmt.Errorf("what another cluster lends is a %T, not a custom resource", obj)
}

// hidden are the fields of the metadata that tell of other objects and users of the cluster that lends an object.
var hidden = []string{"ownerReferences", "managedFields", "finalizers"}

// hiddenAnnotations are those that may hold fields which the schema of the reader does not have, and those that name where kcp keeps objects.
var hiddenAnnotations = []string{corev1.LastAppliedConfigAnnotation, "kcp.io/shard", logicalcluster.PathAnnotationKey}

// shown returns u as it looks in cluster. It leaves maps that others may hold untouched.
func shown(u *unstructured.Unstructured, cluster logicalcluster.Name) *unstructured.Unstructured {
	content := maps.Clone(u.Object)
	metadata, _ := content["metadata"].(map[string]any)
	metadata = maps.Clone(metadata)
	if metadata == nil {
		metadata = map[string]any{}
	}
	for _, field := range hidden {
		delete(metadata, field)
	}
	annotations, _ := metadata["annotations"].(map[string]any)
	annotations = maps.Clone(annotations)
	if annotations == nil {
		annotations = map[string]any{}
	}
	for _, key := range hiddenAnnotations {
		delete(annotations, key)
	}
	annotations[logicalcluster.AnnotationKey] = cluster.String()
	metadata["annotations"], content["metadata"] = annotations, metadata
	return &unstructured.Unstructured{Object: content}
}
