package policy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

const admin = logicalcluster.SystemAdmin

func clusterRole(cluster logicalcluster.Name, name string, rules ...rbacv1.PolicyRule) client.Object {
	return clienttest.In(cluster, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules})
}

func role(cluster logicalcluster.Name, namespace, name string, rules ...rbacv1.PolicyRule) client.Object {
	return clienttest.In(cluster, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: rules})
}

func clusterRoleBinding(cluster logicalcluster.Name, name, role string, subjects ...rbacv1.Subject) client.Object {
	return clienttest.In(cluster, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	})
}

func roleBinding(cluster logicalcluster.Name, namespace, name, kind, role string, subjects ...rbacv1.Subject) client.Object {
	return clienttest.In(cluster, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role},
	})
}

func userSubject(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}
}

func groupSubject(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: name}
}

func person(name string, groups ...string) *user.DefaultInfo {
	return &user.DefaultInfo{Name: name, Groups: groups}
}

// ask is a request by u for configmaps in namespace.
func ask(u user.Info, verb, namespace string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{User: u, Verb: verb, Namespace: namespace, Resource: "configmaps", APIVersion: "v1", ResourceRequest: true}
}

var (
	readConfigMaps = resourceRule([]string{"get", "list"}, []string{""}, []string{"configmaps"})
	enter          = pathRule([]string{"access"}, "/")
)

