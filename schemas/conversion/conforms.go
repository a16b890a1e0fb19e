package conversion

import (
	"fmt"

	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// conforms returns an error if value, which is JSON, or something in it has another type than schema says.
func conforms(value any, schema *structuralschema.Structural) error {
	if schema == nil || schema.Type == "" && !schema.XIntOrString {
		return nil
	}
	wanted, ok := schema.Type, false
	switch value := value.(type) {
	case nil:
		ok = schema.Nullable
	case bool:
		ok = wanted == "boolean"
	case int64:
		ok = wanted == "integer" || wanted == "number" || schema.XIntOrString
	case float64:
		ok = wanted == "number"
	case string:
		ok = wanted == "string" || schema.XIntOrString
	case []any:
		ok = wanted == "array"
		for i := 0; ok && i < len(value); i++ {
			if err := conforms(value[i], schema.Items); err != nil {
				return err
			}
		}
	case map[string]any:
		ok = wanted == "object"
		for key, member := range value {
			if !ok {
				break
			}
			if err := conforms(member, within(schema, key)); err != nil {
				return err
			}
		}
	}
	if !ok {
		if schema.XIntOrString {
			wanted = "integer or string"
		}
		return fmt.Errorf("must be of type %s", wanted)
	}
	return nil
}
