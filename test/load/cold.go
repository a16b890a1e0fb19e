package main

import (
	"context"
	"fmt"
	"time"

	"github.com/annex-dev/annex/test/framework/crowd"
)

// coldSamples is how many workspaces each first request is measured in, if there
// are enough.
const coldSamples = 200

// firstRequests are what may come first into a workspace that nobody has used.
var firstRequests = []struct{ name, path, accept string }{
	{"get", "/api/v1/namespaces/default", ""},
	{"list", "/api/v1/namespaces?limit=500", ""},
	{"discovery", "/apis", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"},
	{"openapi", "/openapi/v3", ""},
}

// measureCold tells how long the first request into a workspace takes. No
// workspace gets two; warm is one that is used already.
func (b *bench) measureCold(ctx context.Context, prefix, warm string, names []string) error {
	c, err := crowd.Connect(b.target.admin)
	if err != nil {
		return err
	}
	defer c.Close()
	ask := func(kind int, name string) (time.Duration, error) {
		r := firstRequests[kind]
		start := time.Now()
		if err := fetch(ctx, c, crowd.ClusterURL(c.Config.Host, workspacePath(name))+r.path, r.accept, discard); err != nil {
			return 0, fmt.Errorf("first %s in workspace %q: %w", r.name, name, err)
		}
		return time.Since(start), nil
	}
	// What a server makes once for all, and the connection, is no cost of a
	// workspace.
	for kind := range firstRequests {
		if _, err := ask(kind, warm); err != nil {
			return err
		}
	}
	kinds := len(firstRequests)
	total := min(coldSamples, len(names)/kinds) * kinds
	taken := make([]latencies, kinds)
	for i := range total {
		// From the oldest to the newest; the kinds take turns.
		took, err := ask(i%kinds, names[i*len(names)/total])
		if err != nil {
			return err
		}
		taken[i%kinds] = append(taken[i%kinds], took)
	}
	for kind, r := range firstRequests {
		b.report.latencies(prefix+"_first_"+r.name, taken[kind])
	}
	return nil
}
