package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	quotarules "github.com/annex-dev/annex/apis/core/quota"
	"github.com/annex-dev/annex/registry/kinds"
)

func resourceQuotas() *kinds.Kind[corev1.ResourceQuota, *corev1.ResourceQuota] {
	return &kinds.Kind[corev1.ResourceQuota, *corev1.ResourceQuota]{
		Columns: []metav1.TableColumnDefinition{
			kinds.NameColumn(),
			{Name: "Request", Type: "string", Description: "Request represents a minimum amount of cpu/memory that a container may consume."},
			{Name: "Limit", Type: "string", Description: "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node."},
			kinds.AgeColumn(),
		},
		Cells:              quotaRow,
		ReturnDeleted:      true,
		StandardFinalizers: true,
		NoGeneration:       true,
		MetadataByStatus:   true,
		Name:               apimachineryvalidation.NameIsDNSSubdomain,
		Validate: func(quota *corev1.ResourceQuota) field.ErrorList {
			return validateQuotaSpec(&quota.Spec, field.NewPath("spec"))
		},
		ValidateUpdate: func(quota, old *corev1.ResourceQuota) field.ErrorList {
			if sets.New(quota.Spec.Scopes...).Equal(sets.New(old.Spec.Scopes...)) {
				return nil
			}
			return field.ErrorList{field.Invalid(field.NewPath("spec", "scopes"), quota.Spec.Scopes, apimachineryvalidation.FieldImmutableErrorMsg)}
		},
		Warn:                 warnOfQuota,
		ValidateStatusUpdate: validateQuotaStatusUpdate,
	}
}

// quotaRow lists used and hard values, separately for requests and limits.
func quotaRow(quota *corev1.ResourceQuota) []any {
	var requests, limits []string
	for _, name := range sorted(quota.Status.Hard) {
		used, hard := quota.Status.Used[name], quota.Status.Hard[name]
		cell := fmt.Sprintf("%s: %s/%s", name, used.String(), hard.String())
		if strings.HasPrefix(string(name), "limits.") {
			limits = append(limits, cell)
			continue
		}
		requests = append(requests, cell)
	}
	return []any{quota.Name, strings.Join(requests, ", "), strings.Join(limits, ", "), kinds.Age(quota.CreationTimestamp)}
}

// warnOfQuota warns of requests that exceed limits, and of an annotation that has no effect.
func warnOfQuota(quota, old *corev1.ResourceQuota) []string {
	var warnings []string
	const key = quotarules.ClusterScopedAnnotationKey
	value, annotated := quota.Annotations[key]
	if annotated && value != "false" && !quotarules.IsClusterScoped(quota) && (old == nil || old.Annotations[key] != value) {
		warnings = append(warnings, fmt.Sprintf("metadata.annotations[%s]: the quota limits its namespace only. It limits the whole workspace in namespace %q with the value \"true\"",
			key, quotarules.ClusterNamespace))
	}
	if old != nil {
		return warnings
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceStorage, corev1.ResourceEphemeralStorage} {
		requestName, limitName := "requests."+name, "limits."+name
		request, hasRequest := quota.Spec.Hard[requestName]
		if !hasRequest && (name == corev1.ResourceCPU || name == corev1.ResourceMemory) {
			requestName = name
			request, hasRequest = quota.Spec.Hard[requestName]
		}
		limit, hasLimit := quota.Spec.Hard[limitName]
		if hasRequest && hasLimit && request.Cmp(limit) > 0 {
			warnings = append(warnings, fmt.Sprintf("ResourceQuota %s (%s) should be less than %s (%s)",
				requestName, request.String(), limitName, limit.String()))
		}
	}
	return warnings
}

func validateQuotaSpec(spec *corev1.ResourceQuotaSpec, path *field.Path) field.ErrorList {
	errs := validateQuotaList(spec.Hard, path.Child("hard"))
	errs = append(errs, validateScopes(spec, path.Child("scopes"))...)
	return append(errs, validateScopeSelector(spec, path.Child("scopeSelector", "matchExpressions"))...)
}

func validateQuotaList(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, name := range sorted(list) {
		value, at := list[name], path.Key(string(name))
		errs = append(errs, validateQuotaName(name, at)...)
		if value.Sign() < 0 {
			errs = append(errs, field.Invalid(at, value.String(), apimachineryvalidation.IsNegativeErrorMsg))
		}
		if isInteger(name) && value.MilliValue()%1000 != 0 {
			errs = append(errs, field.Invalid(at, value.String(), "must be an integer"))
		}
	}
	return errs
}

