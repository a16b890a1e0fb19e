package logicalcluster

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/admission/tree"
)

// GuardName is the name of the plugin that NewGuard returns.
const GuardName = "tenancy.kcp.io/LogicalClusterDeletionFinalizer"

type guard struct{ *admission.Handler }

var _ admission.MutationInterface = &guard{}

// NewGuard returns the plugin for the finalizers of Workspaces and LogicalClusters. It adds the finalizer to a new LogicalCluster, and
// restores a finalizer that a user omits from an update.
func NewGuard() admission.Interface {
	return &guard{Handler: admission.NewHandler(admission.Create, admission.Update)}
}

// Admit implements admission.MutationInterface.
func (g *guard) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	finalizer := ""
	switch {
	case request.Is(a, tree.LogicalClusters):
		finalizer = corev1alpha1.LogicalClusterDeletionFinalizer
	case request.Is(a, tree.Workspaces):
		finalizer = corev1alpha1.LogicalClusterFinalizer
	default:
		return nil
	}
	obj, err := meta.Accessor(a.GetObject())
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	if slices.Contains(obj.GetFinalizers(), finalizer) {
		return nil
	}
	if a.GetOperation() == admission.Update {
		old, err := meta.Accessor(a.GetOldObject())
		if err != nil {
			return admission.NewForbidden(a, err)
		}
		if request.IsMaster(a) || !slices.Contains(old.GetFinalizers(), finalizer) {
			return nil
		}
	}
	obj.SetFinalizers(append(slices.Clone(obj.GetFinalizers()), finalizer))
	return nil
}
