package interleaving

import (
	"context"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// transitions checks every step that the bindings of a workspace make against their state machine.
type transitions struct {
	mu    sync.Mutex
	wrong error
}

// follow watches the bindings of a workspace until ctx ends, or the workspace does.
func follow(ctx context.Context, config *rest.Config) (*transitions, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	list, err := client.Resource(bindings).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	events, err := client.Resource(bindings).Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		return nil, err
	}
	t := &transitions{}
	go t.read(events)
	return t, nil
}

func (t *transitions) read(events watch.Interface) {
	defer events.Stop()
	last := map[types.UID]*apisv1alpha2.APIBinding{}
	for event := range events.ResultChan() {
		obj, ok := event.Object.(*unstructured.Unstructured)
		if !ok || event.Type != watch.Added && event.Type != watch.Modified {
			continue
		}
		binding, err := typed[apisv1alpha2.APIBinding](obj)
		if err == nil && last[binding.UID] != nil {
			err = lifecycle.Check(binding, last[binding.UID])
		}
		last[binding.UID] = binding
		t.mu.Lock()
		if err != nil && t.wrong == nil {
			t.wrong = fmt.Errorf("APIBinding %s, resourceVersion %s: %w", binding.Name, binding.ResourceVersion, err)
		}
		t.mu.Unlock()
	}
}

// fault returns the first step that was wrong, or that nothing was seen.// fault returns the first step that was wrong.
func (t *transitions) fault() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wrong
}
