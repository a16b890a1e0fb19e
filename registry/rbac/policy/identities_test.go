package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/clienttest"
)

func warrantOf(t *testing.T, u user.DefaultInfo) string {
	t.Helper()
	value, err := json.Marshal(warrant{User: u.Name, UID: u.UID, Groups: u.Groups, Extra: u.Extra})
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

// The table of spec/04 §3: what somebody of the group system:kcp:admin may do in the cluster w, and what they may not.
func TestIdentities_ScopesAndWarrants(t *testing.T) {
	const (
		admins = "system:kcp:admin"
		robot  = "system:serviceaccount:default:default"
	)
	e := New(clienttest.NewFake(
		clusterRole(admin, "cluster-admin", Everything()...),
		clusterRoleBinding(admin, "admins", "cluster-admin", groupSubject(admins)),
		clusterRoleBinding("w", "robot", "cluster-admin", rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "default"}),
		clusterRole("w", "reader", readConfigMaps),
		clusterRoleBinding("w", "reader", "reader", userSubject("reader")),
	), nil)
	with := func(u user.DefaultInfo, key string, values ...string) user.DefaultInfo {
		extra := map[string][]string{key: values}
		for k, v := range u.Extra {
			extra[k] = v
		}
		u.Extra = extra
		return u
	}
	plain, nobody := user.DefaultInfo{Name: "alice", Groups: []string{admins}}, user.DefaultInfo{Name: "alice"}
	account := user.DefaultInfo{Name: robot, Groups: []string{"system:serviceaccounts"}}
	other := with(account, ClusterNameKey, "other")
	asAdmin := warrantOf(t, user.DefaultInfo{Name: "bob", Groups: []string{admins}})
	nested := func(depth int) string {
		value := asAdmin
		for i := range depth {
			value = warrantOf(t, user.DefaultInfo{Name: fmt.Sprint(i), Extra: map[string][]string{WarrantKey: {value}}})
		}
		return value
	}
	for _, tc := range []struct {
		name string
		user user.DefaultInfo
		want bool
	}{
		{"plain", plain, true},
		{"scope of the cluster", with(plain, ScopesKey, "cluster:w"), true},
		{"one scope of two clusters", with(plain, ScopesKey, "cluster:w,cluster:x"), true},
		{"two scopes", with(plain, ScopesKey, "cluster:w", "cluster:x"), false},
		{"scope of another cluster", with(plain, ScopesKey, "cluster:root"), false},
		{"no groups", nobody, false},
		{"no groups, and a warrant", with(nobody, WarrantKey, asAdmin), true},
		{"ServiceAccount of no cluster", account, true},
		{"ServiceAccount of the cluster", with(account, ClusterNameKey, "w"), true},
		{"ServiceAccount of another cluster", other, false},
		{"ServiceAccount of another cluster, and a warrant", with(other, WarrantKey, asAdmin), true},

		{"out of scope, and a warrant", with(with(plain, ScopesKey, "cluster:root"), WarrantKey, asAdmin), true},
		{"a warrant that is out of scope", with(nobody, WarrantKey, warrantOf(t, with(plain, ScopesKey, "cluster:root"))), false},
		{"a warrant in scope", with(nobody, WarrantKey, warrantOf(t, with(plain, ScopesKey, "cluster:w"))), true},
		{"a warrant for somebody else", with(nobody, WarrantKey, warrantOf(t, user.DefaultInfo{Name: "carol", Groups: []string{"dev"}})), false},
		{"the second of two warrants", with(nobody, WarrantKey, warrantOf(t, user.DefaultInfo{Name: "carol"}), asAdmin), true},
		{"a warrant for a ServiceAccount of the cluster", with(nobody, WarrantKey, warrantOf(t, with(account, ClusterNameKey, "w"))), true},
		{"a warrant for a ServiceAccount of another cluster", with(nobody, WarrantKey, warrantOf(t, other)), false},
		{"a warrant for a ServiceAccount of no cluster", with(nobody, WarrantKey, warrantOf(t, account)), false},
		{"a nested warrant", with(nobody, WarrantKey, nested(3)), true},
		{"an inner warrant that is out of scope", with(nobody, WarrantKey, warrantOf(t, user.DefaultInfo{Name: "carol", Extra: map[string][]string{
			WarrantKey: {warrantOf(t, with(plain, ScopesKey, "cluster:root"))}}})), false},
		{"too many warrants", with(nobody, WarrantKey, slices.Repeat([]string{asAdmin}, mostWarrants+1)...), false},
		{"as many as there may be", with(nobody, WarrantKey, slices.Repeat([]string{asAdmin}, mostWarrants)...), true},
		{"a long warrant", with(nobody, WarrantKey, asAdmin+strings.Repeat(" ", longestWarrant-len(asAdmin))), true},
		{"one that is too long", with(nobody, WarrantKey, asAdmin+strings.Repeat(" ", longestWarrant)), false},
		{"a malformed warrant beside a good one", with(nobody, WarrantKey, asAdmin, "{"), false},
		{"a good warrant and more", with(nobody, WarrantKey, asAdmin+asAdmin), false},
		{"a warrant with an unknown field", with(nobody, WarrantKey, `{"group":["`+admins+`"],"groups":["`+admins+`"]}`), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			decision, reason, err := e.Authorize(t.Context(), "w", ask(&tc.user, "create", "default"))
			if err != nil || (decision == authorizer.DecisionAllow) != tc.want {
				t.Errorf("Authorize() = %v, %q, %v, want allowed: %t", decision, reason, err, tc.want)
			}
			rules, err := e.RulesFor(t.Context(), &tc.user, "w", "default")
			if err != nil || (len(rules) > 0) != tc.want {
				t.Errorf("RulesFor() = %v, %v, want some: %t", rules, err, tc.want)
			}
			if decision, _, _ := e.Authorize(t.Context(), "", ask(&tc.user, "create", "default")); decision == authorizer.DecisionAllow {
				t.Error("allowed in no cluster")
			}
		})
	}
}

