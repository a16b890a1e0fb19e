package auditing

import (
	"fmt"
	"strings"

	"k8s.io/apiserver/pkg/admission"
)

// reserved are the domains of annotations that say who decided, and where. Those below are reserved, too.
var reserved = []string{"kcp.io", "annex.dev", "authentication.k8s.io", "authorization.k8s.io"}

// Annotated returns the attributes of a request for a plugin that lets tenants choose keys of annotations: the names of their webhooks and
// policies are the domains of these keys.
func Annotated(a admission.Attributes) admission.Attributes { return annotated{a} }

type annotated struct{ admission.Attributes }

// AddAnnotation implements admission.Attributes.
func (a annotated) AddAnnotation(key, value string) error {
	domain, _, _ := strings.Cut(key, "/")
	for _, its := range reserved {
		if domain == its || strings.HasSuffix(domain, "."+its) {
			return fmt.Errorf("the audit annotation %q is refused: only the server writes annotations of %s", key, its)
		}
	}
	return a.Attributes.AddAnnotation(key, value)
}
