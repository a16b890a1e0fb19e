package scheme

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// addFieldLabels says which fields a selector may name beside metadata.name and metadata.namespace, and what the storage
// calls them. Kinds not mentioned here know the metadata fields alone.
func addFieldLabels(s *runtime.Scheme) error {
	core := map[string]string{"reason": "reason", "type": "type", "reportingComponent": "reportingComponent", "source": "source"}
	events := map[string]string{"reason": "reason", "type": "type", "reportingController": "reportingComponent"}
	for _, part := range []string{"kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"} {
		core["involvedObject."+part] = "involvedObject." + part
		events["regarding."+part] = "involvedObject." + part
	}
	if err := addLabels(s, corev1.SchemeGroupVersion.WithKind("Event"), true, core); err != nil {
		return err
	}
	if err := addLabels(s, eventsv1.SchemeGroupVersion.WithKind("Event"), true, events); err != nil {
		return err
	}
	if err := addLabels(s, corev1.SchemeGroupVersion.WithKind("Secret"), true, map[string]string{"type": "type"}); err != nil {
		return err
	}
	return addLabels(s, corev1.SchemeGroupVersion.WithKind("Namespace"), false, map[string]string{"status.phase": "status.phase"})
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
