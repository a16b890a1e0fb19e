package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/utils/clock"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/view"
)

// defaultCapacity bounds what is kept compiled. A workspace that only its creator may enter takes about 2 KiB.
const defaultCapacity = 16 << 20

// compileTimeout bounds how long requests may wait for an index.
const compileTimeout = 10 * time.Second

// Watches that do not deliver must not keep alive what was revoked. So the caches are compared with etcd's revision from time
// to time, but only while somebody asks: after confirmAfter beside requests, after distrustAfter before the next answer.
const (
	confirmAfter  = 5 * time.Second
	distrustAfter = 30 * time.Second
)

// Evaluator decides by the RBAC objects of logical clusters. It is safe for use by many goroutines.
type Evaluator struct {
	indexes *view.View[*index]
	// behind says that what is read may miss what was just written.
	behind bool
}

// New returns an evaluator of the RBAC objects in from. It is correct at once; until Run is in step with from, every decision
// reads anew. Nil for fresh says that from is never behind.
func New(from client.Reader, fresh view.Fresh) *Evaluator {
	return newEvaluator(from, fresh, 0, clock.RealClock{})
}

// NewBounded is New with a bound for what is kept, in bytes; 0 stands for 16 MiB.
func NewBounded(from client.Reader, fresh view.Fresh, capacity int64) *Evaluator {
	return newEvaluator(from, fresh, capacity, clock.RealClock{})
}

func newEvaluator(from client.Reader, fresh view.Fresh, capacity int64, clock clock.PassiveClock) *Evaluator {
	if capacity == 0 {
		capacity = defaultCapacity
	}
	return &Evaluator{behind: fresh != nil, indexes: view.New(view.Config[*index]{
		Reader:        from,
		Fresh:         fresh,
		Resources:     Followed(),
		Compile:       compile,
		Timeout:       compileTimeout,
		Size:          (*index).size,
		Capacity:      capacity,
		ConfirmAfter:  confirmAfter,
		DistrustAfter: distrustAfter,
		Clock:         clock,
	})}
}

// Run follows changes until ctx ends.
func (e *Evaluator) Run(ctx context.Context) error { return e.indexes.Run(ctx) }

// Bytes returns about how many bytes are kept, and how many may be.
func (e *Evaluator) Bytes() (bytes, limit int64) { return e.indexes.Bytes() }

// Authorize decides by what holds in cluster: Allow, or NoOpinion. An error means that part of the policy could not be read;
// the decision is then Deny unless the rest allows. The reason is for audit and names objects: do not show it to the user.
func (e *Evaluator) Authorize(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	verdicts := e.Decide(ctx, cluster, attrs)
	last := verdicts[len(verdicts)-1]
	if last.Decision == authorizer.DecisionAllow {
		return last.Decision, last.Reason, nil
	}
	var failures []error
	for _, v := range verdicts {
		failures = append(failures, v.Err)
	}
	if err := errors.Join(failures...); err != nil {
		return authorizer.DecisionDeny, "the policy could not be read", err
	}
	return authorizer.DecisionNoOpinion, last.Reason, nil
}

// Verdict is what the bindings of one source say about a request.
type Verdict struct {
	Source   Source
	Decision authorizer.Decision
	Reason   string
	Err      error
}

// Decide asks the sources one after the other, until one of them allows the request: it is the last verdict then. Otherwise all sources have
// a verdict, of which none allows it. Before the bindings of cluster and of those above it say no, Decide makes sure that it knows them all: people
// use what they have just been given, perhaps by another server.
func (e *Evaluator) Decide(ctx context.Context, cluster logicalcluster.Name, attrs authorizer.Attributes) []Verdict {
	verdicts := e.decideAll(ctx, make([]Verdict, 0, 3), e.see, Sources(), cluster, attrs)
	if !e.behind || verdicts[len(verdicts)-1].Decision == authorizer.DecisionAllow {
		return verdicts
	}
	see, err := e.current(ctx)
	if err != nil {
		return append(verdicts[:1], Verdict{Local, authorizer.DecisionDeny, "the policy could not be read", err})
	}
	return e.decideAll(ctx, verdicts[:1], see, []Source{Local, Inherited}, cluster, attrs)
}

