package router

import (
	"k8s.io/apimachinery/pkg/runtime/schema"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	"github.com/annex-dev/annex/server/apistatus"
)

// IsBound reports whether a resource that the process stores is served in a cluster only while its snapshot holds it: while the
// cluster binds it or, for hostbindings, is the host workspace.
func IsBound(gr schema.GroupResource) bool {
	switch gr.Group {
	case tenancyv1alpha1.GroupName, topologyv1alpha1.GroupName, annexv1alpha1.GroupName:
		return true
	case corev1alpha1.GroupName:
		return gr.Resource == "shards"
	}
	return false
}

// noMetrics is the answer to /metrics below a cluster: there are none of a single workspace.
func noMetrics() error {
	return apistatus.NotImplemented("metrics are served for the whole server only, at /metrics")
}
