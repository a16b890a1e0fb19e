package validation

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/rule"
)

// Limits of an APIExportRollout.
const (
	MaxRolloutWaves    = 20
	MaxRolloutClusters = 1000
	MaxRolloutFailures = 100
)

// ValidateAPIExportRollout returns what is wrong with a new APIExportRollout.
func ValidateAPIExportRollout(rollout *annexv1alpha1.APIExportRollout) field.ErrorList {
	errs := rule.ObjectMeta(&rollout.ObjectMeta, rule.SubdomainName)
	spec := field.NewPath("spec")
	waves := spec.Child("waves")
	if len(rollout.Spec.Waves) > MaxRolloutWaves {
		errs = append(errs, field.TooMany(waves, len(rollout.Spec.Waves), MaxRolloutWaves))
	}
	for i := range rollout.Spec.Waves {
		errs = append(errs, validateWave(&rollout.Spec.Waves[i], waves.Index(i))...)
	}
	if resume := rollout.Spec.Resume; resume != nil {
		at := spec.Child("resume")
		errs = append(errs, atLeast(resume.Revision, 1, at.Child("revision"))...)
		errs = append(errs, atLeast(int64(resume.Wave), 1, at.Child("wave"))...)
	}
	failures := spec.Child("maxFailures")
	errs = append(errs, atLeast(int64(rollout.Spec.MaxFailures), 0, failures)...)
	if rollout.Spec.MaxFailures > MaxRolloutFailures {
		errs = append(errs, field.Invalid(failures, rollout.Spec.MaxFailures, fmt.Sprintf("must be less than or equal to %d", MaxRolloutFailures)))
	}
	errs = append(errs, validateClusters(rollout.Spec.Skip, spec.Child("skip"))...)
	return append(errs, atLeast(rollout.Spec.Undo, 0, spec.Child("undo"))...)
}

func validateWave(wave *annexv1alpha1.RolloutWave, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	ways := 0
	if wave.Percentage != nil {
		ways++
		if *wave.Percentage < 1 || *wave.Percentage > 100 {
			errs = append(errs, field.Invalid(at.Child("percentage"), *wave.Percentage, "must be between 1 and 100"))
		}
	}
	if wave.Selector != nil {
		ways++
		errs = append(errs, rule.Selector(wave.Selector, at.Child("selector"))...)
	}
	if len(wave.Clusters) > 0 {
		ways++
		errs = append(errs, validateClusters(wave.Clusters, at.Child("clusters"))...)
	}
	switch {
	case ways == 0:
		errs = append(errs, field.Required(at, "must have percentage, selector or clusters"))
	case ways > 1:
		errs = append(errs, field.Forbidden(at, "must have only one of percentage, selector and clusters"))
	}
	if wave.Pause != nil && wave.Pause.Duration != nil && wave.Pause.Duration.Duration < 0 {
		errs = append(errs, field.Invalid(at.Child("pause", "duration"), wave.Pause.Duration.Duration.String(), "must not be negative"))
	}
	return errs
}

func validateClusters(names []string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(names) > MaxRolloutClusters {
		return field.ErrorList{field.TooMany(at, len(names), MaxRolloutClusters)}
	}
	seen := sets.New[string]()
	for i, name := range names {
		errs = append(errs, rule.Required(name, at.Index(i))...)
		errs = append(errs, rule.ClusterName(name, at.Index(i))...)
		if seen.Has(name) {
			errs = append(errs, field.Duplicate(at.Index(i), name))
		}
		seen.Insert(name)
	}
	return errs
}

func atLeast(value, least int64, at *field.Path) field.ErrorList {
	if value < least {
		return field.ErrorList{field.Invalid(at, value, fmt.Sprintf("must be greater than or equal to %d", least))}
	}
	return nil
}

// ValidateAPIExportRolloutUpdate returns what is wrong with the change of an APIExportRollout from old to rollout.
func ValidateAPIExportRolloutUpdate(rollout, old *annexv1alpha1.APIExportRollout) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&rollout.ObjectMeta, &old.ObjectMeta)
	return append(errs, ValidateAPIExportRollout(rollout)...)
}

// ValidateAPIExportRolloutStatusUpdate returns what is wrong with the change of the status of an APIExportRollout from old to rollout.
func ValidateAPIExportRolloutStatusUpdate(rollout, old *annexv1alpha1.APIExportRollout) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&rollout.ObjectMeta, &old.ObjectMeta)
	status := field.NewPath("status")
	errs = append(errs, atLeast(rollout.Status.Revision, old.Status.Revision, status.Child("revision"))...)
	return append(errs, rule.Conditions(rollout.Status.Conditions, status.Child("conditions"))...)
}
