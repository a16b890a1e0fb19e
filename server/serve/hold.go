package serve

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/registry/storage"
)

// hold returns the context of a watch on target. It ends when the client has to look again:
//
//	the cluster serves the resource no longer, or in another way
//	the cluster is switched off, except for system:masters
//	the condition of the virtual workspace is no longer true
//	the request would not cover the same objects any more: it ends with 410 then
//
// done must be called when the watch is over.
func (s *Server) hold(ctx context.Context, target Target, info *genericapirequest.RequestInfo) (watch context.Context, done func()) {
	request := ctx
	conditions := []Condition{target.While}
	if target.Cataloged {
		conditions = append(conditions, Condition{Cluster: target.Cluster, Holds: func(ctx context.Context) bool { return s.stillServed(ctx, target) }})
	}
	if !target.All && endsWhenInactive(ctx, target, info) {
		conditions = append(conditions, Condition{Cluster: target.Cluster, Holds: func(context.Context) bool { return !s.config.Inactive(target.Cluster) }})
	}
	var ends []func()
	for _, condition := range conditions {
		if condition.Holds != nil {
			var end func()
			ctx, end = s.config.Watches.Hold(ctx, condition)
			ends = append(ends, end)
		}
	}
	if target.Covers.Holds != nil {
		// The context of the watch does not end, because then the answer would end before the error is sent. Nor does it end this one: when
		// a condition is no longer true, there is no error to send.
		covers, end := s.config.Watches.Hold(request, target.Covers)
		ctx = storage.WithExpiry(ctx, covers.Done())
		ends = append(ends, end)
	}
	return ctx, func() {
		for _, end := range ends {
			end()
		}
	}
}

// stillServed reports whether the cluster of target serves its resource as it did.
func (s *Server) stillServed(ctx context.Context, target Target) bool {
	snapshot, err := s.config.Catalog.For(ctx, target.Cluster)
	if err != nil {
		klog.FromContext(ctx).V(2).Info("Ending a watch, since what its cluster serves is unknown", "cluster", target.Cluster, "reason", err.Error())
		return false
	}
	now, _ := snapshot.Lookup(target.Resource.GroupResource())
	return target.Resource.Same(now)
}

// endsWhenInactive reports whether a watch ends when its cluster is switched off. It goes by what the authorizer lets pass then:
// system:masters, and LogicalClusters, by which the cluster is switched on again.
func endsWhenInactive(ctx context.Context, target Target, info *genericapirequest.RequestInfo) bool {
	if (schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}) == corev1alpha1.Resource("logicalclusters") {
		return false
	}
	u, ok := genericapirequest.UserFrom(ctx)
	return !ok || !policy.Master(u, target.Cluster)
}