func TestEvaluator_WhatHoldsInACluster(t *testing.T) {
	alice := userSubject("alice")
	request := ask(person("alice", "dev"), "get", "default")
	entering := authorizer.AttributesRecord{User: person("alice"), Verb: "access", Path: "/"}
	enteringWithNamespace := entering
	enteringWithNamespace.Namespace = "default"

	for _, tc := range []struct {
		name    string
		objects []client.Object
		attrs   authorizer.AttributesRecord
		want    bool
	}{
		{"nothing permits nothing", nil, request, false},
		{"a cluster binding to a local role", []client.Object{
			clusterRole("a", "r", readConfigMaps), clusterRoleBinding("a", "b", "r", alice)}, request, true},
		{"a cluster binding to a role of system:admin", []client.Object{
			clusterRole(admin, "r", readConfigMaps), clusterRoleBinding("a", "b", "r", alice)}, request, true},
		{"a namespace binding to a cluster role of system:admin", []client.Object{
			clusterRole(admin, "r", readConfigMaps), roleBinding("a", "default", "b", "ClusterRole", "r", alice)}, request, true},
		{"a role of system:admin wins over a local one", []client.Object{
			clusterRole(admin, "r", readConfigMaps), clusterRole("a", "r", enter), clusterRoleBinding("a", "b", "r", alice)}, request, true},
		{"a local role adds nothing to one of system:admin", []client.Object{
			clusterRole(admin, "r", enter), clusterRole("a", "r", readConfigMaps), clusterRoleBinding("a", "b", "r", alice)}, request, false},
		{"a local role with a reserved name is ignored", []client.Object{
			clusterRole("a", "view", readConfigMaps), clusterRoleBinding("a", "b", "view", alice)}, request, false},
		{"a local role with the prefix of the system is ignored", []client.Object{
			clusterRole("a", "system:r", readConfigMaps), clusterRoleBinding("a", "b", "system:r", alice)}, request, false},
		{"a Role of a namespace may have any name", []client.Object{
			role("a", "default", "cluster-admin", readConfigMaps), roleBinding("a", "default", "b", "Role", "cluster-admin", alice)}, request, true},
		{"a binding of system:admin holds everywhere", []client.Object{
			clusterRole(admin, "r", readConfigMaps), clusterRoleBinding(admin, "b", "r", alice)}, request, true},
		{"a binding of system:admin never sees roles of the cluster", []client.Object{
			clusterRole("a", "r", readConfigMaps), clusterRoleBinding(admin, "b", "r", alice)}, request, false},
		{"a binding of system:admin is not fooled by a local role of the same name", []client.Object{
			clusterRole(admin, "r", enter), clusterRole("a", "r", readConfigMaps), clusterRoleBinding(admin, "b", "r", alice)}, request, false},
		{"a role of another cluster", []client.Object{
			clusterRole("b", "r", readConfigMaps), clusterRoleBinding("a", "b", "r", alice)}, request, false},
		{"a binding of another cluster", []client.Object{
			clusterRole("a", "r", readConfigMaps), clusterRoleBinding("b", "b", "r", alice)}, request, false},
		{"everything in another cluster", []client.Object{
			clusterRole("b", "r", readConfigMaps), clusterRoleBinding("b", "b", "r", alice)}, request, false},
		{"a role in the namespace", []client.Object{
			role("a", "default", "r", readConfigMaps), roleBinding("a", "default", "b", "Role", "r", alice)}, request, true},
		{"a role in another namespace", []client.Object{
			role("a", "other", "r", readConfigMaps), roleBinding("a", "other", "b", "Role", "r", alice)}, request, false},
		{"a role of another namespace cannot be referred to", []client.Object{
			role("a", "other", "r", readConfigMaps), roleBinding("a", "default", "b", "Role", "r", alice)}, request, false},
		{"a Role of system:admin cannot be referred to", []client.Object{
			role(admin, "default", "r", readConfigMaps), roleBinding("a", "default", "b", "Role", "r", alice)}, request, false},
		{"a namespace binding does not reach cluster-wide requests", []client.Object{
			clusterRole("a", "r", readConfigMaps), roleBinding("a", "default", "b", "ClusterRole", "r", alice)}, ask(person("alice"), "list", ""), false},
		{"a cluster binding reaches every namespace", []client.Object{
			clusterRole("a", "r", readConfigMaps), clusterRoleBinding("a", "b", "r", alice)}, ask(person("alice"), "list", "kube-system"), true},
		{"a group", []client.Object{
			clusterRole("a", "r", readConfigMaps), clusterRoleBinding("a", "b", "r", groupSubject("dev"))}, request, true},
		{"a user is not a group of the same name", []client.Object{
			clusterRole("a", "r", readConfigMaps), clusterRoleBinding("a", "b", "r", groupSubject("alice"))}, request, false},
		{"a group is not a user of the same name", []client.Object{
			clusterRole("a", "r", readConfigMaps), clusterRoleBinding("a", "b", "r", userSubject("dev"))}, request, false},
		{"a star is no user", []client.Object{
			clusterRole("a", "r", readConfigMaps), clusterRoleBinding("a", "b", "r", userSubject("*"))}, request, false},
		{"a service account", []client.Object{
			clusterRole("a", "r", readConfigMaps),
			clusterRoleBinding("a", "b", "r", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "ci", Name: "bot"})},
			ask(person("system:serviceaccount:ci:bot"), "get", "default"), true},
		{"a service account of another namespace", []client.Object{
			clusterRole("a", "r", readConfigMaps),
			clusterRoleBinding("a", "b", "r", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "ci", Name: "bot"})},
			ask(person("system:serviceaccount:other:bot"), "get", "default"), false},
		{"a service account without namespace is one of the binding's", []client.Object{
			role("a", "default", "r", readConfigMaps),
			roleBinding("a", "default", "b", "Role", "r", rbacv1.Subject{Kind: "ServiceAccount", Name: "bot"})},
			ask(person("system:serviceaccount:default:bot"), "get", "default"), true},
		{"a service account without namespace in a cluster binding is nobody", []client.Object{
			clusterRole("a", "r", readConfigMaps),
			clusterRoleBinding("a", "b", "r", rbacv1.Subject{Kind: "ServiceAccount", Name: "bot"})},
			ask(person("system:serviceaccount::bot"), "get", "default"), false},
		{"a missing role grants nothing and hinders nothing", []client.Object{
			clusterRoleBinding("a", "1", "missing", alice),
			clusterRole("a", "r", readConfigMaps), clusterRoleBinding("a", "2", "r", alice)}, request, true},
		{"a cluster binding to a Role grants nothing", []client.Object{
			role("a", "default", "r", readConfigMaps),
			clienttest.In("a", &rbacv1.ClusterRoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: "b"}, Subjects: []rbacv1.Subject{alice},
				RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "r"}})}, request, false},
		{"entering by a role of system:admin", []client.Object{
			clusterRole(admin, "r", enter), clusterRoleBinding("a", "b", "r", alice)}, entering, true},
		{"paths are never granted in a namespace", []client.Object{
			clusterRole("a", "r", enter), roleBinding("a", "default", "b", "ClusterRole", "r", alice)}, enteringWithNamespace, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := New(clienttest.NewFake(tc.objects...), nil)
			decision, reason, err := e.Authorize(t.Context(), "a", tc.attrs)
			if err != nil {
				t.Fatal(err)
			}
			if got := decision == authorizer.DecisionAllow; got != tc.want {
				t.Errorf("Authorize() = %v (%s), want allowed: %t", decision, reason, tc.want)
			}
			if !tc.want && decision != authorizer.DecisionNoOpinion {
				t.Errorf("Authorize() = %v, want no opinion", decision)
			}
		})
	}
}

