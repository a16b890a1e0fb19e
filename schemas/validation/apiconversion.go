package validation

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/rule"
	"github.com/annex-dev/annex/schemas/conversion"
)

const (
	// mostRules is how many rules an APIConversion may have. As many CEL rules are allowed in a schema.
	mostRules = 1_000
	// mostRuleBytes is how large an APIConversion may be as JSON. The server keeps it in an annotation of the definition that it serves, and
	// all annotations of an object together may have 256 KiB.
	mostRuleBytes = 192 << 10
)

// ValidateAPIConversion returns what is wrong with a new APIConversion, whatever its APIResourceSchema says.
func ValidateAPIConversion(c *apisv1alpha1.APIConversion) field.ErrorList {
	return append(rule.ObjectMeta(&c.ObjectMeta, rule.SubdomainName), validateConversions(c)...)
}

// ValidateAPIConversionUpdate returns what is wrong with the change of an APIConversion from old to c.
func ValidateAPIConversionUpdate(c, old *apisv1alpha1.APIConversion) field.ErrorList {
	return append(rule.ObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta), validateConversions(c)...)
}

func validateConversions(c *apisv1alpha1.APIConversion) field.ErrorList {
	path := field.NewPath("spec", "conversions")
	var errs field.ErrorList
	if len(c.Spec.Conversions) == 0 {
		errs = append(errs, field.Required(path, "must have at least one conversion"))
	}
	rules := 0
	for i := range c.Spec.Conversions {
		rules += len(c.Spec.Conversions[i].Rules) + len(c.Spec.Conversions[i].Preserve)
	}
	if rules > mostRules {
		return append(errs, field.TooMany(path, rules, mostRules))
	}
	data, err := json.Marshal(&c.Spec)
	if err != nil {
		return append(errs, field.InternalError(path, err))
	}
	if len(data) > mostRuleBytes {
		return append(errs, field.Invalid(path, field.OmitValueType{}, fmt.Sprintf("may have at most %d bytes of JSON, and has %d", mostRuleBytes, len(data))))
	}
	seen := map[[2]string]bool{}
	for i := range c.Spec.Conversions {
		one, at := &c.Spec.Conversions[i], path.Index(i)
		errs = append(errs, validateVersionName(one.From, at.Child("from"))...)
		errs = append(errs, validateVersionName(one.To, at.Child("to"))...)
		if pair := [2]string{one.From, one.To}; seen[pair] {
			errs = append(errs, field.Duplicate(at, one.From+" to "+one.To))
		} else {
			seen[pair] = true
		}
		errs = append(errs, validateRules(one, at)...)
	}
	return errs
}

func validateVersionName(name string, path *field.Path) field.ErrorList {
	switch {
	case name == "":
		return field.ErrorList{field.Required(path, "")}
	case !versionExp.MatchString(name):
		return field.ErrorList{field.Invalid(path, name, validation.RegexError("is not a version", versionExp.String(), "v1", "v1beta1"))}
	}
	return nil
}

func validateRules(one *apisv1alpha1.APIVersionConversion, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	destinations := map[string]bool{}
	for i := range one.Rules {
		r, at := &one.Rules[i], path.Child("rules").Index(i)
		_, faults := validatePath(r.Field, at.Child("field"))
		errs = append(errs, faults...)
		destination, faults := validatePath(r.Destination, at.Child("destination"))
		errs = append(errs, faults...)
		if destination != "" && destinations[destination] {
			errs = append(errs, field.Duplicate(at.Child("destination"), r.Destination))
		}
		destinations[destination] = true
	}
	for i, text := range one.Preserve {
		_, faults := validatePath(text, path.Child("preserve").Index(i))
		errs = append(errs, faults...)
	}
	return errs
}

// validatePath returns the one way in which a path is written, empty if it is none.
func validatePath(text string, path *field.Path) (string, field.ErrorList) {
	if text == "" {
		return "", field.ErrorList{field.Required(path, "the path of a field, such as .spec.name")}
	}
	parsed, err := conversion.ParsePath(text)
	if err != nil {
		return "", field.ErrorList{field.Invalid(path, text, err.Error())}
	}
	return parsed.String(), nil
}
