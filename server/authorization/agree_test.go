package authorization

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	reviews "github.com/annex-dev/annex/registry/authorization"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/maximal"
	"github.com/annex-dev/annex/registry/rbac/policy"
	bootstrap "github.com/annex-dev/annex/server/bootstrap/policy"
)

// forest is a tree of workspaces with random RBAC: b and d are below a, c is below b; beside is alone. Some refuse what they inherit, some require
// groups.
type forest struct{ *rand.Rand }

var (
	trees     = map[logicalcluster.Name]logicalcluster.Name{"a": "", "b": "a", "c": "b", "d": "a", "beside": ""}
	places    = []logicalcluster.Name{"a", "b", "c", "d", "beside"}
	people    = []string{"u1", "u2", "u3"}
	circles   = []string{"g1", "g2", user.AllAuthenticated, "system:serviceaccounts", "system:serviceaccounts:n1", "system:cluster:a"}
	roleNames = []string{"r1", "r2", "view", "cluster-admin", bootstrap.WorkspaceAccess}
)

func oneOf[T any](f forest, from []T) T { return from[f.IntN(len(from))] }

func (f forest) rules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{Verbs: []string{oneOf(f, []string{"get", "list", "*"})}, APIGroups: []string{""}, Resources: []string{oneOf(f, []string{"configmaps", "secrets", "*"})},
			ResourceNames: oneOf(f, [][]string{nil, nil, {"x"}})},
		{Verbs: []string{oneOf(f, []string{"access", "get"})}, NonResourceURLs: []string{"/"}},
	}
}

func (f forest) subjects() []rbacv1.Subject {
	var out []rbacv1.Subject
	for range 1 + f.IntN(2) {
		switch f.IntN(4) {
		case 0:
			out = append(out, rbacv1.Subject{Kind: rbacv1.GroupKind, Name: oneOf(f, circles)})
		case 1:
			out = append(out, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "n1", Name: oneOf(f, people)})
		case 2:
			out = append(out, rbacv1.Subject{Kind: rbacv1.UserKind, Name: fmt.Sprintf("system:kcp:serviceaccount:%s:n1:%s", oneOf(f, places), oneOf(f, people))})
		default:
			out = append(out, rbacv1.Subject{Kind: rbacv1.UserKind, Name: oneOf(f, people)})
		}
	}
	return out
}

func (f forest) annotations() map[string]string {
	if f.IntN(2) == 0 {
		return nil
	}
	return map[string]string{inheritance.AnnotationKey: "true"}
}

func (f forest) objects() []client.Object {
	var out []client.Object
	for cluster, parent := range trees {
		lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName, Annotations: map[string]string{}}}
		if parent != "" {
			lc.Spec.Owner = &corev1alpha1.LogicalClusterOwner{Cluster: parent.String()}
		}
		if f.IntN(4) == 0 {
			lc.Annotations[inheritance.AnnotationKey] = "false"
		}
		if f.IntN(5) == 0 {
			lc.Annotations[corev1alpha1.RequiredGroupsAnnotationKey] = "g1"
		}
		out = append(out, clienttest.In(cluster, lc))
		for _, name := range []string{"r1", "r2"} {
			out = append(out, clienttest.In(cluster, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: f.annotations()}, Rules: f.rules()}))
		}
		for i := range 2 + f.IntN(4) {
			out = append(out, clienttest.In(cluster, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("b", i), Annotations: f.annotations()},
				RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: oneOf(f, roleNames)}, Subjects: f.subjects()}))
		}
		out = append(out, clienttest.In(cluster, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "b", Namespace: "n1"},
			RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: oneOf(f, roleNames)}, Subjects: f.subjects()}))
	}
	for _, object := range bootstrap.SystemAdmin() {
		out = append(out, clienttest.In(logicalcluster.SystemAdmin, object))
	}
	return out
}

// user returns somebody: a user, one of a workspace alone, or a ServiceAccount.
func (f forest) user() *user.DefaultInfo {
	groups := []string{user.AllAuthenticated}
	for range f.IntN(3) {
		groups = append(groups, oneOf(f, []string{"g1", "g2"}))
	}
	u := &user.DefaultInfo{Name: oneOf(f, append(people, "stranger")), Groups: groups}
	home := oneOf(f, places)
	switch f.IntN(6) {
	case 0:
		u.Extra = map[string][]string{policy.ScopesKey: {policy.Scope(home)}, policy.ClusterNameKey: {home.String()}}
	case 1, 2:
		u = &user.DefaultInfo{Name: "system:serviceaccount:n1:" + oneOf(f, people), Groups: []string{"system:serviceaccounts", "system:serviceaccounts:n1", user.AllAuthenticated},
			Extra: map[string][]string{policy.ScopesKey: {policy.Scope(home)}, policy.ClusterNameKey: {home.String()}}}
	case 3:
		u.Extra = map[string][]string{policy.WarrantKey: {`{"user":"u1","groups":["g2"]}`}}
	}
	return u
}

