package lifecycle

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// IsLeaving reports whether a resource of the APIBinding with these annotations is leaving.
func IsLeaving(annotations map[string]string, gr schema.GroupResource) bool {
	return Lists(annotations[apisv1alpha2.LeavingResourcesAnnotationKey], gr)
}

// Lists reports whether value, which the annotation has, lists gr.
func Lists(value string, gr schema.GroupResource) bool {
	if value == "" {
		return false
	}
	return slices.Contains(strings.Split(value, ","), gr.String())
}

// AnyLeaving reports whether b has a resource that is leaving.
func AnyLeaving(b *apisv1alpha2.APIBinding) bool {
	return b.Annotations[apisv1alpha2.LeavingResourcesAnnotationKey] != ""
}

// MarkLeaving makes exactly these resources of b leaving.
func MarkLeaving(b *apisv1alpha2.APIBinding, resources []schema.GroupResource) {
	names := make([]string, len(resources))
	for i, gr := range resources {
		names[i] = gr.String()
	}
	slices.Sort(names)
	value := strings.Join(names, ",")
	if value == b.Annotations[apisv1alpha2.LeavingResourcesAnnotationKey] {
		return
	}
	b.Annotations = maps.Clone(b.Annotations)
	if value == "" {
		delete(b.Annotations, apisv1alpha2.LeavingResourcesAnnotationKey)
		return
	}
	if b.Annotations == nil {
		b.Annotations = map[string]string{}
	}
	b.Annotations[apisv1alpha2.LeavingResourcesAnnotationKey] = value
}
