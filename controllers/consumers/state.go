package consumers

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// state is what an export has to know of a binding. It is comparable.
type state struct {
	export          client.Key
	bound, deleting bool
	// reason is why the binding could not bind or follow; empty if it could, or if that is still to be seen.
	reason string
	// schemas are the bound resources, each as group, resource and schema in one line.
	schemas string
}

// stateOf returns the state of binding; false if its export is not known, or is one that is left out.
func stateOf(binding *apisv1alpha2.APIBinding, isBound func(schema.GroupResource) bool) (state, bool) {
	reference := binding.Spec.Reference.Export
	provider := logicalcluster.Name(binding.Status.APIExportClusterName)
	if reference == nil || provider.Empty() {
		return state{}, false
	}
	s := state{
		export:   client.Key{Cluster: provider, Name: reference.Name},
		bound:    conditionsv1alpha1.IsTrue(binding, apisv1alpha2.InitialBindingCompleted),
		deleting: binding.DeletionTimestamp != nil,
		reason:   reasonOf(binding),
	}
	var lines []string
	for _, bound := range binding.Status.BoundResources {
		if provider == logicalcluster.Root && isBound != nil && isBound(schema.GroupResource{Group: bound.Group, Resource: bound.Resource}) {
			return state{}, false
		}
		lines = append(lines, bound.Group+" "+bound.Resource+" "+bound.Schema.Name)
	}
	slices.Sort(lines)
	s.schemas = strings.Join(lines, "\n")
	return s, true
}

// reasonOf returns why binding could not bind or follow. What passes by itself is no reason.
func reasonOf(binding *apisv1alpha2.APIBinding) string {
	for _, t := range []conditionsv1alpha1.ConditionType{apisv1alpha2.InitialBindingCompleted, apisv1alpha2.BindingUpToDate} {
		c := conditionsv1alpha1.Get(binding, t)
		if c == nil || c.Status != "False" {
			continue
		}
		switch c.Reason {
		case apisv1alpha2.MissingIdentityHashReason, apisv1alpha2.WaitingForEstablishedReason:
		default:
			return c.Reason
		}
	}
	return ""
}

// uses calls yield with each bound resource of s.
func (s state) uses(yield func(group, resource, schema string)) {
	if s.schemas == "" {
		return
	}
	for line := range strings.SplitSeq(s.schemas, "\n") {
		parts := strings.SplitN(line, " ", 3)
		yield(parts[0], parts[1], parts[2])
	}
}
