package client

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Find returns the object called key, whose Go type is *T; nil when there is none. The object is shared.
func Find[T any](ctx context.Context, from Reader, resource schema.GroupResource, key Key) (*T, error) {
	obj, err := from.Get(ctx, resource, key)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", resource, key, err)
	}
	typed, ok := any(obj).(*T)
	if !ok {
		return nil, fmt.Errorf("reading %s %s: unexpected type %T", resource, key, obj)
	}
	return typed, nil
}

// List returns the objects of resource in scope, whose Go type is *T, in key order. They are shared.
func List[T any](ctx context.Context, from Reader, resource schema.GroupResource, scope Scope) ([]*T, error) {
	objects, err := from.List(ctx, resource, scope)
	if err != nil {
		return nil, fmt.Errorf("listing %s in %q: %w", resource, scope.Cluster, err)
	}
	typed := make([]*T, 0, len(objects))
	for _, obj := range objects {
		one, ok := any(obj).(*T)
		if !ok {
			return nil, fmt.Errorf("listing %s in %q: unexpected type %T", resource, scope.Cluster, obj)
		}
		typed = append(typed, one)
	}
	return typed, nil
}

// FindNow is Find for callers who must not miss an object that exists: what cached does not have is looked up in live, which
// sees every acknowledged write. An object that cached has may be a little behind. Nil when neither has one.
func FindNow[T any](ctx context.Context, cached, live Reader, resource schema.GroupResource, key Key) (*T, error) {
	var found *T
	err := LookTwice(cached, live, func(from Reader) (enough bool, err error) {
		found, err = Find[T](ctx, from, resource, key)
		return found != nil, err
	})
	return found, err
}

// LookTwice calls look with cached, and then with live unless the first look was enough. It returns the first error.
func LookTwice(cached, live Reader, look func(from Reader) (enough bool, err error)) error {
	enough, err := look(cached)
	if !enough && err == nil {
		_, err = look(live)
	}
	return err
}
