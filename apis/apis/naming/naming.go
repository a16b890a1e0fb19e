package naming

import (
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
)

// Names are the names of a resource in its group.
type Names struct {
	Group      string
	Plural     string
	Singular   string
	ShortNames []string
	Kind       string
	ListKind   string
}

// OfSchema returns the names that a schema requests.
func OfSchema(schema *apisv1alpha1.APIResourceSchema) Names {
	return of(schema.Spec.Group, schema.Spec.Names)
}

// OfCRD returns the names that were accepted for a CustomResourceDefinition, or the requested names while none are accepted.
func OfCRD(crd *apiextensionsv1.CustomResourceDefinition) Names {
	if crd.Status.AcceptedNames.Plural != "" {
		return of(crd.Spec.Group, crd.Status.AcceptedNames)
	}
	return of(crd.Spec.Group, crd.Spec.Names)
}

func of(group string, names apiextensionsv1.CustomResourceDefinitionNames) Names {
	n := Names{
		Group: group, Plural: names.Plural, Singular: names.Singular, ShortNames: names.ShortNames,
		Kind: names.Kind, ListKind: names.ListKind,
	}
	// The server uses the same defaults for names that a CustomResourceDefinition does not set.
	if n.Singular == "" {
		n.Singular = strings.ToLower(n.Kind)
	}
	if n.ListKind == "" && n.Kind != "" {
		n.ListKind = n.Kind + "List"
	}
	return n
}

// Conflict is a name that two resources request.
type Conflict struct {
	// Field is the field of the new resource with the name: plural, singular, shortNames, kind or listKind.
	Field string
	// Value is the name.
	Value string
	// With is the plural and group of the resource that has it, for example widgets.example.com.
	With string
}

// Error implements error. The text is for users.
func (c Conflict) Error() string {
	return fmt.Sprintf("%s %q is already used by %s", c.Field, c.Value, c.With)
}

// Conflicts returns every name of newcomer that taken has too, in the order of the fields; nil when both can be served.
// The caller leaves out pairs that are the same resource, such as a resource and its own next version.
func Conflicts(newcomer, taken Names) []Conflict {
	if newcomer.Group != taken.Group {
		return nil
	}
	words := append([]string{taken.Plural, taken.Singular}, taken.ShortNames...)
	kinds := []string{taken.Kind, taken.ListKind}
	var conflicts []Conflict
	check := func(field string, in []string, values ...string) {
		for _, v := range values {
			if v != "" && slices.Contains(in, v) {
				conflicts = append(conflicts, Conflict{Field: field, Value: v, With: strings.TrimSuffix(taken.Plural+"."+taken.Group, ".")})
			}
		}
	}
	check("plural", words, newcomer.Plural)
	check("singular", words, newcomer.Singular)
	check("shortNames", words, newcomer.ShortNames...)
	check("kind", kinds, newcomer.Kind)
	check("listKind", kinds, newcomer.ListKind)
	return conflicts
}
