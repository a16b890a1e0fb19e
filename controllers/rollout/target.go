package rollout

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	rules "github.com/annex-dev/annex/apis/annex/rollout"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/controllers/consumers"
	"github.com/annex-dev/annex/schemas/change"
)

// retarget makes the status of rollout say what export names now, and reports whether that begins a new revision. A revision begins from
// what consumers had when the last one was complete. If the export names that again, they return to it.
func retarget(rollout *annexv1alpha1.APIExportRollout, export *apisv1alpha2.APIExport, all []consumers.Alike) bool {
	status := &rollout.Status
	complete := status.Phase == annexv1alpha1.RolloutPhaseComplete
	begins := status.Revision == 0
	var replaced, others []annexv1alpha1.RolloutResource
	for _, offered := range export.Spec.Resources {
		gr := schema.GroupResource{Group: offered.Group, Resource: offered.Name}
		res := annexv1alpha1.RolloutResource{Group: gr.Group, Resource: gr.Resource, From: offered.Schema, To: offered.Schema}
		before := rules.Resource(rollout, gr)
		switch {
		case before == nil:
			// What consumers have of it was decided before the rollout was created.
			if res.From = mostUsed(all, gr, res.To); res.From != res.To {
				begins = true
				replaced = append(replaced, res)
				continue
			}
		case before.To == res.To:
			res.From = before.From
		default:
			begins = true
			if res.From = before.From; complete {
				res.From = before.To
			}
			replaced = append(replaced, res)
			continue
		}
		others = append(others, res)
	}
	if begins && complete {
		for i := range others {
			others[i].From = others[i].To // an undo concerns only what this revision changes
		}
	}
	status.Resources = append(others, replaced...)
	slices.SortFunc(status.Resources, func(a, b annexv1alpha1.RolloutResource) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource))
	})
	if begins {
		status.Revision++
		status.Phase, status.Wave, status.WaveCompletionTime, status.Failures = annexv1alpha1.RolloutPhaseProgressing, 1, nil, nil
	}
	return begins
}

// mostUsed returns the schema other than to that most consumers have of gr; to if there is none.
func mostUsed(all []consumers.Alike, gr schema.GroupResource, to string) string {
	uses := map[string]int{}
	for _, alike := range all {
		if name := alike.Schemas[gr]; alike.Bound && !alike.Deleting && name != "" && name != to {
			uses[name] += len(alike.Bindings)
		}
	}
	most := to
	for name, n := range uses {
		if most == to || n > uses[most] || n == uses[most] && name < most {
			most = name
		}
	}
	return most
}

// settles reports whether there is nothing to decide: all consumers are to have what they had.
func settles(rollout *annexv1alpha1.APIExportRollout) bool {
	return !slices.ContainsFunc(rollout.Status.Resources, func(res annexv1alpha1.RolloutResource) bool { return res.From != res.To })
}

// target is what one revision makes consumers change to.
type target struct {
	// schemas are the new ones of the resources that change.
	schemas map[schema.GroupResource]*apisv1alpha1.APIResourceSchema
	// fault is why no consumer may get them, and noReturn why none could go back to the previous ones; empty if they may and could.
	fault, noReturn problem
}

type problem struct{ reason, message string }

// targetOf reads the schemas that rollout is about.
func (r *reconciler) targetOf(ctx context.Context, rollout *annexv1alpha1.APIExportRollout) (*target, error) {
	t := &target{schemas: map[schema.GroupResource]*apisv1alpha1.APIResourceSchema{}}
	for _, res := range rollout.Status.Resources {
		if res.From == res.To {
			continue
		}
		from, err := r.schema(ctx, rollout, res.From)
		if err != nil {
			return nil, err
		}
		to, err := r.schema(ctx, rollout, res.To)
		if err != nil {
			return nil, err
		}
		if from == nil {
			t.noReturn = problem{annexv1alpha1.RolloutSchemaNotFoundReason, fmt.Sprintf("there is no APIResourceSchema %q in this workspace any more", res.From)}
		}
		if to == nil {
			t.fault = problem{annexv1alpha1.RolloutSchemaNotFoundReason, fmt.Sprintf("there is no APIResourceSchema %q in this workspace", res.To)}
			continue
		}
		t.schemas[schema.GroupResource{Group: res.Group, Resource: res.Resource}] = to
		if from == nil {
			continue
		}
		if why := change.NoWayBack(from, to); why != "" {
			t.fault = problem{annexv1alpha1.RolloutNotReversibleReason, fmt.Sprintf("APIResourceSchema %q cannot be rolled out: %s", to.Name, why)}
			t.noReturn = t.fault
		}
	}
	return t, nil
}

func (r *reconciler) schema(ctx context.Context, rollout *annexv1alpha1.APIExportRollout, name string) (*apisv1alpha1.APIResourceSchema, error) {
	return client.Find[apisv1alpha1.APIResourceSchema](ctx, r.Client, schemas, client.Key{Cluster: client.KeyOf(rollout).Cluster, Name: name})
}
