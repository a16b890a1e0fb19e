package validation

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/rule"
)

// ValidateShard returns what is wrong with a new Shard.
func ValidateShard(shard *corev1alpha1.Shard) field.ErrorList {
	errs := rule.ObjectMeta(&shard.ObjectMeta, rule.SubdomainName)
	spec := field.NewPath("spec")
	errs = append(errs, rule.Required(shard.Spec.BaseURL, spec.Child("baseURL"))...)
	errs = append(errs, rule.URL(shard.Spec.BaseURL, spec.Child("baseURL"))...)
	errs = append(errs, rule.URL(shard.Spec.ExternalURL, spec.Child("externalURL"))...)
	errs = append(errs, rule.URL(shard.Spec.VirtualWorkspaceURL, spec.Child("virtualWorkspaceURL"))...)
	return errs
}

// ValidateShardUpdate returns what is wrong with the change of a Shard from old to shard.
func ValidateShardUpdate(shard, old *corev1alpha1.Shard) field.ErrorList {
	return append(rule.ObjectMetaUpdate(&shard.ObjectMeta, &old.ObjectMeta), ValidateShard(shard)...)
}

// ValidateShardStatusUpdate returns what is wrong with the change of the status of a Shard from old to shard.
func ValidateShardStatusUpdate(shard, old *corev1alpha1.Shard) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&shard.ObjectMeta, &old.ObjectMeta)
	return append(errs, rule.Conditions(shard.Status.Conditions, field.NewPath("status", "conditions"))...)
}