// validateQuotaStatusUpdate also makes sure that whoever may only write the status does not change what the quota limits.
func validateQuotaStatusUpdate(quota, old *corev1.ResourceQuota) field.ErrorList {
	var errs field.ErrorList
	if quotarules.IsClusterScoped(quota) != quotarules.IsClusterScoped(old) {
		errs = append(errs, field.Forbidden(field.NewPath("metadata", "annotations").Key(quotarules.ClusterScopedAnnotationKey), "cannot be changed together with the status"))
	}
	if quota.ResourceVersion == "" {
		errs = append(errs, field.Required(field.NewPath("resourceVersion"), ""))
	}
	errs = append(errs, validateQuotaList(quota.Status.Hard, field.NewPath("status", "hard"))...)
	return append(errs, validateQuotaList(quota.Status.Used, field.NewPath("status", "used"))...)
}

func validateScopes(spec *corev1.ResourceQuotaSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, scope := range spec.Scopes {
		if !isScope(scope) {
			errs = append(errs, field.Invalid(path, spec.Scopes, "unsupported scope"))
		}
		for range unfit(scope, spec.Hard) {
			errs = append(errs, field.Invalid(path, spec.Scopes, "unsupported scope applied to resource"))
		}
	}
	if conflicting(spec.Scopes) {
		errs = append(errs, field.Invalid(path, spec.Scopes, "conflicting scopes"))
	}
	return errs
}

func validateScopeSelector(spec *corev1.ResourceQuotaSpec, path *field.Path) field.ErrorList {
	if spec.ScopeSelector == nil {
		return nil
	}
	var errs field.ErrorList
	var scopes []corev1.ResourceQuotaScope
	for _, req := range spec.ScopeSelector.MatchExpressions {
		scopes = append(scopes, req.ScopeName)
		if !isScope(req.ScopeName) {
			errs = append(errs, field.Invalid(path.Child("scopeName"), req.ScopeName, "unsupported scope"))
		}
		for range unfit(req.ScopeName, spec.Hard) {
			errs = append(errs, field.Invalid(path, spec.ScopeSelector, "unsupported scope applied to resource"))
		}
		if takesNoValues(req.ScopeName) && req.Operator != corev1.ScopeSelectorOpExists {
			errs = append(errs, field.Invalid(path.Child("operator"), req.Operator, "must be 'Exists' when scope is any of "+
				"ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"))
		}
		switch req.Operator {
		case corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn:
			if len(req.Values) == 0 {
				errs = append(errs, field.Required(path.Child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"))
			}
		case corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist:
			if len(req.Values) != 0 {
				errs = append(errs, field.Invalid(path.Child("values"), req.Values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"))
			}
		default:
			errs = append(errs, field.Invalid(path.Child("operator"), req.Operator, "not a valid selector operator"))
		}
	}
	if conflicting(scopes) {
		errs = append(errs, field.Invalid(path, spec.Scopes, "conflicting scopes"))
	}
	return errs
}

// takesNoValues reports whether scope has no values: it either applies or does not.
func takesNoValues(scope corev1.ResourceQuotaScope) bool {
	switch scope {
	case corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort, corev1.ResourceQuotaScopeTerminating,
		corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return true
	}
	return false
}

func isScope(scope corev1.ResourceQuotaScope) bool {
	return takesNoValues(scope) || scope == corev1.ResourceQuotaScopePriorityClass || scope == corev1.ResourceQuotaScopeVolumeAttributesClass
}

// unfit returns the standard resources in hard to which scope cannot be applied.
func unfit(scope corev1.ResourceQuotaScope, hard corev1.ResourceList) (names []corev1.ResourceName) {
	var fit []corev1.ResourceName
	switch scope {
	case corev1.ResourceQuotaScopeBestEffort:
		fit = []corev1.ResourceName{corev1.ResourcePods}
	case corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeNotBestEffort,
		corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		fit = []corev1.ResourceName{
			corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory,
			corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory,
		}
	case corev1.ResourceQuotaScopeVolumeAttributesClass:
		fit = []corev1.ResourceName{corev1.ResourcePersistentVolumeClaims, corev1.ResourceRequestsStorage}
	default:
		return nil
	}
	for name := range hard {
		if isQuotaName(name) && !slices.Contains(fit, name) {
			names = append(names, name)
		}
	}
	return names
}

// conflicting reports whether no object can be in all scopes.
func conflicting(scopes []corev1.ResourceQuotaScope) bool {
	has := func(scope corev1.ResourceQuotaScope) bool { return slices.Contains(scopes, scope) }
	return has(corev1.ResourceQuotaScopeBestEffort) && has(corev1.ResourceQuotaScopeNotBestEffort) ||
		has(corev1.ResourceQuotaScopeTerminating) && has(corev1.ResourceQuotaScopeNotTerminating)
}
