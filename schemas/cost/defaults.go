package cost

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// MaxDefaults is what defaults may add to one object, in bytes of JSON: as much as a request may have, and twice what etcd stores.
	MaxDefaults = 3 << 20
	// countless is more than any budget. Nothing counts beyond it, because defaults in defaults grow by multiplication.
	countless = 1 << 32
)

// Growth says what the defaults of the versions of a definition add to an object. Nil is for a definition without defaults.
type Growth map[string]*defaults

// NewGrowth returns the growth of a definition; nil if it has no defaults.
func NewGrowth(definition *apiextensionsv1.CustomResourceDefinition) Growth {
	var g Growth
	for _, v := range definition.Spec.Versions {
		if v.Schema == nil {
			continue
		}
		if d := newDefaults(v.Schema.OpenAPIV3Schema); d != nil {
			if g == nil {
				g = Growth{}
			}
			g[v.Name] = d
		}
	}
	return g
}

// of returns the defaults that the stock handler gives obj, which are those of the version that obj says.
func (g Growth) of(obj map[string]any) *defaults {
	apiVersion, _, _ := unstructured.NestedString(obj, "apiVersion")
	gv, _ := schema.ParseGroupVersion(apiVersion)
	return g[gv.Version]
}

// Few reports whether an object in which there are so many objects and nulls is small enough whatever it says.
func (g Growth) Few(objects int) bool {
	for d := range maps.Values(g) {
		if d.once > MaxDefaults || d.each > (MaxDefaults-d.once)/(objects+1) {
			return false
		}
	}
	return true
}

// Check returns where defaults add too much to obj, and whether they do not.
func (g Growth) Check(obj map[string]any) (where string, ok bool) {
	left := MaxDefaults
	return g.of(obj).take(obj, &left, false)
}

// CheckBare is like Check for all parts together, with what would be added to them if they lost everything that has a default. The version is
// that of obj.
func (g Growth) CheckBare(obj map[string]any, parts ...map[string]any) (where string, ok bool) {
	left := MaxDefaults
	for _, part := range parts {
		if where, ok := g.of(obj).take(part, &left, true); !ok {
			return where, false
		}
	}
	return "", true
}

// MostObjects returns how many objects and nulls JSON has at most.
func MostObjects(data []byte) int {
	return bytes.Count(data, []byte("{")) + bytes.Count(data, []byte("null"))
}

// Objects returns how many objects and nulls are in value.
func Objects(value any) int {
	n := 0
	switch value := value.(type) {
	case nil:
		n++
	case map[string]any:
		n++
		for _, v := range value {
			n += Objects(v)
		}
	case []any:
		for _, v := range value {
			n += Objects(v)
		}
	}
	return n
}

// TooMuch says that defaults add too much.
func TooMuch(where string) string {
	return fmt.Sprintf("the defaults of the schema may add at most %d bytes to an object; they add more, the last ones to %q", MaxDefaults, where)
}

// defaults says what the defaults of a schema add to a value, in bytes of JSON. Nil is for a schema that adds nothing.
type defaults struct {
	absent     map[string]absent // properties with a default
	properties map[string]*defaults
	additional *defaults
	items      *defaults
	null       int // what replaces null in a list or a map
	// once is what is added to values that an object has at most once, and each what is added to any single other one.
	once, each int
}

// absent is a property that is added where it is missing.
type absent struct {
	size     int // with the defaults that are added to the default
	nullable bool
}

func newDefaults(s *apiextensionsv1.JSONSchemaProps) *defaults {
	if s == nil {
		return nil
	}
	d := &defaults{absent: map[string]absent{}, properties: map[string]*defaults{}}
	for name, property := range s.Properties {
		in := newDefaults(&property)
		if in != nil {
			d.properties[name] = in
			d.once, d.each = sum(d.once, in.once), max(d.each, in.each)
		}
		if size := in.replaced(&property); size > 0 {
			d.absent[name] = absent{size: sum(size, len(name)+len(`"":,`)), nullable: property.Nullable}
			d.once = sum(d.once, d.absent[name].size)
		}
	}
	if s.AdditionalProperties != nil {
		d.additional = d.many(s.AdditionalProperties.Schema)
	}
	if s.Items != nil {
		d.items = d.many(s.Items.Schema)
	}
	if d.once == 0 && d.each == 0 {
		return nil
	}
	return d
}

// many returns the defaults of values that d may have any number of.
func (d *defaults) many(s *apiextensionsv1.JSONSchemaProps) *defaults {
	in := newDefaults(s)
	if s == nil || in == nil && s.Default == nil {
		return nil
	}
	if in == nil {
		in = &defaults{}
	}
	if !s.Nullable {
		in.null = in.replaced(s)
	}
	d.each = max(d.each, in.once, in.each, in.null)
	return in
}

// replaced returns how large the default of s is, with what d, the defaults of s, add to it. 0 is for none.
func (d *defaults) replaced(s *apiextensionsv1.JSONSchemaProps) int {
	if s.Default == nil {
		return 0
	}
	var value any
	if err := json.Unmarshal(s.Default.Raw, &value); err != nil || value == nil {
		return 0 // what is no JSON is not served
	}
	left := countless
	d.take(value, &left, false)
	return sum(countless-left, len(s.Default.Raw))
}

func sum(a, b int) int { return min(a+b, countless) }

// take takes what d adds to value from left, and reports whether that is left. If not, where says at which field it ran out. With bare, it
// takes what d would add if all that is in value lost what has a default.
func (d *defaults) take(value any, left *int, bare bool) (where string, ok bool) {
	if d == nil {
		return "", true
	}
	switch value := value.(type) {
	case map[string]any:
		for name, absent := range d.absent {
			if v, found := value[name]; !found || bare || v == nil && !absent.nullable {
				if *left = max(*left-absent.size, -1); *left < 0 {
					return "." + name, false
				}
			}
		}
		for key, v := range value {
			in, ok := d.properties[key]
			if !ok {
				in = d.additional
			}
			if where, ok := in.takeOne(v, left, bare); !ok {
				return "." + key + where, false
			}
		}
	case []any:
		for i, v := range value {
			if where, ok := d.items.takeOne(v, left, bare); !ok {
				return fmt.Sprintf("[%d]%s", i, where), false
			}
		}
	}
	return "", true
}

func (d *defaults) takeOne(value any, left *int, bare bool) (where string, ok bool) {
	if value == nil && d != nil {
		*left = max(*left-d.null, -1)
		return "", *left >= 0
	}
	return d.take(value, left, bare)
}
