package schema

import (
	"context"
	"fmt"
	"maps"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/admission"
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
	// status says that status has a subresource of its own.
	status bool
}

var _ admission.MutationInterface = bounded{}

// withBounds returns the admission of the objects of a definition.
func withBounds(next stamping, definition *apiextensionsv1.CustomResourceDefinition, storage func() (Storage, error)) admission.Interface {
	b := bounded{stamping: next, versions: map[string]version{}, storage: storage}
	for _, v := range definition.Spec.Versions {
		of := version{status: v.Subresources != nil && v.Subresources.Status != nil}
		if v.Schema != nil {
			of.work = newWork(v.Schema.OpenAPIV3Schema)
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
	obj, err := b.validated(ctx, a, in)
	if err != nil || obj == nil {
		return err
	}
	left := budget{left: maxSteps}
	if left.take(in.work, obj.Object, nil) {
		return nil
	}
	return apierrors.NewInvalid(obj.GroupVersionKind().GroupKind(), obj.GetName(), left.errs)
}

// validated returns what storage will validate, which is always a whole object: a request that has only a part of it leaves the rest as it
// is stored, and that may take longer under the schema of today than it did when it was written. Nil if nothing will be validated.
func (b bounded) validated(ctx context.Context, a admission.Attributes, in version) (*unstructured.Unstructured, error) {
	if a.GetOperation() == admission.Update && a.GetSubresource() == "scale" {
		return b.stored(ctx, a.GetName())
	}
	obj, ok := a.GetObject().(*unstructured.Unstructured)
	if !ok {
		return nil, nil // a deletion
	}
	old, ok := a.GetOldObject().(*unstructured.Unstructured)
	if !ok || !in.status {
		return obj, nil
	}
	base, status := obj.Object, old.Object
	if a.GetSubresource() == "status" {
		base, status = status, base
	}
	whole := maps.Clone(base)
	delete(whole, "status")
	if value, ok := status["status"]; ok {
		whole["status"] = value
	}
	return &unstructured.Unstructured{Object: whole}, nil
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
