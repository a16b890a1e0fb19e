package engine

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// counts are the agent's own metrics. None has a label for a workspace.
type counts struct {
	writes, refusals *prometheus.CounterVec
}

func newCounts() (*counts, error) {
	c := &counts{}
	var err error
	c.writes, err = register(prometheus.CounterOpts{Name: "annex_sync_writes_total", Help: "Writes by the side, the resource and the verb."}, "side", "resource", "verb")
	if err != nil {
		return nil, err
	}
	c.refusals, err = register(prometheus.CounterOpts{Name: "annex_sync_refusals_total", Help: "Reconciles that ended with an Event for the user, by the resource and the reason."}, "resource", "reason")
	return c, err
}

// register registers a counter, or returns the one that is registered.
func register(options prometheus.CounterOpts, labels ...string) (*prometheus.CounterVec, error) {
	counter := prometheus.NewCounterVec(options, labels)
	err := metrics.Registry.Register(counter)
	var known prometheus.AlreadyRegisteredError
	if errors.As(err, &known) {
		if counter, ok := known.ExistingCollector.(*prometheus.CounterVec); ok {
			return counter, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("registering metric %s: %w", options.Name, err)
	}
	return counter, nil
}
