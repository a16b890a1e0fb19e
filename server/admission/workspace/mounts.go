package workspace

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/admission/tree"
)

// MountsName is the name of the plugin that NewMounts returns.
const MountsName = "tenancy.kcp.io/WorkspaceMounts"

type mounts struct {
	*admission.Handler
	enabled bool
}

var _ admission.ValidationInterface = &mounts{}

// NewMounts returns the plugin.
func NewMounts(enabled bool) admission.Interface {
	return &mounts{Handler: admission.NewHandler(admission.Create), enabled: enabled}
}

// Validate implements admission.ValidationInterface: a Workspace is mounted only if the operator permits mounts, and without a type.
func (p *mounts) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	ws, ok := a.GetObject().(*tenancyv1alpha1.Workspace)
	if !ok || !request.Is(a, tree.Workspaces) || ws.Spec.Mount == nil {
		return nil
	}
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if !p.enabled {
		errs = append(errs, field.Forbidden(spec.Child("mount"), "mounts are not enabled on this server, see --mount-proxy-client-cert-file"))
	}
	if ws.Spec.Type != nil && !request.IsMaster(a) {
		errs = append(errs, field.Forbidden(spec.Child("type"), "a mounted workspace has no type"))
	}
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(a.GetKind().GroupKind(), ws.Name, errs)
}
