package k8s

import (
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
)

// AddEvents lets events.k8s.io serve the events of the core group, under the names that it has for their fields.
func AddEvents(s *runtime.Scheme) error {
	if err := addEventLabels(s); err != nil {
		return err
	}
	if err := addConversion(s, toCoreEvent); err != nil {
		return err
	}
	if err := addConversion(s, fromCoreEvent); err != nil {
		return err
	}
	if err := addConversion(s, func(in *eventsv1.EventList, out *corev1.EventList) {
		out.ListMeta = in.ListMeta
		out.Items = make([]corev1.Event, len(in.Items))
		for i := range in.Items {
			toCoreEvent(&in.Items[i], &out.Items[i])
		}
	}); err != nil {
		return err
	}
	return addConversion(s, func(in *corev1.EventList, out *eventsv1.EventList) {
		out.ListMeta = in.ListMeta
		out.Items = make([]eventsv1.Event, len(in.Items))
		for i := range in.Items {
			fromCoreEvent(&in.Items[i], &out.Items[i])
		}
	})
}

// addConversion registers a conversion that cannot fail. What it puts out may share memory with what it was given.
func addConversion[In, Out any](s *runtime.Scheme, convert func(*In, *Out)) error {
	return s.AddConversionFunc((*In)(nil), (*Out)(nil), func(a, b any, _ conversion.Scope) error {
		convert(a.(*In), b.(*Out))
		return nil
	})
}

func toCoreEvent(in *eventsv1.Event, out *corev1.Event) {
	out.ObjectMeta = in.ObjectMeta
	out.InvolvedObject = in.Regarding
	out.Reason = in.Reason
	out.Message = in.Note
	out.Source = in.DeprecatedSource
	out.FirstTimestamp = in.DeprecatedFirstTimestamp
	out.LastTimestamp = in.DeprecatedLastTimestamp
	out.Count = in.DeprecatedCount
	out.Type = in.Type
	out.EventTime = in.EventTime
	out.Action = in.Action
	out.Related = in.Related
	out.ReportingController = in.ReportingController
	out.ReportingInstance = in.ReportingInstance
	out.Series = nil
	if in.Series != nil {
		out.Series = &corev1.EventSeries{Count: in.Series.Count, LastObservedTime: in.Series.LastObservedTime}
	}
}

func fromCoreEvent(in *corev1.Event, out *eventsv1.Event) {
	out.ObjectMeta = in.ObjectMeta
	out.Regarding = in.InvolvedObject
	out.Reason = in.Reason
	out.Note = in.Message
	out.DeprecatedSource = in.Source
	out.DeprecatedFirstTimestamp = in.FirstTimestamp
	out.DeprecatedLastTimestamp = in.LastTimestamp
	out.DeprecatedCount = in.Count
	out.Type = in.Type
	out.EventTime = in.EventTime
	out.Action = in.Action
	out.Related = in.Related
	out.ReportingController = in.ReportingController
	out.ReportingInstance = in.ReportingInstance
	out.Series = nil
	if in.Series != nil {
		out.Series = &eventsv1.EventSeries{Count: in.Series.Count, LastObservedTime: in.Series.LastObservedTime}
	}
}
