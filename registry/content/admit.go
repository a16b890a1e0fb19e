package content

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apischema "k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/admission"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/storage/head"
)

// Admission decides about what is done to custom resources here, as it does about requests: in Kubernetes, the controllers that delete and
// change them are clients like all others. The server's own client sees to that for typed objects.

// admitted is a write of one custom resource.
type admitted struct {
	*access
	by served
	h  head.Head
}

// write returns how a custom resource is written, and the context for that.
func (a *access) write(ctx context.Context, by served, h head.Head) (*admitted, context.Context) {
	return &admitted{access: a, by: by, h: h}, genericapirequest.WithUser(ctx, a.User)
}

// attributes describe a write in the version that a client that knows none in particular would use.
func (w *admitted) attributes(obj, old runtime.Object, operation admission.Operation, options runtime.Object) admission.Attributes {
	gv := apischema.GroupVersion{Group: w.by.resource.Group, Version: preferred(w.by.resource)}
	return admission.NewAttributesRecord(obj, old, gv.WithKind(w.by.resource.Kind), w.h.Namespace, w.h.Name, gv.WithResource(w.by.resource.Plural), "", operation, options, false, w.User)
}

// mutate lets admission change the object of a write.
func (w *admitted) mutate(ctx context.Context, a admission.Attributes, o admission.ObjectInterfaces) error {
	mutating, ok := w.Admission.(admission.MutationInterface)
	if !ok || !mutating.Handles(a.GetOperation()) {
		return nil
	}
	if err := mutating.Admit(ctx, a, o); err != nil {
		return fmt.Errorf("admission of %s %q: %w", w.h.Resource, w.h.Name, err)
	}
	return nil
}

// deleteServed deletes a custom resource through the storage that serves it.
func (a *access) deleteServed(ctx context.Context, by served, h head.Head, options *metav1.DeleteOptions) error {
	objects, err := a.Schemas.Interfaces(by.resource, h.Cluster)
	if err != nil {
		return err
	}
	w, ctx := a.write(ctx, by, h)
	attributes := w.attributes(nil, nil, admission.Delete, options)
	if err := w.mutate(ctx, attributes, objects); err != nil {
		return err
	}
	_, _, err = by.storage.Delete(ctx, h.Name, rest.AdmissionToValidateObjectDeleteFunc(a.Admission, attributes, objects), options)
	return err
}

// updateServed replaces a custom resource by obj through the storage that serves it.
func (a *access) updateServed(ctx context.Context, by served, h head.Head, obj client.Object) error {
	objects, err := a.Schemas.Interfaces(by.resource, h.Cluster)
	if err != nil {
		return err
	}
	w, ctx := a.write(ctx, by, h)
	options := &metav1.UpdateOptions{}
	info := rest.DefaultUpdatedObjectInfo(obj, func(ctx context.Context, updated, old runtime.Object) (runtime.Object, error) {
		return updated, w.mutate(ctx, w.attributes(updated, old, admission.Update, options), objects)
	})
	_, _, err = by.storage.Update(ctx, h.Name, info, rest.ValidateAllObjectFunc,
		rest.AdmissionToValidateObjectUpdateFunc(a.Admission, w.attributes(nil, nil, admission.Update, options), objects), false, options)
	return err
}

// preferred returns the version of a resource that discovery prefers.
func preferred(resource *catalog.Resource) string {
	var served []string
	for _, v := range resource.CRD.Spec.Versions {
		if v.Served {
			served = append(served, v.Name)
		}
	}
	if len(served) == 0 { // nobody can ask for it, but it is stored
		for _, v := range resource.CRD.Spec.Versions {
			if v.Storage {
				return v.Name
			}
		}
		return ""
	}
	return slices.MaxFunc(served, version.CompareKubeAwareVersionStrings)
}
