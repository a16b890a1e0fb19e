package namespace

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/client"
)

// setConditions sets the conditions with the reasons and messages of Kubernetes for what prevents the deletion of a namespace. err is
// the error of deleting its content, or nil.
func setConditions(status *corev1.NamespaceStatus, remaining client.Remaining, err error, now metav1.Time) {
	// Discovery is never asked here, so it cannot fail. Clients wait for these conditions all the same.
	discovered := corev1.NamespaceCondition{
		Type: corev1.NamespaceDeletionDiscoveryFailure, Status: corev1.ConditionFalse,
		Reason: "ResourcesDiscovered", Message: "All resources successfully discovered",
	}
	parsed := corev1.NamespaceCondition{
		Type: corev1.NamespaceDeletionGVParsingFailure, Status: corev1.ConditionFalse,
		Reason: "ParsedGroupVersions", Message: "All legacy kube types successfully parsed",
	}
	failure := corev1.NamespaceCondition{
		Type: corev1.NamespaceDeletionContentFailure, Status: corev1.ConditionFalse,
		Reason: "ContentDeleted", Message: "All content successfully deleted, may be waiting on finalization",
	}
	if err != nil {
		failure.Status, failure.Reason = corev1.ConditionTrue, "ContentDeletionFailed"
		failure.Message = fmt.Sprintf("Failed to delete all resource types, 1 remaining: %v", err)
	}
	content := corev1.NamespaceCondition{
		Type: corev1.NamespaceContentRemaining, Status: corev1.ConditionFalse,
		Reason: "ContentRemoved", Message: "All content successfully removed",
	}
	var left []string
	for gr, n := range remaining.Resources {
		left = append(left, fmt.Sprintf("%s.%s has %d resource instances", gr.Resource, gr.Group, n))
	}
	if len(left) > 0 {
		slices.Sort(left)
		content.Status, content.Reason = corev1.ConditionTrue, "SomeResourcesRemain"
		content.Message = "Some resources are remaining: " + strings.Join(left, ", ")
	}
	finalizers := corev1.NamespaceCondition{
		Type: corev1.NamespaceFinalizersRemaining, Status: corev1.ConditionFalse,
		Reason: "ContentHasNoFinalizers", Message: "All content-preserving finalizers finished",
	}
	if len(remaining.Finalizers) > 0 {
		var held []string
		for _, f := range slices.Sorted(maps.Keys(remaining.Finalizers)) {
			held = append(held, fmt.Sprintf("%s in %d resource instances", f, remaining.Finalizers[f]))
		}
		finalizers.Status, finalizers.Reason = corev1.ConditionTrue, "SomeFinalizersRemain"
		finalizers.Message = "Some content in the namespace has finalizers remaining: " + strings.Join(held, ", ")
	}
	for _, condition := range []corev1.NamespaceCondition{discovered, parsed, failure, content, finalizers} {
		setCondition(status, condition, now)
	}
}

// setCondition replaces the condition of the same type. It keeps the time if the status is the same.
func setCondition(status *corev1.NamespaceStatus, condition corev1.NamespaceCondition, now metav1.Time) {
	condition.LastTransitionTime = now
	for i := range status.Conditions {
		if status.Conditions[i].Type != condition.Type {
			continue
		}
		if status.Conditions[i].Status == condition.Status {
			condition.LastTransitionTime = status.Conditions[i].LastTransitionTime
		}
		status.Conditions[i] = condition
		return
	}
	status.Conditions = append(status.Conditions, condition)
}
