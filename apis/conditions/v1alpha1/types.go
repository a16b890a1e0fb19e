package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConditionType names what a condition is about, in CamelCase.
type ConditionType string

// ReadyCondition sums up all other conditions of an object.
const ReadyCondition ConditionType = "Ready"

// ConditionSeverity says how much a condition that is False matters.
type ConditionSeverity string

const (
	// ConditionSeverityError asks for somebody's action.
	ConditionSeverityError ConditionSeverity = "Error"
	// ConditionSeverityWarning is worth a look, and may heal by itself.
	ConditionSeverityWarning ConditionSeverity = "Warning"
	// ConditionSeverityInfo is not a fault: work goes on.
	ConditionSeverityInfo ConditionSeverity = "Info"
	// ConditionSeverityNone is the severity of every condition that is not False.
	ConditionSeverityNone ConditionSeverity = ""
)

// Condition is one observation of the state of an object.
type Condition struct {
	// type names what the condition is about, in CamelCase.
	// +required
	Type ConditionType `json:"type"`
	// status is True, False or Unknown.
	// +required
	Status corev1.ConditionStatus `json:"status"`
	// severity says how much it matters that the condition is False: Error, Warning or Info. It is empty for True and Unknown.
	// +optional
	Severity ConditionSeverity `json:"severity,omitempty"`
	// lastTransitionTime is when the condition last changed.
	// +required
	LastTransitionTime metav1.Time `json:"lastTransitionTime"`
	// reason is one CamelCase word for programs that says why the condition has its status.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message tells people what was seen.
	// +optional
	Message string `json:"message,omitempty"`
}

// Conditions is the list of an object, at most one entry for each type.
type Conditions []Condition
