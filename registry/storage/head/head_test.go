package head

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

func TestOf_TakesWhatMetadataSays(t *testing.T) {
	deleted := metav1.NewTime(time.Unix(1, 0))
	owners := []metav1.OwnerReference{{Kind: "Widget", Name: "o", UID: "u2"}}
	obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: "n", Name: "a", UID: "u1", ResourceVersion: "7", Labels: map[string]string{"x": "y"}, Finalizers: []string{"f"},
		OwnerReferences: owners, DeletionTimestamp: &deleted, Annotations: map[string]string{logicalcluster.AnnotationKey: "c1"},
	}}
	resource := schema.GroupResource{Group: "example.com", Resource: "widgets"}
	want := Head{
		Resource: resource, Bucket: "b", Cluster: "c1", Namespace: "n", Name: "a", UID: "u1", ResourceVersion: "7",
		Labels: map[string]string{"x": "y"}, Finalizers: []string{"f"}, OwnerReferences: owners, DeletionTimestamp: &deleted,
	}
	if diff := cmp.Diff(want, Of(resource, "b", obj)); diff != "" {
		t.Errorf("head differs:\n%s", diff)
	}
}
