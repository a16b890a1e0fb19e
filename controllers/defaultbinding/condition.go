package defaultbinding

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// update sets the condition of obj, if that changes anything.
func update[E any, T interface {
	*E
	client.Object
	conditionsv1alpha1.Setter
	DeepCopy() *E
}](ctx context.Context, r *reconciler, gr schema.GroupResource, obj T, refused error) error {
	updated := T(obj.DeepCopy())
	if refused == nil {
		conditionsv1alpha1.MarkTrue(updated, corev1alpha1.APIBindingsReconciled)
	} else {
		conditionsv1alpha1.MarkFalse(updated, corev1alpha1.APIBindingsReconciled, corev1alpha1.APIBindingErrorsReason, conditionsv1alpha1.ConditionSeverityError, "%s", refused)
	}
	if apiequality.Semantic.DeepEqual(obj, updated) {
		return nil
	}
	if _, err := r.Client.Update(ctx, gr, logicalcluster.From(obj), updated); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("updating %s %q: %w", gr, obj.GetName(), err)
	}
	return nil
}
