package coordination

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/generic"

	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

// NewGroup returns the storage of coordination.k8s.io. The error says which store could not be set up.
func NewGroup(s *kinds.Scheme, getter generic.RESTOptionsGetter) (*group.Group, error) {
	return kinds.NewGroup(coordinationv1.GroupName, s, getter, leases())
}

func leases() *kinds.Kind[coordinationv1.Lease, *coordinationv1.Lease] {
	return &kinds.Kind[coordinationv1.Lease, *coordinationv1.Lease]{
		Columns: []metav1.TableColumnDefinition{
			kinds.NameColumn(),
			{Name: "Holder", Type: "string", Description: coordinationv1.LeaseSpec{}.SwaggerDoc()["holderIdentity"]},
			kinds.AgeColumn(),
		},
		Cells: func(lease *coordinationv1.Lease) []any {
			holder := ""
			if lease.Spec.HolderIdentity != nil {
				holder = *lease.Spec.HolderIdentity
			}
			return []any{lease.Name, holder, kinds.Age(lease.CreationTimestamp)}
		},
		CreateOnUpdate: true,
		NoGeneration:   true,
		NeedsVersion:   true, // Who holds a lease must not be overwritten by accident.
		// As in Kubernetes without the feature gate CoordinatedLeaderElection, which is off unless somebody turns it on.
		Prepare:  func(lease, _ *coordinationv1.Lease) { lease.Spec.Strategy, lease.Spec.PreferredHolder = nil, nil },
		Name:     apimachineryvalidation.NameIsDNSSubdomain,
		Validate: validate,
	}
}

func validate(lease *coordinationv1.Lease) field.ErrorList {
	var errs field.ErrorList
	spec, path := &lease.Spec, field.NewPath("spec")
	if spec.LeaseDurationSeconds != nil && *spec.LeaseDurationSeconds <= 0 {
		errs = append(errs, field.Invalid(path.Child("leaseDurationSeconds"), *spec.LeaseDurationSeconds, "must be greater than 0"))
	}
	if spec.LeaseTransitions != nil && *spec.LeaseTransitions < 0 {
		errs = append(errs, field.Invalid(path.Child("leaseTransitions"), *spec.LeaseTransitions, "must be greater than or equal to 0"))
	}
	return errs
}
