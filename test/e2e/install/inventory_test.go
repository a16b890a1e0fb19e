package install

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// passedOver are resources whose objects come and go by themselves, and those that show others under an old name.
var passedOver = sets.New("events", "componentstatuses", "endpoints")

// inventory returns every object of every kind on the host, as resource.group/namespace/name.
func inventory(ctx context.Context, config *rest.Config) (sets.Set[string], error) {
	documents, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	lists, err := documents.ServerPreferredResources()
	if err != nil {
		return nil, fmt.Errorf("asking what the host serves: %w", err)
	}
	found := sets.New[string]()
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") || passedOver.Has(resource.Name) {
				continue
			}
			objects, err := client.Resource(gv.WithResource(resource.Name)).List(ctx, metav1.ListOptions{})
			switch {
			case apierrors.IsMethodNotSupported(err):
				continue
			case err != nil:
				return nil, fmt.Errorf("listing %s of %s: %w", resource.Name, gv, err)
			}
			for _, object := range objects.Items {
				found.Insert(strings.TrimSuffix(resource.Name+"."+gv.Group, ".") + "/" + object.Namespace + "/" + object.Name)
			}
		}
	}
	return found, nil
}

// compare says what of the host differs from before, but for the objects that may stay; nil when nothing does.
func compare(ctx context.Context, config *rest.Config, before sets.Set[string], mayStay ...string) error {
	now, err := inventory(ctx, config)
	if err != nil {
		return err
	}
	left := sets.New[string]()
	for object := range now.Difference(before) {
		if !slices.ContainsFunc(mayStay, func(prefix string) bool { return strings.HasPrefix(object, prefix) }) {
			left.Insert(object)
		}
	}
	if gone := before.Difference(now); len(left)+len(gone) > 0 {
		return fmt.Errorf("left behind: %q; gone: %q", sets.List(left), sets.List(gone))
	}
	return nil
}
