package core

import (
	"cmp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/annex-dev/annex/registry/kinds"
)

// EventTTL is how long an event is kept after its last write.
const EventTTL = time.Hour

func eventKind() *kinds.Kind[corev1.Event, *corev1.Event] {
	doc := corev1.Event{}.SwaggerDoc()
	return &kinds.Kind[corev1.Event, *corev1.Event]{
		Columns: []metav1.TableColumnDefinition{
			{Name: "Last Seen", Type: "string", Description: doc["lastTimestamp"]},
			{Name: "Type", Type: "string", Description: doc["type"]},
			{Name: "Reason", Type: "string", Description: doc["reason"]},
			{Name: "Object", Type: "string", Description: doc["involvedObject"]},
			{Name: "Subobject", Type: "string", Priority: 1, Description: corev1.ObjectReference{}.SwaggerDoc()["fieldPath"]},
			{Name: "Source", Type: "string", Priority: 1, Description: doc["source"]},
			{Name: "Message", Type: "string", Description: doc["message"]},
			{Name: "First Seen", Type: "string", Priority: 1, Description: doc["firstTimestamp"]},
			{Name: "Count", Type: "string", Priority: 1, Description: doc["count"]},
			{Name: "Name", Type: "string", Priority: 1, Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]},
		},
		Cells:               eventRow,
		Fields:              eventFields,
		TTL:                 EventTTL,
		CreateOnUpdate:      true,
		NoGarbageCollection: true,
		ValidateRequest:     validateEventRequest,
	}
}

func eventRow(event *corev1.Event) []any {
	first := kinds.Age(event.FirstTimestamp)
	if event.FirstTimestamp.IsZero() {
		first = kinds.MicroAge(event.EventTime)
	}
	last := kinds.Age(event.LastTimestamp)
	if event.LastTimestamp.IsZero() {
		last = first
	}
	count := max(event.Count, 1) // Those of events.k8s.io that happened once have none.
	if event.Series != nil {
		last, count = kinds.MicroAge(event.Series.LastObservedTime), event.Series.Count
	}
	object := strings.ToLower(event.InvolvedObject.Kind)
	if event.InvolvedObject.Name != "" {
		object += "/" + event.InvolvedObject.Name
	}
	source := cmp.Or(event.Source.Component, event.ReportingController)
	if instance := cmp.Or(event.Source.Host, event.ReportingInstance); instance != "" {
		source += ", " + instance
	}
	return []any{
		last, event.Type, event.Reason, object, event.InvolvedObject.FieldPath, source,
		strings.TrimSpace(event.Message), first, int64(count), event.Name,
	}
}

func eventFields(event *corev1.Event) fields.Set {
	about := &event.InvolvedObject
	return fields.Set{
		"involvedObject.kind":            about.Kind,
		"involvedObject.namespace":       about.Namespace,
		"involvedObject.name":            about.Name,
		"involvedObject.uid":             string(about.UID),
		"involvedObject.apiVersion":      about.APIVersion,
		"involvedObject.resourceVersion": about.ResourceVersion,
		"involvedObject.fieldPath":       about.FieldPath,
		"reason":                         event.Reason,
		"reportingComponent":             event.ReportingController,
		"source":                         cmp.Or(event.Source.Component, event.ReportingController),
		"type":                           event.Type,
	}
}
