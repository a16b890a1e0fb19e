package client

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// FindReferred returns the custom resource without namespace that reference names in cluster, in the version in which it is stored, and its
// resource; nil when there is none. With now, it does not miss one that was created before. The server's own resources do not count.
func FindReferred(ctx context.Context, from Content, cluster logicalcluster.Name, reference *corev1.TypedLocalObjectReference, now bool) (*unstructured.Unstructured, schema.GroupResource, error) {
	gvk := schema.GroupVersionKind{Kind: reference.Kind}
	if reference.APIGroup != nil {
		gvk.Group = *reference.APIGroup
	}
	kind, err := from.KindOf(ctx, cluster, gvk)
	if err != nil {
		return nil, schema.GroupResource{}, fmt.Errorf("finding %s in %q: %w", gvk.GroupKind(), cluster, err)
	}
	if kind == nil || kind.Bucket == "" || kind.Namespaced {
		return nil, schema.GroupResource{}, nil
	}
	key := Key{Cluster: cluster, Name: reference.Name}
	head, err := from.Find(ctx, *kind, key, now)
	if err != nil || head == nil {
		return nil, kind.Resource, err
	}
	obj, err := from.Get(ctx, *head)
	switch {
	case apierrors.IsNotFound(err):
		return nil, kind.Resource, nil
	case err != nil:
		return nil, kind.Resource, fmt.Errorf("reading %s %s: %w", kind.Resource, key, err)
	}
	whole, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return nil, kind.Resource, fmt.Errorf("reading %s %s: unexpected type %T", kind.Resource, key, obj)
	}
	return whole, kind.Resource, nil
}
