package validation

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/apis/rule"
)

// The functions of this file name the mistakes that people make. What they accept and refuse is what the rules say.

// WrongSchemaName returns what is wrong with the name of an APIResourceSchema for plural and group, core for the core group, that does not
// end in them.
func WrongSchemaName(name, plural, group string) string {
	suffix := "." + plural + "." + group
	if name == suffix[1:] {
		return fmt.Sprintf("must end in %s: this is the name of a CustomResourceDefinition; put a prefix and a dot before it, such as v1%s", suffix, suffix)
	}
	if _, rest, ok := strings.Cut(name, "."); ok {
		if named, of, ok := strings.Cut(rest, "."); ok && named == plural && of != "" {
			return fmt.Sprintf("must end in %s: this name is for %s of group %s", suffix, named, of)
		}
	}
	return fmt.Sprintf("must end in %s: the name is <prefix>.<plural>.<group>, such as v1%s", suffix, suffix)
}

// validateScope checks a scope that is not empty.
func validateScope(scope apiextensionsv1.ResourceScope, path *field.Path) field.ErrorList {
	known := []apiextensionsv1.ResourceScope{apiextensionsv1.ClusterScoped, apiextensionsv1.NamespaceScoped}
	for _, k := range known {
		if scope != k && strings.EqualFold(string(scope), string(k)) {
			return field.ErrorList{field.Invalid(path, scope, fmt.Sprintf("must be %s, with a capital letter", k))}
		}
	}
	return rule.OneOf(scope, path, known...)
}

// requiredName checks that a name is not empty. likely is what it usually is; empty if that is not known.
func requiredName(name string, path *field.Path, likely string) field.ErrorList {
	if name == "" && likely != "" {
		return field.ErrorList{field.Required(path, "a CustomResourceDefinition fills this in, an APIResourceSchema does not: usually "+likely)}
	}
	return rule.Required(name, path)
}

// listedTwice is the fault of an entry that an earlier one has the resource of.
func listedTwice(path *field.Path, resource string, first *field.Path) *field.Error {
	fault := field.Duplicate(path, resource)
	fault.Detail = fmt.Sprintf("%s is the same resource: an APIExport offers one schema of each", first)
	return fault
}

// wrongHash returns what is wrong with a text that is not an identity hash.
func wrongHash(hash string) string {
	if bare := strings.Trim(hash, " \t\r\n\"'`"); bare != hash && identityHashExp.MatchString(bare) {
		return "must be the identity hash of an APIExport: remove the quotes, spaces and line ends around it"
	}
	return "must be the identity hash of an APIExport"
}

// misplaced returns the faults of what was pasted where the schema of a version belongs.
func misplaced(version *apisv1alpha1.APIResourceVersion, path *field.Path) field.ErrorList {
	var fields map[string]json.RawMessage
	if json.Unmarshal(version.Schema.Raw, &fields) != nil {
		var text string
		if json.Unmarshal(version.Schema.Raw, &text) == nil && text != "" {
			return field.ErrorList{field.Invalid(path, field.OmitValueType{}, "must be an object, not a text: remove the | or the quotes before it")}
		}
		return nil // no schema at all, which the check of schemas says
	}
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(name string) bool { return fields[name] == nil })
	}
	invalid := func(format string, args ...any) field.ErrorList {
		return field.ErrorList{field.Invalid(path, field.OmitValueType{}, fmt.Sprintf(format, args...))}
	}
	var kind string
	_ = json.Unmarshal(fields["kind"], &kind) // any other kind of value is no kind
	switch {
	case has("openAPIV3Schema"):
		return invalid("openAPIV3Schema is one level too deep: an APIResourceSchema has the content of openAPIV3Schema directly below schema")
	case has("apiVersion", "kind") && !has("type"):
		return invalid("this is a whole object of kind %q: only the content of openAPIV3Schema of the version belongs here", kind)
	case has("names", "versions"):
		return invalid("this is the spec of a CustomResourceDefinition: only the content of openAPIV3Schema of the version belongs here")
	case !has("type"):
		return field.ErrorList{field.Required(path.Child("type"), "a schema begins with type: object")}
	}
	var root string
	if json.Unmarshal(fields["type"], &root) == nil && root != "object" {
		return field.ErrorList{field.Invalid(path.Child("type"), root, "must be object at the root of a schema")}
	}
	return nil
}

// WarnAPIResourceSchema returns what is probably a mistake in a new APIResourceSchema, though it is valid.
func WarnAPIResourceSchema(schema *apisv1alpha1.APIResourceSchema) []string {
	var warnings []string
	for i := range schema.Spec.Versions {
		version := &schema.Spec.Versions[i]
		var root struct {
			Properties map[string]json.RawMessage `json:"properties"`
		}
		if version.Subresources.Status != nil || json.Unmarshal(version.Schema.Raw, &root) != nil || root.Properties["status"] == nil {
			continue
		}
		warnings = append(warnings, fmt.Sprintf("spec.versions[%d].subresources.status is not set, but the schema has a status: there will be no subresource status, "+
			"and every user who writes an object writes its status. To have one, set subresources: {status: {}}", i))
	}
	return warnings
}