// Root is the one workspace with reserved roles, which the server creates there.
func TestEvaluator_ReservedRolesOfRoot(t *testing.T) {
	e := New(clienttest.NewFake(
		clusterRole(logicalcluster.Root, "system:r", readConfigMaps), clusterRoleBinding(logicalcluster.Root, "r", "system:r", userSubject("alice")),
		clusterRole(logicalcluster.Root, "view", readConfigMaps), clusterRole(admin, "view", enter),
		clusterRoleBinding(logicalcluster.Root, "v", "view", userSubject("bob")),
	), nil)
	for name, want := range map[string]authorizer.Decision{"alice": authorizer.DecisionAllow, "bob": authorizer.DecisionNoOpinion} {
		if got, reason, err := e.Authorize(t.Context(), logicalcluster.Root, ask(person(name), "get", "default")); got != want || err != nil {
			t.Errorf("%s: %v (%s), %v, want %v", name, got, reason, err, want)
		}
	}
}

// TestEvaluator_Scopes is the table of spec/04 §3 as far as scopes go.
func TestEvaluator_Scopes(t *testing.T) {
	objects := []client.Object{
		clusterRole(admin, "cluster-admin", Everything()...),
		clusterRoleBinding(admin, "admins", "cluster-admin", groupSubject("system:kcp:admin")),
		clusterRole("w", "see", readConfigMaps),
		clusterRoleBinding("w", "everybody", "see", groupSubject(user.AllAuthenticated)),
		clusterRoleBinding("w", "neighbors", "cluster-admin", groupSubject("system:cluster:x")),
	}
	const group = "system:kcp:admin"
	account := "system:serviceaccount:default:default"
	for _, tc := range []struct {
		name       string
		user       user.DefaultInfo
		wantDelete bool
		wantGet    bool
	}{
		{"plain", user.DefaultInfo{Groups: []string{group}}, true, true},
		{"scope of the cluster", user.DefaultInfo{Groups: []string{group}, Extra: map[string][]string{ScopesKey: {"cluster:w"}}}, true, true},
		{"either of two", user.DefaultInfo{Groups: []string{group}, Extra: map[string][]string{ScopesKey: {"cluster:w,cluster:x"}}}, true, true},
		{"both of two", user.DefaultInfo{Groups: []string{group}, Extra: map[string][]string{ScopesKey: {"cluster:w", "cluster:x"}}}, false, true},
		{"scope of another cluster", user.DefaultInfo{Groups: []string{group}, Extra: map[string][]string{ScopesKey: {"cluster:root"}}}, false, true},
		{"an empty scope is no cluster", user.DefaultInfo{Groups: []string{group}, Extra: map[string][]string{ScopesKey: {""}}}, false, true},
		{"a malformed scope is no cluster", user.DefaultInfo{Groups: []string{group}, Extra: map[string][]string{ScopesKey: {"w"}}}, false, true},
		{"service account without cluster", user.DefaultInfo{Name: account, Groups: []string{group}}, true, true},
		{"service account of the cluster", user.DefaultInfo{Name: account, Groups: []string{group}, Extra: map[string][]string{ClusterNameKey: {"w"}}}, true, true},
		{"service account of another cluster", user.DefaultInfo{Name: account, Groups: []string{group}, Extra: map[string][]string{ClusterNameKey: {"other"}}}, false, true},
		{"by the group of the cluster of origin", user.DefaultInfo{Name: account, Groups: []string{group}, Extra: map[string][]string{ClusterNameKey: {"x"}}}, true, true},
		{"nobody", user.DefaultInfo{Name: "nobody"}, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := New(clienttest.NewFake(objects...), nil)
			for verb, want := range map[string]bool{"delete": tc.wantDelete, "get": tc.wantGet} {
				decision, reason, err := e.Authorize(t.Context(), "w", ask(&tc.user, verb, "default"))
				if err != nil {
					t.Fatal(err)
				}
				if got := decision == authorizer.DecisionAllow; got != want {
					t.Errorf("%s: %v (%s), want allowed: %t", verb, decision, reason, want)
				}
			}
		})
	}
}

