package interleaving

import (
	"context"
	"errors"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	phases "github.com/annex-dev/annex/apis/core/lifecycle"
	"github.com/annex-dev/annex/test/framework/annex"
)

// machines are the state machines by the resource whose objects go through them.
var machines = map[schema.GroupVersionResource]func(updated, old *unstructured.Unstructured) error{
	bindings: step(func(updated, old *apisv1alpha2.APIBinding) error {
		return errors.Join(lifecycle.Check(updated, old), lifecycle.CheckClaims(updated, old))
	}),
	exports:         step(lifecycle.CheckExport),
	workspaces:      step(phases.CheckWorkspace),
	logicalClusters: step(phases.CheckCluster),
}

// step returns a check of objects of whose type nothing is known.
func step[T any](check func(updated, old *T) error) func(updated, old *unstructured.Unstructured) error {
	return func(updated, old *unstructured.Unstructured) error {
		now, err := typed[T](updated)
		if err != nil {
			return err
		}
		before, err := typed[T](old)
		if err != nil {
			return err
		}
		return check(now, before)
	}
}

// transitions checks every step that objects of all clusters make against their state machine.
type transitions struct {
	mu sync.Mutex
	// seen counts steps by resource, and phases counts objects after each step, and when they are new, by resource and phase.
	seen, phases map[string]int
	wrong        error
}

// follow watches all resources with a state machine, in all clusters, until ctx ends.
func follow(ctx context.Context, server *annex.Server) (*transitions, error) {
	config := server.Config(annex.ContextShardBase)
	config.Host += "/clusters/*"
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	t := &transitions{seen: map[string]int{}, phases: map[string]int{}}
	for gvr, check := range machines {
		list, err := client.Resource(gvr).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("listing %s of all clusters: %w", gvr.Resource, err)
		}
		events, err := client.Resource(gvr).Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
		if err != nil {
			return nil, fmt.Errorf("watching %s of all clusters: %w", gvr.Resource, err)
		}
		go t.read(gvr.Resource, events, check)
	}
	return t, nil
}

func (t *transitions) read(resource string, events watch.Interface, check func(updated, old *unstructured.Unstructured) error) {
	defer events.Stop()
	last := map[types.UID]*unstructured.Unstructured{}
	for event := range events.ResultChan() {
		obj, ok := event.Object.(*unstructured.Unstructured)
		if !ok || event.Type != watch.Added && event.Type != watch.Modified {
			continue
		}
		var err error
		before := last[obj.GetUID()]
		if before != nil {
			err = check(obj, before)
		}
		last[obj.GetUID()] = obj
		t.mu.Lock()
		if before != nil {
			t.seen[resource]++
		}
		phase, _, _ := unstructured.NestedString(obj.Object, "status", "phase")
		t.phases[resource+" "+phase]++ // an object can be created in it
		if err != nil && t.wrong == nil {
			t.wrong = fmt.Errorf("%s %s in %s, resourceVersion %s: %w", resource, obj.GetName(), obj.GetAnnotations()["kcp.io/cluster"], obj.GetResourceVersion(), err)
		}
		t.mu.Unlock()
	}
}

// lacks returns the phases that no object of a resource came to.
func (t *transitions) lacks(gvr schema.GroupVersionResource, phases ...string) (missing []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, phase := range phases {
		if t.phases[gvr.Resource+" "+phase] == 0 {
			missing = append(missing, phase)
		}
	}
	return missing
}

// fault returns the first step that was wrong, or that no step was seen of these.
func (t *transitions) fault(expected ...schema.GroupVersionResource) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, gvr := range expected {
		if t.seen[gvr.Resource] == 0 && t.wrong == nil {
			return fmt.Errorf("no step of %s was seen", gvr.Resource)
		}
	}
	return t.wrong
}
