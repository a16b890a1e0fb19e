package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// measureDefinitions tells how much memory the same CRDs take in many
// workspaces: as they were created, after the server was started again, which
// has nobody using them, and after each was read once.
func measureDefinitions(ctx context.Context, b *bench) error {
	if err := b.startFresh(ctx, "definitions"); err != nil {
		return err
	}
	resources := make([]schema.GroupVersionResource, b.opts.definitions)
	for i := range resources {
		resources[i] = schema.GroupVersionResource{Group: "load.example.com", Version: "v1", Resource: "models" + strconv.Itoa(i)}
	}
	// One that has them before: what the server makes of a schema once is no cost
	// of a workspace.
	if _, _, _, err := b.makeWorkspaces(ctx, "warm", 1, b.eachDefinition(resources, createDefinition)); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	names, _, _, err := b.makeWorkspaces(ctx, "definitions", b.opts.definitionWorkspaces, nil)
	if err != nil {
		return err
	}
	without, err := b.restartAndRest(ctx)
	if err != nil {
		return err
	}
	b.report.gauges("definitions_without", without)
	if err := b.inWorkspaces(ctx, names, b.eachDefinition(resources, createDefinition)); err != nil {
		return err
	}
	for _, point := range []struct {
		name string
		look func() (snapshot, error)
	}{
		{"created", func() (snapshot, error) { return b.snapshotAfterRest(ctx, "definitions") }},
		{"cold", func() (snapshot, error) { return b.restartAndRest(ctx) }},
		{"read", func() (snapshot, error) {
			if err := b.inWorkspaces(ctx, names, b.eachDefinition(resources, readDefined)); err != nil {
				return snapshot{}, err
			}
			return b.snapshotAfterRest(ctx, "definitions")
		}},
	} {
		s, err := point.look()
		if err != nil {
			return fmt.Errorf("%s: %w", point.name, err)
		}
		b.report.gauges("definitions_"+point.name, s)
		b.report.add("definitions_"+point.name+"_rss_growth", mib(s.rss-without.rss), unitMiB)
		from, known := without.metrics.value("go_gc_heap_live_bytes")
		if to, now := s.metrics.value("go_gc_heap_live_bytes"); known && now {
			b.report.add("definitions_"+point.name+"_heap_live_growth", mib(to-from), unitMiB)
		}
	}
	return nil
}

// restartAndRest starts the server again and returns its state after a rest.
func (b *bench) restartAndRest(ctx context.Context) (snapshot, error) {
	b.stopServer()
	if err := b.startServer(ctx); err != nil {
		return snapshot{}, err
	}
	return b.snapshotAfterRest(ctx, "definitions")
}

// inWorkspaces calls do for each of the named workspaces, with all clients at a
// time.
func (b *bench) inWorkspaces(ctx context.Context, names []string, do func(ctx context.Context, c *crowd.Connection, name string) error) error {
	clients, err := crowd.ConnectAll(b.target.admin, b.opts.clients)
	if err != nil {
		return err
	}
	defer crowd.CloseAll(clients)
	_, err = crowd.Parallel(ctx, len(clients), len(names), func(ctx context.Context, client, i int) error {
		return do(ctx, clients[client], names[i])
	})
	return err
}

// eachDefinition returns a function that calls do for each resource in a
// workspace.
func (b *bench) eachDefinition(resources []schema.GroupVersionResource, do func(context.Context, dynamic.Interface, schema.GroupVersionResource) error) func(context.Context, *crowd.Connection, string) error {
	return func(ctx context.Context, c *crowd.Connection, name string) error {
		client, err := c.Cluster(workspacePath(name))
		if err != nil {
			return err
		}
		for _, resource := range resources {
			if err := do(ctx, client, resource); err != nil {
				return fmt.Errorf("in workspace %q: %w", name, err)
			}
		}
		return nil
	}
}

// createDefinition defines a resource, and returns when the server says that it
// is established. Nobody uses it.
func createDefinition(ctx context.Context, client dynamic.Interface, resource schema.GroupVersionResource) error {
	definition := newModelDefinition(resource)
	if _, err := client.Resource(definitions).Create(ctx, definition, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("defining %s: %w", resource.Resource, err)
	}
	_, err := await(ctx, client.Resource(definitions), definition.GetName(), isEstablished)
	return err
}

func readDefined(ctx context.Context, client dynamic.Interface, resource schema.GroupVersionResource) error {
	return awaitServed(ctx, client, resource)
}

func isEstablished(obj *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(c any) bool {
		condition, ok := c.(map[string]any)
		return ok && condition["type"] == "Established" && condition["status"] == "True"
	})
}

// modelFields is how many fields a model has, which makes its CRD about as long
// as one of cert-manager without descriptions.
const modelFields = 40

// newModelDefinition returns a CRD whose schema is like no other.
func newModelDefinition(resource schema.GroupVersionResource) *unstructured.Unstructured {
	fields := map[string]any{}
	for i := range modelFields {
		fields[resource.Resource+"Field"+strconv.Itoa(i)] = map[string]any{
			"type": "object", "description": "What is known of this part of the model, and what it is for.",
			"properties": map[string]any{
				"name":    map[string]any{"type": "string", "maxLength": int64(63)},
				"enabled": map[string]any{"type": "boolean", "default": true},
				"items":   map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
			},
		}
	}
	return newDefinition(resource, "Model"+resource.Resource[len("models"):], map[string]any{
		"spec":   map[string]any{"type": "object", "properties": fields},
		"status": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
	})
}
