package core

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apimachineryresource "k8s.io/apimachinery/pkg/api/resource"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/registry/kinds"
)

func limitRanges() *kinds.Kind[corev1.LimitRange, *corev1.LimitRange] {
	return &kinds.Kind[corev1.LimitRange, *corev1.LimitRange]{
		CreateOnUpdate: true,
		NoGeneration:   true,
		Prepare: func(limits, _ *corev1.LimitRange) {
			if limits.Name == "" {
				limits.Name = string(uuid.NewUUID())
			}
		},
		Name:               apimachineryvalidation.NameIsDNSSubdomain,
		Validate:           validateLimitRange,
		StandardFinalizers: true,
		Warn: func(_, old *corev1.LimitRange) []string {
			if old != nil {
				return nil
			}
			return []string{"a LimitRange applies to pods and persistent volume claims: workspaces have none, so it limits nothing"}
		},
	}
}

func validateLimitRange(limits *corev1.LimitRange) field.ErrorList {
	var errs field.ErrorList
	seen := map[corev1.LimitType]bool{}
	for i := range limits.Spec.Limits {
		item, path := &limits.Spec.Limits[i], field.NewPath("spec", "limits").Index(i)
		errs = append(errs, validateLimitType(item.Type, path.Child("type"))...)
		if seen[item.Type] {
			errs = append(errs, field.Duplicate(path.Child("type"), item.Type))
		}
		seen[item.Type] = true
		errs = append(errs, validateLimitNames(item, path)...)
		errs = append(errs, validateLimitOrder(item, path)...)
	}
	return errs
}

func validateLimitType(kind corev1.LimitType, path *field.Path) field.ErrorList {
	switch kind {
	case corev1.LimitTypePod, corev1.LimitTypeContainer, corev1.LimitTypePersistentVolumeClaim:
		return nil
	}
	return validateQualified(string(kind), kind, path, "must be a standard limit type or fully qualified")
}

// validateLimitNames checks the resource names in each list of an item.
func validateLimitNames(item *corev1.LimitRangeItem, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	validate := validateResourceName
	if item.Type == corev1.LimitTypePod || item.Type == corev1.LimitTypeContainer {
		validate = validateContainerResourceName
	}
	for _, l := range limitLists(item) {
		if item.Type == corev1.LimitTypePod && l.forContainers {
			if len(l.list) > 0 {
				errs = append(errs, field.Forbidden(path.Child(l.name), "may not be specified when `type` is 'Pod'"))
			}
			continue
		}
		for _, name := range sorted(l.list) {
			errs = append(errs, validate(name, path.Child(l.name).Key(string(name)))...)
		}
	}
	if item.Type == corev1.LimitTypePersistentVolumeClaim {
		_, hasMin := item.Min[corev1.ResourceStorage]
		_, hasMax := item.Max[corev1.ResourceStorage]
		if !hasMin && !hasMax {
			errs = append(errs, field.Required(path.Child("limits"), "either minimum or maximum storage value is required, but neither was provided"))
		}
	}
	return errs
}

type limitList struct {
	name          string
	list          corev1.ResourceList
	forContainers bool
}

func limitLists(item *corev1.LimitRangeItem) []limitList {
	return []limitList{
		{"max", item.Max, false},
		{"min", item.Min, false},
		{"default", item.Default, true},
		{"defaultRequest", item.DefaultRequest, true},
		{"maxLimitRequestRatio", item.MaxLimitRequestRatio, false},
	}
}

// validateLimitOrder requires min <= defaultRequest <= default <= max for the values that are set, and a possible ratio.
func validateLimitOrder(item *corev1.LimitRangeItem, path *field.Path) field.ErrorList {
	all := corev1.ResourceList{}
	for _, l := range limitLists(item) {
		maps.Copy(all, l.list)
	}
	defaults, requests := item.Default, item.DefaultRequest
	if item.Type == corev1.LimitTypePod {
		defaults, requests = nil, nil
	}
	var errs field.ErrorList
	for _, name := range sorted(all) {
		// In each pair, low must not exceed high. at is the field of the error.
		for _, pair := range []struct {
			low, high   corev1.ResourceList
			lowName     string
			highName    string
			at          string
			valueIsHigh bool
		}{
			{item.Min, item.Max, "min value", "max value", "min", false},
			{item.Min, requests, "min value", "default request value", "defaultRequest", true},
			{requests, item.Max, "default request value", "max value", "defaultRequest", false},
			{requests, defaults, "default request value", "default limit value", "defaultRequest", false},
			{item.Min, defaults, "min value", "default value", "default", false},
			{defaults, item.Max, "default value", "max value", "default", true},
		} {
			low, hasLow := pair.low[name]
			high, hasHigh := pair.high[name]
			if !hasLow || !hasHigh || low.Cmp(high) <= 0 {
				continue
			}
			value := low
			if pair.valueIsHigh {
				value = high
			}
			errs = append(errs, field.Invalid(path.Child(pair.at).Key(string(name)), value.String(),
				fmt.Sprintf("%s %s is greater than %s %s", pair.lowName, low.String(), pair.highName, high.String())))
		}
		errs = append(errs, validateRatio(item, name, path.Child("maxLimitRequestRatio").Key(string(name)))...)
		limit, hasLimit := defaults[name]
		request, hasRequest := requests[name]
		if !mayOvercommit(name) && hasLimit && hasRequest && limit.Cmp(request) != 0 {
			errs = append(errs, field.Invalid(path.Child("defaultRequest").Key(string(name)), request.String(),
				fmt.Sprintf("default value %s must equal to defaultRequest value %s in %s", limit.String(), request.String(), name)))
		}
	}
	return errs
}

// validateRatio requires that the ratio of limit to request is at least 1 and possible with min and max.
func validateRatio(item *corev1.LimitRangeItem, name corev1.ResourceName, path *field.Path) field.ErrorList {
	ratio, ok := item.MaxLimitRequestRatio[name]
	if !ok {
		return nil
	}
	var errs field.ErrorList
	if ratio.Cmp(*apimachineryresource.NewQuantity(1, apimachineryresource.DecimalSI)) < 0 {
		errs = append(errs, field.Invalid(path, ratio.String(), fmt.Sprintf("ratio %s is less than 1", ratio.String())))
	}
	low, hasMin := item.Min[name]
	high, hasMax := item.Max[name]
	if !hasMin || !hasMax {
		return errs
	}
	if most := high.AsApproximateFloat64() / low.AsApproximateFloat64(); ratio.AsApproximateFloat64() > most {
		errs = append(errs, field.Invalid(path, ratio.String(), fmt.Sprintf("ratio %s is greater than max/min = %f", ratio.String(), most)))
	}
	return errs
}

func sorted(list corev1.ResourceList) []corev1.ResourceName {
	return slices.Sorted(maps.Keys(list))
}
