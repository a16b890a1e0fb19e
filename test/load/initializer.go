package main

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/crowd"
)

const initializedType = "load-initialized"

// initializersAtOnce is how many workspaces the controller releases at a time.
const initializersAtOnce = 8

// measureInitializer tells how fast workspaces become Ready that wait for a
// controller, which releases them as soon as it sees them.
func measureInitializer(ctx context.Context, b *bench) error {
	if err := b.startFresh(ctx, "initializer"); err != nil {
		return err
	}
	endpoint, err := b.makeInitializedType(ctx)
	if err != nil {
		return err
	}
	c, err := crowd.Connect(b.target.privileged)
	if err != nil {
		return err
	}
	defer c.Close()
	controllerCtx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- initialize(controllerCtx, c, endpoint) }()
	defer func() { stop(); <-ended }()
	typ := b.opts.workspaceType
	defer func() { b.opts.workspaceType = typ }()
	b.opts.workspaceType = rootCluster + ":" + initializedType
	if _, _, _, err := b.makeWorkspaces(ctx, "warm", b.opts.clients, nil); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	names, ready, elapsed, err := b.makeWorkspaces(ctx, "initialized", b.opts.workspaces, nil)
	if err != nil {
		return err
	}
	b.report.add("initialized_workspace_create_rate", rate(len(names), elapsed), unitRate)
	b.report.latencies("initialized_workspace_ready", ready)
	return nil
}

// makeInitializedType makes a type with an initializer, and returns the address
// of its endpoint.
func (b *bench) makeInitializedType(ctx context.Context) (string, error) {
	c, err := crowd.Connect(b.target.privileged)
	if err != nil {
		return "", err
	}
	defer c.Close()
	root, err := c.Cluster(rootCluster)
	if err != nil {
		return "", err
	}
	typ := newObject(workspaceTypes, "WorkspaceType", initializedType, map[string]any{"spec": map[string]any{
		"initializer": true,
		"extend":      map[string]any{"with": []any{map[string]any{"name": "universal", "path": rootCluster}}},
		"initializerPermissions": []any{map[string]any{
			"apiGroups": []any{""}, "resources": []any{"configmaps"}, "verbs": []any{"get"},
		}},
	}})
	if _, err := root.Resource(workspaceTypes).Create(ctx, typ, metav1.CreateOptions{}); err != nil {
		return "", fmt.Errorf("making a WorkspaceType: %w", err)
	}
	made, err := await(ctx, root.Resource(workspaceTypes), initializedType, func(obj *unstructured.Unstructured) bool {
		return initializerURL(obj) != ""
	})
	if err != nil {
		return "", fmt.Errorf("finding the endpoint of the initializer: %w", err)
	}
	return initializerURL(made), nil
}

func initializerURL(typ *unstructured.Unstructured) string {
	all, _, _ := unstructured.NestedSlice(typ.Object, "status", "virtualWorkspaces")
	for _, entry := range all {
		if fields, ok := entry.(map[string]any); ok {
			if url, _ := fields["url"].(string); strings.Contains(url, "/initializingworkspaces/") {
				return url
			}
		}
	}
	return ""
}

// initialize is a controller that lets workspaces go as soon as it sees them.
func initialize(ctx context.Context, c *crowd.Connection, endpoint string) error {
	everywhere, err := c.At(crowd.ClusterURL(endpoint, "*"))
	if err != nil {
		return err
	}
	work := make(chan string, 1<<16)
	for range initializersAtOnce {
		go func() {
			for {
				select {
				case cluster := <-work:
					client, err := c.At(crowd.ClusterURL(endpoint, cluster))
					if err == nil {
						_ = release(ctx, client)
					}
				case <-ctx.Done():
					return
				}
			}
		}()
	}
	seen := func(obj *unstructured.Unstructured) { work <- obj.GetAnnotations()["kcp.io/cluster"] }
	return follow(ctx, everywhere.Resource(logicalClusters), metav1.ListOptions{}, observer{
		listed: func(p part) bool {
			for i := range p.items {
				seen(&p.items[i])
			}
			return false
		},
		changed: func(kind watch.EventType, obj *unstructured.Unstructured) bool {
			if kind == watch.Added {
				seen(obj)
			}
			return false
		},
	})
}

// release takes the only initializer off a workspace.
func release(ctx context.Context, client dynamic.Interface) error {
	patch := []byte(`[{"op":"remove","path":"/status/initializers/0"}]`)
	_, err := client.Resource(logicalClusters).Patch(ctx, "cluster", types.JSONPatchType, patch, metav1.PatchOptions{}, "status")
	return err
}