// decideAll adds to verdicts those of sources, up to one that allows the request.
func (e *Evaluator) decideAll(ctx context.Context, verdicts []Verdict, see viewer, sources []Source, cluster logicalcluster.Name, attrs authorizer.Attributes) []Verdict {
	for _, source := range sources {
		v := e.decide(ctx, see, source, cluster, attrs)
		verdicts = append(verdicts, v)
		if v.Decision == authorizer.DecisionAllow {
			break
		}
	}
	return verdicts
}

// decide asks the bindings of one source about a request in cluster.
func (e *Evaluator) decide(ctx context.Context, see viewer, source Source, cluster logicalcluster.Name, attrs authorizer.Attributes) Verdict {
	if attrs.GetUser() == nil || cluster == "" {
		return Verdict{source, authorizer.DecisionDeny, "no user or no cluster", nil}
	}
	v := Verdict{source, authorizer.DecisionNoOpinion, "no binding allows it", nil}
	identities := Identities(attrs.GetUser(), cluster)
	err := e.from(ctx, see, source, cluster, namespaceOf(attrs), identities, func(g Grant) bool {
		if !allows(g.rules, attrs) {
			return true
		}
		v.Decision, v.Reason = authorizer.DecisionAllow, "allowed by "+g.String()
		if g.Warrant {
			v.Reason += fmt.Sprintf(", by a warrant for %s %q", g.Kind, g.Name)
		}
		return false
	})
	if err != nil {
		return Verdict{source, authorizer.DecisionDeny, "the policy could not be read", err}
	}
	return v
}

// namespaceOf returns the namespace whose bindings concern a request.
func namespaceOf(attrs authorizer.Attributes) string {
	if !attrs.IsResourceRequest() {
		return ""
	}
	return attrs.GetNamespace()
}

// RulesFor returns every rule that applies to u in cluster, cluster-wide and in namespace; in cluster-wide matters alone
// when namespace is empty. The rules are shared and must not be changed. With an error they are those that could be read.
func (e *Evaluator) RulesFor(ctx context.Context, u user.Info, cluster logicalcluster.Name, namespace string) ([]rbacv1.PolicyRule, error) {
	return e.rulesFor(ctx, e.see, u, cluster, namespace)
}

// rulesFor is RulesFor with what see shows of cluster.
func (e *Evaluator) rulesFor(ctx context.Context, see viewer, u user.Info, cluster logicalcluster.Name, namespace string) ([]rbacv1.PolicyRule, error) {
	if u == nil || cluster == "" {
		return nil, errors.New("resolving rules: no user or no cluster")
	}
	identities := Identities(u, cluster)
	sources := Sources()
	if cluster == logicalcluster.SystemAdmin {
		sources = sources[:1]
	}
	var out []rbacv1.PolicyRule
	var failures []error
	for _, source := range sources {
		seen := map[client.Key]bool{} // of bindings
		failures = append(failures, e.from(ctx, see, source, cluster, namespace, identities, func(g Grant) bool {
			if key := (client.Key{Cluster: g.Cluster, Namespace: g.Namespace, Name: g.Binding}); !seen[key] {
				seen[key] = true
				out = append(out, g.rules...)
			}
			return true
		}))
	}
	return out, errors.Join(failures...)
}

