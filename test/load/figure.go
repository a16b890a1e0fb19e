package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// figure is one thing to measure.
type figure struct {
	name string
	// needs returns what the flags lack for it, or "".
	needs func(options) string
	run   func(context.Context, *bench) error
}

// figures is in the order they run: cold-start first, because it wants to see a
// server without workspaces and restarts it; delete last, because it takes the
// shared workspaces away.
func figures() []figure {
	return []figure{
		{"cold-start", needsBinary, measureColdStart},
		{"create", needsServer, measureCreate},
		{"counts", needsMetrics, measureCounts},
		{"memory", needsProcess, measureMemory},
		{"bound-memory", needsProcess, measureBoundMemory},
		{"bind", needsServer, measureBind},
		{"provider-watch", needsServer, measureProviderWatch},
		{"crud", needsNothing, measureCRUD},
		{"fairness", needsServer, measureFairness},
		{"host", needsHost, measureHost},
		{"host-watches", needsHost, measureHostWatches},
		{"delete", needsServer, measureDelete},
	}
}

func figureNames() []string {
	var names []string
	for _, f := range figures() {
		names = append(names, f.name)
	}
	return names
}

func needsNothing(options) string { return "" }

func needsServer(o options) string {
	if !o.hasServer() {
		return "--kubeconfig or --server-binary"
	}
	return ""
}

func needsBinary(o options) string {
	if o.serverBinary == "" {
		return "--server-binary"
	}
	return ""
}

func needsHost(o options) string {
	if o.serverBinary == "" || !o.startPlain {
		return "--server-binary and --start-plain"
	}
	return ""
}

func needsProcess(o options) string {
	if missing := needsServer(o); missing != "" {
		return missing
	}
	if !o.hasProcess() {
		return "--pid or --server-binary"
	}
	return ""
}

func needsMetrics(o options) string {
	if missing := needsServer(o); missing != "" {
		return missing
	}
	if !o.hasMetrics() {
		return "--metrics or --server-binary"
	}
	return ""
}

// selectFigures returns the figures to run. One that is asked for by name and
// cannot run is a fault; without names, it is left out with a note to log.
func selectFigures(o options, log io.Writer) ([]figure, error) {
	var selected []figure
	var faults []error
	for _, name := range o.figures {
		if !slices.Contains(figureNames(), name) {
			faults = append(faults, fmt.Errorf("unknown figure %q, want some of %s", name, strings.Join(figureNames(), ", ")))
		}
	}
	for _, f := range figures() {
		if len(o.figures) > 0 && !slices.Contains(o.figures, f.name) {
			continue
		}
		missing := f.needs(o)
		switch {
		case missing == "":
			selected = append(selected, f)
		case len(o.figures) > 0:
			faults = append(faults, fmt.Errorf("figure %s needs %s", f.name, missing))
		default:
			fmt.Fprintf(log, "leaving out %s, which needs %s\n", f.name, missing)
		}
	}
	return selected, errors.Join(faults...)
}

// measure runs one figure within its time and logs its fault, so that the fault
// stands beside the progress it belongs to. It reports whether there was none.
func (b *bench) measure(ctx context.Context, f figure) bool {
	ctx, cancel := context.WithTimeoutCause(ctx, b.opts.timeout, fmt.Errorf("no result within %s", b.opts.timeout))
	defer cancel()
	start := time.Now()
	b.logf("%s ...", f.name)
	if err := f.run(ctx, b); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		b.logf("%s failed: %v", f.name, err)
		return false
	}
	b.logf("%s done in %s", f.name, time.Since(start).Round(time.Millisecond))
	return true
}
