package logicalcluster

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/core/lifecycle"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
)

type releaseKey struct{}

// WithRelease returns a context for a write of the status of a LogicalCluster by an initializer or a terminator. The write can do nothing
// but release the LogicalCluster, whoever the user is.
func WithRelease(ctx context.Context, release lifecycle.Release) context.Context {
	return context.WithValue(ctx, releaseKey{}, release)
}

// Admit implements admission.MutationInterface. It checks releases here because the strategy, which runs before validating admission,
// changes the status after a release.
func (r *rules) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	release, ok := ctx.Value(releaseKey{}).(lifecycle.Release)
	if !ok {
		return nil
	}
	updated, isCluster := a.GetObject().(*corev1alpha1.LogicalCluster)
	old, wasCluster := a.GetOldObject().(*corev1alpha1.LogicalCluster)
	if a.GetOperation() != admission.Update || a.GetSubresource() != "status" || !isCluster || !wasCluster {
		return admission.NewForbidden(a, errNoRelease)
	}
	if !release.Concerns(old) {
		return apierrors.NewNotFound(a.GetResource().GroupResource(), a.GetName())
	}
	if errs := release.Validate(&updated.Status, &old.Status); len(errs) > 0 {
		return apierrors.NewInvalid(a.GetKind().GroupKind(), a.GetName(), errs)
	}
	return nil
}
