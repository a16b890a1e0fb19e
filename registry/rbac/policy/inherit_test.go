package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

// below is the LogicalCluster of a workspace that is below parent, or below none.
func below(parent, cluster logicalcluster.Name) *corev1alpha1.LogicalCluster {
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}}
	if parent != "" {
		lc.Spec.Owner = &corev1alpha1.LogicalClusterOwner{Cluster: parent.String(), Name: "x", UID: "u"}
	}
	return clienttest.In(cluster, lc)
}

// annotated returns obj with a value of the annotation.
func annotated(value string, obj client.Object) client.Object {
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[inheritance.AnnotationKey] = value
	obj.SetAnnotations(annotations)
	return obj
}

func accountSubject() rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "bot"}
}

// account is the ServiceAccount default/bot of a cluster, as its token says it.
func account(cluster logicalcluster.Name) *user.DefaultInfo {
	return &user.DefaultInfo{
		Name: "system:serviceaccount:default:bot", Groups: []string{"system:serviceaccounts", "system:serviceaccounts:default", user.AllAuthenticated},
		Extra: map[string][]string{ScopesKey: {Scope(cluster)}, ClusterNameKey: {cluster.String()}},
	}
}

// Workspaces: a is above b, which is above c; other is beside them.
func TestEvaluator_Inheritance(t *testing.T) {
	alice := userSubject("alice")
	inherits := func(name, role string, subjects ...rbacv1.Subject) client.Object {
		return annotated("true", clusterRoleBinding("a", name, role, subjects...))
	}
	marked := func() client.Object { return annotated("true", clusterRole("a", "r", readConfigMaps)) }
	family := func(more ...client.Object) []client.Object {
		return append([]client.Object{below("", "a"), below("a", "b"), below("b", "c"), below("", "other")}, more...)
	}
	scoped := person("alice")
	scoped.Extra = map[string][]string{ScopesKey: {Scope("b")}}
	above := person("alice")
	above.Extra = map[string][]string{ScopesKey: {Scope("a")}, ClusterNameKey: {"a"}}
	warranted := person("bob")
	warranted.Extra = map[string][]string{WarrantKey: {`{"user":"alice"}`}}

	for _, tc := range []struct {
		name    string
		objects []client.Object
		cluster logicalcluster.Name
		user    user.Info
		want    bool
	}{
		{"one level below", family(marked(), inherits("i", "r", alice)), "b", person("alice"), true},
		{"two levels below", family(marked(), inherits("i", "r", alice)), "c", person("alice"), true},
		{"where it is", family(marked(), inherits("i", "r", alice)), "a", person("alice"), true},
		{"by a group", family(marked(), inherits("i", "r", groupSubject("dev"))), "b", person("alice", "dev"), true},
		{"by a warrant", family(marked(), inherits("i", "r", alice)), "b", warranted, true},
		{"a role of the system", family(clusterRole(admin, "view", readConfigMaps), inherits("i", "view", alice)), "b", person("alice"), true},
		{"somebody else", family(marked(), inherits("i", "r", alice)), "b", person("bob"), false},
		{"not beside it", family(marked(), inherits("i", "r", alice)), "other", person("alice"), false},
		{"not above it", family(annotated("true", clusterRole("b", "r", readConfigMaps)), annotated("true", clusterRoleBinding("b", "i", "r", alice))), "a", person("alice"), false},
		{"without the annotation", family(marked(), clusterRoleBinding("a", "i", "r", alice)), "b", person("alice"), false},
		{"with another value", family(marked(), annotated("yes", clusterRoleBinding("a", "i", "r", alice))), "b", person("alice"), false},
		{"a role without the annotation", family(clusterRole("a", "r", readConfigMaps), inherits("i", "r", alice)), "b", person("alice"), false},
		{"which still counts where it is", family(clusterRole("a", "r", readConfigMaps), inherits("i", "r", alice)), "a", person("alice"), true},
		{"a role that is missing", family(inherits("i", "r", alice)), "b", person("alice"), false},
		{"a role that the workspace below has", family(annotated("true", clusterRole("b", "r", readConfigMaps)), inherits("i", "r", alice)), "b", person("alice"), false},
		{"the workspace below does not change the role", family(marked(), clusterRole("b", "r", enter), inherits("i", "r", alice)), "b", person("alice"), true},
		{"a reserved name that the workspace stores", family(annotated("true", clusterRole("a", "view", readConfigMaps)), inherits("i", "view", alice)), "b", person("alice"), false},
		{"a RoleBinding", family(marked(), annotated("true", roleBinding("a", "default", "i", "ClusterRole", "r", alice))), "b", person("alice"), false},
		{"a workspace that refuses", append(family(marked(), inherits("i", "r", alice))[2:], below("", "a"), annotated("false", below("a", "b"))), "b", person("alice"), false},
		{"nothing below one that refuses", append(family(marked(), inherits("i", "r", alice))[2:], below("", "a"), annotated("false", below("a", "b"))), "c", person("alice"), false},
		{"one that refuses gives what is its own", append(family(marked(), annotated("true", clusterRole("b", "s", readConfigMaps)),
			annotated("true", clusterRoleBinding("b", "i", "s", alice)))[2:], below("", "a"), annotated("false", below("a", "b"))), "c", person("alice"), true},
		{"a parent that is gone", family(marked(), inherits("i", "r", alice))[1:], "b", person("alice"), false},
		{"the cluster itself is gone", []client.Object{below("", "a"), marked(), inherits("i", "r", alice)}, "b", person("alice"), false},
		{"a binding of system:admin needs no annotation", family(clusterRole(admin, "r", readConfigMaps), annotated("true", clusterRoleBinding(admin, "i", "r", alice))), "b", person("alice"), true},

		// Who somebody is below.
		{"a ServiceAccount of the parent", family(marked(), inherits("i", "r", accountSubject())), "b", account("a"), true},
		{"two levels below", family(marked(), inherits("i", "r", accountSubject())), "c", account("a"), true},
		{"by the name it has elsewhere", family(marked(), inherits("i", "r", userSubject("system:kcp:serviceaccount:a:default:bot"))), "b", account("a"), true},
		{"one of the same name below", family(marked(), inherits("i", "r", accountSubject())), "b", account("b"), false},
		{"one of the same name beside", family(marked(), inherits("i", "r", accountSubject())), "b", account("other"), false},
		{"one of the same name of nowhere", family(marked(), inherits("i", "r", accountSubject())), "b", person("system:serviceaccount:default:bot", "system:serviceaccounts"), false},
		{"one below, by its name elsewhere", family(marked(), inherits("i", "r", userSubject("system:kcp:serviceaccount:b:default:bot"))), "b", account("b"), true},
		{"all ServiceAccounts of the parent", family(marked(), inherits("i", "r", groupSubject("system:serviceaccounts"))), "b", account("a"), true},
		{"not those of the workspace below", family(marked(), inherits("i", "r", groupSubject("system:serviceaccounts"))), "b", account("b"), false},
		{"users of the parent alone", family(marked(), inherits("i", "r", groupSubject("system:cluster:a"))), "b", above, true},
		{"not by their names", family(marked(), inherits("i", "r", alice)), "b", above, false},
		{"a user of the workspace below alone", family(marked(), inherits("i", "r", alice)), "b", scoped, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := New(clienttest.NewFake(tc.objects...), nil)
			request := ask(tc.user, "get", "default")
			decision, reason, err := e.Authorize(t.Context(), tc.cluster, request)
			if got := decision == authorizer.DecisionAllow; got != tc.want || err != nil {
				t.Errorf("got %v, %q, %v; want %v", decision, reason, err, tc.want)
			}
			rules, err := e.RulesFor(t.Context(), tc.user, tc.cluster, "default")
			if got := Allows(rules, request); got != tc.want || err != nil {
				t.Errorf("RulesFor says %v, %v; want %v", got, err, tc.want)
			}
		})
	}
}

