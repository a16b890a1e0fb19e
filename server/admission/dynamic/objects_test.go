package dynamic

import (
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// A webhook that serves many workspaces decides by the cluster that the server says, not by what a client has written.
func TestStamp(t *testing.T) {
	ctx := logicalcluster.WithCluster(t.Context(), "one")
	widget := func(cluster string) *unstructured.Unstructured {
		obj := &unstructured.Unstructured{}
		obj.SetAnnotations(map[string]string{logicalcluster.AnnotationKey: cluster})
		return obj
	}
	scale := &metav1.ObjectMeta{Annotations: map[string]string{logicalcluster.AnnotationKey: "forged"}}
	for name, test := range map[string]struct {
		subresource      string
		operation        admission.Operation
		object, old      runtime.Object
		wantNew, wantOld logicalcluster.Name
	}{
		"a new object":        {"", admission.Create, widget("forged"), nil, "one", ""},
		"an object":           {"", admission.Update, widget("forged"), widget("one"), "one", "one"},
		"a status":            {"status", admission.Update, widget("forged"), widget("one"), "one", "one"},
		"a scale":             {"scale", admission.Update, &autoscalingv1.Scale{ObjectMeta: *scale}, &autoscalingv1.Scale{}, "one", "one"},
		"what is deleted":     {"", admission.Delete, nil, widget("one"), "", "one"},
		"another subresource": {"token", admission.Create, widget("asked"), nil, "asked", ""},
		"a connection":        {"", admission.Connect, widget("asked"), nil, "asked", ""},
	} {
		t.Run(name, func(t *testing.T) {
			Stamp(ctx, admission.NewAttributesRecord(test.object, test.old, schema.GroupVersionKind{}, "default", "a", schema.GroupVersionResource{}, test.subresource, test.operation, nil, false, nil))
			for _, o := range []struct {
				object runtime.Object
				want   logicalcluster.Name
			}{{test.object, test.wantNew}, {test.old, test.wantOld}} {
				if o.object == nil {
					continue
				}
				if got := logicalcluster.From(o.object.(metav1.Object)); got != o.want {
					t.Errorf("%T is of %q, want %q", o.object, got, o.want)
				}
			}
		})
	}
}
