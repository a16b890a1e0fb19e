package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConditionType is the type of a condition, in CamelCase.
type ConditionType string

// ReadyCondition summarizes all other conditions of an object.
const ReadyCondition ConditionType = "Ready"

// ConditionSeverity is the severity of a condition that is False.
type ConditionSeverity string

const (
	// ConditionSeverityError means that somebody must act.
	ConditionSeverityError ConditionSeverity = "Error"
	// ConditionSeverityWarning means that somebody should check, although the condition may recover by itself.
	ConditionSeverityWarning ConditionSeverity = "Warning"
	// ConditionSeverityInfo means that there is no fault and work continues.
	ConditionSeverityInfo ConditionSeverity = "Info"
	// ConditionSeverityNone is the severity of every condition that is not False.
	ConditionSeverityNone ConditionSeverity = ""
)

// Condition is one observation of the state of an object.
type Condition struct {
	// type is the type of the condition, in CamelCase.
	// +required
	Type ConditionType `json:"type"`
	// status is True, False or Unknown.
	// +required
	Status corev1.ConditionStatus `json:"status"`
	// severity is the severity of a condition that is False: Error, Warning or Info. It is empty for True and Unknown.
	// +optional
	Severity ConditionSeverity `json:"severity,omitempty"`
	// lastTransitionTime is when the condition last changed.
	// +required
	LastTransitionTime metav1.Time `json:"lastTransitionTime"`
	// reason is the reason for the status, as one CamelCase word for programs.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message describes the observation for people.
	// +optional
	Message string `json:"message,omitempty"`
}

// Conditions is the list of an object, at most one entry for each type.
type Conditions []Condition
