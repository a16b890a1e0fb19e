package policy

import (
	"context"
	"errors"
	"fmt"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// Evaluator decides by the RBAC objects of logical clusters. It is safe for use by many goroutines.
type Evaluator struct {
	cache *cache
}

// New returns an evaluator of the RBAC objects in from. It is correct at once; until Run is in step with from, every decision
// reads anew. Nil for fresh says that from is never behind.
func New(from client.Reader, fresh Fresh) *Evaluator { return &Evaluator{cache: newCache(from, fresh)} }

// Run follows changes until ctx ends.
func (e *Evaluator) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	failures := make([]error, len(Followed()))
	for i, resource := range Followed() {
		group.Go(func() {
			// When one watch ends, so do the others: without it nothing may be kept.
			defer cancel()
			defer e.cache.lost(resource)
			err := e.cache.from.Watch(ctx, resource, func(event client.Event) { e.cache.handle(resource, event) })
			if err != nil && ctx.Err() == nil {
				failures[i] = fmt.Errorf("watching %s: %w", resource, err)
			}
		})
	}
	group.Wait()
	return errors.Join(failures...)
}

// Authorize decides by what holds in cluster: Allow, or NoOpinion. An error means that part of the policy could not be read;
// the decision is then Deny unless the rest allows. The reason is for audit and names objects: do not show it to the user.
func (e *Evaluator) Authorize(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	bootstrap, reason, bootstrapErr := e.AuthorizeBootstrap(ctx, cluster, attrs)
	if bootstrap == authorizer.DecisionAllow {
		return bootstrap, reason, nil
	}
	local, reason, err := e.AuthorizeLocal(ctx, cluster, attrs)
	if local == authorizer.DecisionAllow {
		return local, reason, nil
	}
	if err := errors.Join(bootstrapErr, err); err != nil {
		return authorizer.DecisionDeny, "the policy could not be read", err
	}
	return authorizer.DecisionNoOpinion, reason, nil
}

// AuthorizeBootstrap decides by the bindings of system:admin for a request in cluster.
func (e *Evaluator) AuthorizeBootstrap(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	return e.decide(ctx, e.view, logicalcluster.SystemAdmin, cluster, attrs)
}

// AuthorizeLocal decides by the bindings of cluster itself. Before it says no it makes sure that it knows them all: people use
// what they have just been given, perhaps by another server.
func (e *Evaluator) AuthorizeLocal(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	decision, reason, err := e.decide(ctx, e.view, cluster, cluster, attrs)
	if decision == authorizer.DecisionAllow || e.cache.fresh == nil {
		return decision, reason, err
	}
	return e.decide(ctx, e.viewNow, cluster, cluster, attrs)
}

// decide asks the bindings of one cluster about a request in cluster.
func (e *Evaluator) decide(ctx context.Context, see viewer, bindings, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if attrs.GetUser() == nil || cluster == "" {
		return authorizer.DecisionDeny, "no user or no cluster", nil
	}
	view, err := see(ctx, bindings)
	if err != nil {
		return authorizer.DecisionDeny, "the policy could not be read", err
	}
	namespace := attrs.GetNamespace()
	if !attrs.IsResourceRequest() {
		namespace = ""
	}
	reason := "no binding allows it"
	denied := view.own.visit(Effective(attrs.GetUser(), cluster), namespace, func(g *grant, scope string) bool {
		rules, _ := view.rules(g.role)
		if !allows(rules, attrs) {
			return true
		}
		reason = fmt.Sprintf("allowed by %s of cluster %q to role %q", g.describe(scope), bindings, g.role.name)
		return false
	})
	if denied {
		return authorizer.DecisionNoOpinion, reason, nil
	}
	return authorizer.DecisionAllow, reason, nil
}

// RulesFor returns every rule that applies to u in cluster, cluster-wide and in namespace; in cluster-wide matters alone
// when namespace is empty. The rules are shared and must not be changed. With an error they are those that could be read.
func (e *Evaluator) RulesFor(ctx context.Context, u user.Info, cluster logicalcluster.Name, namespace string) ([]rbacv1.PolicyRule, error) {
	return e.rulesFor(ctx, e.view, u, cluster, namespace)
}

