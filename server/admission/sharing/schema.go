package sharing

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/annex/rollout"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/apistatus"
)

// schemaPlugin keeps APIResourceSchemas that an APIExport of their workspace offers: without it, nobody could bind the export any more.
// Consumers have copies of what they have bound.
type schemaPlugin struct {
	*admission.Handler
	exports exports
}

var _ admission.ValidationInterface = &schemaPlugin{}

// Validate implements admission.ValidationInterface. Deleting a workspace deletes its schemas, whatever offers them.
func (p *schemaPlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if !request.Is(a, schemas) || request.IsMaster(a) {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	name := a.GetName()
	if old, ok := a.GetOldObject().(*apisv1alpha1.APIResourceSchema); ok {
		name = old.Name // a deletion of many names none
	}
	export, err := p.exports.offering(ctx, cluster, name)
	if err != nil {
		return err
	}
	if export != "" {
		return admission.NewForbidden(a, fmt.Errorf("the schema is in use by APIExport %q: remove it from spec.resources there first", export))
	}
	user, err := p.exports.rollingOut(ctx, cluster, name)
	if err != nil || user == "" {
		return err
	}
	return admission.NewForbidden(a, fmt.Errorf("the schema is in use by APIExportRollout %q: wait until it is complete", user))
}

// rollingOut returns the name of an APIExportRollout in cluster that needs the APIResourceSchema called schema there; empty if none does. The
// error is an API status.
func (e exports) rollingOut(ctx context.Context, cluster logicalcluster.Name, schema string) (string, error) {
	all, err := client.List[annexv1alpha1.APIExportRollout](ctx, e.Live, rollouts, client.Scope{Cluster: cluster})
	if err != nil {
		return "", apistatus.Internal(err)
	}
	for _, r := range all {
		if rollout.InUse(r, schema) {
			return r.Name, nil
		}
	}
	return "", nil
}

// offering returns the name of an APIExport in cluster that offers the APIResourceSchema called schema there; empty if none does. The error is an
// API status.
func (e exports) offering(ctx context.Context, cluster logicalcluster.Name, schema string) (string, error) {
	all, err := client.List[apisv1alpha2.APIExport](ctx, e.Live, apiExports, client.Scope{Cluster: cluster})
	if err != nil {
		return "", apistatus.Internal(err)
	}
	for _, export := range all {
		if slices.ContainsFunc(export.Spec.Resources, func(r apisv1alpha2.ResourceSchema) bool { return r.Schema == schema }) {
			return export.Name, nil
		}
	}
	return "", nil
}
