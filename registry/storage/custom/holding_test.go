package custom

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
)

func TestHeldBytes_AreNotLessThanAnObjectTakes(t *testing.T) {
	const n = 20_000
	var large strings.Builder
	for i := range n {
		fmt.Fprintf(&large, `,"key%d":%d`, i, i)
	}
	list := func(item string) string { return "[" + strings.Repeat(item+",", n) + item + "]" }
	for name, value := range map[string]string{
		"numbers":         list("1234567"),
		"texts":           list(`"some text"`),
		"a large map":     "{" + large.String()[1:] + "}",
		"empty maps":      list("{}"),
		"small maps":      list(`{"a":"b"}`),
		"maps of nine":    list(`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9}`),
		"lists of lists":  list(`[[[1]]]`),
		"one long text":   `"` + strings.Repeat("x", 40*n) + `"`,
		"nulls and bools": list(`null,true`),
	} {
		t.Run(name, func(t *testing.T) {
			data := []byte(`{"apiVersion":"v1","kind":"X","spec":` + value + `}`)
			before := inUse()
			obj := &unstructured.Unstructured{}
			if err := obj.UnmarshalJSON(data); err != nil {
				t.Fatal(err)
			}
			takes, counted := inUse()-before, heldBytes(obj, len(data))
			if takes > counted+64<<10 || counted > 4*takes {
				t.Errorf("%d KiB of JSON take %d KiB, and are counted as %d KiB", len(data)>>10, takes>>10, counted>>10)
			}
			runtime.KeepAlive(data)
		})
	}
}

func TestDecodedBytes_CountsLongValuesOnce(t *testing.T) {
	long, short := map[string]string{}, map[string]string{}
	for i := range 1000 {
		long[fmt.Sprint(i)], short[fmt.Sprint(i)] = strings.Repeat("x", 1000), "x"
	}
	for name, data := range map[string]map[string]string{"long": long, "short": short} {
		stored := 0
		for key, value := range data {
			stored += len(key) + len(value) + 6
		}
		before := inUse()
		m, s := &corev1.ConfigMap{Data: map[string]string{}}, &corev1.Secret{Data: map[string][]byte{}}
		for key, value := range data {
			m.Data[strings.Clone(key)], s.Data[strings.Clone(key)] = strings.Clone(value), []byte(value)
		}
		takes := (inUse() - before) / 2
		for _, obj := range []apiruntime.Object{m, s} {
			counted := decodedBytes(obj, stored)
			if counted < takes*3/4 || counted > 3*takes {
				t.Errorf("a %T with %s values takes %d KiB, and is counted as %d KiB", obj, name, takes>>10, counted>>10)
			}
		}
		runtime.KeepAlive(m)
		runtime.KeepAlive(s)
	}
}

func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
