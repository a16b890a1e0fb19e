package storage

import (
	"fmt"

	"k8s.io/apiserver/pkg/features"
	"k8s.io/component-base/featuregate"
)

// DisableUnscopedGates turns off the stock features that pay for a whole resource, in all clusters, to serve one: the cache
// consistency check, which reads everything from etcd every few minutes; the list cost estimate, which charges a small
// cluster for all; and snapshots of the watch cache, for which each write copies nodes of a tree over all clusters and
// keeps the old ones for minutes, so that the later pages of a list need not be read from etcd. Lists of all clusters have snapshots of their own
// (raw/pages.go). Call it before [NewBackend] with utilfeature.DefaultMutableFeatureGate.
func DisableUnscopedGates(gates featuregate.MutableFeatureGate) error {
	if err := gates.SetFromMap(map[string]bool{
		string(features.DetectCacheInconsistency):  false,
		string(features.SizeBasedListCostEstimate): false,
		string(features.ListFromCacheSnapshot):     false,
	}); err != nil {
		return fmt.Errorf("turning off features that look at all clusters: %w", err)
	}
	return nil
}
