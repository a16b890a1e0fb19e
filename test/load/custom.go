package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// gadgets are custom resources of 1 KiB whose schema is checked.
var gadgets = schema.GroupVersionResource{Group: "load.example.com", Version: "v1", Resource: "gadgets"}

func gadgetKind() crudKind {
	return crudKind{resource: gadgets, object: newGadget, patch: `{"spec":{"color":"green"}}`}
}

func newGadget(name string) *unstructured.Unstructured {
	return newObject(gadgets, "Gadget", name, map[string]any{
		"spec": map[string]any{"color": "blue", "size": int64(3), "payload": payload, "parts": []any{map[string]any{"name": "wheel", "count": int64(4)}}},
	})
}

// newGadgetDefinition returns a CRD with a default, bounds, a list by key and a
// rule, as those of users have.
func newGadgetDefinition() *unstructured.Unstructured {
	text := func(length int64) map[string]any { return map[string]any{"type": "string", "maxLength": length} }
	return newDefinition(gadgets, "Gadget", map[string]any{
		"spec": map[string]any{
			"type":                     "object",
			"required":                 []any{"color"},
			"x-kubernetes-validations": []any{map[string]any{"rule": "self.size < 100"}},
			"properties": map[string]any{
				"color":   map[string]any{"type": "string", "enum": []any{"blue", "green"}},
				"size":    map[string]any{"type": "integer", "minimum": int64(1), "default": int64(1)},
				"payload": text(2048),
				"parts": map[string]any{
					"type": "array", "maxItems": int64(16), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": []any{"name"},
					"items": map[string]any{
						"type": "object", "required": []any{"name"},
						"properties": map[string]any{"name": text(63), "count": map[string]any{"type": "integer", "default": int64(1)}},
					},
				},
			},
		},
	})
}

// newDefinition returns a CRD with one version.
func newDefinition(resource schema.GroupVersionResource, kind string, properties map[string]any) *unstructured.Unstructured {
	return newObject(definitions, "CustomResourceDefinition", resource.GroupResource().String(), map[string]any{"spec": map[string]any{
		"group": resource.Group, "scope": "Namespaced",
		"names": map[string]any{"plural": resource.Resource, "kind": kind},
		"versions": []any{map[string]any{
			"name": resource.Version, "served": true, "storage": true,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": properties}},
		}},
	}})
}

// define creates a CRD, unless it is there, and returns when its objects can be
// listed.
func define(ctx context.Context, client dynamic.Interface, resource schema.GroupVersionResource, definition *unstructured.Unstructured) error {
	if _, err := client.Resource(definitions).Create(ctx, definition, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("defining %s: %w", resource.Resource, err)
	}
	return awaitServed(ctx, client, resource)
}

// awaitServed returns when objects of the resource can be listed.
func awaitServed(ctx context.Context, client dynamic.Interface, resource schema.GroupVersionResource) error {
	ctx, cancel := withChangeTimeout(ctx)
	defer cancel()
	for {
		_, err := client.Resource(resource).List(ctx, metav1.ListOptions{Limit: 1})
		if err == nil {
			return nil
		}
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("listing %s: %w", resource.Resource, err)
		}
		if ended := crowd.Sleep(ctx, servedInterval); ended != nil {
			return fmt.Errorf("waiting until %s are served: %w: %w", resource.Resource, ended, err)
		}
	}
}

// measureCustom is like measureCRUD, with a custom resource instead of
// ConfigMaps.
func measureCustom(ctx context.Context, b *bench) error {
	sides, err := b.crudSides(ctx, "custom")
	if err != nil {
		return err
	}
	for _, side := range sides {
		side.kind = gadgetKind()
		if err := side.prepare(func(client dynamic.Interface) error {
			return define(ctx, client, gadgets, newGadgetDefinition())
		}); err != nil {
			return fmt.Errorf("preparing %s: %w", side.name, err)
		}
	}
	if err := b.crudRounds(ctx, sides); err != nil {
		return err
	}
	b.reportCRUD("custom", sides)
	return nil
}

// prepare calls do with a client of the side.
func (s *crudSide) prepare(do func(dynamic.Interface) error) error {
	c, err := crowd.Connect(s.config)
	if err != nil {
		return err
	}
	defer c.Close()
	client, err := c.At(s.url)
	if err != nil {
		return err
	}
	return do(client)
}
