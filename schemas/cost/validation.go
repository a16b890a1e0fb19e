package cost

import (
	"fmt"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Validation says what it costs to validate the objects of one version. It is safe for concurrent use.
type Validation struct {
	work *work
	// schema is the schema in the form of the validator, made when it is first needed.
	schema func() (*spec.Schema, error)
}

// NewValidation returns the Validation by a schema.
func NewValidation(schema *apiextensionsv1.JSONSchemaProps) *Validation {
	return &Validation{work: newWork(schema), schema: sync.OnceValues(func() (*spec.Schema, error) { return openapi(schema) })}
}

// Schema returns the schema in the form of the stock validator.
func (v *Validation) Schema() (*spec.Schema, error) { return v.schema() }

// Refuse returns why obj, or only its status, which is all that is validated of a request for that, takes too long to validate; nil if it
// does not. Old is what obj was before, if it was.
func (v *Validation) Refuse(obj, old *unstructured.Unstructured, onlyStatus bool) (field.ErrorList, error) {
	work, path := v.work, (*field.Path)(nil)
	var value, before any = obj.Object, nil
	if old != nil {
		before = old.Object
	}
	if onlyStatus {
		work, path, value = work.properties["status"], field.NewPath("status"), obj.Object["status"]
		if old != nil {
			before = old.Object["status"]
		}
	}
	left := budget{left: maxSteps}
	if !left.take(work, value, before, path) {
		return left.errs, nil
	}
	if left.tries <= fewTries || work == nil {
		return nil, nil
	}
	schema, err := v.schema()
	if err != nil {
		return nil, err
	}
	if onlyStatus {
		status := schema.Properties["status"]
		return tooManyErrors(&status, value, "status"), nil
	}
	return tooManyErrors(schema, value, ""), nil
}

// openapi returns a schema as the stock validator wants it.
func openapi(schema *apiextensionsv1.JSONSchemaProps) (*spec.Schema, error) {
	internal := &apiextensions.JSONSchemaProps{}
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(schema, internal, nil); err != nil {
		return nil, fmt.Errorf("converting the schema: %w", err)
	}
	_, out, err := validation.NewSchemaValidator(internal)
	if err != nil {
		return nil, fmt.Errorf("converting the schema: %w", err)
	}
	return out, nil
}