// rulesFor is RulesFor with what see shows of cluster.
func (e *Evaluator) rulesFor(ctx context.Context, see viewer, u user.Info, cluster logicalcluster.Name, namespace string) ([]rbacv1.PolicyRule, error) {
	if u == nil || cluster == "" {
		return nil, errors.New("resolving rules: no user or no cluster")
	}
	u = Effective(u, cluster)
	sources := []func() (view, error){func() (view, error) { return e.view(ctx, logicalcluster.SystemAdmin) }}
	if cluster != logicalcluster.SystemAdmin {
		sources = append(sources, func() (view, error) { return see(ctx, cluster) })
	}
	var out []rbacv1.PolicyRule
	var failures []error
	for _, source := range sources {
		view, err := source()
		if err != nil {
			failures = append(failures, err)
			continue
		}
		seen := map[*grant]bool{}
		view.own.visit(u, namespace, func(g *grant, _ string) bool {
			if !seen[g] {
				seen[g] = true
				rules, _ := view.rules(g.role)
				out = append(out, rules...)
			}
			return true
		})
	}
	return out, errors.Join(failures...)
}

// RoleRules returns the rules of the role that a binding in namespace of cluster, or a ClusterRoleBinding when namespace is
// empty, refers to; false when there is none. It reads a second time before it says so: people bind what they have just made.
func (e *Evaluator) RoleRules(ctx context.Context, cluster logicalcluster.Name, namespace string, ref rbacv1.RoleRef) ([]rbacv1.PolicyRule, bool, error) {
	rules, found, err := e.roleRules(ctx, e.view, cluster, namespace, ref)
	if err != nil || found {
		return rules, found, err
	}
	return e.roleRules(ctx, e.viewNow, cluster, namespace, ref)
}

func (e *Evaluator) roleRules(ctx context.Context, see viewer, cluster logicalcluster.Name, namespace string, ref rbacv1.RoleRef) ([]rbacv1.PolicyRule, bool, error) {
	view, err := see(ctx, cluster)
	if err != nil {
		return nil, false, err
	}
	key := roleKey{name: ref.Name}
	if ref.Kind == "Role" {
		if namespace == "" {
			return nil, false, nil
		}
		key.namespace = namespace
	}
	rules, ok := view.rules(key)
	return rules, ok, nil
}

// RequiredGroups reports whether u is in the groups that the LogicalCluster requires of whoever enters it; see InGroups.
func (e *Evaluator) RequiredGroups(ctx context.Context, u user.Info, cluster logicalcluster.Name) (bool, error) {
	groups := Effective(u, cluster).GetGroups()
	own, err := e.cache.get(ctx, cluster)
	if err != nil || InGroups(own.required, groups) || e.cache.fresh == nil {
		return err == nil && InGroups(own.required, groups), err
	}
	if own, err = e.cache.now(ctx, cluster); err != nil {
		return false, err
	}
	return InGroups(own.required, groups), nil
}

// view is what the bindings of one cluster see.
type view struct {
	own   *index
	admin *index // nil for system:admin itself
}

// viewer is view or viewNow.
type viewer func(ctx context.Context, cluster logicalcluster.Name) (view, error)

// viewNow is view with all that was written in the cluster itself before the call.
func (e *Evaluator) viewNow(ctx context.Context, cluster logicalcluster.Name) (view, error) {
	if _, err := e.cache.now(ctx, cluster); err != nil {
		return view{}, err
	}
	return e.view(ctx, cluster)
}

func (e *Evaluator) view(ctx context.Context, cluster logicalcluster.Name) (view, error) {
	own, err := e.cache.get(ctx, cluster)
	if err != nil || cluster == logicalcluster.SystemAdmin {
		return view{own: own}, err
	}
	admin, err := e.cache.get(ctx, logicalcluster.SystemAdmin)
	return view{own: own, admin: admin}, err
}

// rules finds a role: one of the cluster itself, or else a ClusterRole of system:admin.
func (v view) rules(key roleKey) ([]rbacv1.PolicyRule, bool) {
	if rules, ok := v.own.rules[key]; ok {
		return rules, true
	}
	if key.namespace != "" || v.admin == nil {
		return nil, false
	}
	rules, ok := v.admin.rules[key]
	return rules, ok
}
