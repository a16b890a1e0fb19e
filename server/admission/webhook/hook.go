package webhook

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/server/admission/dynamic"
)

// hook is a webhook that sees the workspace of one request.
type hook struct {
	webhook.WebhookAccessor
	request *asked
}

// asked is the request that webhooks are asked about.
type asked struct {
	admission.Attributes
	seen *dynamic.Seen
	// labels are those of the namespace, once they are known.
	labels labels.Set
	known  bool
}

// within returns hooks that see the workspace of a request.
func within(hooks []webhook.WebhookAccessor, request *asked) []webhook.WebhookAccessor {
	all := make([]webhook.WebhookAccessor, len(hooks))
	for i, h := range hooks {
		all[i] = hook{WebhookAccessor: h, request: request}
	}
	return all
}

// GetParsedNamespaceSelector implements webhook.WebhookAccessor. It returns a selector of everything or of nothing: the stock
// plugin would look for the namespace without knowing the workspace.
func (h hook) GetParsedNamespaceSelector() (labels.Selector, error) {
	selector, err := h.WebhookAccessor.GetParsedNamespaceSelector()
	if err != nil || selector.Empty() {
		return selector, err
	}
	set, err := h.request.namespaceLabels()
	if err != nil {
		return nil, err
	}
	if selector.Matches(set) {
		return labels.Everything(), nil
	}
	return labels.Nothing(), nil
}

// namespaceLabels returns the labels of the request's namespace: as they are to become if it is the namespace that is written.
func (r *asked) namespaceLabels() (labels.Set, error) {
	if r.known {
		return r.labels, nil
	}
	if r.GetResource().Resource == "namespaces" && r.GetSubresource() == "" && (r.GetOperation() == admission.Create || r.GetOperation() == admission.Update) {
		obj, err := meta.Accessor(r.GetObject())
		if err != nil {
			return nil, err
		}
		return obj.GetLabels(), nil // another webhook may change them
	}
	ns, err := r.seen.Namespace(r.GetNamespace())
	if err != nil {
		return nil, err
	}
	r.labels, r.known = ns.Labels, true
	return r.labels, nil
}

// GetCompiledMatcher implements webhook.WebhookAccessor.
func (h hook) GetCompiledMatcher(compiler cel.ConditionCompiler) matchconditions.Matcher {
	return matcher{Matcher: h.WebhookAccessor.GetCompiledMatcher(compiler), seen: h.request.seen}
}

// matcher asks the authorizer of the workspace. That of the stock plugin would not know which workspace is meant.
type matcher struct {
	matchconditions.Matcher
	seen *dynamic.Seen
}

// Match implements matchconditions.Matcher.
func (m matcher) Match(ctx context.Context, attr *admission.VersionedAttributes, params runtime.Object, _ authorizer.UnconditionalAuthorizer) matchconditions.MatchResult {
	return m.Matcher.Match(ctx, attr, params, m.seen)
}
