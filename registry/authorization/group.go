package authorization

import (
	"context"
	"errors"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// Rules says who decides by rules that can be listed.
type Rules struct {
	// RBAC is whether RBAC has a say.
	RBAC bool
	// Webhook is whether a webhook has one, whose rules nobody knows.
	Webhook bool
}

// NewGroup returns the storage of authorization.k8s.io. decider is the authorizer of the server, evaluator its RBAC.
func NewGroup(decider authorizer.UnconditionalAuthorizer, evaluator *policy.Evaluator, rules Rules) (*group.Group, error) {
	if decider == nil || evaluator == nil {
		return nil, errors.New("building the storage of access reviews: an authorizer and an evaluator are needed")
	}
	r := &reviewer{decider: decider, evaluator: evaluator, listed: rules}
	return &group.Group{
		Name: authorizationv1.GroupName,
		Versions: map[string]map[string]rest.Storage{"v1": {
			"subjectaccessreviews": &reviewREST{
				singular: "subjectaccessreview", review: r.subject,
				empty: func() runtime.Object { return &authorizationv1.SubjectAccessReview{} },
			},
			"selfsubjectaccessreviews": &reviewREST{
				singular: "selfsubjectaccessreview", review: r.self,
				empty: func() runtime.Object { return &authorizationv1.SelfSubjectAccessReview{} },
			},
			"localsubjectaccessreviews": &reviewREST{
				singular: "localsubjectaccessreview", review: r.local, namespaced: true,
				empty: func() runtime.Object { return &authorizationv1.LocalSubjectAccessReview{} },
			},
			"selfsubjectrulesreviews": &reviewREST{
				singular: "selfsubjectrulesreview", review: r.rules,
				empty: func() runtime.Object { return &authorizationv1.SelfSubjectRulesReview{} },
			},
		}},
	}, nil
}

// reviewREST answers one kind of review.
type reviewREST struct {
	singular   string
	namespaced bool
	empty      func() runtime.Object
	// review returns obj with its status filled in.
	review func(ctx context.Context, obj runtime.Object) (runtime.Object, error)
}

var _ interface {
	rest.Creater
	rest.Scoper
	rest.SingularNameProvider
} = &reviewREST{}

// New implements rest.Storage.
func (r *reviewREST) New() runtime.Object { return r.empty() }

// Destroy implements rest.Storage.
func (r *reviewREST) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (r *reviewREST) NamespaceScoped() bool { return r.namespaced }

// GetSingularName implements rest.SingularNameProvider.
func (r *reviewREST) GetSingularName() string { return r.singular }

// Create implements rest.Creater.
func (r *reviewREST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	return r.review(ctx, obj)
}
