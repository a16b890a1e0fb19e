package storage

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apistorage "k8s.io/apiserver/pkg/storage"
)

// TestReplicas_ReadWhatTheOtherWrote holds for lists, single reads and watches from the revision of the write.
func TestReplicas_ReadWhatTheOtherWrote(t *testing.T) {
	client := runEtcd(t)
	one, two := newTestBackend(t, client, coreCodec(t)), newTestBackend(t, client, coreCodec(t))
	writers := []*store{configMapStore(t, one), widgetStore(t, one)}
	readers := []*store{configMapStore(t, two), widgetStore(t, two)}
	waitReady(t, one)
	waitReady(t, two)
	c1 := in(t.Context(), "c1")
	for round := range 50 {
		for i := range writers {
			obj := object(configMap("default", fmt.Sprint("n", round)))
			if _, typed := writers[i].newFunc().(*corev1.ConfigMap); !typed {
				obj = widget("default", fmt.Sprint("n", round), "red")
			}
			written := create(t, c1, writers[i], obj)
			if got, _ := list(t, c1, readers[i], readers[i].root, recursive); len(got) != round+1 {
				t.Fatalf("round %d: the other replica lists %d of %s", round, len(got), readers[i].root)
			}
			for _, rv := range []string{"", written.GetResourceVersion()} {
				if err := readers[i].Get(c1, keyFor(readers[i], obj), apistorage.GetOptions{ResourceVersion: rv}, readers[i].newFunc()); err != nil {
					t.Fatalf("round %d: the other replica reads at %q: %v", round, rv, err)
				}
			}
			w, err := readers[i].Watch(c1, readers[i].root, apistorage.ListOptions{Recursive: true, ResourceVersion: written.GetResourceVersion()})
			if err != nil {
				t.Fatal(err)
			}
			update(t, c1, writers[i], obj, func(o object) { o.SetLabels(map[string]string{"a": "b"}) })
			expect(t, w, "MODIFIED "+id(written))
			w.Stop()
		}
	}
}
