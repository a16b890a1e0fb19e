package authorization

import (
	"context"
	"errors"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// Rules says who decides by rules that can be listed.
type Rules struct {
	// RBAC is whether RBAC has a say.
	RBAC bool
	// Webhook is whether a webhook has one, whose rules nobody knows, and Host whether a host cluster has.
	Webhook, Host bool
}

// Config is what answers reviews. All fields are required.
type Config struct {
	// Decider is the authorizer of the server, Evaluator its RBAC.
	Decider   Decider
	Evaluator *policy.Evaluator
	// Cached reads APIBindings, whose providers may do things, too.
	Cached client.Reader
	Rules  Rules
	// PathOf returns the path of a logical cluster; false if it is not known.
	PathOf func(cluster logicalcluster.Name) (logicalcluster.Path, bool)
}

// Reviews answers reviews.
type Reviews struct{ reviewer *reviewer }

// New returns what answers reviews. It is an error to leave out what it needs.
func New(c Config) (*Reviews, error) {
	if c.Decider == nil || c.Evaluator == nil || c.Cached == nil || c.PathOf == nil {
		return nil, errors.New("building the storage of access reviews: an authorizer, an evaluator, a reader, and a lookup of paths are needed")
	}
	return &Reviews{&reviewer{decider: c.Decider, evaluator: c.Evaluator, cached: c.Cached, listed: c.Rules, pathOf: c.PathOf}}, nil
}

// Explanations returns the storage of AccessExplanations.
func (r *Reviews) Explanations() rest.Storage {
	return &reviewREST{
		singular: "accessexplanation", review: r.reviewer.explain,
		empty: func() runtime.Object { return &annexv1alpha1.AccessExplanation{} },
	}
}

// WhoCan returns the storage of WhoCanReviews.
func (r *Reviews) WhoCan() rest.Storage {
	return &reviewREST{
		singular: "whocanreview", review: r.reviewer.whoCan,
		empty: func() runtime.Object { return &annexv1alpha1.WhoCanReview{} },
	}
}

// Group returns the storage of authorization.k8s.io.
func (r *Reviews) Group() *group.Group {
	by := r.reviewer
	return &group.Group{
		Name: authorizationv1.GroupName,
		Versions: map[string]map[string]rest.Storage{"v1": {
			"subjectaccessreviews": &reviewREST{
				singular: "subjectaccessreview", review: by.subject,
				empty: func() runtime.Object { return &authorizationv1.SubjectAccessReview{} },
			},
			"selfsubjectaccessreviews": &reviewREST{
				singular: "selfsubjectaccessreview", review: by.self,
				empty: func() runtime.Object { return &authorizationv1.SelfSubjectAccessReview{} },
			},
			"localsubjectaccessreviews": &reviewREST{
				singular: "localsubjectaccessreview", review: by.local, namespaced: true,
				empty: func() runtime.Object { return &authorizationv1.LocalSubjectAccessReview{} },
			},
			"selfsubjectrulesreviews": &reviewREST{
				singular: "selfsubjectrulesreview", review: by.rules,
				empty: func() runtime.Object { return &authorizationv1.SelfSubjectRulesReview{} },
			},
		}},
	}
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
