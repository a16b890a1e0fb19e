package rollout

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Resource returns what the status of a rollout says about gr; nil if it does not say anything yet.
func Resource(r *annexv1alpha1.APIExportRollout, gr schema.GroupResource) *annexv1alpha1.RolloutResource {
	i := slices.IndexFunc(r.Status.Resources, func(res annexv1alpha1.RolloutResource) bool {
		return res.Group == gr.Group && res.Resource == gr.Resource
	})
	if i < 0 {
		return nil
	}
	return &r.Status.Resources[i]
}

// Undone reports whether consumers return to the previous schemas, or have returned.
func Undone(r *annexv1alpha1.APIExportRollout) bool {
	return r.Spec.Undo > 0 && r.Spec.Undo == r.Status.Revision
}

// InUse reports whether a rollout needs the APIResourceSchema called name: consumers have it, or may return to it.
func InUse(r *annexv1alpha1.APIExportRollout, name string) bool {
	return slices.ContainsFunc(r.Status.Resources, func(res annexv1alpha1.RolloutResource) bool {
		return res.To == name || res.From == name && !Settled(r)
	})
}

// Settled reports whether nothing is being rolled out or undone.
func Settled(r *annexv1alpha1.APIExportRollout) bool {
	return r.Status.Phase == "" || r.Status.Phase == annexv1alpha1.RolloutPhaseComplete
}

// ForNew returns the schema that a new consumer gets of a resource: that of its wave. A consumer without objects needs no validation.
// w are the waves of r, and its the labels of the APIBinding.
func ForNew(w *Waves, r *annexv1alpha1.APIExportRollout, res *annexv1alpha1.RolloutResource, consumer logicalcluster.Name, its map[string]string) string {
	switch {
	case Undone(r):
		return res.From
	case r.Status.Phase == annexv1alpha1.RolloutPhaseComplete:
		return res.To
	case w.Skips(consumer) || w.Of(consumer, its) > r.Status.Wave:
		return res.From
	}
	return res.To
}
