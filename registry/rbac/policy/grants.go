package policy

import (
	"context"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Grants calls f with each binding that allows attrs in cluster, until f returns false: in the order of [Sources], and those of a source in no order.
// Without a user in attrs, these are the bindings that allow it to anybody. It knows all that was written before the call.
func (e *Evaluator) Grants(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes, f func(Grant) bool) error {
	if cluster.Empty() {
		return nil
	}
	see, err := e.current(ctx)
	if err != nil {
		return err
	}
	var whom []user.Info
	if u := attrs.GetUser(); u != nil {
		whom = Identities(u, cluster)
	}
	more := true
	for _, source := range Sources() {
		err := e.from(ctx, see, source, cluster, namespaceOf(attrs), whom, func(g Grant) bool {
			more = !allows(g.rules, attrs) || f(g)
			return more
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Holder is whom a binding names, as others than the cluster of the binding know them.
type Holder struct {
	// Kind is User, Group or ServiceAccount.
	Kind string
	// Namespace of a ServiceAccount.
	Namespace string
	Name      string
	// Cluster of a ServiceAccount, or of a group of ServiceAccounts: their names mean others in another cluster.
	Cluster logicalcluster.Name
}

// Holder returns whom g is for. It is false for subjects that nobody is, such as those of a maximal permission policy. at is the cluster whose requests
// g is about: a binding of the system means the ServiceAccounts of that cluster.
func (g *Grant) Holder(at logicalcluster.Name) (Holder, bool) {
	if strings.HasPrefix(g.Name, apisv1alpha2.MaximalPermissionPolicyRBACUserGroupPrefix) {
		return Holder{}, false
	}
	home := g.Cluster
	if g.Source == System {
		home = at
	}
	if g.Kind == rbacv1.GroupKind {
		h := Holder{Kind: g.Kind, Name: g.Name}
		if g.Name == serviceaccount.AllServiceAccountsGroup || strings.HasPrefix(g.Name, serviceaccount.ServiceAccountGroupPrefix) {
			h.Cluster = home
		}
		return h, true
	}
	name := g.Name
	if rest, found := strings.CutPrefix(name, abroadPrefix); found {
		cluster, account, _ := strings.Cut(rest, ":")
		if cluster == home.String() && g.Source != Inherited {
			return Holder{}, false // at home it has another name
		}
		home, name = logicalcluster.Name(cluster), serviceaccount.ServiceAccountUsernamePrefix+account
	}
	if namespace, account, err := serviceaccount.SplitUsername(name); err == nil {
		return Holder{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account, Cluster: home}, true
	}
	return Holder{Kind: g.Kind, Name: g.Name}, true
}

// nobody is the name of users that no binding names.
const nobody = "system:annex:nobody"

// User returns an authenticated user who is h, and in no other group than those that this implies.
func (h Holder) User() user.Info {
	switch {
	case h.Kind == rbacv1.ServiceAccountKind:
		return h.account(h.Namespace, h.Name)
	case h.Kind == rbacv1.UserKind && h.Name == user.Anonymous:
		return &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}
	case h.Kind == rbacv1.UserKind:
		return &user.DefaultInfo{Name: h.Name, Groups: []string{user.AllAuthenticated}}
	case h.Name == user.AllUnauthenticated:
		return &user.DefaultInfo{Name: nobody, Groups: []string{user.AllUnauthenticated}}
	case h.Name == serviceaccount.AllServiceAccountsGroup:
		return h.account("any-namespace", "any-service-account")
	case strings.HasPrefix(h.Name, serviceaccount.ServiceAccountGroupPrefix):
		return h.account(strings.TrimPrefix(h.Name, serviceaccount.ServiceAccountGroupPrefix), "any-service-account")
	}
	return &user.DefaultInfo{Name: nobody, Groups: []string{h.Name, user.AllAuthenticated}}
}

// account returns a ServiceAccount as its token says it.
func (h Holder) account(namespace, name string) user.Info {
	return &user.DefaultInfo{
		Name:   serviceaccount.MakeUsername(namespace, name),
		Groups: append(serviceaccount.MakeGroupNames(namespace), user.AllAuthenticated),
		Extra:  map[string][]string{ScopesKey: {Scope(h.Cluster)}, ClusterNameKey: {h.Cluster.String()}},
	}
}
