package authorization

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/klog/v2"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// mostGrants is how many bindings an explanation lists, of each kind.
const mostGrants = 100

// Account is what decides about a request, and how.
type Account struct {
	Allowed bool
	// Steps are in the order in which they are asked. Their messages name no object of another workspace.
	Steps []annexv1alpha1.AccessStep
	// Err says that the decision could not be made, in words for users.
	Err error
}

// missing returns what denies the request, or what it lacks.
func (a *Account) missing() string {
	if a.Err != nil {
		return a.Err.Error()
	}
	for _, step := range a.Steps {
		if step.Decision == annexv1alpha1.AccessDenied {
			return step.Name + ": " + step.Message
		}
	}
	return "no binding allows it, neither of the workspace, nor of one above, nor of the system"
}

// Decider is the authorizer of the server.
type Decider interface {
	authorizer.UnconditionalAuthorizer
	// Explain decides as Authorize does, and says how. attrs are those of a review.
	Explain(ctx context.Context, attrs authorizer.Attributes) Account
}

// explain answers an AccessExplanation.
func (r *reviewer) explain(ctx context.Context, obj runtime.Object) (runtime.Object, error) {
	review, ok := obj.(*annexv1alpha1.AccessExplanation)
	if !ok {
		return nil, unexpected(obj)
	}
	a, err := r.asking(ctx)
	if err != nil {
		return nil, err
	}
	spec := review.Spec.DeepCopy()
	errs := validateMeta(review.ObjectMeta, "")
	self := spec.User == "" && len(spec.Groups) == 0
	if self {
		errs = append(errs, validateAttributes(spec.ResourceAttributes, spec.NonResourceAttributes)...)
		if spec.UID != "" || len(spec.Extra) > 0 {
			errs = append(errs, field.Required(field.NewPath("spec", "user"), "uid and extra belong to a user"))
		}
	} else {
		errs = append(errs, validateSubject(spec)...)
	}
	if len(errs) > 0 {
		return nil, apierrors.NewInvalid(annexv1alpha1.SchemeGroupVersion.WithKind("AccessExplanation").GroupKind(), "", errs)
	}
	attrs := subjectAttributes(spec)
	if self {
		attrs = attributes(a.user, spec.ResourceAttributes, spec.NonResourceAttributes)
	} else if err := a.mayAskAboutOthers(ctx); err != nil {
		return nil, err
	}
	return &annexv1alpha1.AccessExplanation{ObjectMeta: review.ObjectMeta, Spec: review.Spec, Status: a.explanation(ctx, attrs)}, nil
}

// asking is who asks, and where.
type asking struct {
	*reviewer
	user    user.Info
	cluster logicalcluster.Name
	// seen remembers what the user may do in workspaces above: a list has many bindings of few workspaces.
	seen map[client.Key]bool
}

func (r *reviewer) asking(ctx context.Context) (*asking, error) {
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("no user present on request")
	}
	cluster, ok := logicalcluster.FromContext(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("a review is about one workspace")
	}
	return &asking{reviewer: r, user: u, cluster: cluster, seen: map[client.Key]bool{}}, nil
}

// mayAskAboutOthers returns nil if the user may create SubjectAccessReviews, which tell the same.
func (a *asking) mayAskAboutOthers(ctx context.Context) error {
	resource := authorizationv1.SchemeGroupVersion.WithResource("subjectaccessreviews")
	decision, _, err := a.decider.Authorize(withReview(ctx), authorizer.AttributesRecord{
		User: a.user, Verb: "create", APIGroup: resource.Group, APIVersion: resource.Version, Resource: resource.Resource, ResourceRequest: true,
	})
	switch {
	case decision == authorizer.DecisionAllow:
		return nil
	case err != nil:
		return apierrors.NewServiceUnavailable(err.Error())
	}
	return apierrors.NewForbidden(annexv1alpha1.Resource("accessexplanations"), "",
		fmt.Errorf("user %q may ask about itself only: asking about others takes the verb create on %s", a.user.GetName(), resource.GroupResource()))
}

