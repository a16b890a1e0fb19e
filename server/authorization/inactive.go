package authorization

import (
	"strings"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
)

// Reasons for the audit log.
const (
	switchedOff  = "the logical cluster is switched off by its annotation"
	unknownPhase = "the logical cluster could not be looked up"
)

func isInactive(phase string) bool { return phase == string(corev1alpha1.LogicalClusterPhaseInactive) }

// servedWhileInactive reports whether attrs ask for what a cluster that is switched off still serves: the object by which
// it is switched on again, and the documents that clients read before they change it. Whether one may stand in for somebody
// is decided as usual, since the request itself is asked about next.
func servedWhileInactive(attrs authorizer.Attributes) bool {
	if !attrs.IsResourceRequest() {
		return attrs.GetPath() == "/openapi" || strings.HasPrefix(attrs.GetPath(), "/openapi/")
	}
	if isImpersonation(attrs) {
		return true
	}
	resource := corev1alpha1.Resource("logicalclusters")
	return attrs.GetAPIGroup() == resource.Group && attrs.GetResource() == resource.Resource
}
