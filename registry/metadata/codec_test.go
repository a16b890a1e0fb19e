package metadata

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCodec_ReadsMetadataOnly(t *testing.T) {
	const stored = `{"apiVersion":"example.com/v2","kind":"Widget","Metadata":{"name":"another"},"metadata":{"name":"w","namespace":"default","labels":{"a":"b"},` +
		`"annotations":{"kcp.io/original-api-version":"forged/v1","mine":"kept"},"finalizers":["example.com/f"]},"spec":{"secret":"x"}}`
	want := &metav1.PartialObjectMetadata{
		TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "w", Namespace: "default", Labels: map[string]string{"a": "b"}, Finalizers: []string{"example.com/f"},
			Annotations: map[string]string{OriginalVersionAnnotationKey: "example.com/v2", "mine": "kept"},
		},
	}
	into := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "old", GenerateName: "old"}}
	for _, target := range []*metav1.PartialObjectMetadata{nil, into} {
		got, gvk, err := codec{}.Decode([]byte(stored), nil, target)
		if err != nil || gvk.Kind != "Widget" || gvk.Version != "v2" {
			t.Fatal(gvk, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if _, _, err := (codec{}).Decode([]byte(`{"metadata":[]}`), nil, nil); err == nil {
		t.Error("what has no metadata is read")
	}
	if err := (codec{}).Encode(want, &bytes.Buffer{}); err == nil {
		t.Error("metadata is written")
	}
}
