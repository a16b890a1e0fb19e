package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// rights are lines such as "create serviceaccounts/token kube-system": verb, resource or path, namespace. All are alice's, in cluster c1.
type rights []string

var all = rights{"access /", "create serviceaccounts kube-system", "create serviceaccounts/token kube-system", "create clusterrolebindings", "bind admin"}

func without(line string) rights {
	return slices.DeleteFunc(slices.Clone(all), func(l string) bool { return l == line })
}

func (r rights) has(u user.Info, cluster logicalcluster.Name, words ...string) bool {
	line := strings.TrimSpace(strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " "))
	return u.GetName() == "alice" && cluster == "c1" && slices.Contains(r, line)
}

func (r rights) Authorize(_ context.Context, cluster logicalcluster.Name, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if slices.Contains(r, "unreadable") {
		return authorizer.DecisionNoOpinion, "", errors.New("etcd is away")
	}
	what := a.GetPath()
	if a.IsResourceRequest() {
		what = strings.TrimSuffix(a.GetResource()+"/"+a.GetSubresource(), "/")
	}
	if r.has(a.GetUser(), cluster, a.GetVerb(), what, a.GetNamespace()) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "a reason that must not be shown", nil
}

func (r rights) RequiredGroups(_ context.Context, _ user.Info, _ logicalcluster.Name) (bool, error) {
	return !slices.Contains(r, "wrong group"), nil
}

func (rights) RoleRules(_ context.Context, _ logicalcluster.Name, _ string, ref rbacv1.RoleRef) ([]rbacv1.PolicyRule, bool, error) {
	return nil, ref.Name == "admin", nil
}

func (r rights) MayGrant(_ context.Context, u user.Info, cluster logicalcluster.Name, _ string, _ []rbacv1.PolicyRule) error {
	switch {
	case slices.Contains(r, "unknown"):
		return policy.ErrUnread
	case r.has(u, cluster, "hold admin"):
		return nil
	}
	return errors.New("attempting to grant RBAC permissions not currently held")
}

func (r rights) MayVerb(_ context.Context, u user.Info, cluster logicalcluster.Name, _, verb, _, name string) bool {
	return r.has(u, cluster, verb, name)
}

type paths map[logicalcluster.Path]logicalcluster.Name

func (p paths) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	if path == "root:away" {
		return "", false, errors.New("etcd is away")
	}
	name, ok := p[path]
	return name, ok, nil
}

var known = paths{"root:team": "c1", "root:other": "c2", "system:admin": "system:admin"}

func newAccess(path, role string, marked ...string) *annexv1alpha1.WorkspaceAccess {
	access := &annexv1alpha1.WorkspaceAccess{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "x"}}
	access.Spec.Workspace.Path, access.Spec.Role.ClusterRole = path, role
	for _, cluster := range marked {
		access.Annotations = map[string]string{annotation: cluster}
	}
	return access
}

func run(t *testing.T, p admission.Interface, ctx context.Context, access, old *annexv1alpha1.WorkspaceAccess, u user.Info) error { //nolint:revive // as tests are read
	t.Helper()
	gv := annexv1alpha1.SchemeGroupVersion
	a := admission.NewAttributesRecord(access, nil, gv.WithKind("WorkspaceAccess"), access.Namespace, access.Name, gv.WithResource("workspaceaccesses"), "", admission.Create, nil, false, u)
	if old != nil {
		a = admission.NewAttributesRecord(access, old, gv.WithKind("WorkspaceAccess"), access.Namespace, access.Name, gv.WithResource("workspaceaccesses"), "", admission.Update, nil, false, u)
	}
	if err := p.(admission.MutationInterface).Admit(ctx, a, nil); err != nil {
		return err
	}
	return p.(admission.ValidationInterface).Validate(ctx, a, nil)
}

