package replication

import (
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/virtual"
)

// Parse implements virtual.Workspace. below is for example 2f8kq1z0c7a9x3bd/flavors/clusters/8d1m3q7k2v5n9x4c/apis/example.com/v1/flavors: the
// cluster of the slice, the slice, and the consumer. Clusters are names; a path such as root:org is malformed here.
func (*Endpoint) Parse(below string) (virtual.Request, error) {
	segments := strings.SplitN(below, "/", 5)
	if len(segments) < 4 || segments[2] != "clusters" {
		return virtual.Request{}, apistatus.NotServed()
	}
	var names [3]string // the cluster of the slice, the slice, the target
	for i, segment := range [...]string{segments[0], segments[1], segments[3]} {
		name, err := url.PathUnescape(segment)
		if err != nil {
			return virtual.Request{}, apierrors.NewBadRequest(fmt.Sprintf("invalid path: %q is not a valid URL path segment", segment))
		}
		names[i] = name
	}
	cluster, err := logicalcluster.ParseName(names[0])
	if err != nil {
		return virtual.Request{}, apierrors.NewBadRequest(err.Error())
	}
	if faults := content.IsPathSegmentName(names[1]); names[1] == "" || len(faults) > 0 {
		return virtual.Request{}, apierrors.NewBadRequest(fmt.Sprintf("invalid name of a ClusterCachedResourceEndpointSlice: %q %s", names[1], strings.Join(faults, ", ")))
	}
	target := logicalcluster.Path(names[2])
	if target != logicalcluster.Wildcard {
		if _, err := logicalcluster.ParseName(names[2]); err != nil {
			return virtual.Request{}, apierrors.NewBadRequest(err.Error())
		}
	}
	request := virtual.Request{Endpoint: virtual.Endpoint{Cluster: cluster, Name: names[1]}, Target: target}
	if len(segments) == 5 {
		request.Rest = "/" + segments[4]
	}
	return request, nil
}
