package webhook

import (
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules"
)

// The webhooks of a provider decide about what its consumers have bound.

// mayConcern reports whether one of hooks may be called about a. The stock plugin decides whether it is; versions are left to it, because it
// converts.
func mayConcern(hooks hookList, a admission.Attributes) bool {
	for _, hook := range hooks {
		for _, rule := range hook.GetRules() {
			rule.APIVersions = []string{"*"}
			if matcher := (rules.Matcher{Rule: rule, Attr: a}); matcher.Matches() {
				return true
			}
		}
	}
	return false
}

// forConsumer returns err without where a webhook is and why it cannot be called, which is the provider's affair. What the webhook says itself
// stays.
func forConsumer(gr schema.GroupResource, err error) error {
	if err == nil || !apierrors.IsInternalError(err) {
		return err
	}
	const failed = `failed calling webhook "`
	_, after, found := strings.Cut(err.Error(), failed)
	name, _, closed := strings.Cut(after, `"`)
	if !found || !closed {
		return apierrors.NewInternalError(fmt.Errorf("a webhook of the provider of %s failed", gr))
	}
	return apierrors.NewInternalError(fmt.Errorf("%s%s\": the webhook of the provider of %s cannot be called", failed, name, gr))
}
