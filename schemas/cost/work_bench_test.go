package cost

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/cel/common"
)

// BenchmarkWork_Steps measures what a step takes of each kind of work. A schema is that of the property a of an object.
func BenchmarkWork_Steps(b *testing.B) {
	list := func(item string, n int) string { return "[" + item + strings.Repeat(","+item, n-1) + "]" }
	object := func(n int, format string) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, ","+format, i)
		}
		return "{" + s.String()[1:] + "}"
	}
	distinct := func(n int, format string) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, ","+format, i)
		}
		return "[" + s.String()[1:] + "]"
	}
	properties := func(n int) string {
		return `{"type":"object","properties":` + object(n, `"p%d":{"type":"string"}`) + `}`
	}
	for _, c := range []struct{ name, schema, value string }{
		{"texts", `{"type":"array","items":{"type":"string"}}`, list(`"x"`, 10_000)},
		{"numbers", `{"type":"array","items":{"type":"integer","format":"int64","minimum":1}}`, list("7", 10_000)},
		{"wrong types", `{"type":"array","items":{"type":"integer"}}`, list(`"x"`, 10_000)},
		{"objects", `{"type":"array","items":{"type":"object"}}`, list("{}", 10_000)},
		{"lists", `{"type":"array","items":{"type":"array","items":{"type":"string"}}}`, list("[]", 10_000)},
		{"map", `{"type":"object","additionalProperties":{"type":"string"}}`, object(10_000, `"p%d":"x"`)},
		{"unknown", `{"type":"object","x-kubernetes-preserve-unknown-fields":true}`, object(100_000, `"p%d":"x"`)},
		{"10 properties", `{"type":"array","items":` + properties(10) + `}`, list(object(10, `"p%d":"x"`), 1_000)},
		{"1000 properties", properties(1_000), object(1_000, `"p%d":"x"`)},
		{"1000 missing properties", `{"type":"array","items":` + properties(1_000) + `}`, list("{}", 1_000)},
		{"missing required", `{"type":"array","items":{"type":"object","required":` + distinct(100, `"p%d"`) + `}}`, list("{}", 100)},
		{"required", `{"type":"array","items":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"required":` + distinct(100, `"p%d"`) + `}}`, list(object(100, `"p%d":1`), 100)},
		{"pattern", `{"type":"string","pattern":"^[A-Za-z0-9+/=]*$"}`, `"` + strings.Repeat("a", 1_000_000) + `"`},
		{"costly pattern", `{"type":"string","pattern":"(?:a.{0,950}b)|c"}`, `"` + strings.Repeat("a", 10_000) + `"`},
		{"short patterns", `{"type":"array","items":{"type":"string","pattern":"^[a-z]+$"}}`, list(`"abc"`, 10_000)},
		{"texts in enum", `{"type":"array","items":{"type":"string","enum":` + distinct(1_000, `"v%d"`) + `}}`, list(`"v999"`, 100)},
		{"texts not in enum", `{"type":"array","items":{"type":"string","enum":` + distinct(1_000, `"v%d"`) + `}}`, list(`"no"`, 100)},
		{"objects in enum", `{"type":"array","items":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"enum":` + distinct(100, `{"a":{"b":{"c":%d}}}`) + `}}`, list(`{"a":{"b":{"c":99}}}`, 100)},
		{"numbers in enum", `{"type":"array","items":{"type":"integer","enum":` + distinct(1_000, `%d`) + `}}`, list(`999`, 100)},
		{"one key", `{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["a"],"items":{"type":"object","properties":{"a":{"type":"integer"}}}}`, distinct(10_000, `{"a":%d}`)},
		{"ten keys", `{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["a","b","c","d","e","f","g","h","i","j"],"items":{"type":"object","properties":{"a":{"type":"integer"}}}}`, distinct(10_000, `{"a":%d}`)},
		{"set", `{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}}`, distinct(10_000, `"v%d"`)},
		{"set of objects", `{"type":"array","x-kubernetes-list-type":"set","items":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}`, distinct(1_000, `{"a":{"b":[%d]}}`)},
		{"allOf", `{"type":"array","items":{"type":"string","allOf":` + list(`{"maxLength":5}`, 100) + `}}`, list(`"x"`, 100)},
		{"failing anyOf", `{"type":"array","items":{"type":"string","anyOf":` + list(`{"maxLength":0}`, 100) + `}}`, list(`"x"`, 100)},
		{"failing oneOf", `{"type":"array","items":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"oneOf":` + list(`{"required":["x"]}`, 100) + `}}`, list(`{}`, 100)},
		{"date-time", `{"type":"array","items":{"type":"string","format":"date-time"}}`, list(`"2026-01-02T03:04:05Z"`, 10_000)},
		{"byte", `{"type":"string","format":"byte"}`, `"` + strings.Repeat("YWJj", 250_000) + `"`},
		{"hostname", `{"type":"string","format":"hostname"}`, `"` + strings.Repeat("a", 100_000) + `"`},
		{"uri", `{"type":"string","format":"uri"}`, `"http://a/` + strings.Repeat("a", 100_000) + `"`},
		{"email", `{"type":"string","format":"email"}`, `"` + strings.Repeat("a", 100_000) + `@x"`},
		{"ipv6", `{"type":"string","format":"ipv6"}`, `"` + strings.Repeat(":", 100_000) + `"`},
		{"uuid", `{"type":"string","format":"uuid"}`, `"` + strings.Repeat("a", 100_000) + `"`},
		{"length", `{"type":"string","maxLength":10000000}`, `"` + strings.Repeat("a", 1_000_000) + `"`},
	} {
		schema := &apiextensionsv1.JSONSchemaProps{}
		text := `{"type":"object","properties":{"a":` + c.schema + `}}`
		if err := json.Unmarshal([]byte(text), schema); err != nil {
			b.Fatalf("%s: %v", c.name, err)
		}
		internal := &apiextensions.JSONSchemaProps{}
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(schema, internal, nil); err != nil {
			b.Fatal(err)
		}
		structural, err := structuralschema.NewStructural(internal)
		if err != nil {
			b.Fatalf("%s: %v", c.name, err)
		}
		validator, _, err := validation.NewSchemaValidator(internal)
		if err != nil {
			b.Fatal(err)
		}
		parse := func() map[string]any {
			var v map[string]any
			if err := utiljson.Unmarshal([]byte(`{"a":`+c.value+`}`), &v); err != nil {
				b.Fatalf("%s: %v", c.name, err)
			}
			return v
		}
		obj, old := parse(), parse()
		for how, do := range map[string]func(){
			"create": func() {
				validation.ValidateCustomResource(nil, obj, validator)
				listtype.ValidateListSetsAndMaps(nil, structural, obj)
			},
			"update": func() {
				correlated := common.NewCorrelatedObject(obj, old, &model.Structural{Structural: structural})
				validation.ValidateCustomResourceUpdate(nil, obj, old, validator, validation.WithRatcheting(correlated))
				listtype.ValidateListSetsAndMaps(nil, structural, old)
				listtype.ValidateListSetsAndMaps(nil, structural, obj)
			},
		} {
			b.Run(c.name+"/"+how, func(b *testing.B) {
				left := budget{left: 1 << 40}
				var before any
				if how == "update" {
					before = old
				}
				left.take(newWork(schema), obj, before, nil)
				steps := 1<<40 - left.left
				start := time.Now()
				n := 0
				for b.Loop() {
					do()
					n++
				}
				b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(n)/float64(steps), "ns/step")
			})
		}
	}
}
