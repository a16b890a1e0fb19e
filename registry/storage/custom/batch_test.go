package custom

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// fragile is a codec that decodes nothing of a batch with a bad object in it, as a webhook does.
type fragile struct {
	runtime.Codec
	calls int
}

func (f *fragile) DecodeAll(data [][]byte) ([]runtime.Object, error) {
	f.calls++
	all := make([]runtime.Object, len(data))
	for i, bytes := range data {
		if strings.Contains(string(bytes), `"bad"`) {
			return nil, errors.New("it is bad")
		}
		obj := &unstructured.Unstructured{}
		if err := obj.UnmarshalJSON(bytes); err != nil {
			return nil, err
		}
		all[i] = obj
	}
	return all, nil
}

// read reads objects, "cluster" or "cluster!" for a bad one, and returns at which places something is shown.
func read(t *testing.T, tolerant bool, objects ...string) (shown []int, calls int) {
	t.Helper()
	items := make([]raw.Object, len(objects))
	for i, cluster := range objects {
		kind := "good"
		if cut, bad := strings.CutSuffix(cluster, "!"); bad {
			cluster, kind = cut, "bad"
		}
		name := fmt.Sprintf("o%d", i)
		payload := fmt.Sprintf(`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":%q,"uid":"u%d"},"spec":{"is":%q}}`, name, i, kind)
		envelope := layout.Key{Resource: schema.GroupResource{Group: "example.com", Resource: "widgets"}, Custom: true, Bucket: "id", Cluster: logicalcluster.Name(cluster), Name: name}.String()
		if _, _, err := (raw.Codec{}).Decode([]byte(envelope+string(rune(layout.EnvelopeEnd))+payload), nil, &items[i]); err != nil {
			t.Fatal(err)
		}
	}
	codec := &fragile{}
	a := &ahead{storage: &Storage{codec: codec}, items: items, tolerant: tolerant}
	for i := range items {
		if _, err := a.object(i); err == nil {
			shown = append(shown, i)
		}
	}
	return shown, codec.calls
}

func TestAhead_ABadObjectTakesNoOthersAlong(t *testing.T) {
	for _, at := range []int{0, 1, 137, 498, 499, 500, 1199} {
		objects := slices.Repeat([]string{"a"}, 1200)
		objects[at] = "b!"
		shown, calls := read(t, true, objects...)
		if len(shown) != 1199 || slices.Contains(shown, at) {
			t.Errorf("with a bad object at %d, %d of 1,200 are shown", at, len(shown))
		}
		if calls > 40 {
			t.Errorf("with a bad object at %d, there are %d calls", at, calls)
		}
	}
}

// A cluster cannot make so many of them that others do not show.
func TestAhead_ManyBadObjectsOfOneCluster(t *testing.T) {
	objects := slices.Concat(slices.Repeat([]string{"a"}, 100), slices.Repeat([]string{"b!"}, 1000), slices.Repeat([]string{"b"}, 10), slices.Repeat([]string{"c"}, 100))
	shown, calls := read(t, true, objects...)
	if len(shown) != 200 || shown[99] != 99 || shown[100] != 1110 {
		t.Errorf("%d objects are shown", len(shown))
	}
	if calls > 60 {
		t.Errorf("there are %d calls", calls)
	}
}

// A webhook that is gone is not asked for each object.
func TestAhead_NothingCanBeDecoded(t *testing.T) {
	var objects []string
	for i := range 2000 {
		objects = append(objects, fmt.Sprintf("c%d!", i))
	}
	if shown, calls := read(t, true, objects...); len(shown) > 0 || calls > failuresOfAll+12 {
		t.Errorf("%d objects are shown after %d calls", len(shown), calls)
	}
}

// Who reads everything there is learns that something is missing.
func TestAhead_WithoutTolerance(t *testing.T) {
	if shown, calls := read(t, false, "a", "a", "a!"); len(shown) > 0 || calls != 3 {
		t.Errorf("%v are shown after %d calls", shown, calls)
	}
}
