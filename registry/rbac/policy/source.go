package policy

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Source says where bindings come from.
type Source string

const (
	// System are the bindings of system:admin, which count in every cluster.
	System Source = "System"
	// Local are the bindings of the cluster of a request itself.
	Local Source = "Local"
	// Inherited are the bindings of the clusters above that say so; see package inheritance.
	Inherited Source = "Inherited"
)

// Grant is one binding that may concern a request, and for whom it does.
type Grant struct {
	Source Source
	// Cluster has the binding and, unless that is one of the system, the role.
	Cluster logicalcluster.Name
	// Namespace of a RoleBinding; empty for a ClusterRoleBinding.
	Namespace string
	Binding   string
	// RoleNamespace is empty for a ClusterRole.
	RoleNamespace, Role string
	// Kind is User or Group, and Name the name that user or group has in Cluster.
	Kind, Name string
	// Warrant says that the grant is for a warrant of the user.
	Warrant bool

	rules []rbacv1.PolicyRule
}

// BindingKind returns the kind of the binding.
func (g *Grant) BindingKind() string {
	if g.Namespace == "" {
		return "ClusterRoleBinding"
	}
	return "RoleBinding"
}

// RoleKind returns the kind of the role.
func (g *Grant) RoleKind() string {
	if g.RoleNamespace == "" {
		return "ClusterRole"
	}
	return "Role"
}

// String says which binding it is, for audit and for those who may know.
func (g *Grant) String() string {
	in := ""
	if g.Namespace != "" {
		in = fmt.Sprintf(" in namespace %q", g.Namespace)
	}
	return fmt.Sprintf("%s %q%s of cluster %q to role %q", g.BindingKind(), g.Binding, in, g.Cluster, g.Role)
}

// from calls f with the bindings of one source until f returns false. Without whom, these are all bindings of the namespace and of the
// cluster; with it, those that apply to one of these identities in cluster. A binding may come up more than once.
func (e *Evaluator) from(ctx context.Context, see viewer, source Source, cluster logicalcluster.Name, namespace string, whom []user.Info, f func(Grant) bool) error {
	if source == Inherited {
		return above(ctx, see, cluster, func(parent logicalcluster.Name, seen sight) bool {
			return seen.own.legacy.visit(seen, Grant{Source: source, Cluster: parent}, cluster, whom, f)
		})
	}
	of := cluster
	if source == System {
		of, see = logicalcluster.SystemAdmin, e.see
	}
	seen, err := see(ctx, of)
	if err != nil {
		return err
	}
	scopes := []string{"", namespace}
	if namespace == "" {
		scopes = scopes[:1]
	}
	for _, scope := range scopes {
		in := seen.own.namespaces[scope]
		if in == nil {
			continue
		}
		about := Grant{Source: source, Cluster: of, Namespace: scope}
		each := func(g *grant) bool {
			rules, _ := seen.rules(g.role)
			return f(about.of(g, rules))
		}
		if whom == nil && !in.all(&about, each) {
			return nil
		}
		for i, u := range whom {
			about.Warrant = i > 0
			if !in.visit(u, &about, each) {
				return nil
			}
		}
	}
	return nil
}

// visit calls f with the bindings that clusters below inherit; see from.
func (l *legacy) visit(seen sight, about Grant, cluster logicalcluster.Name, whom []user.Info, f func(Grant) bool) bool {
	each := func(g *grant) bool { return f(about.of(g, seen.inherited(g.role))) }
	if whom == nil {
		return l.grants.all(&about, each)
	}
	for i, u := range whom {
		about.Warrant = i > 0
		for _, heir := range heirs(u, cluster, about.Cluster) {
			if !l.grants.visit(heir, &about, each) {
				return false
			}
		}
	}
	return true
}

// of returns g with what a binding says.
func (g Grant) of(binding *grant, rules []rbacv1.PolicyRule) Grant {
	g.Binding, g.RoleNamespace, g.Role, g.rules = binding.binding, binding.role.namespace, binding.role.name, rules
	return g
}

// visit calls f with every binding that applies to u until f returns false, and reports whether it never did. It notes in about for whom.
func (in *grants) visit(u user.Info, about *Grant, f func(*grant) bool) bool {
	about.Kind, about.Name = rbacv1.UserKind, u.GetName()
	for _, g := range in.users[u.GetName()] {
		if !f(g) {
			return false
		}
	}
	about.Kind = rbacv1.GroupKind
	for _, group := range u.GetGroups() {
		about.Name = group
		for _, g := range in.groups[group] {
			if !f(g) {
				return false
			}
		}
	}
	return true
}

// all is visit for everybody.
func (in *grants) all(about *Grant, f func(*grant) bool) bool {
	for kind, subjects := range map[string]map[string][]*grant{rbacv1.UserKind: in.users, rbacv1.GroupKind: in.groups} {
		for name, granted := range subjects {
			about.Kind, about.Name = kind, name
			for _, g := range granted {
				if !f(g) {
					return false
				}
			}
		}
	}
	return true
}

// Sources returns all sources, in the order in which they are asked.
func Sources() []Source { return []Source{System, Local, Inherited} }

// Because returns a binding that allows attrs in cluster, as far as is known right now; false if there is none.
func (e *Evaluator) Because(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (found Grant, allowed bool) {
	if attrs.GetUser() == nil || cluster.Empty() {
		return Grant{}, false
	}
	for _, source := range Sources() {
		err := e.from(ctx, e.see, source, cluster, namespaceOf(attrs), Identities(attrs.GetUser(), cluster), func(g Grant) bool {
			if allows(g.rules, attrs) {
				found, allowed = g, true
			}
			return !allowed
		})
		if allowed || err != nil {
			return found, allowed
		}
	}
	return Grant{}, false
}
