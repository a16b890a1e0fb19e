package conversion

import (
	"fmt"
	"slices"

	"github.com/google/cel-go/cel"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/schemas/crd"
)

// Rules are the rules of an APIConversion, compiled for the schemas of one definition. They do not change, and many goroutines may use them.
type Rules struct {
	group  string
	stored string
	pairs  map[pair]*conversion
}

// pair names two versions.
type pair struct{ from, to string }

// conversion converts from one version to another.
type conversion struct {
	pair
	rules []rule
	// preserve is what of the old object is kept, and restore what comes back of an earlier one.
	preserve []preserved
	restore  []preserved
}

// rule fills in a field.
type rule struct {
	field, destination Path
	schema             *structuralschema.Structural // of the destination
	program            *program                     // nil to take the value as it is
}

// preserved is a field that the other version does not have.
type preserved struct {
	path   Path
	key    string // of the path in the annotation: as it is in the rules
	schema *structuralschema.Structural
}

// versions are the schemas of a definition by version.
type versions map[string]*structuralschema.Structural

// Compile returns the rules of spec for the versions of definition, or what is wrong with them.
func Compile(spec *apisv1alpha1.APIConversionSpec, definition *apiextensionsv1.CustomResourceDefinition) (*Rules, field.ErrorList) {
	path := field.NewPath("spec", "conversions")
	if c := definition.Spec.Conversion; c != nil && c.Strategy != apiextensionsv1.NoneConverter {
		return nil, field.ErrorList{field.Forbidden(path, fmt.Sprintf("the APIResourceSchema converts with strategy %s", c.Strategy))}
	}
	schemas, err := structurals(definition)
	if err != nil {
		return nil, field.ErrorList{field.InternalError(path, err)}
	}
	r := &Rules{group: definition.Spec.Group, pairs: map[pair]*conversion{}}
	for _, v := range definition.Spec.Versions {
		if v.Storage {
			r.stored = v.Name
		}
	}
	c := &compiler{environments: map[string]*cel.Env{}}
	var errs field.ErrorList
	for i := range spec.Conversions {
		at := path.Index(i)
		one, faults := c.conversion(&spec.Conversions[i], schemas, at)
		errs = append(errs, faults...)
		if r.pairs[one.pair] != nil {
			errs = append(errs, field.Duplicate(at, one.from+" to "+one.to))
		}
		r.pairs[one.pair] = one
	}
	for _, v := range definition.Spec.Versions {
		for _, needed := range []pair{{v.Name, r.stored}, {r.stored, v.Name}} {
			if v.Name != r.stored && r.pairs[needed] == nil {
				errs = append(errs, field.Required(path, fmt.Sprintf("a conversion from %s to %s: objects are stored in %s", needed.from, needed.to, r.stored)))
			}
		}
	}
	if len(definition.Spec.Versions) == 1 {
		errs = append(errs, field.Forbidden(path, fmt.Sprintf("the APIResourceSchema has only version %s", r.stored)))
	}
	for key, one := range r.pairs {
		if back := r.pairs[pair{key.to, key.from}]; back != nil {
			one.restore = back.preserve
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return r, nil
}

// structurals returns the schemas of the versions. A version without one takes everything.
func structurals(definition *apiextensionsv1.CustomResourceDefinition) (versions, error) {
	known, err := crd.Structural(definition)
	if err != nil {
		return nil, err
	}
	all := versions(known)
	for _, v := range definition.Spec.Versions {
		if all[v.Name] == nil {
			all[v.Name] = anything()
		}
	}
	return all, nil
}

// anything is the schema of a value of which nothing is known.
func anything() *structuralschema.Structural {
	return &structuralschema.Structural{Extensions: structuralschema.Extensions{XPreserveUnknownFields: true}}
}

// conversion compiles the rules for one pair of versions, which are at path.
func (c *compiler) conversion(in *apisv1alpha1.APIVersionConversion, schemas versions, path *field.Path) (*conversion, field.ErrorList) {
	out := &conversion{pair: pair{in.From, in.To}}
	from, to := schemas[in.From], schemas[in.To]
	var errs field.ErrorList
	if from == nil {
		errs = append(errs, field.Invalid(path.Child("from"), in.From, "the APIResourceSchema has no such version"))
	}
	if to == nil {
		errs = append(errs, field.Invalid(path.Child("to"), in.To, "the APIResourceSchema has no such version"))
	}
	if in.From == in.To {
		errs = append(errs, field.Invalid(path.Child("to"), in.To, "must be another version than from"))
	}
	if len(errs) > 0 {
		return out, errs
	}
	for i := range in.Rules {
		one, faults := c.rule(&in.Rules[i], in, from, to, path.Child("rules").Index(i))
		errs = append(errs, faults...)
		out.rules = append(out.rules, one)
	}
	for i, text := range in.Preserve {
		at := path.Child("preserve").Index(i)
		p, schema, fault := locate(text, in.From, from, at)
		if fault != nil {
			errs = append(errs, fault)
			continue
		}
		if slices.ContainsFunc(out.preserve, func(other preserved) bool { return other.path.begins(p) || p.begins(other.path) }) {
			errs = append(errs, field.Invalid(at, text, "is preserved twice"))
		}
		out.preserve = append(out.preserve, preserved{p, text, schema})
	}
	return out, errs
}

func (c *compiler) rule(in *apisv1alpha1.APIConversionRule, pair *apisv1alpha1.APIVersionConversion, from, to *structuralschema.Structural,
	path *field.Path) (rule, field.ErrorList) {
	var errs field.ErrorList
	source, of, fault := locate(in.Field, pair.From, from, path.Child("field"))
	if fault != nil {
		errs = append(errs, fault)
	}
	destination, schema, fault := locate(in.Destination, pair.To, to, path.Child("destination"))
	if fault != nil {
		errs = append(errs, fault)
	}
	if len(errs) > 0 {
		return rule{}, errs
	}
	out := rule{field: source, destination: destination, schema: schema}
	switch {
	case in.Transformation != "":
		var err error
		if out.program, err = c.compile(in.Transformation, pair.From, source, of, schema); err != nil {
			errs = append(errs, field.Invalid(path.Child("transformation"), in.Transformation, err.Error()))
		}
	case of.Type != "" && schema.Type != "" && of.Type != schema.Type && (of.Type != "integer" || schema.Type != "number"):
		errs = append(errs, field.Invalid(path.Child("destination"), in.Destination, fmt.Sprintf("is of type %s, and %s is of type %s: a transformation is needed", schema.Type, in.Field, of.Type)))
	}
	return out, errs
}

// locate returns the path that text is, and the schema of that field in a version.
func locate(text, version string, schema *structuralschema.Structural, path *field.Path) (Path, *structuralschema.Structural, *field.Error) {
	p, err := ParsePath(text)
	if err != nil {
		return nil, nil, field.Invalid(path, text, err.Error())
	}
	if slices.Contains([]string{"apiVersion", "kind", "metadata"}, p[0]) {
		return nil, nil, field.Invalid(path, text, "apiVersion, kind and metadata are not for rules")
	}
	for i, name := range p {
		if schema.Type == "array" {
			return nil, nil, field.Invalid(path, text, fmt.Sprintf("%s is a list: name the list itself and use a transformation", p[:i]))
		}
		if schema = within(schema, name); schema == nil {
			return nil, nil, field.Invalid(path, text, fmt.Sprintf("version %s has no field %s", version, p[:i+1]))
		}
	}
	return p, ptr.To(*schema), nil // a copy: the rest of the schema is not kept
}

// within returns the schema of the field called name; nil if there is no such field, or nothing is known of schema.
func within(schema *structuralschema.Structural, name string) *structuralschema.Structural {
	if schema == nil {
		return nil
	}
	if property, ok := schema.Properties[name]; ok {
		return &property
	}
	switch additional := schema.AdditionalProperties; {
	case additional != nil && additional.Structural != nil:
		return additional.Structural
	case additional != nil && additional.Bool, schema.XPreserveUnknownFields:
		return anything()
	}
	return nil
}
