package authorization

import (
	"context"
	"errors"
	"fmt"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// errUnread is what a user is told when policy could not be read.
var errUnread = errors.New("the policy could not be read")

// reviewer answers reviews.
type reviewer struct {
	decider   Decider
	evaluator *policy.Evaluator
	cached    client.Reader
	listed    Rules
	pathOf    func(cluster logicalcluster.Name) (logicalcluster.Path, bool)
}

func (r *reviewer) subject(ctx context.Context, obj runtime.Object) (runtime.Object, error) {
	review, ok := obj.(*authorizationv1.SubjectAccessReview)
	if !ok {
		return nil, unexpected(obj)
	}
	errs := append(validateMeta(review.ObjectMeta, ""), validateSubject(&review.Spec)...)
	if len(errs) > 0 {
		return nil, invalid("SubjectAccessReview", errs)
	}
	return &authorizationv1.SubjectAccessReview{
		ObjectMeta: review.ObjectMeta, Spec: review.Spec,
		Status: r.because(ctx, answer(ctx, r.deciderFor(ctx), subjectAttributes(&review.Spec)), subjectAttributes(&review.Spec)),
	}, nil
}

func (r *reviewer) local(ctx context.Context, obj runtime.Object) (runtime.Object, error) {
	review, ok := obj.(*authorizationv1.LocalSubjectAccessReview)
	if !ok {
		return nil, unexpected(obj)
	}
	namespace, ok := genericapirequest.NamespaceFrom(ctx)
	if !ok || namespace == "" {
		return nil, apierrors.NewBadRequest("a LocalSubjectAccessReview is made in a namespace")
	}
	errs := append(validateMeta(review.ObjectMeta, namespace), validateSubject(&review.Spec)...)
	if review.Spec.ResourceAttributes != nil && review.Spec.ResourceAttributes.Namespace != namespace {
		errs = append(errs, field.Invalid(field.NewPath("spec", "resourceAttributes", "namespace"), review.Spec.ResourceAttributes.Namespace,
			"must match metadata.namespace"))
	}
	if review.Spec.NonResourceAttributes != nil {
		errs = append(errs, field.Invalid(field.NewPath("spec", "nonResourceAttributes"), review.Spec.NonResourceAttributes, "disallowed on this kind of request"))
	}
	if len(errs) > 0 {
		return nil, invalid("LocalSubjectAccessReview", errs)
	}
	return &authorizationv1.LocalSubjectAccessReview{
		ObjectMeta: review.ObjectMeta, Spec: review.Spec,
		Status: r.because(ctx, answer(ctx, r.deciderFor(ctx), subjectAttributes(&review.Spec)), subjectAttributes(&review.Spec)),
	}, nil
}

func (r *reviewer) self(ctx context.Context, obj runtime.Object) (runtime.Object, error) {
	review, ok := obj.(*authorizationv1.SelfSubjectAccessReview)
	if !ok {
		return nil, unexpected(obj)
	}
	errs := append(validateMeta(review.ObjectMeta, ""),
		validateAttributes(review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)...)
	if len(errs) > 0 {
		return nil, invalid("SelfSubjectAccessReview", errs)
	}
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("no user present on request")
	}
	attrs := attributes(u, review.Spec.ResourceAttributes, review.Spec.NonResourceAttributes)
	return &authorizationv1.SelfSubjectAccessReview{
		ObjectMeta: review.ObjectMeta, Spec: review.Spec,
		Status: answer(ctx, r.decider.Authorize, attrs),
	}, nil
}

type decideFunc func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error)