// What a parent gives is gone as soon as it takes it back.
func TestEvaluator_InheritanceFollows(t *testing.T) {
	fake := clienttest.NewFake(below("", "a"), below("a", "b"), annotated("true", clusterRole("a", "r", readConfigMaps)))
	e, _ := running(t, fake)
	allowed := func() bool {
		decision, _, err := e.Authorize(t.Context(), "b", ask(person("alice"), "get", ""))
		if err != nil {
			t.Fatal(err)
		}
		return decision == authorizer.DecisionAllow
	}
	if allowed() {
		t.Fatal("allowed before there is a binding")
	}
	key := client.Key{Cluster: "a", Name: "i"}
	for range 3 {
		if _, err := fake.Create(t.Context(), clusterRoleBindings, "a", annotated("true", clusterRoleBinding("a", "i", "r", userSubject("alice")))); err != nil {
			t.Fatal(err)
		}
		eventually(t, allowed)
		if err := fake.Delete(t.Context(), clusterRoleBindings, key, nil); err != nil {
			t.Fatal(err)
		}
		eventually(t, func() bool { return !allowed() })
	}
}

// A decision that needs a cluster above that cannot be read is none.
func TestEvaluator_InheritanceFailsClosed(t *testing.T) {
	fake := clienttest.NewFake(below("", "a"), below("a", "b"), annotated("true", clusterRole("a", "r", readConfigMaps)),
		annotated("true", clusterRoleBinding("a", "i", "r", userSubject("alice"))))
	broken := errors.New("broken")
	fake.Intercept(func(_ string, _ schema.GroupResource, key client.Key) error {
		if key.Cluster == "a" {
			return broken
		}
		return nil
	})
	decision, _, err := New(fake, nil).Authorize(t.Context(), "b", ask(person("alice"), "get", ""))
	if decision == authorizer.DecisionAllow || !errors.Is(err, broken) {
		t.Errorf("got %v, %v", decision, err)
	}
}

