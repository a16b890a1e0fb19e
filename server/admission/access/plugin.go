package access

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/admission/tree"
)

const (
	annotation = annexv1alpha1.WorkspaceAccessClusterAnnotationKey
	finalizer  = annexv1alpha1.WorkspaceAccessFinalizer
)

var accesses = annexv1alpha1.Resource("workspaceaccesses")

// Policy knows what users may do by RBAC of workspaces; registry/rbac/policy.Evaluator is one.
type Policy interface {
	request.Authorizer
	// RequiredGroups reports whether the user is in the groups that the cluster requires.
	RequiredGroups(ctx context.Context, u user.Info, cluster logicalcluster.Name) (bool, error)
	// RoleRules returns the rules of a role; false if there is none.
	RoleRules(ctx context.Context, cluster logicalcluster.Name, namespace string, ref rbacv1.RoleRef) ([]rbacv1.PolicyRule, bool, error)
	// MayGrant returns nil if the user may give the rules to others.
	MayGrant(ctx context.Context, u user.Info, cluster logicalcluster.Name, namespace string, rules []rbacv1.PolicyRule) error
	// MayVerb reports whether the user may use the verb on a role.
	MayVerb(ctx context.Context, u user.Info, cluster logicalcluster.Name, namespace, verb, resource, name string) bool
}

type plugin struct {
	*admission.Handler
	policy   Policy
	resolver tree.Resolver
}

var _ interface {
	admission.MutationInterface
	admission.ValidationInterface
} = &plugin{}

// New returns the plugin. Both arguments are required.
func New(p Policy, resolver tree.Resolver) admission.Interface {
	return &plugin{Handler: admission.NewHandler(admission.Create, admission.Update), policy: p, resolver: resolver}
}

// of returns the object of the request, and the old one, which is nil on create; nil for other requests.
func of(a admission.Attributes) (access, old *annexv1alpha1.WorkspaceAccess) {
	if !request.Is(a, accesses) {
		return nil, nil
	}
	access, _ = a.GetObject().(*annexv1alpha1.WorkspaceAccess)
	old, _ = a.GetOldObject().(*annexv1alpha1.WorkspaceAccess)
	return access, old
}

// keeps reports whether an update changes nothing for which its author needs permission.
func keeps(access, old *annexv1alpha1.WorkspaceAccess) bool {
	return old != nil && apiequality.Semantic.DeepEqual(access.Spec, old.Spec)
}

// Admit implements admission.MutationInterface: it writes the annotation.
func (p *plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	access, old := of(a)
	if access == nil {
		return nil
	}
	if keeps(access, old) {
		set(access, old.Annotations[annotation])
		return nil
	}
	target, err := p.resolve(ctx, access)
	if err != nil {
		return err
	}
	set(access, target.String())
	return nil
}

func set(access *annexv1alpha1.WorkspaceAccess, cluster string) {
	switch {
	case access.Annotations[annotation] == cluster:
	case cluster == "":
		delete(access.Annotations, annotation)
	default:
		if access.Annotations == nil {
			access.Annotations = map[string]string{}
		}
		access.Annotations[annotation] = cluster
	}
}

// resolve returns the workspace of access; empty if there is none.
func (p *plugin) resolve(ctx context.Context, access *annexv1alpha1.WorkspaceAccess) (logicalcluster.Name, error) {
	path, err := logicalcluster.ParsePath(access.Spec.Workspace.Path)
	if err != nil || path == logicalcluster.Wildcard {
		return "", nil //nolint:nilerr // validation reports the error
	}
	target, found, err := p.resolver.Resolve(ctx, path)
	switch {
	case err != nil:
		return "", apierrors.NewServiceUnavailable(fmt.Sprintf("the workspace %q cannot be looked up right now, try again", path))
	case !found || target.IsSystem():
		return "", nil
	}
	return target, nil
}

// Validate implements admission.ValidationInterface: it checks the permissions of the author.
func (p *plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	access, old := of(a)
	if access == nil {
		return nil
	}
	if old != nil && !request.IsMaster(a) && slices.Contains(old.Finalizers, finalizer) && !slices.Contains(access.Finalizers, finalizer) {
		return admission.NewForbidden(a, fmt.Errorf("only the server removes the finalizer %s, after it has revoked the credentials", finalizer))
	}
	marked := logicalcluster.Name(access.Annotations[annotation])
	if keeps(access, old) {
		if old.Annotations[annotation] != marked.String() {
			return admission.NewForbidden(a, fmt.Errorf("only the server writes the annotation %s", annotation))
		}
		return nil
	}
	target, err := p.resolve(ctx, access)
	if err != nil {
		return err
	}
	if target != marked {
		return admission.NewForbidden(a, fmt.Errorf("only the server writes the annotation %s", annotation))
	}
	return p.allowed(ctx, a, access, target)
}