// deciderFor returns who decides about other users: everything that decides about requests, or RBAC alone.
func (r *reviewer) deciderFor(ctx context.Context) decideFunc {
	if !isDeep(ctx) {
		return r.decider.Authorize
	}
	cluster, ok := logicalcluster.FromContext(ctx)
	u, known := genericapirequest.UserFrom(ctx)
	if !ok || !known || !policy.Master(u, cluster) {
		// Ignored, like any header that means nothing.
		return r.decider.Authorize
	}
	return func(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
		if policy.Master(attrs.GetUser(), cluster) {
			Record(ctx, "", authorizer.DecisionAllow, "system:masters may do everything", nil)
			return authorizer.DecisionAllow, "", nil
		}
		decision, reason, err := r.evaluator.Authorize(ctx, cluster, attrs)
		Record(ctx, "", decision, reason, err)
		if err != nil {
			return decision, "", errUnread
		}
		return decision, "", nil
	}
}

// answer decides. An error is part of the answer.
func answer(ctx context.Context, decide decideFunc, attrs authorizer.Attributes) authorizationv1.SubjectAccessReviewStatus {
	decision, reason, err := decide(withReview(ctx), attrs)
	status := authorizationv1.SubjectAccessReviewStatus{
		Allowed: decision == authorizer.DecisionAllow,
		Denied:  decision == authorizer.DecisionDeny,
		Reason:  reason,
	}
	var faults []string
	if err != nil {
		faults = append(faults, err.Error())
	}
	if u := attrs.GetUser(); u != nil {
		if err := policy.CheckWarrants(u); err != nil {
			faults = append(faults, err.Error())
		}
	}
	requirements, err := attrs.GetFieldSelector()
	faults = append(faults, ignored("fieldSelector", len(requirements), err)...)
	selected, err := attrs.GetLabelSelector()
	faults = append(faults, ignored("labelSelector", len(selected), err)...)
	status.EvaluationError = strings.Join(faults, "; ")
	return status
}

// because adds to an answer about somebody else which binding allows it, or what is missing, for those who may know.
func (r *reviewer) because(ctx context.Context, status authorizationv1.SubjectAccessReviewStatus, attrs authorizer.Attributes) authorizationv1.SubjectAccessReviewStatus {
	a, err := r.asking(ctx)
	if err != nil || status.Reason == "" || status.EvaluationError != "" {
		return status
	}
	if !status.Allowed {
		account := r.decider.Explain(withReview(ctx), attrs)
		status.Reason += ": " + account.missing()
	} else if g, found := r.evaluator.Because(ctx, a.cluster, attrs); found {
		shown := a.shown(ctx, &g)
		status.Reason += ": " + sentence(&shown)
	}
	return status
}

func subjectAttributes(spec *authorizationv1.SubjectAccessReviewSpec) authorizer.Attributes {
	u := &user.DefaultInfo{Name: spec.User, UID: spec.UID, Groups: spec.Groups}
	for key, values := range spec.Extra {
		if u.Extra == nil {
			u.Extra = map[string][]string{}
		}
		u.Extra[key] = values
	}
	return attributes(u, spec.ResourceAttributes, spec.NonResourceAttributes)
}

// attributes returns what is asked for as a request would have it.
func attributes(u user.Info, resource *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) authorizer.Attributes {
	if resource == nil {
		return authorizer.AttributesRecord{User: u, Verb: path.Verb, Path: path.Path}
	}
	version := resource.Version
	if version == "" {
		version = "*"
	}
	record := authorizer.AttributesRecord{
		User: u, Verb: resource.Verb, Namespace: resource.Namespace,
		APIGroup: resource.Group, APIVersion: version,
		Resource: resource.Resource, Subresource: resource.Subresource, Name: resource.Name,
		ResourceRequest: true,
	}
	record.FieldSelectorRequirements, record.FieldSelectorParsingErr = fieldSelector(resource.FieldSelector)
	record.LabelSelectorRequirements, record.LabelSelectorParsingErr = labelSelector(resource.LabelSelector)
	return record
}

func unexpected(obj runtime.Object) error {
	return apierrors.NewBadRequest(fmt.Sprintf("not a review of the expected kind: %T", obj))
}