func TestEvaluator_FailsClosed(t *testing.T) {
	objects := []client.Object{
		clusterRole(admin, "r", readConfigMaps), clusterRoleBinding(admin, "b", "r", userSubject("everywhere")),
		clusterRole("a", "r", readConfigMaps), clusterRoleBinding("a", "b", "r", userSubject("alice")),
	}
	broken := errors.New("broken")
	for _, tc := range []struct {
		name    string
		user    string
		unread  logicalcluster.Name
		cluster logicalcluster.Name
		want    authorizer.Decision
		wantErr bool
	}{
		{"local policy unreadable", "alice", "a", "a", authorizer.DecisionDeny, true},
		{"bootstrap policy unreadable", "alice", admin, "a", authorizer.DecisionDeny, true},
		{"the other half allows", "everywhere", "a", "a", authorizer.DecisionAllow, false},
		{"no cluster", "alice", "none", "", authorizer.DecisionNoOpinion, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fake := clienttest.NewFake(objects...)
			fake.Intercept(func(_ string, _ schema.GroupResource, key client.Key) error {
				if key.Cluster == tc.unread {
					return broken
				}
				return nil
			})
			decision, _, err := New(fake, nil).Authorize(t.Context(), tc.cluster, ask(person(tc.user), "get", "default"))
			if decision != tc.want || errors.Is(err, broken) != tc.wantErr {
				t.Errorf("Authorize() = %v, %v, want %v, error: %t", decision, err, tc.want, tc.wantErr)
			}
		})
	}
	t.Run("no user", func(t *testing.T) {
		decision, _, _ := New(clienttest.NewFake(), nil).Authorize(t.Context(), "a", authorizer.AttributesRecord{Verb: "get"})
		if decision == authorizer.DecisionAllow {
			t.Error("allowed")
		}
	})
}

func TestEvaluator_AnswersThatMixClustersAreRefused(t *testing.T) {
	mixed := mixing{clienttest.NewFake(clusterRole("b", "r", readConfigMaps), clusterRoleBinding("b", "b", "r", userSubject("alice")))}
	decision, _, err := New(mixed, nil).Authorize(t.Context(), "a", ask(person("alice"), "get", "default"))
	if decision != authorizer.DecisionDeny || err == nil {
		t.Errorf("Authorize() = %v, %v, want an error", decision, err)
	}
}

// mixing is a reader that ignores the cluster.
type mixing struct{ client.Client }

func (m mixing) List(ctx context.Context, resource schema.GroupResource, _ client.Scope) ([]client.Object, error) {
	return m.Client.List(ctx, resource, client.Scope{})
}

func TestEvaluator_RulesFor(t *testing.T) {
	e := New(clienttest.NewFake(
		clusterRole(admin, "everywhere", enter),
		clusterRoleBinding(admin, "b", "everywhere", groupSubject("dev"), userSubject("alice")),
		role("a", "default", "local", readConfigMaps),
		roleBinding("a", "default", "b", "Role", "local", userSubject("alice")),
		clusterRole("b", "other", Everything()...),
		clusterRoleBinding("b", "b", "other", userSubject("alice")),
	), nil)
	alice := person("alice", "dev")
	for _, tc := range []struct {
		name      string
		user      user.Info
		namespace string
		want      int
	}{
		{"cluster-wide, each binding once", alice, "", 1},
		{"in the namespace too", alice, "default", 2},
		{"in another namespace", alice, "other", 1},
		{"out of scope", &user.DefaultInfo{Name: "alice", Groups: []string{"dev"}, Extra: map[string][]string{ScopesKey: {"cluster:b"}}}, "default", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rules, err := e.RulesFor(t.Context(), tc.user, "a", tc.namespace)
			if err != nil || len(rules) != tc.want {
				t.Errorf("RulesFor() = %v, %v, want %d rules", rules, err, tc.want)
			}
		})
	}
}

