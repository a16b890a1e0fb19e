package crd

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/sets"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// taken contains the names that are already used in a group of a cluster.
type taken struct {
	// resources are plurals, singulars and short names, which share one space; kinds are kinds and list kinds.
	resources, kinds sets.Set[string]
}

func (t taken) add(names apiextensionsv1.CustomResourceDefinitionNames) {
	t.resources.Insert(names.Plural, names.Singular)
	t.resources.Insert(names.ShortNames...)
	t.kinds.Insert(names.Kind, names.ListKind)
	t.resources.Delete("")
	t.kinds.Delete("")
}

// settled reports whether crd has all requested names and is established.
func settled(crd *apiextensionsv1.CustomResourceDefinition) bool {
	return apiequality.Semantic.DeepEqual(crd.Spec.Names, crd.Status.AcceptedNames) &&
		apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.NamesAccepted) &&
		apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established)
}

// accept gives crd the requested names that are free, and establishes it if it has all of them.
func (r *reconciler) accept(ctx context.Context, cluster logicalcluster.Name, crd *apiextensionsv1.CustomResourceDefinition) error {
	used, err := r.namesTaken(ctx, cluster, crd)
	if err != nil {
		return err
	}
	names, condition := acceptNames(crd.Spec.Names, crd.Status.AcceptedNames, used)
	crd.Status.AcceptedNames = names
	setCondition(crd, condition)
	if apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established) {
		return nil
	}
	established := apiextensionsv1.CustomResourceDefinitionCondition{
		Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionFalse,
		Reason: "NotAccepted", Message: "not all names are accepted",
	}
	if condition.Status == apiextensionsv1.ConditionTrue {
		established = apiextensionsv1.CustomResourceDefinitionCondition{
			Type: apiextensionsv1.Established, Status: apiextensionsv1.ConditionTrue,
			Reason: "InitialNamesAccepted", Message: "the initial names have been accepted",
		}
	}
	setCondition(crd, established)
	return nil
}

// acceptNames returns the accepted names after it takes the requested names that are free, and the condition for them. A name that was
// accepted before stays accepted, even if another resource has it.
func acceptNames(requested, accepted apiextensionsv1.CustomResourceDefinitionNames, used taken) (
	apiextensionsv1.CustomResourceDefinitionNames, apiextensionsv1.CustomResourceDefinitionCondition) {
	names := *accepted.DeepCopy()
	condition := apiextensionsv1.CustomResourceDefinitionCondition{
		Type: apiextensionsv1.NamesAccepted, Status: apiextensionsv1.ConditionTrue,
		Reason: "NoConflicts", Message: "no conflicts found",
	}
	refuse := func(reason string, err error) {
		condition.Status, condition.Reason, condition.Message = apiextensionsv1.ConditionFalse, reason, err.Error()
	}
	take := func(name *string, wanted, reason string, in sets.Set[string]) {
		if wanted != *name && in.Has(wanted) {
			refuse(reason, inUse(wanted))
			return
		}
		*name = wanted
	}
	take(&names.Plural, requested.Plural, "PluralConflict", used.resources)
	take(&names.Singular, requested.Singular, "SingularConflict", used.resources)
	var conflicts []error
	for _, name := range requested.ShortNames {
		if !slices.Contains(accepted.ShortNames, name) && used.resources.Has(name) {
			conflicts = append(conflicts, inUse(name))
		}
	}
	if err := utilerrors.NewAggregate(conflicts); err != nil {
		refuse("ShortNamesConflict", err)
	} else {
		names.ShortNames = slices.Clone(requested.ShortNames)
	}
	take(&names.Kind, requested.Kind, "KindConflict", used.kinds)
	take(&names.ListKind, requested.ListKind, "ListKindConflict", used.kinds)
	names.Categories = slices.Clone(requested.Categories)
	return names, condition
}

func inUse(name string) error { return fmt.Errorf("%q is already in use", name) }

// namesTaken collects the names of other definitions of the group, and of resources that the cluster has bound.
func (r *reconciler) namesTaken(ctx context.Context, cluster logicalcluster.Name, crd *apiextensionsv1.CustomResourceDefinition) (taken, error) {
	used := taken{resources: sets.New[string](), kinds: sets.New[string]()}
	others, err := client.List[apiextensionsv1.CustomResourceDefinition](ctx, r.live, definitions, client.Scope{Cluster: cluster})
	if err != nil {
		return used, err
	}
	for _, other := range others {
		if other.Name != crd.Name && other.Spec.Group == crd.Spec.Group {
			used.add(other.Status.AcceptedNames)
		}
	}
	bound, err := client.List[apisv1alpha2.APIBinding](ctx, r.live, bindings, client.Scope{Cluster: cluster})
	if err != nil {
		return used, err
	}
	for _, binding := range bound {
		for _, resource := range binding.Status.BoundResources {
			if resource.Group != crd.Spec.Group {
				continue
			}
			names, err := r.boundNames(ctx, resource)
			if err != nil {
				return used, err
			}
			used.add(names)
		}
	}
	return used, nil
}

// boundNames returns the names of a bound resource; only the plural if it has no definition.
func (r *reconciler) boundNames(ctx context.Context, resource apisv1alpha2.BoundAPIResource) (apiextensionsv1.CustomResourceDefinitionNames, error) {
	names := apiextensionsv1.CustomResourceDefinitionNames{Plural: resource.Resource}
	definition, err := client.Find[apiextensionsv1.CustomResourceDefinition](ctx, r.live, definitions, client.Key{Cluster: logicalcluster.SystemBoundCRDs, Name: resource.Schema.UID})
	if err != nil || definition == nil {
		return names, err
	}
	return definition.Spec.Names, nil
}
