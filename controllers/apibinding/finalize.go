package apibinding

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// someResourcesRemain is the reason while objects of a bound resource are left.
const (
	someResourcesRemain = "SomeResourcesRemain"
	deletionFailed      = "ContentDeletionFailed"
)

// finalize deletes the objects of what a binding has bound, and lets the binding go when none is left.
func (c *Controller) finalize(ctx context.Context, key client.Key, old *apisv1alpha2.APIBinding) (reconcile.Result, error) {
	at := slices.Index(old.Finalizers, apisv1alpha2.APIBindingFinalizer)
	if at < 0 {
		return reconcile.Result{}, nil
	}
	remaining, failure := c.deleteObjects(ctx, key, old)
	binding := old.DeepCopy()
	switch {
	case failure != nil:
		conditionsv1alpha1.MarkFalse(binding, apisv1alpha2.BindingResourceDeleteSuccess, deletionFailed, conditionsv1alpha1.ConditionSeverityError, "%v", failure)
	case !remaining.Empty():
		conditionsv1alpha1.MarkFalse(binding, apisv1alpha2.BindingResourceDeleteSuccess, someResourcesRemain, conditionsv1alpha1.ConditionSeverityInfo, "%s", remaining.Message())
	default:
		conditionsv1alpha1.MarkTrue(binding, apisv1alpha2.BindingResourceDeleteSuccess)
		binding.Finalizers = slices.Delete(binding.Finalizers, at, at+1)
		return c.update(ctx, key, old, binding, reconcile.Result{})
	}
	// The longer it takes, the later.
	age := c.now().Sub(old.DeletionTimestamp.Time)
	result, err := c.update(ctx, key, old, binding, reconcile.Result{RequeueAfter: min(max(age/10, soonest), latest)})
	if failure != nil {
		return reconcile.Result{}, errors.Join(failure, err)
	}
	return result, err
}

// deleteObjects asks for the deletion of every object of what binding has bound, except what another binding of the
// cluster waits to take over, and returns what is left. It goes on after an error.
func (c *Controller) deleteObjects(ctx context.Context, key client.Key, binding *apisv1alpha2.APIBinding) (client.Remaining, error) {
	var all client.Remaining
	others, err := list[apisv1alpha2.APIBinding](ctx, c.Live, bindings, client.Scope{Cluster: key.Cluster})
	if err != nil {
		return all, err
	}
	provider := logicalcluster.Name(binding.Status.APIExportClusterName)
	var failures []error
	for _, bound := range binding.Status.BoundResources {
		gr := groupResource(bound.Group, bound.Resource)
		adopted, err := c.adopted(ctx, key, others, bound)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		if adopted {
			continue
		}
		scope := client.ContentScope{Cluster: key.Cluster, Resource: gr}
		if !c.isTyped(provider, gr) {
			scope.Bucket = bound.Schema.IdentityHash
		}
		remaining, err := c.Content.DeleteAll(ctx, scope)
		if err != nil {
			failures = append(failures, fmt.Errorf("deleting the objects of %s in %q: %w", gr, key.Cluster, err))
		}
		all.Join(remaining)
	}
	return all, errors.Join(failures...)
}

// adopted reports whether one of others, the bindings of the cluster, will bind the same resource with the same schema under
// the same identity once the binding called key is gone: then the objects are its.
func (c *Controller) adopted(ctx context.Context, key client.Key, others []*apisv1alpha2.APIBinding, bound apisv1alpha2.BoundAPIResource) (bool, error) {
	for _, other := range others {
		reference := other.Spec.Reference.Export
		if other.Name == key.Name || other.DeletionTimestamp != nil || reference == nil {
			continue
		}
		provider, found := key.Cluster, true
		if reference.Path != "" {
			var err error
			if provider, found, err = c.Resolver.Resolve(ctx, logicalcluster.Path(reference.Path)); err != nil {
				return false, fmt.Errorf("finding the workspace of the export of APIBinding %q in %q: %w", other.Name, key.Cluster, err)
			}
		}
		if !found {
			continue
		}
		offered, err := c.offers(ctx, client.Key{Cluster: provider, Name: reference.Name}, bound)
		if err != nil || offered {
			return offered, err
		}
	}
	return false, nil
}

// offers reports whether the export called key offers what bound says, as it says.
func (c *Controller) offers(ctx context.Context, key client.Key, bound apisv1alpha2.BoundAPIResource) (bool, error) {
	export, err := client.Find[apisv1alpha2.APIExport](ctx, c.Client, exports, key)
	if err != nil || export == nil || export.Status.IdentityHash != bound.Schema.IdentityHash {
		return false, err
	}
	for _, resource := range export.Spec.Resources {
		if resource.Group != bound.Group || resource.Name != bound.Resource {
			continue
		}
		source, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, c.Client, schemas, client.Key{Cluster: key.Cluster, Name: resource.Schema})
		return source != nil && string(source.UID) == bound.Schema.UID, err
	}
	return false, nil
}