// running returns an evaluator that follows fake and is in step with it, and a count of its lists.
func running(t *testing.T, fake *clienttest.Fake) (*Evaluator, *atomic.Int64) {
	t.Helper()
	var lists atomic.Int64
	fake.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
		if verb == "list" {
			lists.Add(1)
		}
		return nil
	})
	e := New(fake, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	eventually(t, e.indexes.InStep)
	return e, &lists
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatal("the condition never held")
	}
}

func TestEvaluator_KeepsIndexesUntilSomethingChanges(t *testing.T) {
	fake := clienttest.NewFake(
		clusterRole(admin, "r", readConfigMaps),
		clusterRole("a", "r", readConfigMaps), clusterRole("b", "r", readConfigMaps),
		clusterRoleBinding("b", "b", "r", userSubject("alice")),
	)
	e, lists := running(t, fake)
	allowed := func(cluster logicalcluster.Name) bool {
		decision, _, err := e.Authorize(t.Context(), cluster, ask(person("alice"), "get", "default"))
		if err != nil {
			t.Fatal(err)
		}
		return decision == authorizer.DecisionAllow
	}

	if allowed("a") || !allowed("b") {
		t.Fatal("want b alone to be allowed")
	}
	before := lists.Load()
	for range 10 {
		allowed("a")
		allowed("b")
	}
	if got := lists.Load(); got != before {
		t.Errorf("%d lists for clusters that were compiled already", got-before)
	}

	if _, err := fake.Create(t.Context(), clusterRoleBindings, "a", clusterRoleBinding("a", "b", "r", userSubject("alice"))); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return allowed("a") })
	if got := lists.Load() - before; got != int64(len(listed())) {
		t.Errorf("%d lists after a change in one cluster, want %d", got, len(listed()))
	}

	if err := fake.Delete(t.Context(), clusterRoleBindings, client.Key{Cluster: "b", Name: "b"}, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return !allowed("b") })

	// A role of system:admin shows through without rebuilding the clusters that refer to it.
	if _, err := fake.Create(t.Context(), clusterRoleBindings, admin, clusterRoleBinding(admin, "b", "r", userSubject("alice"))); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return allowed("c") })
}

func TestEvaluator_KeepsNothingWhileAWatchIsOutOfStep(t *testing.T) {
	fake := clienttest.NewFake(clusterRole("a", "r", readConfigMaps), clusterRoleBinding("a", "b", "r", userSubject("alice")))
	var lists atomic.Int64
	fake.Intercept(func(verb string, _ schema.GroupResource, _ client.Key) error {
		if verb == "list" {
			lists.Add(1)
		}
		return nil
	})
	e := New(fake, nil) // Run is not called
	for range 2 {
		before := lists.Load()
		if decision, _, err := e.Authorize(t.Context(), "a", ask(person("alice"), "get", "default")); decision != authorizer.DecisionAllow || err != nil {
			t.Fatalf("Authorize() = %v, %v", decision, err)
		}
		if lists.Load() == before {
			t.Error("an index was kept although nothing follows changes")
		}
	}
}

func TestEvaluator_ABuildThatAChangeOvertookIsNotKept(t *testing.T) {
	fake := clienttest.NewFake()
	e, _ := running(t, fake)
	entered, proceed := make(chan struct{}), make(chan struct{})
	var once atomic.Bool
	fake.Intercept(func(verb string, resource schema.GroupResource, key client.Key) error {
		// The bindings have been read, the cluster-wide ones are to come: the build is stopped in the middle.
		if verb == "list" && key.Cluster == "a" && resource == clusterRoles && once.CompareAndSwap(false, true) {
			close(entered)
			<-proceed
		}
		return nil
	})
	first := make(chan authorizer.Decision, 1)
	request := ask(person("alice"), "get", "default")
	go func() {
		decision, _, _ := e.Authorize(t.Context(), "a", request)
		first <- decision
	}()
	<-entered

	for _, object := range []client.Object{
		role("a", "default", "r", readConfigMaps), roleBinding("a", "default", "b", "Role", "r", userSubject("alice")),
	} {
		resource := roles
		if _, ok := object.(*rbacv1.RoleBinding); ok {
			resource = roleBindings
		}
		if _, err := fake.Create(t.Context(), resource, "a", object); err != nil {
			t.Fatal(err)
		}
	}
	// A request that comes after the change does not wait for the build from before it.
	eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		decision, _, _ := e.Authorize(ctx, "a", request)
		return decision == authorizer.DecisionAllow
	})
	close(proceed)
	if got := <-first; got != authorizer.DecisionAllow {
		t.Errorf("the build from before the change decided %v, not one that was made again", got)
	}
	if decision, _, _ := e.Authorize(t.Context(), "a", request); decision != authorizer.DecisionAllow {
		t.Errorf("the overtaken build was kept: %v", decision)
	}
}

