package workspace

import (
	"context"
	"fmt"
	"math/rand/v2"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// schedule selects one of the shards that ws may be placed on, at random. If there is none, it returns nil and the reason for users.
func (r *reconciler) schedule(ctx context.Context, ws *tenancyv1alpha1.Workspace) (*corev1alpha1.Shard, string, error) {
	selector := labels.Everything()
	if location := ws.Spec.Location; location != nil && location.Selector != nil {
		var err error
		if selector, err = metav1.LabelSelectorAsSelector(location.Selector); err != nil {
			return nil, fmt.Sprintf("spec.location.selector is invalid: %v", err), nil
		}
	}
	all, err := client.List[corev1alpha1.Shard](ctx, r.Client, shards, client.Scope{Cluster: logicalcluster.Root, Selector: selector})
	if err != nil {
		return nil, "", err
	}
	var fit []*corev1alpha1.Shard
	for _, shard := range all {
		if shard.DeletionTimestamp != nil {
			continue
		}
		if _, closed := shard.Annotations[corev1alpha1.UnschedulableAnnotationKey]; !closed {
			fit = append(fit, shard)
		}
	}
	if len(fit) == 0 {
		return nil, fmt.Sprintf("no schedulable shard matches selector %q", selector), nil
	}
	return fit[rand.IntN(len(fit))], "", nil
}
