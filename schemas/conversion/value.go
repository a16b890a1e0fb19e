package conversion

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
)

// errAbsent says that an expression returned no value.
var errAbsent = errors.New("no value")

// About what JSON takes for a value in addition to its texts.
const scalarBytes, memberBytes = 8, 4

// copied returns value, which is JSON or what an expression returned, as JSON that shares nothing with it. Schema, which may be nil, is that
// of the place where the value is put: dates have several forms.
func (o *object) copied(value any, schema *structuralschema.Structural) (any, error) {
	switch value := value.(type) {
	case nil, types.Null:
		return nil, o.made(scalarBytes)
	case string:
		return value, o.made(len(value) + memberBytes)
	case bool, int64, float64:
		return value, o.made(scalarBytes)
	case int:
		return int64(value), o.made(scalarBytes)
	case map[string]any:
		return o.members(func(yield func(string, any) error) error {
			for key, member := range value {
				if err := yield(key, member); err != nil {
					return err
				}
			}
			return nil
		}, schema)
	case map[ref.Val]ref.Val:
		return o.members(func(yield func(string, any) error) error {
			for key, member := range value {
				if err := keyed(key, member, yield); err != nil {
					return err
				}
			}
			return nil
		}, schema)
	case []any:
		return items(o, value, schema)
	case []ref.Val:
		return items(o, value, schema)
	case ref.Val:
		return o.result(value, schema)
	}
	return nil, fmt.Errorf("a value of type %T has no form in JSON", value)
}

// result returns what an expression returned.
func (o *object) result(value ref.Val, schema *structuralschema.Structural) (any, error) {
	switch value := value.(type) {
	case *types.Err:
		return nil, value
	case *types.Optional:
		if !value.HasValue() {
			return nil, errAbsent
		}
		return o.copied(value.GetValue(), schema)
	case types.Bool:
		return o.copied(bool(value), schema)
	case types.Int:
		return o.copied(int64(value), schema)
	case types.Uint:
		if value > math.MaxInt64 {
			return nil, fmt.Errorf("the number %d is too large", uint64(value))
		}
		return o.copied(int64(value), schema)
	case types.Double:
		if math.IsNaN(float64(value)) || math.IsInf(float64(value), 0) {
			return nil, fmt.Errorf("%v is not a number", float64(value))
		}
		return o.copied(float64(value), schema)
	case types.String:
		return o.copied(string(value), schema)
	case types.Bytes:
		return o.copied(base64.StdEncoding.EncodeToString(value), schema)
	case types.Duration:
		return o.copied(value.Duration.String(), schema)
	case types.Timestamp:
		layout := time.RFC3339Nano
		if schema != nil && schema.ValueValidation != nil && schema.ValueValidation.Format == "date" {
			layout = time.DateOnly
		}
		return o.copied(value.UTC().Format(layout), schema)
	}
	// What the expression has from the object is JSON. This also knows fields whose names are not those of CEL.
	switch inner := value.Value().(type) {
	case map[string]any, []any, map[ref.Val]ref.Val, []ref.Val:
		return o.copied(inner, schema)
	}
	switch value := value.(type) {
	case traits.Lister:
		var all []ref.Val
		for it := value.Iterator(); it.HasNext() == types.True; {
			all = append(all, it.Next())
		}
		return items(o, all, schema)
	case traits.Mapper:
		return o.members(func(yield func(string, any) error) error {
			for it := value.Iterator(); it.HasNext() == types.True; {
				key := it.Next()
				if err := keyed(key, value.Get(key), yield); err != nil {
					return err
				}
			}
			return nil
		}, schema)
	}
	return nil, fmt.Errorf("a value of type %s has no form in JSON", value.Type().TypeName())
}

func keyed(key, member ref.Val, yield func(string, any) error) error {
	name, ok := key.(types.String)
	if !ok {
		return fmt.Errorf("the keys of a map must be strings, and one is of type %s", key.Type().TypeName())
	}
	return yield(string(name), member)
}

func (o *object) members(each func(yield func(string, any) error) error, schema *structuralschema.Structural) (any, error) {
	all := map[string]any{}
	err := each(func(key string, member any) error {
		if err := o.made(len(key) + memberBytes); err != nil {
			return err
		}
		value, err := o.copied(member, within(schema, key))
		if errors.Is(err, errAbsent) {
			return nil
		}
		all[key] = value
		return err
	})
	return all, err
}

func items[T any](o *object, list []T, schema *structuralschema.Structural) (any, error) {
	var of *structuralschema.Structural
	if schema != nil {
		of = schema.Items
	}
	all := make([]any, 0, len(list))
	for _, item := range list {
		value, err := o.copied(item, of)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, value)
	}
	return all, o.made(memberBytes * (1 + len(list)))
}

// Size returns about how many bytes of JSON value has, which is JSON.
func Size(value any) int {
	switch value := value.(type) {
	case string:
		return len(value) + memberBytes
	case map[string]any:
		n := memberBytes
		for key, member := range value {
			n += len(key) + memberBytes + Size(member)
		}
		return n
	case []any:
		n := memberBytes
		for _, item := range value {
			n += Size(item) + memberBytes
		}
		return n
	}
	return scalarBytes
}