func TestCreate_NeedsTheRightsOfTheAuthor(t *testing.T) {
	alice := &user.DefaultInfo{Name: "alice"}
	for name, tc := range map[string]struct {
		rights     rights
		user       user.Info
		path, role string
		from       logicalcluster.Name // c0 by default
		claim      bool
		is         func(error) bool
		says       string
	}{
		"with all of them":                     {rights: all},
		"who holds the role":                   {rights: append(without("bind admin"), "hold admin")},
		"an administrator of the server":       {user: &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}},
		"by the name of the cluster":           {rights: all, path: "c1", is: apierrors.IsForbidden, says: "enter workspace c1"}, // the tree of the test has paths only
		"without entry":                        {rights: without("access /"), is: apierrors.IsForbidden, says: "enter workspace root:team"},
		"not in the required groups":           {rights: append(slices.Clone(all), "wrong group"), is: apierrors.IsForbidden, says: "enter workspace"},
		"without ServiceAccounts":              {rights: without("create serviceaccounts kube-system"), is: apierrors.IsForbidden, says: "create serviceaccounts in namespace kube-system"},
		"without tokens":                       {rights: without("create serviceaccounts/token kube-system"), is: apierrors.IsForbidden, says: "create serviceaccounts/token in namespace kube-system"},
		"without bindings":                     {rights: without("create clusterrolebindings"), is: apierrors.IsForbidden, says: "create clusterrolebindings"},
		"without the role":                     {rights: without("bind admin"), is: apierrors.IsForbidden, says: "not currently held"},
		"of a role that does not exist":        {rights: all, role: "none", is: apierrors.IsInvalid, says: "spec.role.clusterRole"},
		"for a workspace of others":            {rights: all, path: "root:other", is: apierrors.IsForbidden, says: "enter workspace root:other"},
		"for a workspace that does not exist":  {rights: all, path: "root:none", is: apierrors.IsForbidden, says: "enter workspace root:none"},
		"for a cluster of the server":          {rights: all, path: "system:admin", is: apierrors.IsForbidden, says: "enter workspace system:admin"},
		"somebody else":                        {rights: all, user: &user.DefaultInfo{Name: "bob"}, is: apierrors.IsForbidden, says: "enter workspace"},
		"by a permission claim":                {rights: all, from: "c1", claim: true, is: apierrors.IsForbidden, says: "permission claim"},
		"while nobody can tell":                {rights: rights{"unreadable"}, is: apierrors.IsServiceUnavailable},
		"while nobody can tell what is held":   {rights: append(without("bind admin"), "unknown"), is: apierrors.IsServiceUnavailable},
		"while the tree cannot be read":        {rights: all, path: "root:away", is: apierrors.IsServiceUnavailable},
		"a ServiceAccount of another cluster":  {rights: all, user: &user.DefaultInfo{Name: "system:serviceaccount:default:alice"}, is: apierrors.IsForbidden},
		"an administrator, of nothing at all":  {user: &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}, path: "root:none", is: apierrors.IsForbidden},
		"an administrator, into the own realm": {user: &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}, path: "system:admin", is: apierrors.IsForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			path, role, who, from := "root:team", "admin", user.Info(alice), logicalcluster.Name("c0")
			if tc.path != "" {
				path = tc.path
			}
			if tc.role != "" {
				role = tc.role
			}
			if tc.user != nil {
				who = tc.user
			}
			if tc.from != "" {
				from = tc.from
			}
			ctx := logicalcluster.WithCluster(t.Context(), from)
			if tc.claim {
				ctx = policy.WithWarrant(ctx, from)
			}
			access := newAccess(path, role, "forged")
			err := run(t, New(tc.rights, known), ctx, access, nil, who)
			if tc.is == nil && err != nil || tc.is != nil && !tc.is(err) {
				t.Fatalf("err = %v", err)
			}
			if err == nil && access.Annotations[annotation] != "c1" {
				t.Errorf("annotations %v", access.Annotations)
			}
			if err != nil && (!strings.Contains(err.Error(), tc.says) || strings.Contains(err.Error(), "must not be shown")) {
				t.Errorf("err = %v, want %q", err, tc.says)
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	ctx := logicalcluster.WithCluster(t.Context(), "c0")
	bob := &user.DefaultInfo{Name: "bob"}
	// Nobody needs rights for what is not in the spec, and nobody changes the annotation.
	for _, forged := range []string{"c1", "c2", ""} {
		access := newAccess("root:team", "admin", forged)
		if err := run(t, New(all, known), ctx, access, newAccess("root:team", "admin", "c1"), bob); err != nil || access.Annotations[annotation] != "c1" {
			t.Errorf("%v, %v", err, access.Annotations)
		}
	}
	// Even when the path leads elsewhere meanwhile, or nowhere.
	for _, moved := range []paths{{"root:team": "c2"}, {}} {
		access := newAccess("root:team", "admin", "c2")
		if err := run(t, New(all, moved), ctx, access, newAccess("root:team", "admin", "c1"), bob); err != nil || access.Annotations[annotation] != "c1" {
			t.Errorf("%v, %v", err, access.Annotations)
		}
	}
	// A change of the spec is checked like a creation, for the workspace that the path leads to now.
	changed := newAccess("root:team", "admin", "c9")
	changed.Spec.Format = annexv1alpha1.AccessFormatFlux
	if err := run(t, New(all, known), ctx, changed, newAccess("root:team", "admin", "c9"), bob); !apierrors.IsForbidden(err) {
		t.Errorf("err = %v", err)
	}
	if err := run(t, New(all, known), ctx, changed, newAccess("root:team", "admin", "c9"), &user.DefaultInfo{Name: "alice"}); err != nil || changed.Annotations[annotation] != "c1" {
		t.Errorf("%v, %v", err, changed.Annotations)
	}
}

