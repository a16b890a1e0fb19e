package quota

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/core/quota"
	"github.com/annex-dev/annex/server/apistatus"
)

// Quotas knows what exceeds a ResourceQuota.
type Quotas interface {
	// QuotaExceeded returns, as a quota.ExceededError, which quota one more object of a resource in a namespace, which is empty for
	// cluster-scoped resources, would exceed in the cluster and the bucket of ctx; nil for none.
	QuotaExceeded(ctx context.Context, resource schema.GroupResource, namespace string) error
}

// Plugin refuses dry runs of creations that exceed a quota.
type Plugin struct {
	*admission.Handler
	quotas Quotas
}

var _ admission.ValidationInterface = &Plugin{}

// New returns the plugin.
func New(quotas Quotas) *Plugin {
	return &Plugin{Handler: admission.NewHandler(admission.Create), quotas: quotas}
}

// Validate implements admission.ValidationInterface.
func (p *Plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if !a.IsDryRun() || a.GetSubresource() != "" || !quota.IsCounted(a.GetResource().GroupResource()) {
		return nil
	}
	err := p.quotas.QuotaExceeded(ctx, a.GetResource().GroupResource(), a.GetNamespace())
	var exceeded *quota.ExceededError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exceeded):
		return admission.NewForbidden(a, exceeded)
	}
	return apistatus.Internal(err)
}
