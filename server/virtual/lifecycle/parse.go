package lifecycle

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

// Parse implements virtual.Workspace. below is for example 2f8kq1z0c7a9x3bd:team/clusters/*/apis/core.kcp.io/v1alpha1/logicalclusters: the
// name of the initializer or terminator, and the cluster. Clusters are names; a path such as root:org is malformed here.
func (*Endpoint) Parse(below string) (virtual.Request, error) {
	segments := strings.SplitN(below, "/", 4)
	if len(segments) < 3 || segments[1] != "clusters" {
		return virtual.Request{}, apistatus.NotServed()
	}
	var names [2]string // the initializer or terminator, and the target
	for i, segment := range [...]string{segments[0], segments[2]} {
		name, err := url.PathUnescape(segment)
		if err != nil {
			return virtual.Request{}, apierrors.NewBadRequest(fmt.Sprintf("invalid path: %q is not a valid URL path segment", segment))
		}
		names[i] = name
	}
	i := strings.LastIndex(names[0], logicalcluster.Separator)
	if i < 0 {
		return virtual.Request{}, apierrors.NewBadRequest(fmt.Sprintf("%q is not the name of a logical cluster and of a WorkspaceType, joined by %q", names[0], logicalcluster.Separator))
	}
	cluster, err := logicalcluster.ParseName(names[0][:i])
	if err != nil {
		return virtual.Request{}, apierrors.NewBadRequest(err.Error())
	}
	name := names[0][i+1:]
	if faults := content.IsPathSegmentName(name); name == "" || len(faults) > 0 {
		return virtual.Request{}, apierrors.NewBadRequest(fmt.Sprintf("invalid name of a WorkspaceType: %q %s", name, strings.Join(faults, ", ")))
	}
	target := logicalcluster.Path(names[1])
	if target != logicalcluster.Wildcard {
		if _, err := logicalcluster.ParseName(names[1]); err != nil {
			return virtual.Request{}, apierrors.NewBadRequest(err.Error())
		}
	}
	request := virtual.Request{Endpoint: virtual.Endpoint{Cluster: cluster, Name: name}, Target: target}
	if len(segments) == 4 {
		request.Rest = "/" + segments[3]
	}
	return request, nil
}
