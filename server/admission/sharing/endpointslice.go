package sharing

import (
	"context"
	"fmt"

	"k8s.io/apiserver/pkg/admission"

	apisv1alpha1 "github.com/annex-dev/annex/apis/apis/v1alpha1"
	"github.com/annex-dev/annex/server/admission/request"
)

// endpointSlicePlugin checks apiexportendpointslices. It checks only creation, because the reference cannot change later.
type endpointSlicePlugin struct {
	*admission.Handler
	exports exports
}

var _ admission.ValidationInterface = &endpointSlicePlugin{}

// Validate implements admission.ValidationInterface.
func (p *endpointSlicePlugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	slice, ok := a.GetObject().(*apisv1alpha1.APIExportEndpointSlice)
	if !ok || !request.Is(a, endpointSlices) {
		return nil
	}
	cluster, err := clusterOf(ctx, a)
	if err != nil {
		return err
	}
	export := slice.Spec.APIExport
	provider, err := p.exports.resolve(ctx, cluster, export.Path)
	if err != nil {
		return err
	}
	allowed, err := p.exports.mayBind(ctx, a, cluster, provider, export.Name)
	if err != nil {
		return err
	}
	if !allowed {
		path := export.Path
		if path == "" {
			path = cluster.String()
		}
		return admission.NewForbidden(a, fmt.Errorf("unable to create APIExportEndpointSlice: no permission to bind to export %s:%s", path, export.Name))
	}
	return nil
}
