package v1alpha1

import (
	"fmt"
	"sort"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Getter is an object whose conditions can be read.
type Getter interface {
	GetConditions() Conditions
}

// Setter is an object whose conditions can be read and replaced.
type Setter interface {
	Getter
	SetConditions(Conditions)
}

// Get returns a copy of the condition of type t, or nil when the object has none.
func Get(from Getter, t ConditionType) *Condition {
	for _, c := range from.GetConditions() {
		if c.Type == t {
			return &c
		}
	}
	return nil
}

// IsTrue reports whether the condition of type t is there and True.
func IsTrue(from Getter, t ConditionType) bool { return hasStatus(from, t, corev1.ConditionTrue) }

// IsFalse reports whether the condition exists and is False.
func IsFalse(from Getter, t ConditionType) bool { return hasStatus(from, t, corev1.ConditionFalse) }

func hasStatus(from Getter, t ConditionType, status corev1.ConditionStatus) bool {
	c := Get(from, t)
	return c != nil && c.Status == status
}

// GetReason returns the reason of the condition of type t, empty when there is none.
func GetReason(from Getter, t ConditionType) string {
	if c := Get(from, t); c != nil {
		return c.Reason
	}
	return ""
}

// GetMessage returns the message of the condition of type t, empty when there is none.
func GetMessage(from Getter, t ConditionType) string {
	if c := Get(from, t); c != nil {
		return c.Message
	}
	return ""
}

// Set replaces the condition of c's type with c. If nothing else changes, the transition time does not change. Otherwise it is c's, or
// now (whole seconds, as on the wire) if c has none. The caller's slice is not changed.
func Set(to Setter, c Condition) {
	old := to.GetConditions()
	conditions := make(Conditions, 0, len(old)+1)
	for _, o := range old {
		if o.Type != c.Type {
			conditions = append(conditions, o)
		} else if sameState(o, c) {
			c.LastTransitionTime = o.LastTransitionTime
		}
	}
	if c.LastTransitionTime.IsZero() {
		c.LastTransitionTime = metav1.NewTime(time.Now().UTC().Truncate(time.Second))
	}
	conditions = append(conditions, c)
	sort.SliceStable(conditions, func(i, j int) bool { return less(conditions[i].Type, conditions[j].Type) })
	to.SetConditions(conditions)
}

// MarkTrue sets the condition of type t to True.
func MarkTrue(to Setter, t ConditionType) {
	Set(to, Condition{Type: t, Status: corev1.ConditionTrue})
}

// MarkFalse sets the condition of type t to False, for reason and with a message for people.
func MarkFalse(to Setter, t ConditionType, reason string, severity ConditionSeverity, format string, args ...any) {
	Set(to, Condition{Type: t, Status: corev1.ConditionFalse, Severity: severity, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// MarkUnknown sets the condition of type t to Unknown, for reason and with a message for people.
func MarkUnknown(to Setter, t ConditionType, reason, format string, args ...any) {
	Set(to, Condition{Type: t, Status: corev1.ConditionUnknown, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

// Delete removes the condition of type t.
func Delete(to Setter, t ConditionType) {
	old := to.GetConditions()
	conditions := make(Conditions, 0, len(old))
	for _, c := range old {
		if c.Type != t {
			conditions = append(conditions, c)
		}
	}
	if len(conditions) == 0 {
		conditions = nil
	}
	to.SetConditions(conditions)
}

// SetSummary sets Ready from the conditions of the given types, or of all types when none is given: False like the most
// severe condition that is False, otherwise Unknown like one that is Unknown, otherwise True. It ignores types that the object does
// not have, and does not change Ready if the object has none of them.
func SetSummary(to Setter, types ...ConditionType) {
	wanted := map[ConditionType]bool{}
	for _, t := range types {
		wanted[t] = true
	}
	var worst *Condition
	for _, c := range to.GetConditions() {
		if c.Type == ReadyCondition || (len(types) > 0 && !wanted[c.Type]) {
			continue
		}
		if worst == nil || gravity(c) > gravity(*worst) {
			worst = &c
		}
	}
	switch {
	case worst == nil:
	case worst.Status == corev1.ConditionTrue:
		MarkTrue(to, ReadyCondition)
	default:
		Set(to, Condition{Type: ReadyCondition, Status: worst.Status, Severity: worst.Severity, Reason: worst.Reason, Message: worst.Message})
	}
}

func gravity(c Condition) int {
	switch {
	case c.Status == corev1.ConditionTrue:
		return 0
	case c.Status != corev1.ConditionFalse:
		return 1
	case c.Severity == ConditionSeverityInfo:
		return 2
	case c.Severity == ConditionSeverityWarning:
		return 3
	}
	return 4
}

func sameState(a, b Condition) bool {
	return a.Type == b.Type && a.Status == b.Status && a.Severity == b.Severity && a.Reason == b.Reason && a.Message == b.Message
}

// less puts Ready first, then sorts by type.
func less(a, b ConditionType) bool {
	if (a == ReadyCondition) != (b == ReadyCondition) {
		return a == ReadyCondition
	}
	return a < b
}
