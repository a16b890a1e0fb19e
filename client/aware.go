package client

import (
	"net/http"

	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// AwareHeader is set to "true" by clients that identify objects by cluster, namespace and name. At a wildcard URL, the server warns others that seem
// to keep objects, because they mix up objects of different clusters.
const AwareHeader = "Annex-Cluster-Aware"

// Aware returns a transport that sets AwareHeader, for rest.Config.Wrap. The clients of this module have it already.
func Aware(next http.RoundTripper) http.RoundTripper { return aware{next} }

type aware struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (a aware) RoundTrip(req *http.Request) (*http.Response, error) {
	req = utilnet.CloneRequest(req)
	req.Header.Set(AwareHeader, "true")
	return a.RoundTripper.RoundTrip(req)
}

// WrappedRoundTripper implements net.RoundTripperWrapper.
func (a aware) WrappedRoundTripper() http.RoundTripper { return a.RoundTripper }
