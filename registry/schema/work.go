package schema

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/apis/apis/crd"
)

// What validation of a value costs, in steps. A step is what a regular expression does for one of its instructions and one byte: up
// to 40 ns, and usually 10.
const (
	valueSteps = 10 // one schema, whatever it says
	enumSteps  = 4  // one allowed value
	// The library looks for each property that a schema has, and for each required one, in each object, also in an empty one. One that is
	// missing makes an error of its own.
	propertySteps, requiredSteps = 4, 20
	keySteps                     = 4 // one key of a list map, in each item
	// maxSteps is for one object. A field of 3 MiB with a pattern such as ^[A-Za-z0-9+/=]*$ takes 21 million.
	maxSteps = 32 << 20
)

// work says what it costs to validate a value, as far as that is more than valueSteps: of the value itself, and of what is in it. Nil is
// for a value that costs nothing else.
type work struct {
	pattern    int // instructions
	enum       int // allowed values
	object     int // steps for each object, whatever is in it
	item       int // steps for each item of a list, whatever is in it
	properties map[string]*work
	additional *work
	items      *work
	also       []*work // other schemas for the same value; all are tried
}

// newWork returns the work of a schema.
func newWork(s *apiextensionsv1.JSONSchemaProps) *work {
	if s == nil {
		return nil
	}
	w := &work{
		enum:   len(s.Enum),
		object: propertySteps*len(s.Properties) + requiredSteps*len(s.Required),
		item:   keySteps * len(s.XListMapKeys),
	}
	if s.Pattern != "" {
		w.pattern, _ = crd.PatternSize(s.Pattern) // what is no pattern is not served
		crd.Compiling(w.pattern)
	}
	for name, property := range s.Properties {
		if in := newWork(&property); in != nil {
			if w.properties == nil {
				w.properties = map[string]*work{}
			}
			w.properties[name] = in
		}
	}
	if s.AdditionalProperties != nil {
		w.additional = newWork(s.AdditionalProperties.Schema)
	}
	if s.Items != nil {
		w.items = newWork(s.Items.Schema)
	}
	for _, branches := range [][]apiextensionsv1.JSONSchemaProps{s.AllOf, s.AnyOf, s.OneOf} {
		for i := range branches {
			w.branch(&branches[i])
		}
	}
	if s.Not != nil {
		w.branch(s.Not)
	}
	if w.pattern == 0 && w.enum == 0 && w.object == 0 && w.item == 0 && w.properties == nil && w.additional == nil && w.items == nil && w.also == nil {
		return nil
	}
	return w
}

func (w *work) branch(s *apiextensionsv1.JSONSchemaProps) {
	in := newWork(s)
	if in == nil {
		in = &work{} // it is tried, too
	}
	w.also = append(w.also, in)
}

// budget counts the steps that are left for an object.
type budget struct {
	left int
	errs field.ErrorList // at most one
}

// spend takes steps for the value at path, and reports whether there were as many.
func (b *budget) spend(path *field.Path, steps int, why func() string) bool {
	if b.left -= steps; b.left >= 0 {
		return true
	}
	b.errs = append(b.errs, field.Invalid(path, field.OmitValueType{}, fmt.Sprintf(
		"the object takes too long to validate: at least %d steps, at most %d are allowed; %s", maxSteps-b.left, maxSteps, why())))
	return false
}

// take spends what it costs to validate value, and reports whether that is left.
func (b *budget) take(w *work, value any, path *field.Path) bool {
	if !b.spend(path, valueSteps, func() string { return "it has too many values, or its schema too many alternatives" }) {
		return false
	}
	if w == nil {
		w = &work{}
	}
	if !b.spend(path, enumSteps*w.enum, func() string { return fmt.Sprintf("this value is compared with %d allowed ones", w.enum) }) {
		return false
	}
	for _, other := range w.also {
		if !b.take(other, value, path) {
			return false
		}
	}
	switch value := value.(type) {
	case string:
		return w.pattern == 0 || b.spend(path, w.pattern*len(value), func() string {
			return fmt.Sprintf("this value has %d bytes, and its pattern %d instructions", len(value), w.pattern)
		})
	case map[string]any:
		if !b.spend(path, w.object, func() string { return "the schema of this object has too many properties for so many objects" }) {
			return false
		}
		for key, v := range value {
			in, ok := w.properties[key]
			if !ok {
				in = w.additional
			}
			if !b.take(in, v, child(path, key)) {
				return false
			}
		}
	case []any:
		if !b.spend(path, w.item*len(value), func() string { return "this list has too many items for the number of its keys" }) {
			return false
		}
		for i, v := range value {
			if !b.take(w.items, v, path.Index(i)) {
				return false
			}
		}
	}
	return true
}

func child(path *field.Path, key string) *field.Path {
	if path == nil {
		return field.NewPath(key)
	}
	return path.Child(key)
}
