package memory

import (
	"reflect"
	"strings"
	"testing"

	basemetrics "k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/testutil"
)

func TestSplit_LeavesTheGreaterPart(t *testing.T) {
	for _, total := range []int64{64 << 20, 1 << 30, 1 << 40} {
		var sum int64
		budget := reflect.ValueOf(Split(total))
		for i := range budget.NumField() {
			if budget.Field(i).Int() <= 0 {
				t.Errorf("%d: nothing for %s", total, budget.Type().Field(i).Name)
			}
			sum += budget.Field(i).Int()
		}
		if 2*sum > total {
			t.Errorf("of %d bytes, caches may take %d", total, sum)
		}
	}
}

func TestMetrics(t *testing.T) {
	registry := basemetrics.NewKubeRegistry()
	m := NewMetrics(map[string]Cache{
		"a": CacheFunc(func() (int64, int64) { return 1, 2 }),
		"b": CacheFunc(func() (int64, int64) { return 3, 4 }),
	})
	if err := m.Register(registry.CustomRegister); err != nil {
		t.Fatal(err)
	}
	const want = `
# HELP annex_cache_bytes [ALPHA] About how many bytes a cache takes.
# TYPE annex_cache_bytes gauge
annex_cache_bytes{cache="a"} 1
annex_cache_bytes{cache="b"} 3
# HELP annex_cache_limit_bytes [ALPHA] How many bytes a cache may take.
# TYPE annex_cache_limit_bytes gauge
annex_cache_limit_bytes{cache="a"} 2
annex_cache_limit_bytes{cache="b"} 4
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "annex_cache_bytes", "annex_cache_limit_bytes"); err != nil {
		t.Error(err)
	}
}