// Who makes a long chain of workspaces does not make a refusal at its end expensive, and an owner that is its own ends.
func TestEvaluator_InheritanceIsBounded(t *testing.T) {
	objects := []client.Object{below("c0", "c0"), annotated("true", clusterRole("c1", "r", readConfigMaps)),
		annotated("true", clusterRoleBinding("c1", "i", "r", userSubject("alice")))}
	for i := 1; i <= furthest+2; i++ {
		objects = append(objects, below(logicalcluster.Name(fmt.Sprintf("c%d", i-1)), logicalcluster.Name(fmt.Sprintf("c%d", i))))
	}
	e := New(clienttest.NewFake(objects...), nil)
	for i, want := range map[int]bool{0: false, 2: true, furthest + 1: true, furthest + 2: false} {
		cluster := logicalcluster.Name(fmt.Sprintf("c%d", i))
		decision, _, err := e.Authorize(t.Context(), cluster, ask(person("alice"), "get", ""))
		if got := decision == authorizer.DecisionAllow; got != want || err != nil {
			t.Errorf("in %s: %v, %v; want %v", cluster, decision, err, want)
		}
	}
}

// A claim that a workspace has accepted ends with the workspace: it does not reach those below.
func TestEvaluator_MayInherit(t *testing.T) {
	inherit := resourceRule([]string{"inherit"}, []string{rbacv1.GroupName}, []string{"clusterrolebindings"}, "i")
	e := New(clienttest.NewFake(clusterRole("a", "inheritor", inherit), clusterRoleBinding("a", "i", "inheritor", userSubject("alice"))), nil)
	for _, tc := range []struct {
		name string
		user user.Info
		on   string
		want bool
	}{
		{"who has the verb", person("alice"), "i", true},
		{"on another object", person("alice"), "j", false},
		{"who has it not", person("bob"), "i", false},
		{"the operator", person("root", user.SystemPrivilegedGroup), "i", true},
	} {
		for _, warrant := range []bool{false, true} {
			ctx := t.Context()
			if warrant {
				ctx = WithWarrant(ctx, "a")
			}
			got, err := e.MayInherit(ctx, tc.user, "a", rbacv1.GroupName, "clusterrolebindings", tc.on)
			if got != tc.want || err != nil {
				t.Errorf("%s, warrant %v: %v, %v; want %v", tc.name, warrant, got, err, tc.want)
			}
		}
	}
}

func BenchmarkEvaluator_Inheritance(b *testing.B) {
	for _, bindings := range []int{0, 1000} {
		objects := []client.Object{
			clusterRole(admin, "cluster-admin", Everything()...),
			clusterRole(admin, "view", readConfigMaps),
			clusterRoleBinding("c", "workspace-admin", "cluster-admin", userSubject("alice")),
			below("", "root"), below("root", "a"), below("a", "b"), below("b", "c"),
		}
		for i := range bindings {
			in := []logicalcluster.Name{"root", "a", "b"}[i%3]
			objects = append(objects, annotated("true", clusterRoleBinding(in, fmt.Sprintf("i%d", i), "view", userSubject(fmt.Sprintf("u%d", i)))))
		}
		e := New(clienttest.NewFake(objects...), nil)
		go func() { _ = e.Run(b.Context()) }()
		for !e.indexes.InStep() {
			continue
		}
		for who, want := range map[string]authorizer.Decision{"alice": authorizer.DecisionAllow, "u0": authorizer.DecisionAllow, "nobody": authorizer.DecisionNoOpinion} {
			if who == "u0" && bindings == 0 {
				continue
			}
			request := ask(person(who, user.AllAuthenticated), "get", "default")
			b.Run(strings.Join([]string{fmt.Sprint(bindings), who}, "/"), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if decision, _, _ := e.Authorize(b.Context(), "c", request); decision != want {
						b.Fatal(decision)
					}
				}
			})
		}
	}
}

// What another server has just given above counts below, although no event has told this one.
func TestEvaluator_LooksAgainAboveBeforeItSaysNo(t *testing.T) {
	family := []client.Object{below("", "a"), below("a", "b"), annotated("true", clusterRole("a", "r", readConfigMaps))}
	given := annotated("true", clusterRoleBinding("a", "i", "r", userSubject("alice")))
	from := &lagging{Reader: clienttest.NewFake(family...), now: clienttest.NewFake(append(family, given)...), revision: 7, behind: true}
	e := following(t, from)
	from.waits = 0
	for name, want := range map[string]authorizer.Decision{"alice": authorizer.DecisionAllow, "mallory": authorizer.DecisionNoOpinion} {
		decision, _, err := e.Authorize(t.Context(), "b", ask(person(name), "get", ""))
		if decision != want || err != nil {
			t.Errorf("%s: %v, %v", name, decision, err)
		}
	}
	if from.waits > 2 {
		t.Errorf("%d waits for two decisions: one is enough for all clusters", from.waits)
	}
}
