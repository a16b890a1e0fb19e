package apibinding

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/naming"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/names"
)

// taken decides which names binding may take. The caller holds the lock of the cluster of key.
type taken struct {
	controller *Controller
	// from is the reader. Use a live reader if a name that was just taken must not be missed.
	from    client.Reader
	key     client.Key
	binding *apisv1alpha2.APIBinding
	// accepts says that the binding accepts all claims of its export: nobody answers them for a default binding.
	accepts bool
	// wanted are the names that were refused.
	wanted []naming.Names
}

func (t *taken) holder() names.Holder { return names.Holder{Resource: bindings, Key: t.key} }

// conflict returns the holder of a name that newcomer requests; empty if there is none. It ignores entries of gr in the binding itself.
func (t *taken) conflict(ctx context.Context, gr schema.GroupResource, newcomer naming.Names) (string, error) {
	conflict, err := t.find(ctx, gr, newcomer)
	if conflict != "" {
		t.wanted = append(t.wanted, newcomer)
	}
	return conflict, err
}

func (t *taken) find(ctx context.Context, gr schema.GroupResource, newcomer naming.Names) (string, error) {
	// Names that this binding itself has bound, including in this pass.
	own, err := t.controller.names.Bound(ctx, t.binding)
	if err != nil {
		return "", fmt.Errorf("finding the names of APIBinding %s: %w", t.key, err)
	}
	for i, bound := range t.binding.Status.BoundResources {
		if groupResource(bound.Group, bound.Resource) == gr {
			continue
		}
		if who := conflictWith(newcomer, t.holder(), own[i]); who != "" {
			return who, nil
		}
	}
	others, err := t.controller.names.Others(ctx, t.from, t.holder(), newcomer)
	if err != nil {
		return "", fmt.Errorf("finding the names in use in %q: %w", t.key.Cluster, err)
	}
	for _, other := range others {
		if who := conflictWith(newcomer, other.Holder, slices.Concat(other.Reserved, other.Taken)...); who != "" {
			return who, nil
		}
	}
	for name, expected := range t.controller.expectedIn(t.key.Cluster) {
		if name == t.key.Name {
			continue
		}
		its, err := t.controller.names.Bound(ctx, expected)
		if err != nil {
			return "", fmt.Errorf("finding the names of APIBinding %q: %w", name, err)
		}
		if who := conflictWith(newcomer, names.Holder{Resource: bindings, Key: client.Key{Name: name}}, its...); who != "" {
			return who, nil
		}
	}
	return "", nil
}

// conflictWith returns the first name of newcomer that holder has, and who that is; empty if it has none.
func conflictWith(newcomer naming.Names, holder names.Holder, its ...naming.Names) string {
	kind := "APIBinding"
	if holder.Resource == definitions {
		kind = "CustomResourceDefinition"
	}
	for _, n := range its {
		if conflicts := naming.Conflicts(newcomer, n); len(conflicts) > 0 {
			return fmt.Sprintf("%s of %s %q", conflicts[0].Error(), kind, holder.Key.Name)
		}
	}
	return ""
}
