package schema

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// bounded refuses objects that take too long to validate, after all other admission that changes objects and before validation.
type bounded struct {
	stamping
	versions map[string]version
	// storage returns the storage of the objects.
	storage func() (Storage, error)
}

type version struct {
	work *work
	// schema is the schema in the form of the validator, made when it is first needed.
	schema func() (*spec.Schema, error)
	// status says that status has a subresource of its own.
	status bool
}

var _ admission.MutationInterface = bounded{}

// withBounds returns the admission of the objects of a definition.
func withBounds(next stamping, definition *apiextensionsv1.CustomResourceDefinition, storage func() (Storage, error)) bounded {
	b := bounded{stamping: next, versions: map[string]version{}, storage: storage}
	for _, v := range definition.Spec.Versions {
		of := version{status: v.Subresources != nil && v.Subresources.Status != nil}
		if v.Schema != nil && v.Schema.OpenAPIV3Schema != nil {
			of.work = newWork(v.Schema.OpenAPIV3Schema)
			of.schema = sync.OnceValues(func() (*spec.Schema, error) { return openapi(v.Schema.OpenAPIV3Schema) })
		}
		b.versions[v.Name] = of
	}
	return b
}

// Admit implements admission.MutationInterface.
func (b bounded) Admit(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	if err := b.stamping.Admit(ctx, a, o); err != nil {
		return err
	}
	in := b.versions[a.GetResource().Version]
	if in.work == nil {
		return nil
	}
	obj, old, err := b.validated(ctx, a, in)
	if err != nil || obj == nil {
		return err
	}
	errs, err := in.refuse(obj, old, in.status && a.GetSubresource() == "status")
	if err != nil || len(errs) == 0 {
		return err
	}
	invalid := apierrors.NewInvalid(obj.GroupVersionKind().GroupKind(), obj.GetName(), errs)
	if old != nil && a.GetSubresource() == "" && onlyChangesMetadata(obj, old) {
		t := tooCostly(ctx, invalid)
		t.metadata, _ = runtime.DeepCopyJSONValue(obj.Object["metadata"]).(map[string]any)
		t.version = old.GetResourceVersion()
	}
	return invalid
}

// refuse returns why obj, or only its status, which is all that is validated of a request for that, takes too long to validate; nil if it
// does not. Old is what obj was before, if it was.
func (v version) refuse(obj, old *unstructured.Unstructured, onlyStatus bool) (field.ErrorList, error) {
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

// validated returns what storage will validate, and what it was before; nil if nothing will be validated. A request that has only a part
// leaves the rest as it is stored, and that may take longer under the schema of today than it did when it was written.
func (b bounded) validated(ctx context.Context, a admission.Attributes, in version) (obj, old *unstructured.Unstructured, err error) {
	if a.GetOperation() == admission.Update && a.GetSubresource() == "scale" {
		obj, err = b.stored(ctx, a.GetName())
		return obj, obj, err
	}
	obj, ok := a.GetObject().(*unstructured.Unstructured)
	if !ok {
		return nil, nil, nil // a deletion
	}
	old, ok = a.GetOldObject().(*unstructured.Unstructured)
	if !ok || !in.status || a.GetSubresource() == "status" {
		return obj, old, nil
	}
	whole := maps.Clone(obj.Object)
	delete(whole, "status")
	if value, ok := old.Object["status"]; ok {
		whole["status"] = value
	}
	return &unstructured.Unstructured{Object: whole}, old, nil
}

// stored returns the object called name of the namespace in ctx.
func (b bounded) stored(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	objects, err := b.storage()
	if err != nil {
		return nil, err
	}
	found, err := objects.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	obj, ok := found.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("reading %s: unexpected type %T", name, found)
	}
	return obj, nil
}
