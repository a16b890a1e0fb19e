package apibinding

import (
	corev1 "k8s.io/api/core/v1"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// told are the conditions whose changes to False are told by Events. InitialBindingCompleted would repeat them.
var told = []conditionsv1alpha1.ConditionType{apisv1alpha2.APIExportValid, apisv1alpha2.BindingUpToDate, apisv1alpha2.PermissionClaimsValid}

// tell records an Event for each fault that binding has now and old had not. What passes by itself is not told.
func (c *Controller) tell(old, binding *apisv1alpha2.APIBinding) {
	for _, t := range told {
		now, before := conditionsv1alpha1.Get(binding, t), conditionsv1alpha1.Get(old, t)
		if now == nil || now.Status != corev1.ConditionFalse {
			continue
		}
		if before != nil && before.Status == now.Status && before.Reason == now.Reason && before.Message == now.Message {
			continue
		}
		switch now.Reason {
		case apisv1alpha2.MissingIdentityHashReason, apisv1alpha2.WaitingForEstablishedReason:
			continue
		}
		c.Tell(binding, apisv1alpha2.SchemeGroupVersion.WithKind("APIBinding"), corev1.EventTypeWarning, now.Reason, now.Message)
	}
}
