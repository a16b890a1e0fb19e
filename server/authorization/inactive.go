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

// servedWhileInactive reports whether an inactive cluster still serves the request: for the object that makes it active again, and for
// the documents that clients read before they change that object. Impersonation is decided as usual, because the request itself is
// checked next.
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
