package app

import (
	"strings"

	corev1 "k8s.io/api/core/v1"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
)

// reasons returns what the conditions of an object say is missing, for the end of a sentence; empty if nothing is.
func reasons(conditions conditionsv1alpha1.Conditions) string {
	var out []string
	for i := range conditions {
		if c := &conditions[i]; c.Status == corev1.ConditionFalse && c.Message != "" && c.Type != "Ready" {
			out = append(out, c.Message)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, "; ")
}
