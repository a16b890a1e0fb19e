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
	// parts returns into how many parts it can be divided, each with a time
	// limit of its own; nil stands for one.
	parts func(options) int
	// named means that it is left out unless --figures names it: it takes long,
	// and a server of its own.
	named bool
}

// figures is in the order they run: cold-start first, because it wants to see a
// server without workspaces and restarts it; delete late, because it takes the
// shared workspaces away; and last those that leave the shared server.
func figures() []figure {
	return []figure{
		{name: "cold-start", needs: needsBinary, run: measureColdStart},
		{name: "create", needs: needsServer, run: measureCreate},
		{name: "counts", needs: needsMetrics, run: measureCounts},
		{name: "memory", needs: needsProcess, run: measureMemory},
		{name: "bound-memory", needs: needsProcess, run: measureBoundMemory},
		{name: "bind", needs: needsServer, run: measureBind},
		{name: "provider-watch", needs: needsServer, run: measureProviderWatch},
		{name: "crud", needs: needsNothing, run: measureCRUD},
		{name: "custom", needs: needsNothing, run: measureCustom},
		{name: "watch", needs: needsNothing, run: measureWatch},
		{name: "quota", needs: needsNothing, run: measureQuota},
		{name: "webhook", needs: needsNothing, run: measureWebhook},
		{name: "policy", needs: needsNothing, run: measurePolicy},
		{name: "fairness", needs: needsServer, run: measureFairness},
		{name: "hostile", needs: needsBinary, run: measureHostile, parts: func(o options) int { return 1 + len(o.attacks) }},
		{name: "host", needs: needsHost, run: measureHost},
		{name: "host-watches", needs: needsHost, run: measureHostWatches},
		{name: "delete", needs: needsServer, run: measureDelete},
		{name: "gc", needs: needsProcess, run: measureGC, named: true},
		{name: "policies", needs: needsServer, run: measurePolicies, named: true},
		{name: "operator", needs: needsBinary, run: measureOperator},
		{name: "definitions", needs: needsBinary, run: measureDefinitions, named: true},
		{name: "evolution", needs: needsBinary, run: measureEvolution, named: true},
		{name: "sharing", needs: needsBinary, run: measureSharing, named: true},
		{name: "initializer", needs: needsBinary, run: measureInitializer, named: true},
		{name: "scale", needs: needsBinary, run: measureScale, parts: scaleParts, named: true},
		{name: "churn", needs: needsBinary, run: measureChurn, parts: churnParts, named: true},
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
		case f.named && len(o.figures) == 0:
			fmt.Fprintf(log, "leaving out %s, which --figures does not name\n", f.name)
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
	timeout := b.opts.timeout
	if f.parts != nil {
		timeout *= time.Duration(f.parts(b.opts))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no result within %s", timeout))
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
