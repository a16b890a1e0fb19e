package apiresourceschema

import (
	"fmt"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/server/virtual"
)

// Parse implements virtual.Workspace. below is for example root:org:team/apis/apis.kcp.io/v1alpha1/apiresourceschemas. The name of the endpoint is
// the consumer as the URL begins with it, and the target is the one behind clusters, if that is there and not the wildcard.
func (*Endpoint) Parse(below string) (virtual.Request, error) {
	first, rest, more := strings.Cut(below, "/")
	consumer, err := parseCluster(first)
	if err != nil {
		return virtual.Request{}, err
	}
	target := consumer
	if behind, again := strings.CutPrefix(rest, "clusters/"); again {
		var second string
		if second, rest, more = strings.Cut(behind, "/"); second != logicalcluster.Wildcard.String() {
			if target, err = parseCluster(second); err != nil {
				return virtual.Request{}, err
			}
		}
	}
	request := virtual.Request{Endpoint: virtual.Endpoint{Name: consumer.String()}, Target: target}
	if more {
		request.Rest = "/" + rest
	}
	return request, nil
}

// parseCluster returns the cluster that an escaped segment names.
func parseCluster(segment string) (logicalcluster.Path, error) {
	name, err := url.PathUnescape(segment)
	if err != nil {
		return "", apierrors.NewBadRequest(fmt.Sprintf("invalid path: %q is not a valid URL path segment", segment))
	}
	path, err := logicalcluster.ParsePath(name)
	if err != nil {
		return "", apierrors.NewBadRequest(err.Error())
	}
	if path == logicalcluster.Wildcard {
		return "", apierrors.NewBadRequest("invalid path: the schemas are those of one workspace")
	}
	return path, nil
}