// RoleRules returns the rules of the role that a binding in namespace of cluster, or a ClusterRoleBinding when namespace is
// empty, refers to; false when there is none. It reads a second time before it says so: people bind what they have just made.
func (e *Evaluator) RoleRules(ctx context.Context, cluster logicalcluster.Name, namespace string, ref rbacv1.RoleRef) ([]rbacv1.PolicyRule, bool, error) {
	rules, found, err := e.roleRules(ctx, e.see, cluster, namespace, ref)
	if err != nil || found {
		return rules, found, err
	}
	see, err := e.current(ctx)
	if err != nil {
		return nil, false, err
	}
	return e.roleRules(ctx, see, cluster, namespace, ref)
}

func (e *Evaluator) roleRules(ctx context.Context, see viewer, cluster logicalcluster.Name, namespace string, ref rbacv1.RoleRef) ([]rbacv1.PolicyRule, bool, error) {
	seen, err := see(ctx, cluster)
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
	rules, ok := seen.rules(key)
	return rules, ok, nil
}

// RequiredGroups reports whether u, together with its warrants, is in the groups that the LogicalCluster requires of whoever enters it; see
// InGroups.
func (e *Evaluator) RequiredGroups(ctx context.Context, u user.Info, cluster logicalcluster.Name) (bool, error) {
	var groups []string
	for _, identity := range Identities(u, cluster) {
		groups = append(groups, identity.GetGroups()...)
	}
	own, err := read(ctx, cluster, e.indexes.Get)
	if err != nil || InGroups(own.required, groups) || !e.behind {
		return err == nil && InGroups(own.required, groups), err
	}
	if own, err = read(ctx, cluster, e.indexes.Now); err != nil {
		return false, err
	}
	return InGroups(own.required, groups), nil
}

// sight is what the bindings of one cluster see.
type sight struct {
	own   *index
	admin *index // nil for system:admin itself
}

// viewer is see, or what current returns.
type viewer func(ctx context.Context, cluster logicalcluster.Name) (sight, error)

// current returns a viewer that is see with all that was written in the cluster itself before this call.
func (e *Evaluator) current(ctx context.Context) (viewer, error) {
	if !e.behind {
		return e.see, nil
	}
	revision, err := e.indexes.Wait(ctx)
	if err != nil {
		return nil, fmt.Errorf("waiting for the policy to be up to date: %w", err)
	}
	return func(ctx context.Context, cluster logicalcluster.Name) (sight, error) {
		return e.look(ctx, cluster, func(ctx context.Context, cluster logicalcluster.Name) (*index, error) {
			return e.indexes.At(ctx, cluster, revision)
		})
	}, nil
}

func (e *Evaluator) see(ctx context.Context, cluster logicalcluster.Name) (sight, error) {
	return e.look(ctx, cluster, e.indexes.Get)
}

// look gets the index of cluster by get, and with it what shows through from system:admin.
func (e *Evaluator) look(ctx context.Context, cluster logicalcluster.Name, get getter) (sight, error) {
	own, err := read(ctx, cluster, get)
	if err != nil || cluster == logicalcluster.SystemAdmin {
		return sight{own: own}, err
	}
	admin, err := read(ctx, logicalcluster.SystemAdmin, e.indexes.Get)
	return sight{own: own, admin: admin}, err
}

// getter is Get of the view, Now, or At of a revision.
type getter func(ctx context.Context, cluster logicalcluster.Name) (*index, error)

func read(ctx context.Context, cluster logicalcluster.Name, get getter) (*index, error) {
	ix, err := get(ctx, cluster)
	if err != nil {
		return nil, fmt.Errorf("reading the policy of cluster %q: %w", cluster, err)
	}
	return ix, nil
}

// rules finds a role: a ClusterRole of system:admin, or else a role of the cluster itself. If a role of the cluster came first,
// whoever may create and delete it could change what bindings to the role of system:admin mean.
func (s sight) rules(key roleKey) ([]rbacv1.PolicyRule, bool) {
	if s.admin != nil && key.namespace == "" {
		if rules, ok := s.admin.rules[key]; ok {
			return rules, true
		}
	}
	rules, ok := s.own.rules[key]
	return rules, ok
}
