package apibinding

import (
	"context"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/naming"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// taken contains the names in the cluster of key that others than binding use. It reads them at the first request, because most
// reconciles bind nothing new. The caller holds the lock of the cluster.
type taken struct {
	controller *Controller
	// from is the reader. Use a live reader if a name that was just taken must not be missed.
	from    client.Reader
	key     client.Key
	binding *apisv1alpha2.APIBinding

	read   bool
	others []holder
}

// holder is an object that has names.
type holder struct {
	who   string
	names naming.Names
}

// conflict returns the holder of a name that newcomer requests; empty if there is none. It ignores entries of gr in the binding itself.
func (t *taken) conflict(ctx context.Context, gr schema.GroupResource, newcomer naming.Names) (string, error) {
	if !t.read {
		if err := t.load(ctx); err != nil {
			return "", err
		}
		t.read = true
	}
	others := t.others
	// Names that this binding itself has bound, including in this pass.
	own, err := t.ofBinding(ctx, t.binding, gr)
	if err != nil {
		return "", err
	}
	for _, h := range append(own, others...) {
		if conflicts := naming.Conflicts(newcomer, h.names); len(conflicts) > 0 {
			return fmt.Sprintf("%s of %s", conflicts[0].Error(), h.who), nil
		}
	}
	return "", nil
}

// load reads what other bindings and local definitions have.
func (t *taken) load(ctx context.Context) error {
	c, scope := t.controller, client.Scope{Cluster: t.key.Cluster}
	bound, err := client.List[apisv1alpha2.APIBinding](ctx, t.from, bindings, scope)
	if err != nil {
		return err
	}
	stored := map[string]bool{}
	for _, other := range bound {
		stored[other.Name] = true
	}
	for _, other := range c.expectedIn(t.key.Cluster) {
		if !stored[other.Name] {
			bound = append(bound, other)
		}
	}
	for _, other := range bound {
		if other.Name == t.key.Name {
			continue
		}
		holders, err := t.ofBinding(ctx, other, schema.GroupResource{})
		if err != nil {
			return err
		}
		t.others = append(t.others, holders...)
	}
	local, err := client.List[apiextensionsv1.CustomResourceDefinition](ctx, t.from, definitions, scope)
	if err != nil {
		return err
	}
	for _, crd := range local {
		t.others = append(t.others, holder{who: fmt.Sprintf("CustomResourceDefinition %q", crd.Name), names: namesOf(crd)})
	}
	return nil
}

// namesOf returns the names that a local definition has. If names were refused, it has only the accepted ones.
func namesOf(crd *apiextensionsv1.CustomResourceDefinition) naming.Names {
	if apihelpers.IsCRDConditionFalse(crd, apiextensionsv1.NamesAccepted) {
		crd = crd.DeepCopy()
		crd.Spec.Names = crd.Status.AcceptedNames
	}
	return naming.OfCRD(crd)
}

// ofBinding returns the names of what binding has bound, except gr.
func (t *taken) ofBinding(ctx context.Context, binding *apisv1alpha2.APIBinding, except schema.GroupResource) ([]holder, error) {
	var holders []holder
	for _, bound := range binding.Status.BoundResources {
		if groupResource(bound.Group, bound.Resource) == except {
			continue
		}
		names, err := t.controller.namesOfBound(ctx, logicalcluster.Name(binding.Status.APIExportClusterName), bound)
		if err != nil {
			return nil, err
		}
		holders = append(holders, holder{who: fmt.Sprintf("APIBinding %q", binding.Name), names: names})
	}
	return holders, nil
}

// namesOfBound returns the names of a bound resource: those of its definition, or of its schema when typed storage serves
// it; only the plural if neither exists.
func (c *Controller) namesOfBound(ctx context.Context, provider logicalcluster.Name, bound apisv1alpha2.BoundAPIResource) (naming.Names, error) {
	gr := groupResource(bound.Group, bound.Resource)
	if !c.isTyped(provider, gr) {
		crd, err := c.definition(ctx, bound.Schema.UID)
		if err != nil {
			return naming.Names{}, err
		}
		if crd != nil {
			return naming.OfCRD(crd), nil
		}
	}
	source, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, c.Client, schemas, client.Key{Cluster: provider, Name: bound.Schema.Name})
	if err != nil {
		return naming.Names{}, err
	}
	if source != nil && string(source.UID) == bound.Schema.UID {
		return naming.OfSchema(source), nil
	}
	return naming.Names{Group: bound.Group, Plural: bound.Resource}, nil
}