// explanation answers attrs.
func (a *asking) explanation(ctx context.Context, attrs authorizer.Attributes) annexv1alpha1.AccessExplanationStatus {
	account := a.decider.Explain(withReview(ctx), attrs)
	status := annexv1alpha1.AccessExplanationStatus{Allowed: account.Allowed, Steps: account.Steps}
	var faults []string
	if account.Err != nil {
		faults = append(faults, account.Err.Error())
	}
	if err := policy.CheckWarrants(attrs.GetUser()); err != nil {
		faults = append(faults, err.Error())
	}
	var more, moreEntry bool
	var err error
	if status.Grants, more, err = a.grants(ctx, attrs); err != nil {
		faults = append(faults, errUnread.Error())
	}
	if status.Entry, moreEntry, err = a.grants(ctx, authorizer.AttributesRecord{User: attrs.GetUser(), Verb: "access", Path: "/"}); err != nil {
		faults = append(faults, errUnread.Error())
	}
	status.Truncated = more || moreEntry
	providers, err := a.providers(ctx, attrs)
	if err != nil {
		faults = append(faults, errUnread.Error())
	}
	if step, told := claimsStep(providers); told {
		status.Steps = append(status.Steps, step)
	}
	slices.Sort(faults)
	status.EvaluationError = strings.Join(slices.Compact(faults), "; ")
	status.Reason = "not allowed: " + account.missing()
	if account.Allowed {
		status.Reason = "allowed: " + a.because(&account, status.Grants)
	}
	return status
}

// because returns what allows a request.
func (a *asking) because(account *Account, grants []annexv1alpha1.AccessGrant) string {
	for _, step := range account.Steps {
		if step.Decision == annexv1alpha1.AccessAllowed && (step.Name == "AlwaysAllowGroups" || step.Name == "AlwaysAllowPaths" || step.Name == "Webhook") {
			return step.Name + ": " + step.Message
		}
	}
	if len(grants) > 0 {
		return sentence(&grants[0])
	}
	return "the server allows it to this user, without a binding"
}

// grants returns the bindings that allow attrs, as the user who asks may see them, in a fixed order; true if there are more.
func (a *asking) grants(ctx context.Context, attrs authorizer.Attributes) ([]annexv1alpha1.AccessGrant, bool, error) {
	var found []policy.Grant
	more := false
	err := a.evaluator.Grants(ctx, a.cluster, attrs, func(g policy.Grant) bool {
		if len(found) == mostGrants {
			more = true
			return false
		}
		found = append(found, g)
		return true
	})
	if err != nil {
		klog.FromContext(ctx).Error(err, "Policy could not be read for an explanation", "cluster", a.cluster)
		return nil, false, err
	}
	out := make([]annexv1alpha1.AccessGrant, 0, len(found))
	seen := map[string]bool{}
	for i := range found {
		g := a.shown(ctx, &found[i])
		if key := sortKey(&g); !seen[key] {
			seen[key] = true
			out = append(out, g)
		}
	}
	slices.SortFunc(out, func(x, y annexv1alpha1.AccessGrant) int { return cmp.Compare(sortKey(&x), sortKey(&y)) })
	return out, more, nil
}

// rank puts what is nearest first.
var rank = map[annexv1alpha1.AccessSource]int{annexv1alpha1.AccessSourceLocal: 0, annexv1alpha1.AccessSourceInherited: 1, annexv1alpha1.AccessSourceSystem: 2}

func sortKey(g *annexv1alpha1.AccessGrant) string {
	binding := annexv1alpha1.AccessObject{}
	if g.Binding != nil {
		binding = *g.Binding
	}
	return fmt.Sprint(rank[g.Source], g.Cluster, "\x00", binding, "\x00", g.Subject)
}

