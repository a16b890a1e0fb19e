package lifecycle

import (
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/machine"
)

// ExportState is a state of an APIExport.
type ExportState string

// The states; see the documentation of the package.
const (
	Gone     ExportState = "Gone"
	Nameless ExportState = "Nameless"
	Offered  ExportState = "Offered"
	Disputed ExportState = "Disputed"
	Ending   ExportState = "Ending"
)

const anExport = "an APIExport"

// exportSteps are the states that may follow each state.
var exportSteps = machine.Steps[ExportState]{
	Gone:     {Nameless},
	Nameless: {Offered, Ending, Gone},
	Offered:  {Disputed, Ending, Gone},
	Disputed: {Offered, Ending, Gone},
	Ending:   {Gone},
}

// OfExport returns the state of an APIExport; Gone for nil.
func OfExport(export *apisv1alpha2.APIExport) ExportState {
	switch {
	case export == nil:
		return Gone
	case export.DeletionTimestamp != nil:
		return Ending
	case export.Status.IdentityHash == "":
		return Nameless
	case conditionsv1alpha1.IsFalse(export, apisv1alpha2.APIExportIdentityValid):
		return Disputed
	}
	return Offered
}

// CanBeFound reports whether references to an export are valid, so that endpoint slices have its address.
func CanBeFound(export *apisv1alpha2.APIExport) bool { return OfExport(export) != Gone }

// CanBeBound reports whether bindings follow what an export offers, its claims are met, and its endpoint answers. Everything depends on the
// identity: it says where objects are stored. That of an export whose deletion has begun is still known.
func CanBeBound(export *apisv1alpha2.APIExport) bool {
	return CanBeFound(export) && export.Status.IdentityHash != ""
}

// CheckExport returns a *machine.Fault if the state machine of an APIExport has no step from old to updated. Both are nil for none.
func CheckExport(updated, old *apisv1alpha2.APIExport) error {
	from := OfExport(old)
	if err := exportSteps.Check(anExport, from, OfExport(updated)); err != nil {
		return err
	}
	if old == nil || updated == nil {
		return nil
	}
	if was := old.Status.IdentityHash; was != "" && updated.Status.IdentityHash != was {
		return machine.Faultf(anExport, from, "the identity %s, under which objects are stored, cannot become %q", was, updated.Status.IdentityHash)
	}
	return nil
}
