package rule

import (
	"fmt"
	"net/url"
	"regexp"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// NotSupportedYet refuses a field of a feature that Annex does not support yet. The field is refused and not ignored, so that
// nobody relies on a missing feature.
func NotSupportedYet(path *field.Path, what string) *field.Error {
	return field.Forbidden(path, what+" not supported yet")
}

// SubdomainName is the rule for names of most kinds, in the form that apimachinery asks for.
func SubdomainName(name string, prefix bool) []string {
	return apivalidation.NameIsDNSSubdomain(name, prefix)
}

// LabelName is the rule for names that are one segment of a path: [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?.
func LabelName(name string, prefix bool) []string { return apivalidation.NameIsDNSLabel(name, prefix) }

// Matching returns a rule for names that match exp, which must be anchored.
func Matching(exp *regexp.Regexp, example string) apivalidation.ValidateNameFunc {
	return func(name string, prefix bool) []string {
		if prefix && len(name) > 0 {
			name += "x" // stands for what the server will append
		}
		if exp.MatchString(name) {
			return nil
		}
		return []string{validation.RegexError("a name is invalid", exp.String(), example)}
	}
}

// ObjectMeta checks the metadata of a new object without namespace.
func ObjectMeta(meta *metav1.ObjectMeta, name apivalidation.ValidateNameFunc) field.ErrorList {
	return apivalidation.ValidateObjectMeta(meta, false, name, field.NewPath("metadata"))
}

// ObjectMetaUpdate checks the metadata of a changed object.
func ObjectMetaUpdate(meta, old *metav1.ObjectMeta) field.ErrorList {
	return apivalidation.ValidateObjectMetaUpdate(meta, old, field.NewPath("metadata"))
}

// Required checks that a text is not empty.
func Required(value string, path *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return nil
}

// SubdomainRequired checks that a text is not empty and is a valid object name.
func SubdomainRequired(value string, path *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	var errs field.ErrorList
	for _, msg := range validation.IsDNS1123Subdomain(value) {
		errs = append(errs, field.Invalid(path, value, msg))
	}
	return errs
}

// WorkspacePath checks the path or name of a workspace; empty is fine, the wildcard is not.
func WorkspacePath(value string, path *field.Path) field.ErrorList {
	if value == "" {
		return nil
	}
	if value == logicalcluster.Wildcard.String() {
		return field.ErrorList{field.Invalid(path, value, "must be one workspace")}
	}
	if _, err := logicalcluster.ParsePath(value); err != nil {
		return field.ErrorList{field.Invalid(path, value, err.Error())}
	}
	return nil
}

// ClusterName checks the name of a logical cluster; empty is fine.
func ClusterName(value string, path *field.Path) field.ErrorList {
	if value == "" {
		return nil
	}
	if _, err := logicalcluster.ParseName(value); err != nil {
		return field.ErrorList{field.Invalid(path, value, err.Error())}
	}
	return nil
}

// URL checks an absolute address; empty is fine.
func URL(value string, path *field.Path) field.ErrorList {
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(path, value, err.Error())}
	case u.Scheme == "" || u.Host == "":
		return field.ErrorList{field.Invalid(path, value, "must be an absolute URL, such as https://example.com:6443")}
	}
	return nil
}

// Selector checks a label selector; nil is fine.
func Selector(selector *metav1.LabelSelector, path *field.Path) field.ErrorList {
	return metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path)
}

// Immutable checks that a field has not changed; message is the detail of the error.
func Immutable(value, old any, path *field.Path, message string) field.ErrorList {
	errs := apivalidation.ValidateImmutableField(value, old, path)
	for _, e := range errs {
		e.Detail = message
	}
	return errs
}

// SetOnce checks a text that can be set once, and then neither changed nor removed.
func SetOnce(value, old string, path *field.Path) field.ErrorList {
	if old == "" || value == old {
		return nil
	}
	return field.ErrorList{field.Invalid(path, value, "cannot be changed or removed once it is set")}
}

// OneOf checks that a text is one of those allowed; empty is fine.
func OneOf[T ~string](value T, path *field.Path, allowed ...T) field.ErrorList {
	if value == "" {
		return nil
	}
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return field.ErrorList{field.NotSupported(path, value, allowed)}
}

// Conditions checks the conditions of a status.
func Conditions(conditions conditionsv1alpha1.Conditions, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := map[conditionsv1alpha1.ConditionType]bool{}
	for i, c := range conditions {
		at := path.Index(i)
		errs = append(errs, Required(string(c.Type), at.Child("type"))...)
		errs = append(errs, Required(string(c.Status), at.Child("status"))...)
		if seen[c.Type] {
			errs = append(errs, field.Duplicate(at.Child("type"), c.Type))
		}
		seen[c.Type] = true
		errs = append(errs, OneOf(c.Status, at.Child("status"), "True", "False", "Unknown")...)
		errs = append(errs, OneOf(c.Severity, at.Child("severity"), conditionsv1alpha1.ConditionSeverityError,
			conditionsv1alpha1.ConditionSeverityWarning, conditionsv1alpha1.ConditionSeverityInfo)...)
		if c.Severity != "" && c.Status != "False" {
			errs = append(errs, field.Invalid(at.Child("severity"), c.Severity, fmt.Sprintf("must be empty while status is %s", c.Status)))
		}
	}
	return errs
}
