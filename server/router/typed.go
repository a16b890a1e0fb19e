package router

import (
	"github.com/annex-dev/annex/server/apistatus"
)

// noMetrics is the answer to /metrics below a cluster: there are none of a single workspace.
func noMetrics() error {
	return apistatus.NotImplemented("metrics are served for the whole server only, at /metrics")
}
