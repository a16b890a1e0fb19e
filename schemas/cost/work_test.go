package cost

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// An object as large as etcd stores takes less than half of what is allowed, if its schema is like those of well-known projects.
func TestWork_OfLargeObjects(t *testing.T) {
	resources := `{"type":"array","items":{"type":"object","properties":{"group":{"type":"string"},"version":{"type":"string"},"kind":{"type":"string"},"namespace":{"type":"string"},
		"name":{"type":"string"},"status":{"type":"string","enum":["Synced","OutOfSync","Unknown"]},"requiresPruning":{"type":"boolean"},"hook":{"type":"boolean"},"syncWave":{"type":"integer","format":"int64"},
		"health":{"type":"object","properties":{"status":{"type":"string"},"message":{"type":"string"},"lastTransitionTime":{"type":"string","format":"date-time"}}}},"required":["name","kind"]}}`
	resource := `{"group":"apps","version":"v1","kind":"Deployment","namespace":"default","name":"some-deployment","status":"Synced","health":{"status":"Healthy"}}`
	patches := `{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],"items":{"type":"object","required":["name"],"properties":{"name":{"type":"string"},"base":{"type":"object","x-kubernetes-preserve-unknown-fields":true},
		"patches":{"type":"array","items":{"type":"object","properties":{"type":{"type":"string","enum":["FromCompositeFieldPath","ToCompositeFieldPath","PatchSet"]},"fromFieldPath":{"type":"string"},"toFieldPath":{"type":"string"},
		"transforms":{"type":"array","items":{"type":"object"}},"policy":{"type":"object"},"patchSetName":{"type":"string"}}}}}}}`
	for name, tc := range map[string]struct{ schema, item, open, close string }{
		"a map of 50,000 keys": {`{"type":"object","additionalProperties":{"type":"string"}}`, `"some-key-%d":"a value of ten bytes"`, "{", "}"},
		"Argo CD's resources":  {resources, resource, "[", "]"},
		"a composition": {patches, `{"name":"r%d","base":{"apiVersion":"a/v1","kind":"Bucket","spec":{"a":"b"}},"patches":[` +
			strings.TrimSuffix(strings.Repeat(`{"type":"FromCompositeFieldPath","fromFieldPath":"spec.a","toFieldPath":"spec.b"},`, 10), ",") + `]}`, "[", "]"},
	} {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			for i := 0; text.Len() < 1_500_000; i++ {
				text.WriteString("," + strings.ReplaceAll(tc.item, "%d", fmt.Sprint(i)))
			}
			schema := &apiextensionsv1.JSONSchemaProps{}
			if err := json.Unmarshal([]byte(tc.schema), schema); err != nil {
				t.Fatal(err)
			}
			var v any
			if err := json.Unmarshal([]byte(tc.open+text.String()[1:]+tc.close), &v); err != nil {
				t.Fatal(err)
			}
			left := budget{left: maxSteps}
			if !left.take(newWork(schema), v, v, nil) || 2*(maxSteps-left.left) > maxSteps {
				t.Errorf("%d steps of %d: %v", maxSteps-left.left, maxSteps, left.errs)
			}
			t.Logf("%d million steps of %d", (maxSteps-left.left)>>20, maxSteps>>20)
		})
	}
}

func TestWork_CountsWhatIsTried(t *testing.T) {
	const value, unknown, property, pair = valueSteps, unknownSteps, propertySteps, errorPairSteps
	for name, tc := range map[string]struct {
		schema, value, old string
		want               int
	}{
		"nothing special":       {`{"properties":{"a":{"type":"string"}}}`, `{"a":"xx","b":[1,2]}`, ``, 2*value + property + unknown},
		"properties":            {`{"items":{"properties":{"a":{},"b":{}}}}`, `[{},{"a":1}]`, ``, 4*value + 4*property},
		"properties before":     {`{"properties":{"a":{},"b":{},"c":{}}}`, `{"a":1,"b":2}`, `{"b":1,"c":3}`, 3*value + 3*property + 3*correlateSteps},
		"in a list":             {`{"items":{"properties":{"a":{}}}}`, `[{"a":1}]`, `[{"a":1}]`, 3*value + property},
		"in a list with keys":   {`{"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["a"],"items":{"properties":{"a":{}}}}`, `[{"a":1}]`, `[{"a":1}]`, 3*value + property + listMapSteps + keySteps + correlateSteps},
		"required":              {`{"items":{"required":["a","b"]}}`, `[{},{"a":1}]`, ``, 3*value + unknown + 4*requiredSteps + 3*missingSteps + (4+1)*pair},
		"keys":                  {`{"items":{},"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["a","b"]}`, `[{},{}]`, ``, 3*value + 2*(listMapSteps+2*keySteps)},
		"a set":                 {`{"items":{},"x-kubernetes-list-type":"set"}`, `["a",["b","c"]]`, ``, 3*value + 2*unknown + 5*setSteps},
		"a pattern":             {`{"properties":{"a":{"pattern":"abc"}}}`, `{"a":"xxxx"}`, ``, 2*value + property + 4*5},
		"of another type":       {`{"properties":{"a":{"pattern":"abc"}}}`, `{"a":7}`, ``, 2*value + property},
		"a pattern of values":   {`{"additionalProperties":{"pattern":"abc"}}`, `{"a":"xxxx","b":"x"}`, ``, 3*value + 5*5},
		"a pattern of items":    {`{"items":{"pattern":"abc"}}`, `["xxxx","x"]`, ``, 3*value + 5*5},
		"a format":              {`{"items":{"format":"byte"}}`, `["xxxx",1]`, ``, 3*value + formatSteps + 4*formatByteSteps},
		"allowed values":        {`{"items":{"enum":["a","b", {"c":1}]}}`, `["a","c"]`, ``, 3*value + 2*(2*scalarEnumSteps+compoundEnumSteps)},
		"alternatives":          {`{"items":{"oneOf":[{},{}],"anyOf":[{}],"allOf":[{}],"not":{}}}`, `[1,2]`, ``, 3*value + 2*5*(value+pair)},
		"alternatives in depth": {`{"anyOf":[{"properties":{"a":{"pattern":"abc"}}},{"properties":{"a":{"pattern":"abc"}}}]}`, `{"a":"xxxx"}`, ``, value + unknown + 2*(2*value+property+4*5+4*pair)},
	} {
		t.Run(name, func(t *testing.T) {
			schema := &apiextensionsv1.JSONSchemaProps{}
			var v, old any
			if err := json.Unmarshal([]byte(tc.schema), schema); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(tc.value), &v); err != nil {
				t.Fatal(err)
			}
			if tc.old != "" {
				if err := json.Unmarshal([]byte(tc.old), &old); err != nil {
					t.Fatal(err)
				}
			}
			left := budget{left: maxSteps}
			if !left.take(newWork(schema), v, old, nil) || maxSteps-left.left != tc.want {
				t.Errorf("%d steps, want %d", maxSteps-left.left, tc.want)
			}
			none := budget{left: tc.want - 1}
			if none.take(newWork(schema), v, old, nil) || len(none.errs) != 1 {
				t.Errorf("taken with a step too few: %v", none.errs)
			}
		})
	}
}
