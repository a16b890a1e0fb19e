package apiexport

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/endpoints"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/multicluster"
)

const (
	// rootShard is the name of the only shard.
	rootShard = "root"
	// lookAgain is when virtual storage that is not ready is looked at again: of a kind that is not served yet there is no event.
	lookAgain = time.Second
	// mostPatience is the longest time between two looks.
	mostPatience = time.Minute
)

// checkVirtualStorage sets the condition of export, which the caller owns, that says whether the endpoints of its virtual storage are there, and
// returns when to look again; 0 for when something changes. server/virtual/elsewhere decides anew for each request.
func (r *reconciler) checkVirtualStorage(ctx context.Context, key client.Key, export *apisv1alpha2.APIExport) (again time.Duration, err error) {
	var targets []multicluster.Target
	var resources []*apisv1alpha2.ResourceSchema
	for i := range export.Spec.Resources {
		resource := &export.Spec.Resources[i]
		if v := resource.Storage.Virtual; v != nil && v.Reference.APIGroup != nil && !apisv1alpha2.IsCached(&v.Reference) {
			resources = append(resources, resource)
			targets = append(targets, multicluster.Target{Group: *v.Reference.APIGroup, Key: client.Key{Cluster: key.Cluster, Name: v.Reference.Name}})
		}
	}
	r.targets.Follow(key, targets...)
	if len(resources) == 0 {
		conditionsv1alpha1.Delete(export, apisv1alpha2.VirtualStorageReady)
		return 0, nil
	}
	if !r.forwards {
		conditionsv1alpha1.MarkFalse(export, apisv1alpha2.VirtualStorageReady, apisv1alpha2.VirtualStorageNotEnabledReason, conditionsv1alpha1.ConditionSeverityError,
			"the operator of this server does not allow requests to other servers: only ClusterCachedResourceEndpointSlice of cache.kcp.io is served")
		return 0, nil
	}
	var faults []string
	for _, resource := range resources {
		fault, err := r.endpointFault(ctx, key.Cluster, resource)
		if err != nil {
			return 0, err
		}
		if fault != "" {
			faults = append(faults, fault)
		}
	}
	if len(faults) == 0 {
		conditionsv1alpha1.MarkTrue(export, apisv1alpha2.VirtualStorageReady)
		return 0, nil
	}
	conditionsv1alpha1.MarkFalse(export, apisv1alpha2.VirtualStorageReady, apisv1alpha2.EndpointNotFoundReason, conditionsv1alpha1.ConditionSeverityError, "%s", strings.Join(faults, "; "))
	return patience(export), nil
}

// endpointFault returns why requests for resource have no endpoint; empty if they have one.
func (r *reconciler) endpointFault(ctx context.Context, cluster logicalcluster.Name, resource *apisv1alpha2.ResourceSchema) (string, error) {
	reference := &resource.Storage.Virtual.Reference
	gr := schema.GroupResource{Group: resource.Group, Resource: resource.Name}
	slice, kind, err := client.FindReferred(ctx, r.content, cluster, reference, false)
	if err != nil {
		return "", err
	}
	switch {
	case kind.Empty():
		return fmt.Sprintf("%s: the workspace has no cluster-scoped custom resource %s of %s", gr, reference.Kind, *reference.APIGroup), nil
	case slice == nil:
		return fmt.Sprintf("%s: %s %q does not exist", gr, reference.Kind, reference.Name), nil
	}
	shard, err := client.Find[corev1alpha1.Shard](ctx, r.client, shards, client.Key{Cluster: logicalcluster.Root, Name: rootShard})
	if err != nil {
		return "", err
	}
	if shard == nil {
		return fmt.Sprintf("%s: the shard is not known yet", gr), nil
	}
	if _, err := endpoints.Choose(slice, shard.Labels); err != nil {
		return fmt.Sprintf("%s: %s %q: %v", gr, reference.Kind, reference.Name, err), nil
	}
	return "", nil
}

// patience returns when to look again: the longer the condition is what it is, the later.
func patience(export *apisv1alpha2.APIExport) time.Duration {
	c := conditionsv1alpha1.Get(export, apisv1alpha2.VirtualStorageReady)
	return min(max(time.Since(c.LastTransitionTime.Time)/2, lookAgain), mostPatience)
}