func (f forest) topic() (*authorizationv1.ResourceAttributes, *authorizationv1.NonResourceAttributes) {
	if f.IntN(8) == 0 {
		return nil, &authorizationv1.NonResourceAttributes{Verb: oneOf(f, []string{"access", "get"}), Path: "/"}
	}
	return &authorizationv1.ResourceAttributes{Verb: oneOf(f, []string{"get", "list", "delete"}), Version: "v1", Resource: oneOf(f, []string{"configmaps", "secrets"}),
		Namespace: oneOf(f, []string{"", "n1", "n2"}), Name: oneOf(f, []string{"", "x", "y"})}, nil
}

// What a user is told about permissions is what the authorizer decides: for 10,000 random requests, an explanation and a list of subjects agree with
// it, and with each other.
func TestExplain_AgreesWithTheAuthorizer(t *testing.T) {
	const seeds, requests = 100, 100
	counts := map[string]int{}
	for seed := range uint64(seeds) {
		f := forest{rand.New(rand.NewPCG(seed, 12))}
		fake := clienttest.NewFake(f.objects()...)
		evaluator := policy.New(fake, nil)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = evaluator.Run(ctx) }()
		for kept := int64(0); kept == 0; kept, _ = evaluator.Bytes() { // until it follows changes, and so need not read anew
			_, _, _ = evaluator.Authorize(ctx, "a", get(someone("u1"), "/"))
			runtime.Gosched()
		}
		phases := phases{}
		for cluster := range trees {
			phases[cluster] = "Ready"
		}
		all, err := New(Config{Evaluator: evaluator, Clusters: phases, Order: DefaultOrder(), Policies: maximal.New(fake, nil),
			Catalog: catalog.New(catalog.Config{Reader: fake, IsBound: kinds.All.IsBound, Builtin: kinds.All.IsEverywhere})})
		if err != nil {
			t.Fatal(err)
		}
		asked := newAnswers(t, all, evaluator, fake)
		for range requests {
			f.compare(ctx, t, seed, all, asked, counts)
		}
		cancel()
	}
	// A world in which everything is alike would prove nothing.
	for _, what := range []string{"allowed", "refused", "Local", "Inherited", "subject allowed", "subject refused", "Entry denied", "RequiredGroups denied"} {
		if counts[what] < 100 {
			t.Errorf("only %d times: %s", counts[what], what)
		}
	}
	t.Log(counts)
}

// answers are storages of reviews, as an operator asks them.
type answers struct{ explanations, whoCan rest.Creater }

func newAnswers(t *testing.T, a *Authorizer, evaluator *policy.Evaluator, cached client.Reader) answers {
	t.Helper()
	r, err := reviews.New(reviews.Config{Decider: a, Evaluator: evaluator, Cached: cached, Rules: reviews.Rules{RBAC: true},
		PathOf: func(cluster logicalcluster.Name) (logicalcluster.Path, bool) { return cluster.Path(), true }})
	if err != nil {
		t.Fatal(err)
	}
	return answers{r.Explanations().(rest.Creater), r.WhoCan().(rest.Creater)}
}

