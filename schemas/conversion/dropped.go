package conversion

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
)

// mostDropped is how many fields a warning names.
const mostDropped = 5

// Dropped returns a warning for each pair of versions between which objects lose fields: those that neither a rule nor preserve names, or that
// a rule copies to where the schema does not know them. Spec must compile for definition.
func Dropped(spec *apisv1alpha1.APIConversionSpec, definition *apiextensionsv1.CustomResourceDefinition) []string {
	schemas, err := structurals(definition)
	if err != nil {
		return nil
	}
	var warnings []string
	for i := range spec.Conversions {
		c := &spec.Conversions[i]
		from, to := schemas[c.From], schemas[c.To]
		if from == nil || to == nil {
			continue
		}
		lost := losses{in: c, to: to}
		lost.below(nil, from)
		if len(lost.paths) == 0 {
			continue
		}
		names := strings.Join(lost.paths[:min(mostDropped, len(lost.paths))], ", ")
		if more := len(lost.paths) - mostDropped; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		warnings = append(warnings, fmt.Sprintf("spec.conversions[%d]: conversion from %s to %s drops %s; to keep a field, name it in a rule or in preserve", i, c.From, c.To, names))
	}
	return warnings
}

// losses collects the paths of fields that a conversion drops.
type losses struct {
	in    *apisv1alpha1.APIVersionConversion
	to    *structuralschema.Structural
	paths []string
}

// below looks at the fields of the object at path.
func (l *losses) below(path Path, schema *structuralschema.Structural) {
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		if len(path) == 0 && slices.Contains([]string{"apiVersion", "kind", "metadata"}, name) {
			continue
		}
		property := schema.Properties[name]
		at := append(slices.Clone(path), name)
		switch l.fate(at) {
		case whole:
		case partly:
			l.below(at, &property)
		default:
			l.paths = append(l.paths, at.String())
		}
	}
}

type fate int

const (
	lost fate = iota
	partly
	whole
)

// fate returns how much of the field at path is kept.
func (l *losses) fate(path Path) fate {
	found := lost
	for _, text := range l.in.Preserve {
		kept, err := ParsePath(text)
		switch {
		case err != nil:
		case kept.begins(path):
			return whole
		case path.begins(kept):
			found = partly
		}
	}
	for i := range l.in.Rules {
		rule := &l.in.Rules[i]
		source, err := ParsePath(rule.Field)
		if err != nil {
			continue
		}
		switch {
		case source.begins(path) && rule.Transformation != "":
			return whole
		case source.begins(path):
			destination, err := ParsePath(rule.Destination)
			if err == nil {
				found = max(found, l.arrives(append(slices.Clone(destination), path[len(source):]...)))
			}
		case path.begins(source):
			found = max(found, partly)
		}
	}
	return found
}

// arrives returns how much is kept of a field that is copied to path.
func (l *losses) arrives(path Path) fate {
	schema := l.to
	for _, name := range path {
		if schema = within(schema, name); schema == nil {
			return lost
		}
	}
	if len(schema.Properties) > 0 && !schema.XPreserveUnknownFields {
		return partly
	}
	return whole
}
