package cost

import (
	"bytes"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/annex-dev/annex/schemas/crd"
)

// What validation costs, in steps of about 10 ns: see BenchmarkWork_Steps. A pattern takes a step for each of its instructions and each byte.
const (
	valueSteps   = 400 // a value, for each schema that it is tried with
	unknownSteps = 20  // a value without schema, which nothing looks into
	// The library looks for each property that a schema has in each object, also in an empty one. An update makes a map of all of them
	// for each one that the object had before.
	propertySteps, correlateSteps = 100, 100
	// A required property that is missing makes an error.
	requiredSteps, missingSteps        = 10, 100
	scalarEnumSteps, compoundEnumSteps = 30, 300 // an allowed value
	listMapSteps, keySteps             = 500, 30 // an item, and each key of it
	setSteps                           = 500     // a value anywhere in a set
	formatSteps, formatByteSteps       = 500, 20 // a text with a format, and each byte of it
	// The library makes the path of each value, and of each property that a schema has.
	pathBytes = 16 // in a step
	// Each error is compared with all others.
	errorPairSteps = 4
	// maxSteps is for one object, about a second. One of 1.5 MB, which is all that etcd stores, takes less than half: see
	// TestWork_OfLargeObjects.
	maxSteps = 128 << 20
)

// work says what it costs to validate a value, and what is in it. Nil is for a value without schema.
type work struct {
	pattern    int // instructions
	enum       int // steps for all allowed values
	named      int // properties
	required   []string
	item       int // steps for each item of a list, whatever is in it
	keyed      bool
	set        bool
	format     bool
	properties map[string]*work
	additional *work
	items      *work
	also       []*work // other schemas for the same value; all are tried
}

// plain is for all schemas that say nothing special.
var plain = &work{}

// newWork returns the work of a schema.
func newWork(s *apiextensionsv1.JSONSchemaProps) *work {
	if s == nil {
		return nil
	}
	w := &work{named: len(s.Properties), required: s.Required, format: s.Format != ""}
	for _, value := range s.Enum {
		if compound(value.Raw) {
			w.enum += compoundEnumSteps
		} else {
			w.enum += scalarEnumSteps
		}
	}
	if s.XListType != nil {
		w.keyed, w.set = *s.XListType == "map", *s.XListType == "set"
	}
	if w.keyed {
		w.item = listMapSteps + keySteps*len(s.XListMapKeys)
	}
	if s.Pattern != "" {
		w.pattern, _ = crd.PatternSize(s.Pattern) // what is no pattern is not served
		crd.Compiling(w.pattern)
	}
	for name, property := range s.Properties {
		if w.properties == nil {
			w.properties = make(map[string]*work, len(s.Properties))
		}
		w.properties[name] = newWork(&property)
	}
	if s.AdditionalProperties != nil {
		w.additional = newWork(s.AdditionalProperties.Schema)
	}
	if s.Items != nil {
		w.items = newWork(s.Items.Schema)
	}
	for _, branches := range [][]apiextensionsv1.JSONSchemaProps{s.AllOf, s.AnyOf, s.OneOf} {
		for i := range branches {
			w.also = append(w.also, newWork(&branches[i]))
		}
	}
	if s.Not != nil {
		w.also = append(w.also, newWork(s.Not))
	}
	if w.pattern == 0 && w.enum == 0 && w.named == 0 && len(w.required) == 0 && !w.keyed && !w.set && !w.format && w.additional == nil && w.items == nil && w.also == nil {
		return plain
	}
	return w
}

func compound(raw []byte) bool {
	text := bytes.TrimSpace(raw)
	return len(text) > 0 && (text[0] == '{' || text[0] == '[')
}

// budget counts the steps that are left for an object.
type budget struct {
	left  int
	tries int             // what may have errors: values with a schema, and what is missing
	path  int             // bytes of the path to the value
	errs  field.ErrorList // at most one
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

// take spends what it costs to validate value, and reports whether that is left. In an update, old is what value was before, if the stock
// validator looks for that.
func (b *budget) take(w *work, value, old any, path *field.Path) bool {
	const many = "it has too many values, or its schema too many alternatives"
	if w == nil {
		return b.spend(path, unknownSteps, func() string { return many })
	}
	b.tries++
	if !b.spend(path, valueSteps+b.path/pathBytes, func() string { return many }) {
		return false
	}
	if !b.spend(path, w.enum, func() string { return "this value is compared with too many allowed ones" }) {
		return false
	}
	for _, other := range w.also {
		before := b.tries
		if !b.take(other, value, nil, path) {
			return false
		}
		// All values may have errors here, because this schema is one of several.
		tries := b.tries - before
		if !b.spend(path, errorPairSteps*tries*tries, func() string { return fmt.Sprintf("an alternative concerns %d values", tries) }) {
			return false
		}
	}
	switch value := value.(type) {
	case string:
		return b.text(w, value, path)
	case map[string]any:
		return b.object(w, value, old, path)
	case []any:
		return b.list(w, value, old, path)
	}
	return true
}

func (b *budget) text(w *work, value string, path *field.Path) bool {
	if w.format && !b.spend(path, formatSteps+formatByteSteps*len(value), func() string { return fmt.Sprintf("this value has a format, and %d bytes", len(value)) }) {
		return false
	}
	return w.pattern == 0 || b.spend(path, w.pattern*len(value), func() string {
		return fmt.Sprintf("this value has %d bytes, and its pattern %d instructions", len(value), w.pattern)
	})
}

func (b *budget) object(w *work, value map[string]any, old any, path *field.Path) bool {
	missing := 0
	for _, name := range w.required {
		if _, ok := value[name]; !ok {
			missing++
		}
	}
	b.tries += missing
	before, updated := old.(map[string]any)
	known := 0
	if updated && w.named > 0 {
		for key := range value {
			if _, ok := before[key]; ok {
				known++
			}
		}
	}
	steps := (propertySteps+b.path/pathBytes)*w.named + correlateSteps*w.named*known + requiredSteps*len(w.required) + (missingSteps+errorPairSteps*missing)*missing
	if !b.spend(path, steps, func() string { return "the schema of this object has too many properties for so many objects" }) {
		return false
	}
	for key, v := range value {
		in, ok := w.properties[key]
		if !ok {
			in = w.additional
		}
		b.path += len(key) + 1
		if !b.take(in, v, before[key], child(path, key)) {
			return false
		}
		b.path -= len(key) + 1
	}
	return true
}

func (b *budget) list(w *work, value []any, old any, path *field.Path) bool {
	steps := w.item * len(value)
	if w.set {
		steps = setSteps * crd.Values(value)
	}
	if !b.spend(path, steps, func() string { return "this list has too many items to compare" }) {
		return false
	}
	before, updated := old.([]any)
	updated = updated && w.keyed && len(before) > 0
	for i, v := range value {
		var was any
		if updated {
			was = v // there may be one with these keys
		}
		if !b.take(w.items, v, was, path.Index(i)) {
			return false
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