// shown returns g as the user who asks may see it: of a workspace above, only who may read its bindings learns which one it is, or which workspace.
func (a *asking) shown(ctx context.Context, g *policy.Grant) annexv1alpha1.AccessGrant {
	out := annexv1alpha1.AccessGrant{Source: annexv1alpha1.AccessSource(g.Source), Subject: a.subjectOf(g)}
	if !a.sees(ctx, g) {
		return out
	}
	out.Binding = &annexv1alpha1.AccessObject{Kind: g.BindingKind(), Namespace: g.Namespace, Name: g.Binding}
	out.Role = &annexv1alpha1.AccessObject{Kind: g.RoleKind(), Namespace: g.RoleNamespace, Name: g.Role}
	if g.Source == policy.Inherited {
		out.Cluster = g.Cluster.String()
		if path, known := a.pathOf(g.Cluster); known {
			out.Workspace = path.String()
		}
	}
	return out
}

// subjectOf returns whom g is for.
func (a *asking) subjectOf(g *policy.Grant) annexv1alpha1.AccessSubject {
	holder, ok := g.Holder(a.cluster)
	if !ok {
		holder = policy.Holder{Kind: g.Kind, Name: g.Name}
	}
	out := annexv1alpha1.AccessSubject{Subject: rbacv1.Subject{Kind: holder.Kind, Namespace: holder.Namespace, Name: holder.Name}, Cluster: holder.Cluster.String()}
	if holder.Kind != rbacv1.ServiceAccountKind {
		out.APIGroup = rbacv1.GroupName
	}
	return out
}

// sees reports whether the user who asks may know which binding g is. Whoever may ask about a workspace may know its bindings. Those of the system
// are known as far as they are the same in every installation.
func (a *asking) sees(ctx context.Context, g *policy.Grant) bool {
	switch {
	case g.Source == policy.Local, policy.Master(a.user, a.cluster):
		return true
	case g.Source == policy.System:
		return policy.SystemRole(g.Binding)
	}
	return a.enters(ctx, g.Cluster) && (a.reads(ctx, g.Cluster, "") || a.reads(ctx, g.Cluster, g.Binding))
}

// reads reports whether the user may get a ClusterRoleBinding of a cluster; without a name, all of them.
func (a *asking) reads(ctx context.Context, cluster logicalcluster.Name, name string) bool {
	return a.may(ctx, client.Key{Cluster: cluster, Namespace: "get", Name: name}, authorizer.AttributesRecord{
		User: a.user, Verb: "get", APIGroup: rbacv1.GroupName, APIVersion: "v1", Resource: "clusterrolebindings", Name: name, ResourceRequest: true,
	})
}

func (a *asking) enters(ctx context.Context, cluster logicalcluster.Name) bool {
	return a.may(ctx, client.Key{Cluster: cluster, Namespace: "access"}, authorizer.AttributesRecord{User: a.user, Verb: "access", Path: "/"})
}

// may asks RBAC of a cluster once; key is the question.
func (a *asking) may(ctx context.Context, key client.Key, attrs authorizer.Attributes) bool {
	answer, asked := a.seen[key]
	if !asked {
		decision, _, err := a.evaluator.Authorize(ctx, key.Cluster, attrs)
		answer = err == nil && decision == authorizer.DecisionAllow
		a.seen[key] = answer
	}
	return answer
}

// sentence returns which binding g is.
func sentence(g *annexv1alpha1.AccessGrant) string {
	whom := g.Subject.Kind + " " + g.Subject.Name
	if g.Subject.Namespace != "" {
		whom = g.Subject.Kind + " " + g.Subject.Namespace + "/" + g.Subject.Name
	}
	if g.Binding == nil {
		where := "a workspace above, which you may not read,"
		if g.Source == annexv1alpha1.AccessSourceSystem {
			where = "the system"
		}
		return fmt.Sprintf("a ClusterRoleBinding of %s for %s", where, whom)
	}
	where := "this workspace"
	switch {
	case g.Source == annexv1alpha1.AccessSourceSystem:
		where = "the system"
	case g.Workspace != "":
		where = "workspace " + g.Workspace
	case g.Cluster != "":
		where = "logical cluster " + g.Cluster
	}
	namespace := ""
	if g.Binding.Namespace != "" {
		namespace = " in namespace " + g.Binding.Namespace
	}
	return fmt.Sprintf("%s %q%s of %s to %s %q for %s", g.Binding.Kind, g.Binding.Name, namespace, where, g.Role.Kind, g.Role.Name, whom)
}
