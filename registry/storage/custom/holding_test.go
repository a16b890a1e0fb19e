package custom

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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

func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
