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

	"github.com/annex-dev/annex/apis/apis/naming"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/names"
)

// taken contains the names that are already used in a group of a cluster.
type taken struct {
	// resources are plurals, singulars and short names, which share one space; kinds are kinds and list kinds.
	resources, kinds sets.Set[string]
}

func (t taken) add(names naming.Names) {
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

// accept gives crd the requested names that are free, and establishes it if it has all of them. If not, it waits for the others. The
// caller holds the lock of the cluster.
func (r *reconciler) accept(ctx context.Context, key client.Key, crd *apiextensionsv1.CustomResourceDefinition) error {
	holder, requested := names.Holder{Resource: definitions, Key: key}, requestedNames(crd)
	used, err := r.namesTaken(ctx, holder, requested)
	if err != nil {
		return err
	}
	accepted, condition := acceptNames(crd.Spec.Names, crd.Status.AcceptedNames, used)
	crd.Status.AcceptedNames = accepted
	setCondition(crd, condition)
	if condition.Status == apiextensionsv1.ConditionTrue {
		r.names.Wait(holder)
	} else {
		r.names.Wait(holder, requested)
	}
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

// requestedNames returns the names that crd requests, and no defaults.
func requestedNames(crd *apiextensionsv1.CustomResourceDefinition) naming.Names {
	n := crd.Spec.Names
	return naming.Names{Group: crd.Spec.Group, Plural: n.Plural, Singular: n.Singular, ShortNames: n.ShortNames, Kind: n.Kind, ListKind: n.ListKind}
}

// namesTaken collects the names of all who have one of the requested names: other definitions of the group, and resources that the
// cluster has bound.
func (r *reconciler) namesTaken(ctx context.Context, holder names.Holder, requested naming.Names) (taken, error) {
	used := taken{resources: sets.New[string](), kinds: sets.New[string]()}
	others, err := r.names.Others(ctx, r.live, holder, requested)
	if err != nil {
		return used, fmt.Errorf("finding the names in use: %w", err)
	}
	for _, other := range others {
		for _, n := range other.Taken {
			if n.Group == requested.Group {
				used.add(n)
			}
		}
	}
	return used, nil
}
