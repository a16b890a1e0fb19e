package apibinding

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	lc "github.com/annex-dev/annex/controllers/logicalcluster"
)

// someResourcesRemain is the reason while objects of a bound resource are left.
const (
	someResourcesRemain = "SomeResourcesRemain"
	deletionFailed      = "ContentDeletionFailed"
)

// finalize deletes the objects of the bound resources. When none is left, it removes the finalizer of the binding.
func (c *Controller) finalize(ctx context.Context, key client.Key, old *apisv1alpha2.APIBinding) (reconcile.Result, error) {
	at := slices.Index(old.Finalizers, apisv1alpha2.APIBindingFinalizer)
	if at < 0 {
		return reconcile.Result{}, nil
	}
	age := c.now().Sub(old.DeletionTimestamp.Time)
	if left, err := lc.StandBack(ctx, c.Client, key.Cluster, age); left > 0 || err != nil {
		return reconcile.Result{RequeueAfter: left}, err
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
		_, err := c.update(ctx, key, old, binding)
		return reconcile.Result{}, err
	}
	if _, err := c.update(ctx, key, old, binding); failure != nil || err != nil {
		return reconcile.Result{}, errors.Join(failure, err)
	}
	// The longer the deletion takes, the later the next check.
	return reconcile.Result{RequeueAfter: min(max(age/10, soonest), latest)}, nil
}

// deleteObjects requests the deletion of every object of the bound resources, except resources that another binding of the cluster
// will adopt, and returns what remains. It continues after an error.
func (c *Controller) deleteObjects(ctx context.Context, key client.Key, binding *apisv1alpha2.APIBinding) (client.Remaining, error) {
	others, err := client.List[apisv1alpha2.APIBinding](ctx, c.Live, bindings, client.Scope{Cluster: key.Cluster})
	if err != nil {
		return client.Remaining{}, err
	}
	provider := logicalcluster.Name(binding.Status.APIExportClusterName)
	buckets := map[schema.GroupResource]string{}
	var failures []error
	for _, bound := range binding.Status.BoundResources {
		gr := groupResource(bound.Group, bound.Resource)
		switch adopted, err := c.adopted(ctx, key, others, bound); {
		case err != nil:
			failures = append(failures, err)
		case adopted, bound.Virtual != nil: // objects of virtual storage are none of the binding's
		case c.isTyped(provider, gr):
			buckets[gr] = ""
		case bound.Schema.IdentityHash != "": // or nothing was ever stored
			buckets[gr] = bound.Schema.IdentityHash
		}
	}
	if len(buckets) == 0 {
		return client.Remaining{}, errors.Join(failures...)
	}
	remaining, err := c.Content.DeleteAll(ctx, client.ContentScope{Cluster: key.Cluster, Wanted: func(gr schema.GroupResource, bucket string) bool {
		its, ok := buckets[gr]
		return ok && its == bucket
	}})
	if err != nil {
		failures = append(failures, fmt.Errorf("deleting the objects of APIBinding %q in %q: %w", key.Name, key.Cluster, err))
	}
	return remaining, errors.Join(failures...)
}

// adopted reports whether one of others, the bindings of the cluster, will bind the same resource with the same schema under
// the same identity after the binding called key is gone. It then adopts the objects.
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
		if !found || !identity.AcceptedFor(other, other.Status.APIExportClusterName, provider, reference.Name) {
			continue
		}
		offered, err := c.offers(ctx, client.Key{Cluster: provider, Name: reference.Name}, other, bound)
		if err != nil || offered {
			return offered, err
		}
	}
	return false, nil
}

// offers reports whether the export called key offers other, a binding to it, the same resource and schema as bound.
func (c *Controller) offers(ctx context.Context, key client.Key, other *apisv1alpha2.APIBinding, bound apisv1alpha2.BoundAPIResource) (bool, error) {
	export, err := client.Find[apisv1alpha2.APIExport](ctx, c.Client, exports, key)
	if err != nil || export == nil || export.Status.IdentityHash != bound.Schema.IdentityHash {
		return false, err
	}
	for _, resource := range export.Spec.Resources {
		if resource.Group != bound.Group || resource.Name != bound.Resource || resource.Storage.Virtual != nil {
			continue
		}
		name, err := c.schemaFor(ctx, client.KeyOf(other), other, export, resource)
		if err != nil {
			return false, err
		}
		source, err := client.Find[apisv1alpha1.APIResourceSchema](ctx, c.Client, schemas, client.Key{Cluster: key.Cluster, Name: name})
		return source != nil && string(source.UID) == bound.Schema.UID, err
	}
	return false, nil
}
