package validation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/rule"
	"github.com/annex-dev/annex/schemas/crd"
)

var (
	prefixExp  = regexp.MustCompile(`^[a-z]([-a-z0-9]*[a-z0-9])?$`)
	versionExp = regexp.MustCompile(`^v[1-9][0-9]*([a-z]+[1-9][0-9]*)?$`)
)

// shortGroups are the groups without a dot that Kubernetes has from its early days.
var shortGroups = []string{"apps", "batch", "extensions", "policy", "autoscaling"}

// ValidateAPIResourceSchema returns what is wrong with a new APIResourceSchema, the schemas in it and their CEL rules included.
func ValidateAPIResourceSchema(ctx context.Context, schema *apisv1alpha1.APIResourceSchema) field.ErrorList {
	errs := rule.ObjectMeta(&schema.ObjectMeta, rule.SubdomainName)
	spec := field.NewPath("spec")
	errs = append(errs, validateSchemaGroupAndName(schema, spec)...)
	errs = append(errs, validateNames(&schema.Spec.Names, spec.Child("names"))...)
	switch schema.Spec.Scope {
	case "":
		errs = append(errs, field.Required(spec.Child("scope"), ""))
	default:
		errs = append(errs, validateScope(schema.Spec.Scope, spec.Child("scope"))...)
	}
	errs = append(errs, validateVersions(schema.Spec.Versions, spec.Child("versions"))...)
	switch schema.Spec.NameValidation {
	case "", apisv1alpha1.NameValidationDNS1123Subdomain, apisv1alpha1.NameValidationPathSegmentName:
	default:
		errs = append(errs, field.NotSupported(spec.Child("nameValidation"), schema.Spec.NameValidation,
			[]string{apisv1alpha1.NameValidationDNS1123Subdomain, apisv1alpha1.NameValidationPathSegmentName}))
	}
	errs = append(errs, validateConversion(schema, spec.Child("conversion"))...)
	for i := range schema.Spec.Versions {
		errs = append(errs, misplaced(&schema.Spec.Versions[i], spec.Child("versions").Index(i).Child("schema"))...)
	}
	if len(errs) > 0 {
		return errs // the checks below would report the same faults again
	}
	return crd.Validate(ctx, schema)
}

// ValidateAPIResourceSchemaUpdate returns what is wrong with the change of an APIResourceSchema from old to schema: only
// the metadata may change.
func ValidateAPIResourceSchemaUpdate(schema, old *apisv1alpha1.APIResourceSchema) field.ErrorList {
	errs := rule.ObjectMetaUpdate(&schema.ObjectMeta, &old.ObjectMeta)
	if !sameSpec(&schema.Spec, &old.Spec) {
		errs = append(errs, field.Forbidden(field.NewPath("spec"), "an APIResourceSchema cannot be changed; create a new one"))
	}
	return errs
}

// sameSpec compares the content of schemas. Their JSON is stored as the client wrote it, and the next client may write
// the keys in another order.
func sameSpec(a, b *apisv1alpha1.APIResourceSchemaSpec) bool {
	if len(a.Versions) != len(b.Versions) {
		return false
	}
	a, b = a.DeepCopy(), b.DeepCopy()
	for i := range a.Versions {
		if !sameJSON(a.Versions[i].Schema.Raw, b.Versions[i].Schema.Raw) {
			return false
		}
		a.Versions[i].Schema, b.Versions[i].Schema = runtime.RawExtension{}, runtime.RawExtension{}
	}
	return apiequality.Semantic.DeepEqual(a, b)
}

func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

func validateSchemaGroupAndName(schema *apisv1alpha1.APIResourceSchema, spec *field.Path) field.ErrorList {
	group, path := schema.Spec.Group, spec.Child("group")
	suffix := group
	var errs field.ErrorList
	if group == "" {
		suffix = apisv1alpha2.APIResourceSchemaCoreSuffix
		errs = append(errs, rule.NotSupportedYet(path, "schemas of the core group are"))
	} else {
		errs = append(errs, validateGroup(group, path)...)
	}
	if schema.Name != "" && schema.Spec.Names.Plural != "" {
		errs = append(errs, validateSchemaName(schema.Name, schema.Spec.Names.Plural, suffix, field.NewPath("metadata", "name"))...)
	}
	return errs
}

// validateSchemaName checks a name of the form prefix.plural.suffix.
func validateSchemaName(name, plural, suffix string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	prefix, ok := strings.CutSuffix(name, "."+plural+"."+suffix)
	if !ok {
		return field.ErrorList{field.Invalid(path, name, WrongSchemaName(name, plural, suffix))}
	}
	if !prefixExp.MatchString(prefix) {
		return field.ErrorList{field.Invalid(path, name, validation.RegexError("the prefix before ."+plural+"."+suffix+" is invalid", prefixExp.String(), "v1"))}
	}
	return nil
}

