package intern

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What is shared is chosen by tenants, and outlives their objects.
func TestSharer_IsBounded(t *testing.T) {
	s := NewObjects()
	long := strings.Repeat("x", shareMaxBytes-10)
	for i := range internGeneration {
		m := &corev1.ConfigMap{Data: map[string]string{"k": fmt.Sprintf("%s%05d", long, i)}}
		m.ManagedFields = []metav1.ManagedFieldsEntry{
			{FieldsV1: metav1.NewFieldsV1(fmt.Sprintf(`{"f:%s%05d":{}}`, long[:len(long)-20], i))},
			{FieldsV1: metav1.NewFieldsV1(fmt.Sprintf(`{"f:%s%s%05d":{}}`, long, long, i))},
		}
		s.Share(m, m)
	}
	held := func(generations ...map[string]string) (n int) {
		for _, g := range generations {
			for id := range g {
				n += len(id)
			}
		}
		return n
	}
	if n := held(s.values.young, s.values.old); n > 2*internBytes {
		t.Errorf("%d bytes of values are held", n)
	}
	n := 0
	for _, g := range []map[string]*metav1.FieldsV1{s.fields.young, s.fields.old} {
		for id := range g {
			if n += len(id); len(id) > shareMaxBytes {
				t.Errorf("a set of fields of %d bytes is held", len(id))
			}
		}
	}
	if n > 2*internBytes {
		t.Errorf("%d bytes of fields are held", n)
	}
}

func TestSharer_SharesWhatIsEqual(t *testing.T) {
	s := NewObjects()
	objects := make([]*corev1.ConfigMap, 2)
	for i := range objects {
		m := &corev1.ConfigMap{Data: map[string]string{"ca.crt": strings.Repeat("x", shareMinBytes)}}
		m.ManagedFields = []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(`{"f:data":{}}`)}}
		s.Share(m, m)
		objects[i] = m
	}
	if objects[0].ManagedFields[0].FieldsV1 != objects[1].ManagedFields[0].FieldsV1 {
		t.Error("equal fields are held twice")
	}
}
