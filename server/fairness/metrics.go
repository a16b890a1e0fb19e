package fairness

import (
	"errors"
	"fmt"

	"k8s.io/apiserver/pkg/util/flowcontrol/metrics"
	basemetrics "k8s.io/component-base/metrics"
)

// Values of the labels. There are no others, so the number of series does not depend on the number of workspaces.
const (
	kindRead   = "read"
	kindWrite  = "write"
	kindWatch  = "watch"
	kindAnswer = "answer" // its memory

	reasonFull    = "full"
	reasonTimeout = "timeout"
)

// Metrics show how busy a limiter is.
type Metrics struct {
	waiting, executing             *basemetrics.GaugeVec
	seats, flows, tenants, watches *basemetrics.Gauge
	rejected                       *basemetrics.CounterVec
	wait                           *basemetrics.HistogramVec
}

// NewMetrics returns metrics. They count nothing before they are registered.
func NewMetrics() *Metrics {
	options := func(name, help string) *basemetrics.GaugeOpts {
		return &basemetrics.GaugeOpts{Namespace: "annex", Subsystem: "fairness", Name: name, Help: help, StabilityLevel: basemetrics.ALPHA}
	}
	return &Metrics{
		waiting:   basemetrics.NewGaugeVec(options("requests_waiting", "Requests that wait for seats of their workspace."), []string{"kind"}),
		executing: basemetrics.NewGaugeVec(options("requests_executing", "Requests that are being served."), []string{"kind"}),
		seats:     basemetrics.NewGauge(options("seats_in_use", "Seats that requests hold. A request for many objects holds several.")),
		flows:     basemetrics.NewGauge(options("workspaces_active", "Workspaces that have a request that waits or holds a seat.")),
		tenants:   basemetrics.NewGauge(options("tenants_active", "Branches of the tree of workspaces, below its root, that have a request that waits or holds a seat.")),
		watches:   basemetrics.NewGauge(options("watches_open", "Watches that are open.")),
		rejected: basemetrics.NewCounterVec(&basemetrics.CounterOpts{
			Namespace: "annex", Subsystem: "fairness", Name: "rejected_total", Help: "Requests that found no room, and answers of lists that found no memory. Most are answered with 429.", StabilityLevel: basemetrics.ALPHA,
		}, []string{"kind", "reason"}),
		wait: basemetrics.NewHistogramVec(&basemetrics.HistogramOpts{
			Namespace: "annex", Subsystem: "fairness", Name: "wait_seconds", Help: "How long requests that are served have waited for seats.",
			Buckets: []float64{0.0005, 0.002, 0.01, 0.05, 0.2, 1, 5, 15}, StabilityLevel: basemetrics.ALPHA,
		}, []string{"kind"}),
	}
}

// Register makes the metrics known, for example with legacyregistry.Register.
func (m *Metrics) Register(register func(basemetrics.Registerable) error) error {
	var errs []error
	for _, metric := range []basemetrics.Registerable{m.waiting, m.executing, m.seats, m.flows, m.tenants, m.watches, m.rejected, m.wait} {
		errs = append(errs, register(metric))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	return nil
}

// gauge counts for stock queues. Many queues share one gauge, so only differences count. The queues report only with Add.
type gauge struct{ add func(float64) }

var _ metrics.RatioedGauge = gauge{}

// discard returns a gauge that counts nothing.
func discard() gauge { return gauge{func(float64) {}} }

// Add implements metrics.Gauge.
func (g gauge) Add(delta float64) { g.add(delta) }

// Inc implements metrics.Gauge.
func (g gauge) Inc() { g.add(1) }

// Dec implements metrics.Gauge.
func (g gauge) Dec() { g.add(-1) }

// Set implements metrics.Gauge.
func (g gauge) Set(float64) {}

// SetToCurrentTime implements metrics.Gauge.
func (g gauge) SetToCurrentTime() {}

// SetDenominator implements metrics.RatioedGauge.
func (g gauge) SetDenominator(float64) {}
