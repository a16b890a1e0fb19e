package k8s

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// addCoreLabels says which fields a selector may name in addition to metadata.name and metadata.namespace, and what the storage calls
// them. Kinds that are not mentioned know the fields of the metadata alone.
func addCoreLabels(s *runtime.Scheme) error {
	events := map[string]string{"reason": "reason", "type": "type", "reportingComponent": "reportingComponent", "source": "source"}
	addObject(events, "involvedObject")
	if err := addLabels(s, corev1.SchemeGroupVersion.WithKind("Event"), true, events); err != nil {
		return err
	}
	if err := addLabels(s, corev1.SchemeGroupVersion.WithKind("Secret"), true, map[string]string{"type": "type"}); err != nil {
		return err
	}
	return addLabels(s, corev1.SchemeGroupVersion.WithKind("Namespace"), false, map[string]string{"status.phase": "status.phase"})
}

// addEventLabels does the same for events.k8s.io, whose objects are stored as events of the core group.
func addEventLabels(s *runtime.Scheme) error {
	events := map[string]string{"reason": "reason", "type": "type", "reportingController": "reportingComponent"}
	addObject(events, "regarding")
	return addLabels(s, eventsv1.SchemeGroupVersion.WithKind("Event"), true, events)
}

// addObject adds the fields of the object that an event is about; a version calls it name.
func addObject(labels map[string]string, name string) {
	for _, part := range []string{"kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"} {
		labels[name+"."+part] = "involvedObject." + part
	}
}

// addLabels lets selectors on kind name the given fields and those of the metadata.
func addLabels(s *runtime.Scheme, kind schema.GroupVersionKind, namespaced bool, labels map[string]string) error {
	labels = maps.Clone(labels)
	labels["metadata.name"] = "metadata.name"
	if namespaced {
		labels["metadata.namespace"] = "metadata.namespace"
	}
	return s.AddFieldLabelConversionFunc(kind, func(label, value string) (string, string, error) {
		stored, ok := labels[label]
		if !ok {
			return "", "", fmt.Errorf("field label not supported: %s", label)
		}
		return stored, value, nil
	})
}
