package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// provider is a workspace that publishes the API widgets.load.example.com. Like
// the fleet it is made once, by the first figure that asks.
type provider struct {
	made bool
	err  error
	name string
}

// needProvider makes the provider unless it is there.
func (b *bench) needProvider(ctx context.Context) (*provider, error) {
	p := &b.provider
	if !p.made {
		p.made = true
		p.err = b.makeProvider(ctx, p)
	}
	if p.err != nil {
		return nil, fmt.Errorf("publishing an API: %w", p.err)
	}
	return p, nil
}

func (b *bench) makeProvider(ctx context.Context, p *provider) error {
	names, _, _, err := b.makeWorkspaces(ctx, "provider", 1, func(ctx context.Context, c *crowd.Connection, name string) error {
		client, err := c.Cluster(workspacePath(name))
		if err != nil {
			return err
		}
		if _, err := client.Resource(schemas).Create(ctx, newWidgetSchema(), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating the APIResourceSchema: %w", err)
		}
		if _, err := client.Resource(exports).Create(ctx, newWidgetExport(), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating the APIExport: %w", err)
		}
		// A binding made before the export has its identity starts with a
		// fault and is repaired later; that is not what we measure.
		_, err = await(ctx, client.Resource(exports), exportName, func(obj *unstructured.Unstructured) bool {
			return stringAt(obj, "status", "identityHash") != ""
		})
		return err
	})
	if err != nil {
		return err
	}
	p.name = names[0]
	return nil
}

// path returns the path of the provider's workspace.
func (p *provider) path() string { return workspacePath(p.name) }

// bind makes a binding to the API, and returns when it is Bound.
func (p *provider) bind(ctx context.Context, client dynamic.Interface, name string) error {
	return bind(ctx, client, newBinding(name, p.path()))
}

// bind makes a binding, and returns when it is Bound.
func bind(ctx context.Context, client dynamic.Interface, binding *unstructured.Unstructured) error {
	created, err := client.Resource(bindings).Create(ctx, binding, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating the APIBinding: %w", err)
	}
	bound := hasPhase("Bound")
	if bound(created) {
		return nil
	}
	if _, err := await(ctx, client.Resource(bindings), binding.GetName(), bound); err != nil {
		return fmt.Errorf("binding the API: %w", err)
	}
	return nil
}

// bindAndCreate binds the API in the named workspace and creates a first object
// of it. Both have the name of the workspace.
func (p *provider) bindAndCreate(ctx context.Context, c *crowd.Connection, name string) error {
	client, err := c.Cluster(workspacePath(name))
	if err != nil {
		return err
	}
	if err := p.bind(ctx, client, name); err != nil {
		return fmt.Errorf("in workspace %q: %w", name, err)
	}
	if err := createServed(ctx, client.Resource(widgets), newWidget(name)); err != nil {
		return fmt.Errorf("creating the first object in workspace %q: %w", name, err)
	}
	return nil
}

// createServed creates an object, and tries again while its resource is not
// served: a server may need a moment for that after Bound.
func createServed(ctx context.Context, resource dynamic.ResourceInterface, obj *unstructured.Unstructured) error {
	ctx, cancel := withChangeTimeout(ctx)
	defer cancel()
	for {
		_, err := resource.Create(ctx, obj, metav1.CreateOptions{})
		if !apierrors.IsNotFound(err) {
			return err
		}
		if ended := crowd.Sleep(ctx, servedInterval); ended != nil {
			return fmt.Errorf("%w: %w", ended, err)
		}
	}
}
