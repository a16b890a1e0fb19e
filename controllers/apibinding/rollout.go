package apibinding

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	rules "github.com/annex-dev/annex/apis/annex/rollout"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/apis/lifecycle"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

var rollouts = annexv1alpha1.Resource("apiexportrollouts")

// schemaFor returns the name of the schema with which the binding called key has to bind a resource of export: the one that the export names,
// unless an APIExportRollout says otherwise. A binding keeps what it has until the gate of the rollout is open for it.
func (c *Controller) schemaFor(ctx context.Context, key client.Key, binding *apisv1alpha2.APIBinding, export *apisv1alpha2.APIExport,
	resource apisv1alpha2.ResourceSchema) (string, error) {
	at := client.KeyOf(export)
	gr := groupResource(resource.Group, resource.Name)
	if c.isTyped(at.Cluster, gr) {
		return resource.Schema, nil
	}
	before := lifecycle.Resource(binding, gr)
	rollout, err := client.Find[annexv1alpha1.APIExportRollout](ctx, c.Client, rollouts, at)
	if err == nil && rollout == nil && before != nil && before.Schema.Name != resource.Schema {
		// One that was created before the export changed must not be missed.
		rollout, err = client.Find[annexv1alpha1.APIExportRollout](ctx, c.Live, rollouts, at)
	}
	if err != nil || rollout == nil {
		return resource.Schema, err
	}
	res := rules.Resource(rollout, gr)
	if before == nil {
		return newSchema(at.Cluster, key.Cluster, binding, rollout, res, resource.Schema)
	}
	switch {
	case res == nil: // it has not been looked at yet
		return before.Schema.Name, nil
	case rules.Undone(rollout):
		return res.From, nil
	case res.From == res.To, c.Gate.Passes(at, rollout.Status.Revision, key):
		return res.To, nil
	}
	return before.Schema.Name, nil
}

// newSchema returns the schema that a resource is bound with which binding did not have before.
func newSchema(provider, consumer logicalcluster.Name, binding *apisv1alpha2.APIBinding, rollout *annexv1alpha1.APIExportRollout, res *annexv1alpha1.RolloutResource,
	offered string) (string, error) {
	if res == nil {
		return offered, nil
	}
	waves, err := rules.WavesOf(provider, rollout)
	if err != nil {
		return "", err
	}
	return rules.ForNew(waves, rollout, res, consumer, binding.Labels), nil
}

// keeps reports whether binding keeps what it has of a resource, because the schema that it would have instead does not exist.
func keeps(binding *apisv1alpha2.APIBinding, gr schema.GroupResource, name, offered string) bool {
	return name != offered && lifecycle.Resource(binding, gr) != nil
}
