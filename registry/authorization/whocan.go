package authorization

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

const (
	// defaultSubjects and mostSubjects bound what a WhoCanReview lists: each subject is decided about as if it sent the request.
	defaultSubjects, mostSubjects = 250, 1000
	// mostGrantsOfSubject bounds the bindings of each.
	mostGrantsOfSubject = 10
)

// whoCan answers a WhoCanReview.
func (r *reviewer) whoCan(ctx context.Context, obj runtime.Object) (runtime.Object, error) {
	review, ok := obj.(*annexv1alpha1.WhoCanReview)
	if !ok {
		return nil, unexpected(obj)
	}
	a, err := r.asking(ctx)
	if err != nil {
		return nil, err
	}
	spec := review.Spec.DeepCopy()
	errs := append(validateMeta(review.ObjectMeta, ""), validateAttributes(spec.ResourceAttributes, spec.NonResourceAttributes)...)
	limit := int(spec.Limit)
	if limit < 0 || limit > mostSubjects {
		errs = append(errs, field.Invalid(field.NewPath("spec", "limit"), spec.Limit, fmt.Sprintf("must be between 1 and %d", mostSubjects)))
	}
	if len(errs) > 0 {
		return nil, apierrors.NewInvalid(annexv1alpha1.SchemeGroupVersion.WithKind("WhoCanReview").GroupKind(), "", errs)
	}
	if limit == 0 {
		limit = defaultSubjects
	}
	about := func(u user.Info) authorizer.Attributes {
		return attributes(u, spec.ResourceAttributes, spec.NonResourceAttributes)
	}
	found, err := a.holders(ctx, about(nil))
	if err != nil {
		klog.FromContext(ctx).Error(err, "Policy could not be read for a list of subjects", "cluster", a.cluster)
		return nil, apierrors.NewServiceUnavailable(policy.ErrUnread.Error())
	}
	providers, err := a.providers(ctx, about(a.user))
	if err != nil {
		return nil, apierrors.NewServiceUnavailable(policy.ErrUnread.Error())
	}
	status := annexv1alpha1.WhoCanReviewStatus{Truncated: len(found) > limit, Notes: append(r.notes(), providers...)}
	for _, h := range found[:min(limit, len(found))] {
		account := a.decider.Explain(withReview(ctx), about(h.User()))
		subject := annexv1alpha1.WhoCanSubject{Allowed: account.Allowed, Grants: []annexv1alpha1.AccessGrant{}}
		if !account.Allowed {
			subject.Message = account.missing()
		}
		for i := range h.grants {
			subject.Grants = append(subject.Grants, a.shown(ctx, &h.grants[i]))
		}
		subject.Subject = subject.Grants[0].Subject
		slices.SortFunc(subject.Grants, func(x, y annexv1alpha1.AccessGrant) int { return cmp.Compare(sortKey(&x), sortKey(&y)) })
		status.Subjects = append(status.Subjects, subject)
	}
	return &annexv1alpha1.WhoCanReview{ObjectMeta: review.ObjectMeta, Spec: review.Spec, Status: status}, nil
}

// notes say what a list of subjects does not contain.
func (r *reviewer) notes() []string {
	notes := []string{"Members of the group system:masters, who run the server, may do everything."}
	if !r.listed.RBAC {
		notes = append(notes, "RBAC does not decide on this server, so the list counts for nothing.")
	}
	if r.listed.Webhook {
		notes = append(notes, "A webhook of the operator decides, too. It may allow more than is listed.")
	}
	if r.listed.Host {
		notes = append(notes, "If a host cluster shows the workspace as its own, RBAC of the host may allow more than is listed to users of the host.")
	}
	return notes
}

// holding is a subject, and the bindings that allow it something.
type holding struct {
	policy.Holder
	grants []policy.Grant
}

// holders returns whom bindings allow attrs, sorted.
func (a *asking) holders(ctx context.Context, attrs authorizer.Attributes) ([]*holding, error) {
	found := map[policy.Holder]*holding{}
	err := a.evaluator.Grants(ctx, a.cluster, attrs, func(g policy.Grant) bool {
		holder, ok := g.Holder(a.cluster)
		if !ok {
			return true
		}
		h := found[holder]
		if h == nil {
			h = &holding{Holder: holder}
			found[holder] = h
		}
		if len(h.grants) < mostGrantsOfSubject {
			h.grants = append(h.grants, g)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	out := make([]*holding, 0, len(found))
	for _, h := range found {
		out = append(out, h)
	}
	slices.SortFunc(out, func(x, y *holding) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Cluster, y.Cluster), cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name))
	})
	return out, nil
}
