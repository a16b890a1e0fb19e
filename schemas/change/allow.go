package change

import (
	"strings"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
)

// Allowed reports whether annotations allow the schema called name to break consumers.
func Allowed(annotations map[string]string, name string) bool {
	for allowed := range strings.SplitSeq(annotations[annexv1alpha1.AllowBreakingChangeAnnotationKey], ",") {
		if name != "" && strings.TrimSpace(allowed) == name {
			return true
		}
	}
	return false
}