// Nothing else bounds what a cluster can make the server keep.
func TestIndex_KnowsItsSize(t *testing.T) {
	crowd := func(n int) []client.Object {
		objects := []client.Object{clusterRole("a", "r", readConfigMaps)}
		for i := range n {
			name := fmt.Sprintf("n%d", i)
			objects = append(objects, role("a", name, "r", readConfigMaps),
				roleBinding("a", name, "b", "Role", "r", userSubject(name), groupSubject(name)),
				clusterRoleBinding("a", name, "r", userSubject(name), groupSubject("g")))
		}
		return objects
	}
	for _, tc := range []struct {
		name           string
		people, copies int
	}{{"small", 1, 2000}, {"large", 100, 100}} {
		fake := clienttest.NewFake(crowd(tc.people)...)
		var before, after runtime.MemStats
		indexes := make([]*index, tc.copies)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range indexes {
			var err error
			if indexes[i], err = compile(t.Context(), fake, "a"); err != nil {
				t.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		taken := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / int64(tc.copies)
		if size := indexes[0].size(); size < taken/2 || size > 2*taken {
			t.Errorf("a %s index takes %d bytes and says %d", tc.name, taken, size)
		}
		runtime.KeepAlive(indexes)
	}
}

func TestEvaluator_RequiredGroups(t *testing.T) {
	lc := func(cluster logicalcluster.Name, required string) client.Object {
		return clienttest.In(cluster, &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{
			Name: corev1alpha1.LogicalClusterName, Annotations: map[string]string{corev1alpha1.RequiredGroupsAnnotationKey: required},
		}})
	}
	fake := clienttest.NewFake(lc("one", "a"), lc("either", "a,b;c"), lc("free", ""), lc("nobody", ";"))
	e, _ := running(t, fake)
	for _, tc := range []struct {
		cluster logicalcluster.Name
		user    user.Info
		want    bool
	}{
		{"one", person("u", "a"), true},
		{"one", person("u", "b"), false},
		{"one", person("u"), false},
		{"one", &user.DefaultInfo{Groups: []string{"a"}, Extra: map[string][]string{ScopesKey: {"cluster:free"}}}, false},
		{"either", person("u", "a"), false},
		{"either", person("u", "a", "b"), true},
		{"either", person("u", "c"), true},
		{"free", person("u"), true},
		{"missing", person("u"), true},
		{"nobody", person("u", "a"), false},
	} {
		got, err := e.RequiredGroups(t.Context(), tc.user, tc.cluster)
		if err != nil || got != tc.want {
			t.Errorf("RequiredGroups(%v, %s) = %t, %v, want %t", tc.user, tc.cluster, got, err, tc.want)
		}
	}
	updated := lc("free", "z")
	if _, err := fake.Update(t.Context(), logicalClusters, "free", updated); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		got, err := e.RequiredGroups(t.Context(), person("u"), "free")
		return err == nil && !got
	})
}

