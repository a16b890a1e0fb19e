package virtual

import (
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/apistatus"
)

const servicesPrefix = "/services/"

// Request is what the URL of a virtual endpoint says.
type Request struct {
	Endpoint Endpoint
	// Target is the consumer that the request is for: a single name, or [logicalcluster.Wildcard] for all of them.
	Target logicalcluster.Path
	// Rest is the escaped path of the request in that cluster. It begins with a slash, and is empty when the URL ends
	// with the target.
	Rest string
}

// Parse splits the escaped path of a URL, for example
// /services/apiexport/2f8kq1z0c7a9x3bd/widgets/clusters/*/apis/example.com/v1/widgets.
//
// Errors are API statuses: NotFound for a path that is no virtual endpoint, BadRequest for a malformed name. The cluster of
// the endpoint and the target are names; a path such as root:org is malformed here.
func Parse(escapedPath string) (Request, error) {
	below, ok := strings.CutPrefix(escapedPath, servicesPrefix)
	if !ok {
		return Request{}, apistatus.NotServed()
	}
	segments := strings.SplitN(below, "/", 6)
	if segments[0] != APIExport || len(segments) < 5 || segments[3] != "clusters" {
		return Request{}, apistatus.NotServed()
	}
	var names [3]string // the export's cluster, the export, the target
	for i, segment := range [...]string{segments[1], segments[2], segments[4]} {
		name, err := url.PathUnescape(segment)
		if err != nil {
			return Request{}, apierrors.NewBadRequest(fmt.Sprintf("invalid path: %q is not a valid URL path segment", segment))
		}
		names[i] = name
	}
	cluster, err := logicalcluster.ParseName(names[0])
	if err != nil {
		return Request{}, apierrors.NewBadRequest(err.Error())
	}
	if faults := content.IsPathSegmentName(names[1]); names[1] == "" || len(faults) > 0 {
		return Request{}, apierrors.NewBadRequest(fmt.Sprintf("invalid name of an APIExport: %q %s", names[1], strings.Join(faults, ", ")))
	}
	target := logicalcluster.Path(names[2])
	if target != logicalcluster.Wildcard {
		if _, err := logicalcluster.ParseName(names[2]); err != nil {
			return Request{}, apierrors.NewBadRequest(err.Error())
		}
	}
	request := Request{Endpoint: Endpoint{Kind: APIExport, Cluster: cluster, Name: names[1]}, Target: target}
	if len(segments) == 6 {
		request.Rest = "/" + segments[5]
	}
	return request, nil
}
