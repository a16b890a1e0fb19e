package storage

import (
	"testing"

	"k8s.io/apiserver/pkg/features"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
)

func TestDisableUnscopedGates_TurnsThemOff(t *testing.T) {
	gates := utilfeature.DefaultMutableFeatureGate.DeepCopy()
	if err := DisableUnscopedGates(gates); err != nil {
		t.Fatal(err)
	}
	if gates.Enabled(features.DetectCacheInconsistency) || gates.Enabled(features.SizeBasedListCostEstimate) {
		t.Error("a gate is still on")
	}
}