func TestEvaluator_MayGrant(t *testing.T) {
	e := New(clienttest.NewFake(
		clusterRole(admin, "cluster-admin", Everything()...),
		clusterRoleBinding("a", "owner", "cluster-admin", userSubject("owner")),
		clusterRole("a", "see", readConfigMaps),
		clusterRoleBinding("a", "reader", "see", userSubject("reader")),
		roleBinding("a", "default", "reader", "ClusterRole", "cluster-admin", userSubject("reader")),
	), nil)
	write := resourceRule([]string{"create"}, []string{""}, []string{"configmaps"})
	for _, tc := range []struct {
		name      string
		user      user.Info
		cluster   logicalcluster.Name
		namespace string
		rules     []rbacv1.PolicyRule
		want      bool
	}{
		{"an owner grants everything", person("owner"), "a", "", Everything(), true},
		{"an owner elsewhere is nobody", person("owner"), "b", "", []rbacv1.PolicyRule{write}, false},
		{"a reader grants reading", person("reader"), "a", "", []rbacv1.PolicyRule{readConfigMaps}, true},
		{"a reader does not grant writing", person("reader"), "a", "", []rbacv1.PolicyRule{write}, false},
		{"a namespace admin grants writing there", person("reader"), "a", "default", []rbacv1.PolicyRule{write}, true},
		{"masters grant everything", person("m", user.SystemPrivilegedGroup), "a", "", Everything(), true},
		{"masters scoped elsewhere do not", &user.DefaultInfo{Groups: []string{user.SystemPrivilegedGroup}, Extra: map[string][]string{ScopesKey: {"cluster:b"}}}, "a", "", Everything(), false},
		{"anybody grants nothing", person("x"), "a", "", nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := e.MayGrant(t.Context(), tc.user, tc.cluster, tc.namespace, tc.rules)
			if (err == nil) != tc.want {
				t.Errorf("MayGrant() = %v, want allowed: %t", err, tc.want)
			}
			if err != nil && !strings.Contains(err.Error(), "not currently held") {
				t.Errorf("MayGrant() = %v, want it to say what is missing", err)
			}
		})
	}
}

// universe makes random policy. Names are few, so that the clusters hold the same ones.
type universe struct{ *rand.Rand }

func (u universe) pick(from ...string) string { return from[u.IntN(len(from))] }

func (u universe) some(from ...string) []string {
	var out []string
	for range u.IntN(3) {
		out = append(out, u.pick(from...))
	}
	return out
}

func (u universe) rules() []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for range u.IntN(3) {
		if u.IntN(4) == 0 {
			out = append(out, pathRule(u.some("get", "access", "*"), u.some("/", "/version", "/api*", "*")...))
			continue
		}
		out = append(out, resourceRule(u.some("get", "list", "create", "*"), u.some("", "apps", "*"),
			u.some("configmaps", "secrets", "secrets/status", "*/status", "*"), u.some("x", "y")...))
	}
	return out
}

func (u universe) subjects() []rbacv1.Subject {
	var out []rbacv1.Subject
	for range u.IntN(3) {
		switch u.IntN(3) {
		case 0:
			out = append(out, userSubject(u.pick("u1", "u2", "g1")))
		case 1:
			out = append(out, groupSubject(u.pick("g1", "g2", "u1")))
		default:
			out = append(out, rbacv1.Subject{Kind: "ServiceAccount", Namespace: u.pick("", "n1", "n2"), Name: "sa"})
		}
	}
	return out
}

func (u universe) objects(cluster logicalcluster.Name) []client.Object {
	var out []client.Object
	for _, name := range []string{"r1", "r2"} {
		if u.IntN(3) > 0 {
			out = append(out, clusterRole(cluster, name, u.rules()...))
		}
		if u.IntN(3) > 0 {
			out = append(out, clusterRoleBinding(cluster, name, u.pick("r1", "r2"), u.subjects()...))
		}
		for _, namespace := range []string{"n1", "n2"} {
			if u.IntN(3) > 0 {
				out = append(out, role(cluster, namespace, name, u.rules()...))
			}
			if u.IntN(3) > 0 {
				out = append(out, roleBinding(cluster, namespace, name, u.pick("Role", "ClusterRole"), u.pick("r1", "r2"), u.subjects()...))
			}
		}
	}
	return out
}

func (u universe) request() authorizer.AttributesRecord {
	who := &user.DefaultInfo{Name: u.pick("u1", "u2", "system:serviceaccount:n1:sa", "system:serviceaccount:n2:sa"), Groups: u.some("g1", "g2")}
	if u.IntN(5) == 0 {
		return authorizer.AttributesRecord{User: who, Verb: u.pick("get", "access"), Path: u.pick("/", "/version", "/apis")}
	}
	return authorizer.AttributesRecord{
		User: who, Verb: u.pick("get", "list", "create"), APIGroup: u.pick("", "apps"), Namespace: u.pick("", "n1", "n2"),
		Resource: u.pick("configmaps", "secrets"), Subresource: u.pick("", "status"), Name: u.pick("", "x", "y"), ResourceRequest: true,
	}
}

