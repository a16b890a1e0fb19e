package logicalcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/core/lifecycle"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	cluster "github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/admission/tree"
)

// RulesName is the name of the plugin that NewRules returns.
const RulesName = "core.kcp.io/LogicalCluster"

type rules struct {
	*admission.Handler
	authorizer request.Authorizer
}

var (
	_ admission.MutationInterface   = &rules{}
	_ admission.ValidationInterface = &rules{}
)

var errNoRelease = errors.New("initializers and terminators write nothing but the status of a LogicalCluster")

// NewRules returns the plugin that checks writes of LogicalClusters. authorizer knows who may accept inherited permissions.
func NewRules(authorizer request.Authorizer) admission.Interface {
	return &rules{Handler: admission.NewHandler(admission.Create, admission.Update, admission.Delete), authorizer: authorizer}
}

// Validate implements admission.ValidationInterface.
func (r *rules) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().GroupResource() != tree.LogicalClusters {
		return nil
	}
	name, err := request.Cluster(ctx)
	if err != nil {
		return err
	}
	if err := r.check(name, a); err != nil {
		return admission.NewForbidden(a, err)
	}
	return r.checkInheritance(ctx, name, a)
}

func (r *rules) check(name cluster.Name, a admission.Attributes) error {
	internal := request.IsInternal(a)
	switch a.GetOperation() {
	case admission.Create:
		if !internal {
			return errors.New("only the system creates LogicalClusters; create a Workspace")
		}
	case admission.Delete:
		if name == cluster.Root {
			return errors.New("the root workspace cannot be deleted")
		}
		old, ok := a.GetOldObject().(*corev1alpha1.LogicalCluster)
		if !internal && ok && !old.Spec.DirectlyDeletable {
			return errors.New("this LogicalCluster cannot be deleted directly; delete its Workspace")
		}
	case admission.Update:
		updated, isCluster := a.GetObject().(*corev1alpha1.LogicalCluster)
		old, wasCluster := a.GetOldObject().(*corev1alpha1.LogicalCluster)
		if internal || !isCluster || !wasCluster {
			return nil
		}
		if a.GetSubresource() == "status" {
			return lifecycle.CheckCluster(updated, old)
		}
		return checkUpdate(updated, old)
	}
	return nil
}

// fixed are the annotations that identify a logical cluster to the system.
var fixed = []string{
	corev1alpha1.LogicalClusterTypeAnnotationKey,
	corev1alpha1.LogicalClusterShardAnnotationKey,
	corev1alpha1.RequiredGroupsAnnotationKey,
	corev1alpha1.MaxTotalObjectsAnnotationKey,
	corev1alpha1.MaxTotalBytesAnnotationKey,
	corev1alpha1.TypeLimitsAnnotationKey,
	corev1alpha1.TypeClustersAnnotationKey,
	corev1alpha1.MadeFromAnnotationKey,
	tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey,
}

func checkUpdate(updated, old *corev1alpha1.LogicalCluster) error {
	for field, same := range map[string]bool{
		"spec.createdBy": apiequality.Semantic.DeepEqual(updated.Spec.CreatedBy, old.Spec.CreatedBy),
		"spec.owner":     apiequality.Semantic.DeepEqual(updated.Spec.Owner, old.Spec.Owner),
		// Deleting the LogicalCluster deletes the Workspace above, which is not the user's.
		"spec.directlyDeletable": updated.Spec.DirectlyDeletable == old.Spec.DirectlyDeletable,
		"spec.initializers":      slices.Equal(updated.Spec.Initializers, old.Spec.Initializers),
		"spec.terminators":       slices.Equal(updated.Spec.Terminators, old.Spec.Terminators),
	} {
		if !same {
			return fmt.Errorf("%s cannot be changed", field)
		}
	}
	if !apiequality.Semantic.DeepEqual(updated.Spec, old.Spec) {
		return errors.New("spec cannot be changed")
	}
	for _, key := range fixed {
		if updated.Annotations[key] != old.Annotations[key] {
			return fmt.Errorf("annotation %s can only be changed by system privileged users", key)
		}
	}
	if lifecycle.IsSwitchedOff(updated) != lifecycle.IsSwitchedOff(old) && old.Status.Phase != corev1alpha1.LogicalClusterPhaseReady && old.Status.Phase != corev1alpha1.LogicalClusterPhaseInactive {
		return fmt.Errorf("annotation %s can be changed only in phase Ready or Inactive, not in %s", corev1alpha1.LogicalClusterInactiveAnnotationKey, old.Status.Phase)
	}
	return nil
}