func TestIdentities_MakeNoMaster(t *testing.T) {
	u := &user.DefaultInfo{Name: "alice", Extra: map[string][]string{WarrantKey: {warrantOf(t, user.DefaultInfo{Name: "root", Groups: []string{user.SystemPrivilegedGroup}})}}}
	if Master(u, "w") {
		t.Error("a warrant makes a member of system:masters")
	}
}

func TestIdentities_RequiredGroups(t *testing.T) {
	e, _ := running(t, clienttest.NewFake(clienttest.In("w", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{
		Name: corev1alpha1.LogicalClusterName, Annotations: map[string]string{corev1alpha1.RequiredGroupsAnnotationKey: "a,b"},
	}})))
	first := user.DefaultInfo{Name: "u", Groups: []string{"b"}}
	for name, tc := range map[string]struct {
		warrant user.DefaultInfo
		want    bool
	}{
		"with the group that is missing": {first, true},
		"with another group":             {user.DefaultInfo{Name: "u", Groups: []string{"c"}}, false},
		"out of scope":                   {user.DefaultInfo{Name: "u", Groups: []string{"b"}, Extra: map[string][]string{ScopesKey: {"cluster:x"}}}, false},
	} {
		u := &user.DefaultInfo{Name: "alice", Groups: []string{"a"}, Extra: map[string][]string{WarrantKey: {warrantOf(t, tc.warrant)}}}
		if got, err := e.RequiredGroups(t.Context(), u, "w"); err != nil || got != tc.want {
			t.Errorf("%s: RequiredGroups() = %t, %v, want %t", name, got, err, tc.want)
		}
	}
}

func TestAsConsumers_HaveThePrefix(t *testing.T) {
	u := &user.DefaultInfo{Name: "alice", Extra: map[string][]string{WarrantKey: {
		warrantOf(t, user.DefaultInfo{Name: "bob", Groups: []string{"dev"}}),
		warrantOf(t, user.DefaultInfo{Name: "carol", Groups: []string{"dev"}, Extra: map[string][]string{ScopesKey: {"cluster:a"}}}),
	}}}
	var got []string
	for _, consumer := range AsConsumers(u, logicalcluster.Name("a"), "provider") {
		got = append(got, strings.Join(append([]string{consumer.GetName()}, consumer.GetGroups()...), " "))
		if len(consumer.GetExtra()) > 0 {
			t.Errorf("%s keeps %v", consumer.GetName(), consumer.GetExtra())
		}
	}
	want := []string{"apis.kcp.io:binding:alice", "apis.kcp.io:binding:bob apis.kcp.io:binding:dev",
		"apis.kcp.io:binding:system:anonymous apis.kcp.io:binding:system:authenticated"}
	if !slices.Equal(got, want) {
		t.Errorf("they are %q, want %q", got, want)
	}
}

func TestWithoutWarrants(t *testing.T) {
	extra := map[string][]string{"a": {"b"}, WarrantKey: {"{}"}}
	if got := WithoutWarrants(extra); len(got) != 1 || got["a"] == nil {
		t.Errorf("WithoutWarrants() = %v", got)
	}
	if len(extra) != 2 {
		t.Error("it changed what it was given")
	}
}
