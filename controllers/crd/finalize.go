package crd

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

const (
	// lookAgain is the wait between two checks for finalizers of instances; lookLater is the wait after patience has ended.
	lookAgain = time.Second
	lookLater = 10 * time.Second
	patience  = time.Minute
)

// finalize deletes the instances of crd, and removes its finalizer when none is left. It changes crd and writes nothing.
func (r *reconciler) finalize(ctx context.Context, cluster logicalcluster.Name, crd *apiextensionsv1.CustomResourceDefinition) (reconcile.Result, error) {
	if !apihelpers.CRDHasFinalizer(crd, apiextensionsv1.CustomResourceCleanupFinalizer) {
		return reconcile.Result{}, nil
	}
	terminating := func(status apiextensionsv1.ConditionStatus, reason, message string) {
		setCondition(crd, apiextensionsv1.CustomResourceDefinitionCondition{
			Type: apiextensionsv1.Terminating, Status: status, Reason: reason, Message: message,
		})
	}
	if !apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established) {
		terminating(apiextensionsv1.ConditionFalse, "NeverEstablished", "resource was never established")
		apihelpers.CRDRemoveFinalizer(crd, apiextensionsv1.CustomResourceCleanupFinalizer)
		return reconcile.Result{}, nil
	}
	remaining, err := r.content.DeleteAll(ctx, client.ContentScope{
		Cluster: cluster,
		Wanted: func(gr schema.GroupResource, bucket string) bool {
			return bucket == client.LocalBucket && gr.Group == crd.Spec.Group && gr.Resource == crd.Status.AcceptedNames.Plural
		},
	})
	if err != nil {
		terminating(apiextensionsv1.ConditionTrue, "InstanceDeletionFailed", fmt.Sprintf("could not issue all deletes: %v", err))
		return reconcile.Result{}, fmt.Errorf("deleting the instances of CustomResourceDefinition %q in %q: %w", crd.Name, cluster, err)
	}
	if remaining.Empty() {
		terminating(apiextensionsv1.ConditionFalse, "InstanceDeletionCompleted", "removed all instances")
		apihelpers.CRDRemoveFinalizer(crd, apiextensionsv1.CustomResourceCleanupFinalizer)
		return reconcile.Result{}, nil
	}
	if time.Since(crd.DeletionTimestamp.Time) < patience {
		terminating(apiextensionsv1.ConditionTrue, "InstanceDeletionInProgress", "CustomResource deletion is in progress")
		return reconcile.Result{RequeueAfter: lookAgain}, nil
	}
	terminating(apiextensionsv1.ConditionTrue, "InstanceDeletionCheck",
		fmt.Sprintf("could not confirm zero CustomResources remaining: %s", remaining.Message()))
	return reconcile.Result{RequeueAfter: lookLater}, nil
}
