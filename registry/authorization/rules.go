package authorization

import (
	"context"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// webhookRules is what a stock server says about its webhook.
const webhookRules = "webhook authorizer does not support user rule resolution"

// rules lists what the user may do, as far as RBAC grants it.
func (r *reviewer) rules(ctx context.Context, obj runtime.Object) (runtime.Object, error) {
	review, ok := obj.(*authorizationv1.SelfSubjectRulesReview)
	if !ok {
		return nil, unexpected(obj)
	}
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("no user present on request")
	}
	cluster, ok := logicalcluster.FromContext(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("the request names no logical cluster")
	}
	if review.Spec.Namespace == "" {
		return nil, apierrors.NewBadRequest("no namespace on request")
	}
	var rules []rbacv1.PolicyRule
	var err error
	if r.listed.RBAC {
		rules, err = r.evaluator.RulesFor(ctx, u, cluster, review.Spec.Namespace)
	}
	// A stock server does not repeat what was asked either.
	out := &authorizationv1.SelfSubjectRulesReview{
		Status: authorizationv1.SubjectRulesReviewStatus{ResourceRules: []authorizationv1.ResourceRule{}, NonResourceRules: []authorizationv1.NonResourceRule{}},
	}
	if err != nil {
		klog.FromContext(ctx).Error(err, "Policy could not be read for a rules review", "cluster", cluster)
		out.Status.Incomplete = true
		out.Status.EvaluationError = errUnread.Error()
	}
	if r.listed.Webhook {
		out.Status.Incomplete = true
		out.Status.EvaluationError = strings.TrimPrefix(out.Status.EvaluationError+"; "+webhookRules, "; ")
	}
	for i := range rules {
		add(&out.Status, &rules[i])
	}
	return out, nil
}

func add(status *authorizationv1.SubjectRulesReviewStatus, rule *rbacv1.PolicyRule) {
	if len(rule.Resources) > 0 {
		status.ResourceRules = append(status.ResourceRules, authorizationv1.ResourceRule{
			Verbs: rule.Verbs, APIGroups: rule.APIGroups, Resources: rule.Resources, ResourceNames: rule.ResourceNames,
		})
	}
	if len(rule.NonResourceURLs) > 0 {
		status.NonResourceRules = append(status.NonResourceRules, authorizationv1.NonResourceRule{
			Verbs: rule.Verbs, NonResourceURLs: rule.NonResourceURLs,
		})
	}
}
