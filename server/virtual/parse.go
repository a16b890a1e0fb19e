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

// ParseEndpoint reads a URL below the endpoint of an object, for example 2f8kq1z0c7a9x3bd/widgets/clusters/*/apis/example.com/v1/widgets: the
// cluster of the object, its name, and the cluster that is meant. Clusters are names; a path such as root:org is malformed here. Kind
// names the object in errors, which are API statuses.
func ParseEndpoint(below, kind string) (Request, error) {
	segments := strings.SplitN(below, "/", 5)
	if len(segments) < 4 || segments[2] != "clusters" {
		return Request{}, apistatus.NotServed()
	}
	var names [3]string // the object's cluster, the object, the target
	for i, segment := range [...]string{segments[0], segments[1], segments[3]} {
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
		return Request{}, apierrors.NewBadRequest(fmt.Sprintf("invalid name of %s: %q %s", kind, names[1], strings.Join(faults, ", ")))
	}
	target := logicalcluster.Path(names[2])
	if target != logicalcluster.Wildcard {
		if _, err := logicalcluster.ParseName(names[2]); err != nil {
			return Request{}, apierrors.NewBadRequest(err.Error())
		}
	}
	request := Request{Endpoint: Endpoint{Cluster: cluster, Name: names[1]}, Target: target}
	if len(segments) == 5 {
		request.Rest = "/" + segments[4]
	}
	return request, nil
}