// plain decides the way the reference documentation reads, object by object, without an index.
func plain(objects []client.Object, cluster logicalcluster.Name, attrs authorizer.AttributesRecord) bool {
	find := func(in logicalcluster.Name, namespace, name string) ([]rbacv1.PolicyRule, bool) {
		for _, object := range objects {
			if logicalcluster.From(object) != in || object.GetNamespace() != namespace || object.GetName() != name {
				continue
			}
			switch o := object.(type) {
			case *rbacv1.Role:
				return o.Rules, true
			case *rbacv1.ClusterRole:
				return o.Rules, true
			}
		}
		return nil, false
	}
	matches := func(subject rbacv1.Subject, namespace string) bool {
		switch subject.Kind {
		case "User":
			return subject.Name == attrs.User.GetName()
		case "Group":
			return slices.Contains(attrs.User.GetGroups(), subject.Name)
		default:
			if subject.Namespace != "" {
				namespace = subject.Namespace
			}
			return namespace != "" && attrs.User.GetName() == "system:serviceaccount:"+namespace+":"+subject.Name
		}
	}
	for _, object := range objects {
		in := logicalcluster.From(object)
		if in != cluster && in != admin {
			continue
		}
		var ref rbacv1.RoleRef
		var subjects []rbacv1.Subject
		switch o := object.(type) {
		case *rbacv1.ClusterRoleBinding:
			ref, subjects = o.RoleRef, o.Subjects
		case *rbacv1.RoleBinding:
			if !attrs.ResourceRequest || o.Namespace != attrs.Namespace {
				continue
			}
			ref, subjects = o.RoleRef, o.Subjects
		default:
			continue
		}
		if !slices.ContainsFunc(subjects, func(s rbacv1.Subject) bool { return matches(s, object.GetNamespace()) }) {
			continue
		}
		var rules []rbacv1.PolicyRule
		if ref.Kind == "Role" {
			rules, _ = find(in, object.GetNamespace(), ref.Name)
		} else {
			found := false
			if rules, found = find(admin, "", ref.Name); !found {
				rules, _ = find(in, "", ref.Name)
			}
		}
		if allows(rules, attrs) {
			return true
		}
	}
	return false
}

// What is decided in one cluster is what a plain reading of its objects and those of system:admin says, whatever other
// clusters hold under the same names.
func FuzzEvaluator_NeverGrantsAcrossClusters(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed, seed+1)
	}
	f.Fuzz(func(t *testing.T, a, b uint64) {
		u := universe{rand.New(rand.NewPCG(a, b))}
		var relevant, all []client.Object
		for _, cluster := range []logicalcluster.Name{"a", admin, "b", "c"} {
			objects := u.objects(cluster)
			all = append(all, objects...)
			if cluster == "a" || cluster == admin {
				relevant = append(relevant, objects...)
			}
		}
		e, alone := New(clienttest.NewFake(all...), nil), New(clienttest.NewFake(relevant...), nil)
		for range 20 {
			attrs := u.request()
			decision, reason, err := e.Authorize(t.Context(), "a", attrs)
			if err != nil {
				t.Fatal(err)
			}
			if want := plain(relevant, "a", attrs); (decision == authorizer.DecisionAllow) != want {
				t.Fatalf("Authorize(%+v) = %v (%s), want allowed: %t", attrs, decision, reason, want)
			}
			if other, _, _ := alone.Authorize(t.Context(), "a", attrs); other != decision {
				t.Fatalf("Authorize(%+v) = %v, but %v without the other clusters", attrs, decision, other)
			}
		}
	})
}

func BenchmarkEvaluator_Authorize(b *testing.B) {
	fake := clienttest.NewFake(
		clusterRole(admin, "cluster-admin", Everything()...),
		clusterRole(admin, "discovery", pathRule([]string{"get"}, "/api", "/apis", "/version")),
		clusterRoleBinding(admin, "discovery", "discovery", groupSubject(user.AllAuthenticated)),
		clusterRoleBinding("a", "workspace-admin", "cluster-admin", userSubject("alice")),
	)
	e := New(fake, nil)
	go func() { _ = e.Run(b.Context()) }()
	for !e.indexes.InStep() {
		runtime.Gosched()
	}
	request := ask(person("alice", user.AllAuthenticated), "get", "default")
	b.ReportAllocs()
	for b.Loop() {
		if decision, _, _ := e.Authorize(b.Context(), "a", request); decision != authorizer.DecisionAllow {
			b.Fatal(decision)
		}
	}
}
