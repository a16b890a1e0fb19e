package core

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apimachineryvalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// How many characters the fields of an event may have.
const (
	maxEventField   = 128
	maxEventMessage = 1024
)

// throughCore reports whether a request uses v1 of the core group, which must accept the events of old clients. The strict rules apply
// to all other requests: events.k8s.io and the server itself.
func throughCore(ctx context.Context) bool {
	info, ok := genericapirequest.RequestInfoFrom(ctx)
	return ok && info.APIGroup == corev1.GroupName && info.APIVersion == version
}

// validateEventRequest has all rules for a write of event. old is nil on create.
func validateEventRequest(ctx context.Context, event, old *corev1.Event) field.ErrorList {
	if old == nil {
		return append(validateEvent(ctx, event), validateNewEvent(ctx, event)...)
	}
	return append(validateEvent(ctx, event), validateEventUpdate(ctx, event, old)...)
}

// validateEvent checks the rules for every write of an event; see validateNewEvent for the rules at creation.
func validateEvent(ctx context.Context, event *corev1.Event) field.ErrorList {
	errs := validateEventNamespace(event)
	if !event.EventTime.IsZero() {
		errs = append(errs, validateReporter(ctx, event)...)
	}
	for _, message := range validation.IsDNS1123Subdomain(event.Namespace) {
		errs = append(errs, field.Invalid(field.NewPath("namespace"), event.Namespace, message))
	}
	return errs
}

// validateEventNamespace requires that an event is in the namespace of its object, or in a fixed namespace if the object has none.
func validateEventNamespace(event *corev1.Event) field.ErrorList {
	about := event.InvolvedObject.Namespace
	ok := about == event.Namespace
	switch {
	case about == "" && event.EventTime.IsZero():
		ok = event.Namespace == metav1.NamespaceNone || event.Namespace == metav1.NamespaceDefault
	case about == "":
		ok = event.Namespace == metav1.NamespaceDefault || event.Namespace == metav1.NamespaceSystem
	case !event.EventTime.IsZero():
		ok = true
	}
	if ok {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("involvedObject", "namespace"), about, "does not match event.namespace")}
}

// validateReporter checks the required fields of events that have an eventTime.
func validateReporter(ctx context.Context, event *corev1.Event) field.ErrorList {
	controller := field.NewPath("reportingController")
	if throughCore(ctx) {
		controller = field.NewPath("reportingComponent")
	}
	var errs field.ErrorList
	if event.ReportingController == "" {
		errs = append(errs, field.Required(controller, ""))
	}
	for _, message := range validation.IsQualifiedName(event.ReportingController) {
		errs = append(errs, field.Invalid(controller, event.ReportingController, message))
	}
	for _, f := range []struct{ name, value string }{
		{"reportingInstance", event.ReportingInstance}, {"action", event.Action}, {"reason", event.Reason},
	} {
		if f.value == "" {
			errs = append(errs, field.Required(field.NewPath(f.name), ""))
		}
		errs = append(errs, validateLength(f.name, f.value, maxEventField)...)
	}
	return append(errs, validateLength("message", event.Message, maxEventMessage)...)
}

func validateLength(name, value string, limit int) field.ErrorList {
	if len(value) <= limit {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath(name), "", fmt.Sprintf("can have at most %d characters", limit))}
}

// validateNewEvent checks the rules of events.k8s.io for a new event.
func validateNewEvent(ctx context.Context, event *corev1.Event) field.ErrorList {
	if throughCore(ctx) {
		return nil
	}
	errs := apimachineryvalidation.ValidateObjectMeta(&event.ObjectMeta, true, apimachineryvalidation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, validateSeries(event)...)
	if event.EventTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("eventTime"), ""))
	}
	if event.Type != corev1.EventTypeNormal && event.Type != corev1.EventTypeWarning {
		errs = append(errs, field.Invalid(field.NewPath("type"), "", fmt.Sprintf("has invalid value: %s", event.Type)))
	}
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"firstTimestamp", !event.FirstTimestamp.IsZero()},
		{"lastTimestamp", !event.LastTimestamp.IsZero()},
		{"count", event.Count != 0},
		{"source", event.Source.Component != "" || event.Source.Host != ""},
	} {
		if f.set {
			errs = append(errs, field.Invalid(field.NewPath(f.name), "", "needs to be unset"))
		}
	}
	return errs
}

func validateSeries(event *corev1.Event) field.ErrorList {
	var errs field.ErrorList
	if event.Series == nil {
		return nil
	}
	if event.Series.Count < 2 {
		errs = append(errs, field.Invalid(field.NewPath("series", "count"), "", "should be at least 2"))
	}
	if event.Series.LastObservedTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("series", "lastObservedTime"), ""))
	}
	return errs
}

// validateEventUpdate lets clients of events.k8s.io change only the series and the metadata.
func validateEventUpdate(ctx context.Context, event, old *corev1.Event) field.ErrorList {
	if throughCore(ctx) {
		return nil
	}
	var errs field.ErrorList
	if !apiequality.Semantic.DeepEqual(event.Series, old.Series) {
		errs = append(errs, validateSeries(event)...)
	}
	for _, f := range []struct {
		name     string
		now, was any
	}{
		{"involvedObject", event.InvolvedObject, old.InvolvedObject},
		{"reason", event.Reason, old.Reason},
		{"message", event.Message, old.Message},
		{"source", event.Source, old.Source},
		{"firstTimestamp", event.FirstTimestamp, old.FirstTimestamp},
		{"lastTimestamp", event.LastTimestamp, old.LastTimestamp},
		{"count", event.Count, old.Count},
		{"type", event.Type, old.Type},
		{"action", event.Action, old.Action},
		{"related", event.Related, old.Related},
		{"reportingController", event.ReportingController, old.ReportingController},
		{"reportingInstance", event.ReportingInstance, old.ReportingInstance},
	} {
		errs = append(errs, apimachineryvalidation.ValidateImmutableField(f.now, f.was, field.NewPath(f.name))...)
	}
	// JSON has microseconds, protobuf nanoseconds. Lost precision is not a change.
	if !event.EventTime.Truncate(time.Microsecond).Equal(old.EventTime.Truncate(time.Microsecond)) {
		errs = append(errs, field.Invalid(field.NewPath("eventTime"), event.EventTime, apimachineryvalidation.FieldImmutableErrorMsg))
	}
	return errs
}
