package rollout

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Waves are the waves of one rollout, ready to be asked for many consumers.
type Waves struct {
	provider logicalcluster.Name
	export   string
	waves    []wave
	skipped  sets.Set[string]
	labeled  bool
}

type wave struct {
	percentage uint64
	selector   labels.Selector // nil for none
	clusters   sets.Set[string]
}

// WavesOf returns the waves of a rollout in cluster provider. The error is for a selector that validation would have refused.
func WavesOf(provider logicalcluster.Name, r *annexv1alpha1.APIExportRollout) (*Waves, error) {
	w := &Waves{provider: provider, export: r.Name, skipped: sets.New(r.Spec.Skip...)}
	for i, spec := range r.Spec.Waves {
		next := wave{clusters: sets.New(spec.Clusters...)}
		if spec.Percentage != nil {
			next.percentage = uint64(max(*spec.Percentage, 0))
		}
		if spec.Selector != nil {
			selector, err := metav1.LabelSelectorAsSelector(spec.Selector)
			if err != nil {
				return nil, fmt.Errorf("reading the selector of wave %d of APIExportRollout %q: %w", i+1, r.Name, err)
			}
			next.selector, w.labeled = selector, true
		}
		w.waves = append(w.waves, next)
	}
	return w, nil
}

// Len returns how many waves there are. The last one has the consumers that no wave of the spec includes.
func (w *Waves) Len() int32 { return int32(len(w.waves)) + 1 } //nolint:gosec // validation allows few

// Labeled reports whether Of depends on labels.
func (w *Waves) Labeled() bool { return w.labeled }

// Of returns the number of the wave of a consumer, from 1 to Len. its are the labels of its APIBinding.
func (w *Waves) Of(consumer logicalcluster.Name, its map[string]string) int32 {
	share := w.Share(consumer)
	for i, wave := range w.waves {
		switch {
		case share < wave.percentage*(shares/100),
			wave.selector != nil && wave.selector.Matches(labels.Set(its)),
			wave.clusters.Has(consumer.String()):
			return int32(i) + 1 //nolint:gosec // as above
		}
	}
	return w.Len()
}

// Skips reports whether a consumer keeps the schemas that it has.
func (w *Waves) Skips(consumer logicalcluster.Name) bool { return w.skipped.Has(consumer.String()) }

// shares is how finely percentages divide consumers.
const shares = 1_000_000

// Share returns where a consumer is between 0 and 999,999: n percent are those below n times 10,000.
func (w *Waves) Share(consumer logicalcluster.Name) uint64 {
	// No part has a zero byte.
	sum := sha256.Sum256([]byte(w.provider.String() + "\x00" + w.export + "\x00" + consumer.String()))
	return binary.BigEndian.Uint64(sum[:8]) % shares
}
