package forward

import (
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// The headers that say how often a request was forwarded. kcp has one for virtual storage only. Both count everything, since a mount may lead to
// virtual storage and back.
const (
	HopsHeader        = "X-Annex-Mount-Hops"
	VirtualHopsHeader = "X-Kcp-Virtual-Resource-Hops"
	// MaxHops is how often a request is forwarded.
	MaxHops = 4
)

// sent are the headers of a client that go to the target. Everything else stays here: credentials, impersonation, identities, addresses, and what is for
// proxies on the way.
var sent = []string{
	"Accept", "Accept-Encoding", "Content-Encoding", "Content-Type", "If-Match", "If-Modified-Since", "If-None-Match", "Range", "User-Agent",
}

// upgrading are further headers of a request for a stream in both directions. ReverseProxy has checked the first two.
var upgrading = []string{"Connection", "Upgrade", "Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Version", "X-Stream-Protocol-Version"}

// answered are the headers of a target that go to the client. Whether an answer may be kept, the stock chain says, which says no.
var answered = []string{
	"Accept-Ranges", "Allow", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type", "Date", "Etag", "Last-Modified", "Retry-After",
	"Vary", "Warning",
}

// switched are further headers of an answer that begins a stream in both directions.
var switched = []string{"Connection", "Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Protocol", "X-Stream-Protocol-Version"}

// only returns the headers of from whose names are in the lists.
func only(from http.Header, lists ...[]string) http.Header {
	to := http.Header{}
	for _, names := range lists {
		for _, name := range names {
			if values := from[name]; len(values) > 0 {
				to[name] = values
			}
		}
	}
	return to
}

const (
	websocketProtocols = "Sec-Websocket-Protocol"
	// bearerProtocol begins what looks like a protocol and is a token.
	bearerProtocol = "base64url.bearer.authorization.k8s.io."
)

// protocols returns the protocols that a client offers, without credentials.
func protocols(from http.Header) []string {
	var offered []string
	for _, value := range from[websocketProtocols] {
		for protocol := range strings.SplitSeq(value, ",") {
			if protocol = strings.TrimSpace(protocol); protocol != "" && !strings.HasPrefix(protocol, bearerProtocol) {
				offered = append(offered, protocol)
			}
		}
	}
	return offered
}

// hopsOf returns how often a request was forwarded before. Errors are API statuses.
func hopsOf(from http.Header) (int, error) {
	most := 0
	for _, name := range []string{HopsHeader, VirtualHopsHeader} {
		values := from[name]
		if len(values) == 0 {
			continue
		}
		hops, err := strconv.Atoi(values[0])
		if err != nil || hops < 0 || len(values) > 1 {
			return 0, apierrors.NewBadRequest("header " + name + " must be a number")
		}
		most = max(most, hops)
	}
	return most, nil
}
