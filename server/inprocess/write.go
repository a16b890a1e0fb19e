package inprocess

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/registry/rest"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
)

// Create implements client.Writer.
func (c *Client) Create(ctx context.Context, gr schema.GroupResource, cluster logicalcluster.Name, obj client.Object) (client.Object, error) {
	r, err := c.resource(gr)
	if err != nil {
		return nil, err
	}
	if cluster.Empty() {
		return nil, apierrors.NewBadRequest("a write must name one cluster")
	}
	ctx = at(ctx, c.user, cluster, obj.GetNamespace())
	if ctx, err = c.owned(ctx, gr, cluster); err != nil {
		return nil, err
	}
	options := &metav1.CreateOptions{FieldManager: FieldManager}
	created, err := r.toStorage(obj)
	if err != nil {
		return nil, err
	}
	attributes := admission.NewAttributesRecord(created, nil, r.gvk, obj.GetNamespace(), obj.GetName(), r.gvr, "", admission.Create, options, false, c.user)
	if err := c.mutate(ctx, attributes); err != nil {
		return nil, err
	}
	if fields := c.fields[gr]; fields.whole != nil {
		created = fields.whole.UpdateNoErrors(r.store.New(), created, FieldManager)
	}
	stored, err := r.store.Create(ctx, created, rest.AdmissionToValidateObjectFunc(c.admission, attributes, c.objects), options)
	if err != nil {
		return nil, err
	}
	return r.fromStorage(stored)
}

// Update implements client.Writer.
func (c *Client) Update(ctx context.Context, gr schema.GroupResource, cluster logicalcluster.Name, obj client.Object) (client.Object, error) {
	r, err := c.resource(gr)
	if err != nil {
		return nil, err
	}
	if cluster.Empty() {
		return nil, apierrors.NewBadRequest("a write must name one cluster")
	}
	ctx = at(ctx, c.user, cluster, obj.GetNamespace())
	options := &metav1.UpdateOptions{FieldManager: FieldManager}
	attributes := func(updated, old runtime.Object) admission.Attributes {
		return admission.NewAttributesRecord(updated, old, r.gvk, obj.GetNamespace(), obj.GetName(), r.gvr, "", admission.Update, options, false, c.user)
	}
	changed, keeps := obj, r.served.keepsSpec(obj)
	if keeps {
		changed = withoutSpec(obj)
	}
	updated, err := r.toStorage(changed)
	if err != nil {
		return nil, err
	}
	if ended, err := c.end(ctx, r, updated, keeps, attributes); ended || err != nil {
		return obj, err
	}
	info := rest.DefaultUpdatedObjectInfo(updated, func(ctx context.Context, updated, old runtime.Object) (runtime.Object, error) {
		if keeps {
			if err := keepSpec(updated, old); err != nil {
				return nil, err
			}
		}
		updated = c.track(gr, updated, old, keeps)
		return updated, c.mutate(ctx, attributes(updated, old))
	})
	stored, _, err := r.store.Update(ctx, obj.GetName(), info, rest.ValidateAllObjectFunc,
		rest.AdmissionToValidateObjectUpdateFunc(c.admission, attributes(nil, nil), c.objects), false, options)
	if err != nil {
		return nil, err
	}
	if keeps {
		return servedWithSpec(r, stored, obj)
	}
	return r.fromStorage(stored)
}

// sameMetadata reports whether a write changes nothing of the metadata that writers own.
func sameMetadata(updated, old metav1.Object) bool {
	return maps.Equal(updated.GetLabels(), old.GetLabels()) && maps.Equal(updated.GetAnnotations(), old.GetAnnotations()) &&
		slices.Equal(updated.GetFinalizers(), old.GetFinalizers()) && apiequality.Semantic.DeepEqual(updated.GetOwnerReferences(), old.GetOwnerReferences())
}