// allowed returns an API status unless the user of a may give the role of access in target to others.
func (p *plugin) allowed(ctx context.Context, a admission.Attributes, access *annexv1alpha1.WorkspaceAccess, target logicalcluster.Name) error {
	from, err := request.Cluster(ctx)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	if policy.Warranted(ctx, from) {
		return admission.NewForbidden(a, errors.New("a permission claim is not enough to give access to a workspace"))
	}
	path, role := access.Spec.Workspace.Path, access.Spec.Role.ClusterRole
	if path == "" || role == "" {
		return nil // validation reports what is missing
	}
	// The same error for a workspace that does not exist and for one that the user may not enter.
	none := admission.NewForbidden(a, fmt.Errorf("no permission to enter workspace %s", path))
	if target.Empty() {
		return none
	}
	u := request.Abroad(a.GetUserInfo(), from, target)
	if policy.Master(u, target) {
		return nil
	}
	if entered, err := p.enters(ctx, u, from, target); err != nil || !entered {
		return undecided(ctx, err, none)
	}
	for _, need := range []authorizer.AttributesRecord{
		{Verb: "create", APIVersion: "v1", Resource: "serviceaccounts", Namespace: metav1.NamespaceSystem},
		{Verb: "create", APIVersion: "v1", Resource: "serviceaccounts", Subresource: "token", Namespace: metav1.NamespaceSystem},
		{Verb: "create", APIGroup: rbacv1.GroupName, APIVersion: "v1", Resource: "clusterrolebindings"},
	} {
		need.User, need.ResourceRequest = u, true
		if decision, _, err := p.policy.Authorize(ctx, target, need); decision != authorizer.DecisionAllow {
			return undecided(ctx, err, admission.NewForbidden(a, fmt.Errorf("no permission in workspace %s to %s", path, describe(need))))
		}
	}
	return p.mayBind(ctx, a, access, u, target)
}

// describe returns a permission in the words of kubectl auth can-i.
func describe(need authorizer.AttributesRecord) string {
	text := need.Verb + " " + need.Resource
	if need.Subresource != "" {
		text += "/" + need.Subresource
	}
	if need.Namespace != "" {
		text += " in namespace " + need.Namespace
	}
	return text
}

// enters reports whether u may enter target. ServiceAccounts need no permission to enter their own workspace.
func (p *plugin) enters(ctx context.Context, u user.Info, from, target logicalcluster.Name) (bool, error) {
	if _, _, err := serviceaccount.SplitUsername(u.GetName()); err == nil && from == target {
		return true, nil
	}
	if in, err := p.policy.RequiredGroups(ctx, u, target); err != nil || !in {
		return false, err
	}
	decision, _, err := p.policy.Authorize(ctx, target, authorizer.AttributesRecord{User: u, Verb: "access", Path: "/"})
	if decision == authorizer.DecisionAllow {
		return true, nil
	}
	return false, err
}

// mayBind checks the role as the storage of ClusterRoleBindings does.
func (p *plugin) mayBind(ctx context.Context, a admission.Attributes, access *annexv1alpha1.WorkspaceAccess, u user.Info, target logicalcluster.Name) error {
	role := access.Spec.Role.ClusterRole
	rules, found, err := p.policy.RoleRules(ctx, target, corev1.NamespaceAll, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role})
	if err != nil {
		return undecided(ctx, err, nil)
	}
	if !found {
		return apierrors.NewInvalid(annexv1alpha1.SchemeGroupVersion.WithKind("WorkspaceAccess").GroupKind(), access.Name, field.ErrorList{
			field.NotFound(field.NewPath("spec", "role", "clusterRole"), role),
		})
	}
	if p.policy.MayVerb(ctx, u, target, "", "bind", "clusterroles", role) {
		return nil
	}
	if err := p.policy.MayGrant(ctx, u, target, "", rules); err != nil {
		if errors.Is(err, policy.ErrUnread) {
			return undecided(ctx, err, nil)
		}
		return admission.NewForbidden(a, fmt.Errorf("in workspace %s, %w", access.Spec.Workspace.Path, err))
	}
	return nil
}

// undecided returns refusal, or a status that says to try again if err is why it is one.
func undecided(ctx context.Context, err, refusal error) error {
	if err == nil {
		return refusal
	}
	klog.FromContext(ctx).Error(err, "Policy could not be read to see who may give access to a workspace")
	return apierrors.NewServiceUnavailable(policy.ErrUnread.Error())
}
