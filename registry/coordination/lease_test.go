package coordination

import (
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	holder := "h"
	zero, one, minus := int32(0), int32(1), int32(-1)
	tests := map[string]struct {
		spec coordinationv1.LeaseSpec
		want []string
	}{
		"empty":       {},
		"good":        {spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &one, LeaseTransitions: &zero}},
		"duration":    {coordinationv1.LeaseSpec{LeaseDurationSeconds: &zero}, []string{"spec.leaseDurationSeconds"}},
		"transitions": {coordinationv1.LeaseSpec{LeaseTransitions: &minus}, []string{"spec.leaseTransitions"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, err := range validate(&coordinationv1.Lease{Spec: tt.spec}) {
				got = append(got, err.Field)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got errors of %v, want %v", got, tt.want)
			}
		})
	}
}

// Fields of a feature that is off are dropped, from new objects and from updates.
func TestPrepare_DropsCoordination(t *testing.T) {
	t.Parallel()
	holder, strategy := "h", coordinationv1.OldestEmulationVersion
	lease := &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, Strategy: &strategy, PreferredHolder: &holder}}
	leases().Prepare(lease, nil)
	if lease.Spec.Strategy != nil || lease.Spec.PreferredHolder != nil || lease.Spec.HolderIdentity == nil {
		t.Errorf("got %v", lease.Spec)
	}
}

func TestRow(t *testing.T) {
	t.Parallel()
	holder := "h"
	m := metav1.ObjectMeta{Name: "x", CreationTimestamp: metav1.NewTime(time.Now().Add(-3 * time.Hour))}
	kind := leases()
	for _, tt := range []struct {
		spec coordinationv1.LeaseSpec
		want []any
	}{
		{coordinationv1.LeaseSpec{HolderIdentity: &holder}, []any{"x", "h", "3h"}},
		{coordinationv1.LeaseSpec{}, []any{"x", "", "3h"}},
	} {
		if got := kind.Cells(&coordinationv1.Lease{ObjectMeta: m, Spec: tt.spec}); !slices.Equal(got, tt.want) {
			t.Errorf("got %v, want %v", got, tt.want)
		}
	}
}
