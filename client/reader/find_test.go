package reader_test

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client/reader"
	"github.com/annex-dev/annex/client/reader/readertest"
)

func TestFind(t *testing.T) {
	namespaces := schema.GroupResource{Resource: "namespaces"}
	fake := readertest.NewFake(readertest.In("root", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}))
	key := reader.Key{Cluster: "root", Name: "default"}
	ns, err := reader.Find[corev1.Namespace](t.Context(), fake, namespaces, key)
	if err != nil || ns == nil || ns.Name != "default" {
		t.Errorf("Find = %v, %v", ns, err)
	}
	if ns, err := reader.Find[corev1.Namespace](t.Context(), fake, namespaces, reader.Key{Cluster: "other", Name: "default"}); ns != nil || err != nil {
		t.Errorf("Find of what is not there = %v, %v", ns, err)
	}
	if _, err := reader.Find[corev1.Secret](t.Context(), fake, namespaces, key); err == nil {
		t.Error("an object of another type is found")
	}
	broken := errors.New("storage is away")
	fake.Intercept(func(string, schema.GroupResource, reader.Key) error { return broken })
	if _, err := reader.Find[corev1.Namespace](t.Context(), fake, namespaces, key); !errors.Is(err, broken) {
		t.Errorf("err = %v", err)
	}
}
