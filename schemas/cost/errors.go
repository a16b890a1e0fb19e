package cost

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
	openapierrors "k8s.io/kube-openapi/pkg/validation/errors"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
)

const (
	// MaxErrors is how many errors an object may have that are still told one by one. The library compares each with all others, which
	// took hours for one request, and all of them would be in the answer.
	MaxErrors = 1_000
	// fewTries is how many values can have as many errors as they like.
	fewTries = 1_000
)

// failures counts the errors of one object. It validates as the stock validator does, and ends at once where that would not.
type failures struct {
	seen int
	last error
}

// tooManyErrors returns an error if value, at path, has more than MaxErrors errors.
func tooManyErrors(schema *spec.Schema, value any, path string) field.ErrorList {
	f := &failures{}
	f.validator(schema, schema, path, strfmt.Default).Validate(value)
	if f.seen <= MaxErrors {
		return nil
	}
	at := path
	var one *openapierrors.Validation
	if errors.As(f.last, &one) {
		at = one.Name
	}
	return field.ErrorList{field.Invalid(field.NewPath(at), field.OmitValueType{}, fmt.Sprintf("the object has more than %d errors, the last one: %v", MaxErrors, f.last))}
}

func (f *failures) validator(schema *spec.Schema, root any, path string, formats strfmt.Registry) validate.ValueValidator {
	return counted{validate.NewSchemaValidator(schema, root, path, formats, func(o *validate.SchemaValidatorOptions) {
		o.NewValidatorForField = func(_ string, schema *spec.Schema, root any, path string, formats strfmt.Registry, _ ...validate.Option) validate.ValueValidator {
			return f.validator(schema, root, path, formats)
		}
		o.NewValidatorForIndex = func(_ int, schema *spec.Schema, root any, path string, formats strfmt.Registry, _ ...validate.Option) validate.ValueValidator {
			return f.validator(schema, root, path, formats)
		}
	}), f}
}

// counted is a validator that adds to failures, and looks at nothing any more once there are too many.
type counted struct {
	validate.ValueValidator
	failures *failures
}

// Validate implements validate.ValueValidator.
func (c counted) Validate(value any) *validate.Result {
	f := c.failures
	if f.seen > MaxErrors {
		return nil
	}
	before := f.seen
	result := c.ValueValidator.Validate(value)
	if f.seen <= MaxErrors && len(result.Errors) > 0 {
		f.seen, f.last = max(f.seen, before+len(result.Errors)), result.Errors[len(result.Errors)-1]
	}
	return result
}
