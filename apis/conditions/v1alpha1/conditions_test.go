package v1alpha1

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type object struct{ conditions Conditions }

func (o *object) GetConditions() Conditions  { return o.conditions }
func (o *object) SetConditions(c Conditions) { o.conditions = c }

func TestSet_KeepsTransitionTimeOfUnchangedState(t *testing.T) {
	long := metav1.NewTime(time.Now().Add(-time.Hour))
	o := &object{conditions: Conditions{{Type: "A", Status: corev1.ConditionTrue, LastTransitionTime: long}}}
	MarkTrue(o, "A")
	if got := Get(o, "A").LastTransitionTime; !got.Equal(&long) {
		t.Errorf("time of unchanged condition is %v, want %v", got, long)
	}
	MarkFalse(o, "A", "Broken", ConditionSeverityError, "%d left", 3)
	c := Get(o, "A")
	if c.LastTransitionTime.Equal(&long) || c.Message != "3 left" || c.Severity != ConditionSeverityError || GetReason(o, "A") != "Broken" {
		t.Errorf("changed condition is %+v", c)
	}
}

func TestSet_SortsAndDoesNotTouchTheOldList(t *testing.T) {
	o := &object{}
	for _, c := range []ConditionType{"B", ReadyCondition, "A"} {
		before := o.conditions
		MarkUnknown(o, c, "Why", "because")
		if len(before) != len(o.conditions)-1 {
			t.Fatalf("the old list changed: %v", before)
		}
	}
	if o.conditions[0].Type != ReadyCondition || o.conditions[1].Type != "A" || o.conditions[2].Type != "B" {
		t.Errorf("order is %v", o.conditions)
	}
	Delete(o, "A")
	if Get(o, "A") != nil || len(o.conditions) != 2 {
		t.Errorf("A was not deleted: %v", o.conditions)
	}
}

func TestSetSummary(t *testing.T) {
	isTrue := func(ct ConditionType) Condition { return Condition{Type: ct, Status: corev1.ConditionTrue} }
	isFalse := func(ct ConditionType, s ConditionSeverity) Condition {
		return Condition{Type: ct, Status: corev1.ConditionFalse, Severity: s, Reason: string(ct)}
	}
	for _, tc := range []struct {
		name       string
		conditions Conditions
		types      []ConditionType
		wantStatus corev1.ConditionStatus
		wantReason string
	}{
		{"nothing known", nil, nil, "", ""},
		{"all true", Conditions{isTrue("A"), isTrue("B")}, nil, corev1.ConditionTrue, ""},
		{"gravest wins", Conditions{isFalse("A", ConditionSeverityInfo), isFalse("B", ConditionSeverityError), isFalse("C", ConditionSeverityWarning)}, nil, corev1.ConditionFalse, "B"},
		{"unknown before true", Conditions{isTrue("A"), {Type: "B", Status: corev1.ConditionUnknown, Reason: "B"}}, nil, corev1.ConditionUnknown, "B"},
		{"only the types asked for", Conditions{isTrue("A"), isFalse("B", ConditionSeverityError)}, []ConditionType{"A"}, corev1.ConditionTrue, ""},
		{"old summary does not count", Conditions{isFalse(ReadyCondition, ConditionSeverityError), isTrue("A")}, nil, corev1.ConditionTrue, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := &object{conditions: tc.conditions}
			SetSummary(o, tc.types...)
			got := Get(o, ReadyCondition)
			if got == nil {
				got = &Condition{}
			}
			if got.Status != tc.wantStatus || got.Reason != tc.wantReason {
				t.Errorf("Ready is %+v, want status %q, reason %q", got, tc.wantStatus, tc.wantReason)
			}
		})
	}
}