func (f forest) compare(ctx context.Context, t *testing.T, seed uint64, a *Authorizer, asked answers, counts map[string]int) {
	t.Helper()
	cluster, u := oneOf(f, places), f.user()
	resource, path := f.topic()
	ctx = genericapirequest.WithUser(logicalcluster.WithCluster(ctx, cluster), someone("operator", user.SystemPrivilegedGroup))
	about := func(u user.Info) authorizer.Attributes {
		if path != nil {
			return authorizer.AttributesRecord{User: u, Verb: path.Verb, Path: path.Path}
		}
		return authorizer.AttributesRecord{User: u, Verb: resource.Verb, APIVersion: "v1", Resource: resource.Resource, Namespace: resource.Namespace,
			Name: resource.Name, ResourceRequest: true}
	}
	decides := func(u user.Info) bool {
		decision, _, err := a.Authorize(ctx, about(u))
		if err != nil {
			t.Fatal(err)
		}
		return decision == authorizer.DecisionAllow
	}
	want := decides(u)
	what := fmt.Sprintf("seed %d: %v in %s: %v %v", seed, u, cluster, resource, path)

	extra := map[string]authorizationv1.ExtraValue{}
	for key, values := range u.Extra {
		extra[key] = values
	}
	out, err := asked.explanations.Create(ctx, &annexv1alpha1.AccessExplanation{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: u.Name, Groups: u.Groups, Extra: extra, ResourceAttributes: resource, NonResourceAttributes: path,
	}}, nil, &metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	why := out.(*annexv1alpha1.AccessExplanation).Status
	if why.Allowed != want {
		t.Fatalf("%s: the authorizer says %v, the explanation %+v", what, want, why)
	}
	denied, allowedByRBAC := "", false
	for _, step := range why.Steps {
		switch step.Name {
		case "SystemRBAC", "LocalRBAC", "InheritedRBAC":
			allowedByRBAC = allowedByRBAC || step.Decision == annexv1alpha1.AccessAllowed
		default:
			if step.Decision == annexv1alpha1.AccessDenied {
				denied = step.Name
				counts[denied+" denied"]++
			}
		}
	}
	if want != (denied == "" && allowedByRBAC) || allowedByRBAC != (len(why.Grants) > 0) {
		t.Fatalf("%s: the authorizer says %v, the steps do not add up: %+v", what, want, why)
	}
	counts[map[bool]string{true: "allowed", false: "refused"}[want]]++
	for _, g := range why.Grants {
		counts[string(g.Source)]++
	}

	out, err = asked.whoCan.Create(ctx, &annexv1alpha1.WhoCanReview{Spec: annexv1alpha1.WhoCanReviewSpec{ResourceAttributes: resource, NonResourceAttributes: path}},
		nil, &metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	listed := false
	for _, s := range out.(*annexv1alpha1.WhoCanReview).Status.Subjects {
		holder := policy.Holder{Kind: s.Subject.Kind, Namespace: s.Subject.Namespace, Name: s.Subject.Name, Cluster: logicalcluster.Name(s.Subject.Cluster)}
		listed = listed || isOf(u, cluster, s)
		if got := decides(holder.User()); got != s.Allowed {
			t.Fatalf("%s: subject %v: the authorizer says %v, the list %+v", what, holder, got, s)
		}
		counts[map[bool]string{true: "subject allowed", false: "subject refused"}[s.Allowed]]++
	}
	if listed != allowedByRBAC {
		t.Fatalf("%s: in the list: %v; allowed by a binding: %v\n%+v\n%+v", what, listed, allowedByRBAC, why, out)
	}
}

// isOf reports whether u, with a request in cluster, is a subject of a list. Whom an inherited binding names is a matter of the workspace that has it:
// somebody whom only cluster knows is nobody there.
func isOf(u user.Info, cluster logicalcluster.Name, subject annexv1alpha1.WhoCanSubject) bool {
	s := subject.Subject
	for _, g := range subject.Grants {
		home, identities := cluster, policy.Identities(u, cluster)
		if g.Source == annexv1alpha1.AccessSourceInherited {
			home = logicalcluster.Name(g.Cluster)
			for i, identity := range identities {
				if namespace, name, err := serviceaccount.SplitUsername(identity.GetName()); err == nil {
					identity = policy.Abroad(cluster, namespace, name, "")
				}
				identities[i] = policy.Effective(identity, home)
				if identities[i].GetName() != identity.GetName() && identities[i].GetName() != user.Anonymous {
					identities = append(identities, identity) // a ServiceAccount of home is also who it is everywhere else
				}
			}
		}
		if slices.ContainsFunc(identities, func(identity user.Info) bool {
			switch s.Kind {
			case rbacv1.ServiceAccountKind:
				return identity.GetName() == policy.Abroad(logicalcluster.Name(s.Cluster), s.Namespace, s.Name, "").Name ||
					(identity.GetName() == serviceaccount.MakeUsername(s.Namespace, s.Name) && s.Cluster == home.String())
			case rbacv1.GroupKind:
				return slices.Contains(identity.GetGroups(), s.Name) && (s.Cluster == "" || s.Cluster == home.String())
			}
			return identity.GetName() == s.Name
		}) {
			return true
		}
	}
	return false
}
