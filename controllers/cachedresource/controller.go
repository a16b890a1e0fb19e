package cachedresource

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	cachev1alpha1 "github.com/annex-dev/annex/apis/cache/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/identitysecret"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const workers = 2

var (
	resources   = cachev1alpha1.Resource("clustercachedresources")
	bindings    = apisv1alpha2.Resource("apibindings")
	definitions = schema.GroupResource{Group: apiextensionsv1.GroupName, Resource: "customresourcedefinitions"}
	secrets     = schema.GroupResource{Group: corev1.GroupName, Resource: "secrets"}
)

// Specs describes the controller.
func Specs(c multicluster.Config) []multicluster.Spec {
	r := &reconciler{client: c.Client, isBound: c.IsBound}
	return []multicluster.Spec{{
		Name:    "clustercachedresource",
		Workers: workers,
		Watches: []multicluster.Watch{
			{Resource: resources},
			{Resource: secrets, Keys: r.forSecret},
			{Resource: definitions, Keys: r.forDefinition},
			{Resource: bindings, Keys: r.forBinding},
		},
		Reconcile: r.reconcile,
	}}
}

type reconciler struct {
	client  client.Client
	isBound func(schema.GroupResource) bool
}

// in returns the objects of cluster that match.
func (r *reconciler) in(ctx context.Context, cluster logicalcluster.Name, match func(*cachev1alpha1.ClusterCachedResource) bool) ([]client.Key, error) {
	all, err := client.List[cachev1alpha1.ClusterCachedResource](ctx, r.client, resources, client.Scope{Cluster: cluster})
	if err != nil {
		return nil, err
	}
	var keys []client.Key
	for _, resource := range all {
		if match(resource) {
			keys = append(keys, client.KeyOf(resource))
		}
	}
	return keys, nil
}

// forSecret returns the objects whose identity is in the secret.
func (r *reconciler) forSecret(ctx context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	return r.in(ctx, key.Cluster, func(resource *cachev1alpha1.ClusterCachedResource) bool {
		return resource.Spec.Identity != nil && resource.Spec.Identity.SecretRef != nil &&
			resource.Spec.Identity.SecretRef.Namespace == key.Namespace && resource.Spec.Identity.SecretRef.Name == key.Name
	})
}

// forDefinition returns the objects of its cluster that share the resource of the definition.
func (r *reconciler) forDefinition(ctx context.Context, event client.Event) ([]client.Key, error) {
	key := client.KeyOf(event.Object)
	return r.in(ctx, key.Cluster, func(resource *cachev1alpha1.ClusterCachedResource) bool {
		return sharedBy(resource).String() == key.Name
	})
}

// forBinding returns the objects of its cluster that share a resource which the binding has bound.
func (r *reconciler) forBinding(ctx context.Context, event client.Event) ([]client.Key, error) {
	binding, ok := event.Object.(*apisv1alpha2.APIBinding)
	if !ok {
		return nil, nil
	}
	return r.in(ctx, client.KeyOf(binding).Cluster, func(resource *cachev1alpha1.ClusterCachedResource) bool {
		return boundAs(binding, sharedBy(resource)) != nil
	})
}

// sharedBy returns the resource that an object shares.
func sharedBy(resource *cachev1alpha1.ClusterCachedResource) schema.GroupResource {
	return schema.GroupResource{Group: resource.Spec.Group, Resource: resource.Spec.Resource}
}

func (r *reconciler) reconcile(ctx context.Context, key client.Key) (reconcile.Result, error) {
	old, err := client.Find[cachev1alpha1.ClusterCachedResource](ctx, r.client, resources, key)
	if err != nil || old == nil {
		return reconcile.Result{}, err
	}
	resource := old.DeepCopy()
	var failure error
	if old.DeletionTimestamp != nil {
		// Nobody reads the objects through it any more, and no copy is left to delete.
		resource.Status.Phase = cachev1alpha1.ClusterCachedResourcePhaseDeleted
		resource.Finalizers = slices.DeleteFunc(resource.Finalizers, func(f string) bool { return f == cachev1alpha1.ClusterCachedResourceFinalizer })
	} else {
		if !slices.Contains(resource.Finalizers, cachev1alpha1.ClusterCachedResourceFinalizer) {
			resource.Finalizers = append(resource.Finalizers, cachev1alpha1.ClusterCachedResourceFinalizer)
		}
		failure = r.fill(ctx, key, resource)
	}
	if !apiequality.Semantic.DeepEqual(old, resource) {
		if _, err := r.client.Update(ctx, resources, key.Cluster, resource); err != nil && !apierrors.IsNotFound(err) {
			return reconcile.Result{}, fmt.Errorf("updating ClusterCachedResource %s: %w", key, err)
		}
	}
	return reconcile.Result{}, failure
}

// fill sets identity, conditions and phase of resource, which the caller owns. The error means that it may be tried again.
func (r *reconciler) fill(ctx context.Context, key client.Key, resource *cachev1alpha1.ClusterCachedResource) error {
	var ref *corev1.SecretReference
	if resource.Spec.Identity != nil {
		ref = resource.Spec.Identity.SecretRef
	}
	identity, failure := identitysecret.Ensure(ctx, r.client, key, ref, resource.Status.IdentityHash)
	if ref == nil && identity.Ref != nil {
		resource.Spec.Identity = &cachev1alpha1.Identity{SecretRef: identity.Ref}
	}
	mark := func(condition conditionsv1alpha1.ConditionType, reason, message string) {
		if reason == "" {
			conditionsv1alpha1.MarkTrue(resource, condition)
			return
		}
		conditionsv1alpha1.MarkFalse(resource, condition, reason, conditionsv1alpha1.ConditionSeverityError, "%s", message)
	}
	mark(cachev1alpha1.IdentityValid, identity.Reason, identity.Message)
	if identity.Reason == "" {
		resource.Status.IdentityHash = identity.Hash
	}
	reason, message, err := r.check(ctx, key.Cluster, resource)
	if err != nil {
		return err
	}
	mark(cachev1alpha1.ResourceValid, reason, message)
	if identity.Reason == "" && reason == "" {
		mark(cachev1alpha1.ReplicationStarted, "", "")
		resource.Status.Phase = cachev1alpha1.ClusterCachedResourcePhaseReady
		return failure
	}
	mark(cachev1alpha1.ReplicationStarted, cachev1alpha1.ReplicationWaitingReason, "the resource and the identity must be valid")
	resource.Status.Phase = cachev1alpha1.ClusterCachedResourcePhaseInitializing
	return failure
}
