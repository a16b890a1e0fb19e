package memory

import (
	"fmt"

	basemetrics "k8s.io/component-base/metrics"
)

// Cache is one whose bytes are shown.
type Cache interface {
	Bytes() (bytes, limit int64)
}

// CacheFunc is a Cache.
type CacheFunc func() (bytes, limit int64)

// Bytes implements Cache.
func (f CacheFunc) Bytes() (bytes, limit int64) { return f() }

// Metrics shows caches by name.
type Metrics struct {
	basemetrics.BaseStableCollector
	caches       map[string]Cache
	bytes, limit *basemetrics.Desc
}

var _ basemetrics.StableCollector = &Metrics{}

// NewMetrics returns the metrics of the caches, whose names become values of the label cache.
func NewMetrics(caches map[string]Cache) *Metrics {
	describe := func(name, help string) *basemetrics.Desc {
		return basemetrics.NewDesc(basemetrics.BuildFQName("annex", "cache", name), help, []string{"cache"}, nil, basemetrics.ALPHA, "")
	}
	return &Metrics{
		caches: caches,
		bytes:  describe("bytes", "About how many bytes a cache takes."),
		limit:  describe("limit_bytes", "How many bytes a cache may take."),
	}
}

// Register makes the metrics known, for example with legacyregistry.CustomRegister.
func (m *Metrics) Register(register func(basemetrics.StableCollector) error) error {
	if err := register(m); err != nil {
		return fmt.Errorf("registering the metrics of caches: %w", err)
	}
	return nil
}

// DescribeWithStability implements metrics.StableCollector.
func (m *Metrics) DescribeWithStability(out chan<- *basemetrics.Desc) {
	out <- m.bytes
	out <- m.limit
}

// CollectWithStability implements metrics.StableCollector.
func (m *Metrics) CollectWithStability(out chan<- basemetrics.Metric) {
	for name, cache := range m.caches {
		bytes, limit := cache.Bytes()
		out <- basemetrics.NewLazyConstMetric(m.bytes, basemetrics.GaugeValue, float64(bytes), name)
		out <- basemetrics.NewLazyConstMetric(m.limit, basemetrics.GaugeValue, float64(limit), name)
	}
}