// Without the finalizer, a WorkspaceAccess would be gone before its credentials are revoked.
func TestUpdate_KeepsTheFinalizer(t *testing.T) {
	ctx := logicalcluster.WithCluster(t.Context(), "c0")
	alice, master := &user.DefaultInfo{Name: "alice"}, &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}
	for name, tc := range map[string]struct {
		by          user.Info
		before, now []string
		refused     bool
	}{
		"removed by a user":                     {alice, []string{finalizer}, nil, true},
		"replaced by a user":                    {alice, []string{"example.com/own", finalizer}, []string{"example.com/own"}, true},
		"removed by the server, or for masters": {master, []string{finalizer}, nil, false},
		"another one removed by a user":         {alice, []string{"example.com/own", finalizer}, []string{finalizer}, false},
		"another one added by a user":           {alice, []string{finalizer}, []string{finalizer, "example.com/own"}, false},
		"of one that has been revoked":          {alice, nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			old, now := newAccess("root:team", "admin", "c1"), newAccess("root:team", "admin", "c1")
			old.Finalizers, now.Finalizers = tc.before, tc.now
			if err := run(t, New(all, known), ctx, now, old, tc.by); apierrors.IsForbidden(err) != tc.refused || !tc.refused && err != nil {
				t.Errorf("err = %v", err)
			}
			// A change of the spec is no way around it.
			now.Spec.Format = annexv1alpha1.AccessFormatFlux
			if err := run(t, New(all, known), ctx, now, old, tc.by); apierrors.IsForbidden(err) != tc.refused || !tc.refused && err != nil {
				t.Errorf("with another format: err = %v", err)
			}
		})
	}
}

// A webhook of the workspace runs before the plugin, but policies and other plugins after it.
func TestValidate_WhatOthersWrote(t *testing.T) {
	p := New(all, known)
	ctx := logicalcluster.WithCluster(t.Context(), "c0")
	gv := annexv1alpha1.SchemeGroupVersion
	for _, old := range []*annexv1alpha1.WorkspaceAccess{nil, newAccess("root:team", "admin", "c1")} {
		access, operation := newAccess("root:team", "admin", "c2"), admission.Create
		a := admission.NewAttributesRecord(access, nil, gv.WithKind("WorkspaceAccess"), access.Namespace, access.Name, gv.WithResource("workspaceaccesses"), "", operation, nil, false, &user.DefaultInfo{Name: "alice"})
		if old != nil {
			a = admission.NewAttributesRecord(access, old, gv.WithKind("WorkspaceAccess"), access.Namespace, access.Name, gv.WithResource("workspaceaccesses"), "", admission.Update, nil, false, &user.DefaultInfo{Name: "alice"})
		}
		if err := p.(admission.ValidationInterface).Validate(ctx, a, nil); !apierrors.IsForbidden(err) {
			t.Errorf("err = %v", err)
		}
	}
}
