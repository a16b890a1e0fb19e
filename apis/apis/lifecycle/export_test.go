package lifecycle

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// exportIn returns an APIExport in a state; nil for Gone.
func exportIn(state ExportState) *apisv1alpha2.APIExport {
	export := &apisv1alpha2.APIExport{}
	export.Status.IdentityHash = "id"
	conditionsv1alpha1.MarkTrue(export, apisv1alpha2.APIExportIdentityValid)
	switch state {
	case Gone:
		return nil
	case Nameless:
		export.Status.IdentityHash = ""
	case Disputed:
		conditionsv1alpha1.MarkFalse(export, apisv1alpha2.APIExportIdentityValid, "Any", conditionsv1alpha1.ConditionSeverityError, "")
	case Ending:
		now := metav1.NewTime(time.Now())
		export.DeletionTimestamp = &now
	}
	return export
}

func TestCheckExport(t *testing.T) {
	all := []ExportState{Gone, Nameless, Offered, Disputed, Ending}
	// As the table in the documentation of the package says it; rows are the states before.
	allowed := map[ExportState]string{Gone: "yynnn", Nameless: "yyyny", Offered: "ynyyy", Disputed: "ynyyy", Ending: "ynnny"}
	for _, from := range all {
		if got := OfExport(exportIn(from)); got != from {
			t.Errorf("state %s is taken for %s", from, got)
		}
		for i, to := range all {
			if err := CheckExport(exportIn(to), exportIn(from)); (err == nil) != (allowed[from][i] == 'y') {
				t.Errorf("from %s to %s: %v", from, to, err)
			}
		}
	}
	other := exportIn(Offered)
	other.Status.IdentityHash = "other"
	if err := CheckExport(other, exportIn(Offered)); err == nil {
		t.Error("the identity of an export changes")
	}
	lost := exportIn(Ending)
	lost.Status.IdentityHash = ""
	if err := CheckExport(lost, exportIn(Offered)); err == nil {
		t.Error("an export loses its identity when its deletion begins")
	}
}

func TestExport_WhatItsStatesMean(t *testing.T) {
	for state, want := range map[ExportState][2]bool{
		Gone: {false, false}, Nameless: {true, false}, Offered: {true, true}, Disputed: {true, true}, Ending: {true, true},
	} {
		if export := exportIn(state); CanBeFound(export) != want[0] || CanBeBound(export) != want[1] {
			t.Errorf("%s: can be found %t, can be bound %t", state, CanBeFound(export), CanBeBound(export))
		}
	}
	unnamed := exportIn(Ending)
	unnamed.Status.IdentityHash = ""
	if !CanBeFound(unnamed) || CanBeBound(unnamed) {
		t.Error("an export without an identity can be bound while it is being deleted")
	}
}