// track returns updated with who manages which fields. Schemas that stay need no look.
func (c *Client) track(gr schema.GroupResource, updated, old runtime.Object, keepsSpec bool) runtime.Object {
	fields := c.fields[gr]
	switch {
	case fields.whole == nil:
		return updated
	case !keepsSpec:
		return fields.whole.UpdateNoErrors(old, updated, FieldManager)
	}
	manager := fields.status
	if !sameMetadata(updated.(metav1.Object), old.(metav1.Object)) {
		manager = fields.whole
	}
	tracked := manager.UpdateNoErrors(withoutSchemas(old), withoutSchemas(updated), FieldManager)
	updated.(metav1.Object).SetManagedFields(tracked.(metav1.Object).GetManagedFields())
	return updated
}

// Delete implements client.Writer.
func (c *Client) Delete(ctx context.Context, gr schema.GroupResource, key client.Key, preconditions *metav1.Preconditions) error {
	return c.DeleteWith(ctx, gr, key, &metav1.DeleteOptions{Preconditions: preconditions})
}

// DeleteWith is Delete with all options, of which it changes none.
func (c *Client) DeleteWith(ctx context.Context, gr schema.GroupResource, key client.Key, options *metav1.DeleteOptions) error {
	r, err := c.resource(gr)
	if err != nil {
		return err
	}
	if key.Cluster.Empty() {
		return apierrors.NewBadRequest("a write must name one cluster")
	}
	if r.deleter == nil {
		return apierrors.NewMethodNotSupported(gr, "delete")
	}
	ctx = at(ctx, c.user, key.Cluster, key.Namespace)
	attributes := admission.NewAttributesRecord(nil, nil, r.gvk, key.Namespace, key.Name, r.gvr, "", admission.Delete, options, false, c.user)
	if err := c.mutate(ctx, attributes); err != nil {
		return err
	}
	validate := rest.AdmissionToValidateObjectDeleteFunc(c.admission, attributes, c.objects)
	// Stores write into the options, for example the UID that they have read.
	_, _, err = r.deleter.Delete(storage.DeletingCached(ctx), key.Name, validate, options.DeepCopy())
	if apierrors.IsConflict(err) { // perhaps the cache is behind; what does conflict, does so again
		_, _, err = r.deleter.Delete(ctx, key.Name, validate, options.DeepCopy())
	}
	return err
}

// owned returns ctx with the APIBinding that objects of gr belong to in cluster, if gr is a resource that clusters bind.
func (c *Client) owned(ctx context.Context, gr schema.GroupResource, cluster logicalcluster.Name) (context.Context, error) {
	if !kinds.All.IsWhereBound(gr) {
		return ctx, nil
	}
	bindings := apisv1alpha2.Resource("apibindings")
	var owner storage.Owner
	err := client.LookTwice(c.Reader, c.Live(), func(from client.Reader) (enough bool, err error) {
		all, err := client.List[apisv1alpha2.APIBinding](ctx, from, bindings, client.Scope{Cluster: cluster})
		for _, binding := range all {
			if binding.DeletionTimestamp == nil && slices.ContainsFunc(binding.Status.BoundResources, func(r apisv1alpha2.BoundAPIResource) bool {
				return r.Group == gr.Group && r.Resource == gr.Resource
			}) {
				owner = storage.Owner{Resource: bindings, Name: binding.Name, UID: binding.UID}
				return true, nil
			}
		}
		return false, err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("finding the APIBinding of %s: %w", gr, err)
	case owner.Name == "":
		return nil, apierrors.NewGenericServerResponse(http.StatusNotFound, "create", gr, "", "", 0, false)
	}
	return storage.WithOwner(ctx, owner), nil
}

func (c *Client) mutate(ctx context.Context, attributes admission.Attributes) error {
	mutating, ok := c.admission.(admission.MutationInterface)
	if !ok || !mutating.Handles(attributes.GetOperation()) {
		return nil
	}
	if err := mutating.Admit(ctx, attributes, c.objects); err != nil {
		return fmt.Errorf("admission of %s %q: %w", attributes.GetResource().GroupResource(), attributes.GetName(), err)
	}
	return nil
}
