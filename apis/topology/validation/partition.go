package validation

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/apis/rule"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
)

// mostRequirements is how many labels, and how many expressions, a selector of shards may have.
const mostRequirements = 10

// ValidatePartition returns what is wrong with a new Partition.
func ValidatePartition(p *topologyv1alpha1.Partition) field.ErrorList {
	errs := rule.ObjectMeta(&p.ObjectMeta, rule.SubdomainName)
	return append(errs, validateShardSelector(p.Spec.Selector, field.NewPath("spec", "selector"))...)
}

// ValidatePartitionUpdate returns what is wrong with the change of a Partition from old to p.
func ValidatePartitionUpdate(p, old *topologyv1alpha1.Partition) field.ErrorList {
	return append(rule.ObjectMetaUpdate(&p.ObjectMeta, &old.ObjectMeta), ValidatePartition(p)...)
}

// ValidatePartitionSet returns what is wrong with a new PartitionSet. A dimension may be listed twice.
func ValidatePartitionSet(s *topologyv1alpha1.PartitionSet) field.ErrorList {
	errs := rule.ObjectMeta(&s.ObjectMeta, rule.SubdomainName)
	spec := field.NewPath("spec")
	for i, key := range s.Spec.Dimensions {
		errs = append(errs, metav1validation.ValidateLabelName(key, spec.Child("dimensions").Index(i))...)
	}
	return append(errs, validateShardSelector(s.Spec.ShardSelector, spec.Child("shardSelector"))...)
}

// ValidatePartitionSetUpdate returns what is wrong with the change of a PartitionSet from old to s.
func ValidatePartitionSetUpdate(s, old *topologyv1alpha1.PartitionSet) field.ErrorList {
	return append(rule.ObjectMetaUpdate(&s.ObjectMeta, &old.ObjectMeta), ValidatePartitionSet(s)...)
}

// ValidatePartitionSetStatusUpdate returns what is wrong with the change of the status of a PartitionSet from old to s.
func ValidatePartitionSetStatusUpdate(s, old *topologyv1alpha1.PartitionSet) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&s.ObjectMeta, &old.ObjectMeta)
	if s.Status.Count < 0 {
		errs = append(errs, field.Invalid(field.NewPath("status", "count"), s.Status.Count, "must not be negative"))
	}
	return append(errs, rule.Conditions(s.Status.Conditions, field.NewPath("status", "conditions"))...)
}

func validateShardSelector(selector *metav1.LabelSelector, path *field.Path) field.ErrorList {
	if selector == nil {
		return nil
	}
	errs := rule.Selector(selector, path)
	if n := len(selector.MatchLabels); n > mostRequirements {
		errs = append(errs, field.TooMany(path.Child("matchLabels"), n, mostRequirements))
	}
	if n := len(selector.MatchExpressions); n > mostRequirements {
		errs = append(errs, field.TooMany(path.Child("matchExpressions"), n, mostRequirements))
	}
	return errs
}