// validateGroup checks a group other than the core group.
func validateGroup(group string, path *field.Path) field.ErrorList {
	if group == apisv1alpha2.APIResourceSchemaCoreSuffix {
		return field.ErrorList{field.Invalid(path, group, "must be the empty string for the core group")}
	}
	var errs field.ErrorList
	for _, msg := range validation.IsDNS1123Subdomain(group) {
		errs = append(errs, field.Invalid(path, group, msg))
	}
	if len(errs) == 0 && !strings.Contains(group, ".") && !slices.Contains(shortGroups, group) {
		errs = append(errs, field.Invalid(path, group, "must be a domain with at least one dot"))
	}
	return errs
}

func validatePlural(plural string, path *field.Path) field.ErrorList {
	if plural == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	if short, group, dotted := strings.Cut(plural, "."); dotted {
		return field.ErrorList{field.Invalid(path, plural, fmt.Sprintf("must not contain the group: write %s here and %s as the group", short, group))}
	}
	var errs field.ErrorList
	for _, msg := range validation.IsDNS1035Label(plural) {
		errs = append(errs, field.Invalid(path, plural, msg))
	}
	return errs
}

func validateNames(names *apiextensionsv1.CustomResourceDefinitionNames, path *field.Path) field.ErrorList {
	errs := validatePlural(names.Plural, path.Child("plural"))
	errs = append(errs, requiredName(names.Singular, path.Child("singular"), strings.ToLower(names.Kind))...)
	errs = append(errs, rule.Required(names.Kind, path.Child("kind"))...)
	listKind := ""
	if names.Kind != "" {
		listKind = names.Kind + "List"
	}
	return append(errs, requiredName(names.ListKind, path.Child("listKind"), listKind)...)
}

func validateVersions(versions []apisv1alpha1.APIResourceVersion, path *field.Path) field.ErrorList {
	if len(versions) == 0 {
		return field.ErrorList{field.Required(path, "must have at least one version")}
	}
	var errs field.ErrorList
	seen := map[string]bool{}
	var stored []string
	for i, v := range versions {
		at := path.Index(i)
		switch {
		case v.Name == "":
			errs = append(errs, field.Required(at.Child("name"), ""))
		case !versionExp.MatchString(v.Name):
			errs = append(errs, field.Invalid(at.Child("name"), v.Name, validation.RegexError("is not a version", versionExp.String(), "v1", "v1beta1")))
		case seen[v.Name]:
			errs = append(errs, field.Duplicate(at.Child("name"), v.Name))
		}
		seen[v.Name] = true
		if v.Storage {
			stored = append(stored, v.Name)
		}
	}
	switch len(stored) {
	case 0:
		errs = append(errs, field.Invalid(path, 0, "must have exactly one version with storage: true, but none has it"))
	case 1:
	default:
		errs = append(errs, field.Invalid(path, len(stored), "must have exactly one version with storage: true, but these have it: "+strings.Join(stored, ", ")))
	}
	return errs
}

func validateConversion(schema *apisv1alpha1.APIResourceSchema, path *field.Path) field.ErrorList {
	conversion := schema.Spec.Conversion
	if conversion == nil {
		if len(schema.Spec.Versions) > 1 {
			return field.ErrorList{field.Required(path, "is required if there are several versions")}
		}
		return nil
	}
	switch conversion.Strategy {
	case apisv1alpha1.NoneConverter:
		if conversion.Webhook != nil {
			return field.ErrorList{field.Forbidden(path.Child("webhook"), "must not be set when strategy is not Webhook")}
		}
		return nil
	case apisv1alpha1.WebhookConverter:
		return validateWebhook(conversion.Webhook, path.Child("webhook"))
	case "":
		return field.ErrorList{field.Required(path.Child("strategy"), "")}
	}
	return rule.OneOf(conversion.Strategy, path.Child("strategy"), apisv1alpha1.NoneConverter, apisv1alpha1.WebhookConverter)
}

// validateWebhook checks which parts of a webhook are there. What is in them, schemas/crd checks.
func validateWebhook(webhook *apisv1alpha1.WebhookConversion, path *field.Path) field.ErrorList {
	if webhook == nil {
		return field.ErrorList{field.Required(path, "is required when strategy is Webhook")}
	}
	var errs field.ErrorList
	switch at := path.Child("clientConfig"); {
	case webhook.ClientConfig == nil:
		errs = append(errs, field.Required(at, ""))
	case webhook.ClientConfig.URL == "":
		errs = append(errs, field.Required(at.Child("url"), "a webhook needs a URL: a workspace has no services"))
	}
	if len(webhook.ConversionReviewVersions) == 0 {
		errs = append(errs, field.Required(path.Child("conversionReviewVersions"), ""))
	}
	return errs
}
