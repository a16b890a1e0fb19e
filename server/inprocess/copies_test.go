package inprocess

import (
	"errors"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/client"
)

// event is an object of the watch cache.
type event struct{ obj *corev1.ConfigMap }

func (e *event) GetObject() apiruntime.Object { return e.obj.DeepCopy() }

func TestCopies(t *testing.T) {
	made, failure := 0, error(nil)
	read := func(obj apiruntime.Object) (client.Object, error) {
		made++
		return obj.(client.Object), failure
	}
	var c copies
	events := make([]*event, recentCopies+1)
	first := make([]client.Object, len(events))
	of := func(i int) client.Object {
		t.Helper()
		obj, err := c.of(events[i], read)
		if err != nil {
			t.Fatal(err)
		}
		return obj
	}
	for i := range events {
		events[i] = &event{configMap("same", "")} // equal, and yet another one
		first[i] = of(i)
		if again := of(i); again != first[i] {
			t.Fatalf("another copy of event %d", i)
		}
	}
	if made != len(events) {
		t.Errorf("%d copies of %d events", made, len(events))
	}
	if got := of(1); got != first[1] {
		t.Error("a watch that is a little behind got a copy of its own")
	}
	if got := of(0); got == first[0] {
		t.Error("a copy that is long past was kept")
	}
	runtime.GC()
	runtime.GC()
	before := made
	of(1)
	if made == before {
		t.Error("the copies are held")
	}
	failure = errors.New("no")
	if _, err := c.of(&event{configMap("a", "")}, read); !errors.Is(err, failure) {
		t.Errorf("got %v", err)
	}
}
