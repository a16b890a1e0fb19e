package schema

import (
	"context"
	"fmt"
	"maps"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/schemas/cost"
)

// bounded refuses objects that take too long to validate, after all other admission that changes objects and before validation.
type bounded struct {
	stamping
	versions map[string]version
	// storage returns the storage of the objects.
	storage func() (Storage, error)
}

type version struct {
	*cost.Validation // nil for a version without a schema
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
			of.Validation = cost.NewValidation(v.Schema.OpenAPIV3Schema)
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
	if in.Validation == nil {
		return nil
	}
	obj, old, err := b.validated(ctx, a, in)
	if err != nil || obj == nil {
		return err
	}
	errs, err := in.Refuse(obj, old, in.status && a.GetSubresource() == "status")
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
