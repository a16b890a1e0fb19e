package rollout

import (
	"cmp"
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	rules "github.com/annex-dev/annex/apis/annex/rollout"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/consumers"
)

// member is a consumer of one rollout.
type member struct {
	binding client.Key
	wave    int32
	share   uint64
	// updated and returned are whether it has the new schemas, or the previous ones, of all that it has bound.
	updated, returned bool
	skipped           bool
	// reason is why the binding is not up to date; empty if it is.
	reason string
	// unfit is whether its objects are not valid in the new schemas.
	unfit bool
	// suspect is whether its binding could not follow before, and has not tried again: another server did not let it, or this one before it stopped.
	suspect bool
}

// failed reports whether the member counts as a failure when its wave has come.
func (m *member) failed() bool { return m.unfit || m.reason != "" }

// membersOf returns the consumers that have bound the export, those that come first at first. Nobody waits for those that are about to go.
func (r *reconciler) membersOf(ctx context.Context, rollout *annexv1alpha1.APIExportRollout, all []consumers.Alike) ([]*member, error) {
	key := client.KeyOf(rollout)
	waves, err := rules.WavesOf(key.Cluster, rollout)
	if err != nil {
		return nil, err
	}
	unfit, refused := map[client.Key]bool{}, map[client.Key]bool{}
	for _, f := range rollout.Status.Failures {
		if f.Reason == annexv1alpha1.RolloutObjectsInvalidReason {
			unfit[bindingOf(f)] = true
		} else {
			refused[bindingOf(f)] = true
		}
	}
	var members []*member
	for _, alike := range all {
		if !alike.Bound || alike.Deleting {
			continue
		}
		updated, returned := has(alike, rollout, false), has(alike, rollout, true)
		for _, binding := range alike.Bindings {
			m := &member{
				binding: binding, share: waves.Share(binding.Cluster), updated: updated, returned: returned, reason: alike.Reason,
				skipped: waves.Skips(binding.Cluster), unfit: unfit[binding] && !updated,
				suspect: refused[binding] && !updated && alike.Reason == "",
			}
			var labels map[string]string
			if waves.Labeled() {
				found, err := client.Find[apisv1alpha2.APIBinding](ctx, r.Client, bindings, binding)
				if err != nil {
					return nil, err
				}
				if found == nil {
					continue // an event comes
				}
				labels = found.Labels
			}
			m.wave = waves.Of(binding.Cluster, labels)
			members = append(members, m)
		}
	}
	slices.SortFunc(members, func(a, b *member) int {
		return cmp.Or(cmp.Compare(a.wave, b.wave), cmp.Compare(a.share, b.share), cmp.Compare(a.binding.Cluster, b.binding.Cluster), cmp.Compare(a.binding.Name, b.binding.Name))
	})
	return members, nil
}

// has reports whether bindings have the new schemas of all that they have bound; or the previous ones.
func has(alike consumers.Alike, rollout *annexv1alpha1.APIExportRollout, previous bool) bool {
	for _, res := range rollout.Status.Resources {
		wanted := res.To
		if previous {
			wanted = res.From
		}
		if its, bound := alike.Schemas[schema.GroupResource{Group: res.Group, Resource: res.Resource}]; bound && its != wanted {
			return false
		}
	}
	return true
}

func bindingOf(f annexv1alpha1.RolloutFailure) client.Key {
	return client.Key{Cluster: clusterName(f.Cluster), Name: f.Binding}
}

// count writes the numbers of the members into the status of rollout. A failure counts once the wave has come.
func count(rollout *annexv1alpha1.APIExportRollout, members []*member) {
	status := &rollout.Status
	status.Consumers, status.Updated, status.Skipped, status.Failed = 0, 0, 0, 0
	status.Waves = make([]annexv1alpha1.RolloutWaveStatus, len(rollout.Spec.Waves)+1)
	for _, m := range members {
		wave := &status.Waves[m.wave-1]
		wave.Consumers++
		status.Consumers++
		switch {
		case m.updated:
			wave.Updated++
			status.Updated++
		case m.skipped:
			status.Skipped++
		}
		if counts(rollout, m) {
			wave.Failed++
			status.Failed++
		}
	}
}

// counts reports whether m is a failure of rollout now.
func counts(rollout *annexv1alpha1.APIExportRollout, m *member) bool {
	return m.failed() && !m.skipped && m.wave <= rollout.Status.Wave
}
