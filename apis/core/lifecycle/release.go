package lifecycle

import (
	"fmt"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation/field"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
)

// Release is the right of an initializer or a terminator to remove itself.
type Release struct {
	// Initializer or Terminator is who has finished; the other one is empty.
	Initializer corev1alpha1.LogicalClusterInitializer
	Terminator  corev1alpha1.LogicalClusterTerminator
}

// Concerns reports whether lc waits for r.
func (r Release) Concerns(lc *corev1alpha1.LogicalCluster) bool {
	switch {
	case r.Initializer != "":
		return lc.Status.Phase == corev1alpha1.LogicalClusterPhaseInitializing && slices.Contains(lc.Status.Initializers, r.Initializer)
	case r.Terminator != "":
		return lc.Status.Phase == corev1alpha1.LogicalClusterPhaseTerminating && slices.Contains(lc.Status.Terminators, r.Terminator)
	}
	return false
}

// Validate returns what is wrong with the change of a status from old to updated. The URL is not stored: clients send back what they have
// read.
func (r Release) Validate(updated, old *corev1alpha1.LogicalClusterStatus) field.ErrorList {
	at := field.NewPath("status")
	errs := onlyWithout(updated.Initializers, old.Initializers, r.Initializer, "initializer", at.Child("initializers"))
	errs = append(errs, onlyWithout(updated.Terminators, old.Terminators, r.Terminator, "terminator", at.Child("terminators"))...)
	if updated.Phase != old.Phase {
		errs = append(errs, field.Invalid(at.Child("phase"), updated.Phase, "only the server changes the phase"))
	}
	if !apiequality.Semantic.DeepEqual(updated.Conditions, old.Conditions) {
		errs = append(errs, field.Forbidden(at.Child("conditions"), "only the server changes the conditions"))
	}
	return errs
}

// onlyWithout returns an error unless updated is old, with or without own.
func onlyWithout[T ~string](updated, old []T, own T, what string, at *field.Path) field.ErrorList {
	without := slices.DeleteFunc(slices.Clone(old), func(s T) bool { return s == own })
	if slices.Equal(updated, old) || own != "" && slices.Equal(updated, without) {
		return nil
	}
	if own == "" {
		return field.ErrorList{field.Invalid(at, updated, "cannot be changed here")}
	}
	return field.ErrorList{field.Invalid(at, updated, fmt.Sprintf("only removing the %q %s is supported", own, what))}
}
