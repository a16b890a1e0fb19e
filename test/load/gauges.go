package main

// gauge is a number of a snapshot that figures print at several moments.
type gauge struct {
	name, unit string
	// of returns false if the server does not tell the number.
	of func(snapshot) (float64, bool)
}

// gauges returns what shall not grow when workspaces come and go.
func gauges() []gauge {
	metric := func(name string, in func(float64) float64) func(snapshot) (float64, bool) {
		return func(s snapshot) (float64, bool) {
			value, ok := s.metrics.value(name)
			return in(value), ok
		}
	}
	plain := func(value float64) float64 { return value }
	return []gauge{
		{"rss", unitMiB, func(s snapshot) (float64, bool) { return mib(s.rss), true }},
		// What was in use at the last collection. The heap itself is a sawtooth above that.
		{"heap_live", unitMiB, metric("go_gc_heap_live_bytes", mib)},
		{"goroutines", unitCount, metric("go_goroutines", plain)},
		{"series", unitCount, func(s snapshot) (float64, bool) { return float64(s.metrics.series), true }},
		{"etcd_keys", unitCount, func(s snapshot) (float64, bool) { return s.etcd.keys, s.etcd.keys > 0 }},
		{"etcd_size", unitMiB, func(s snapshot) (float64, bool) { return mib(s.etcd.size), s.etcd.size > 0 }},
		{"etcd_in_use", unitMiB, func(s snapshot) (float64, bool) { return mib(s.etcd.inUse), s.etcd.inUse > 0 }},
	}
}

// gauges prints those gauges that the server tells, as prefix_name.
func (r *report) gauges(prefix string, s snapshot) {
	for _, g := range gauges() {
		if value, ok := g.of(s); ok {
			r.add(prefix+"_"+g.name, value, g.unit)
		}
	}
}
