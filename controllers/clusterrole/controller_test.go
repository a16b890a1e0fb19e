package clusterrole

import (
	"context"
	"slices"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/controllers/multicluster"
)

func part(cluster logicalcluster.Name, name, to, verb string) *rbacv1.ClusterRole {
	return clienttest.In(cluster, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"to": to}},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{verb}, APIGroups: []string{""}, Resources: []string{"configmaps"}}},
	})
}

func aggregated(cluster logicalcluster.Name, name, label string) *rbacv1.ClusterRole {
	return clienttest.In(cluster, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"to": "outer"}},
		AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
			{MatchLabels: map[string]string{"to": label}},
		}},
		Rules: []rbacv1.PolicyRule{{Verbs: []string{"stale"}, APIGroups: []string{""}, Resources: []string{"x"}}},
	})
}

func TestAggregation(t *testing.T) {
	resource := rbacv1.Resource("clusterroles")
	outer := aggregated("a", "outer", "outer")
	outer.Labels = nil
	fake := clienttest.NewFake(
		outer, aggregated("a", "inner", "inner"), part("a", "p1", "inner", "get"), part("a", "q", "outer", "watch"),
		aggregated("b", "inner", "inner"), part("b", "p1", "inner", "delete"),
	)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	running, stop := context.WithCancel(ctx)
	go func() { done <- multicluster.Run(running, fake, Specs(multicluster.Config{Client: fake})[0]) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	await := func(cluster logicalcluster.Name, name string, want ...string) {
		t.Helper()
		var got []string
		_, err := fake.Await(ctx, resource, client.Key{Cluster: cluster, Name: name}, func(object client.Object) bool {
			got = nil
			for _, rule := range object.(*rbacv1.ClusterRole).Rules {
				got = append(got, rule.Verbs...)
			}
			slices.Sort(got)
			return slices.Equal(got, want)
		})
		if err != nil {
			t.Fatalf("%s in %s has verbs %v, want %v: %v", name, cluster, got, want, err)
		}
	}

	await("a", "inner", "get")
	await("a", "outer", "get", "watch") // a part of a part
	await("b", "inner", "delete")

	if _, err := fake.Create(ctx, resource, "a", part("a", "p2", "inner", "list")); err != nil {
		t.Fatal(err)
	}
	await("a", "inner", "get", "list")
	await("a", "outer", "get", "list", "watch")

	if err := fake.Delete(ctx, resource, client.Key{Cluster: "a", Name: "p1"}, nil); err != nil {
		t.Fatal(err)
	}
	await("a", "inner", "list")
	await("a", "outer", "list", "watch")
	await("b", "inner", "delete")

	before := len(fake.Writes())
	if _, err := Specs(multicluster.Config{Client: fake})[0].Reconcile(ctx, client.Key{Cluster: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := fake.Writes()[before:]; len(got) != 0 {
		t.Errorf("writes when nothing is to be done: %v", got)
	}
	if got := fake.Mutated(); len(got) != 0 {
		t.Errorf("shared objects were changed: %v", got)
	}
}

func TestAggregation_ABadSelectorHindersNobody(t *testing.T) {
	bad := aggregated("a", "bad", "inner")
	bad.AggregationRule.ClusterRoleSelectors[0].MatchLabels = map[string]string{"not a label": "x"}
	fake := clienttest.NewFake(bad, aggregated("a", "good", "inner"), part("a", "p1", "inner", "get"))
	if _, err := Specs(multicluster.Config{Client: fake})[0].Reconcile(t.Context(), client.Key{Cluster: "a"}); err != nil {
		t.Fatal(err)
	}
	good, err := fake.Get(t.Context(), rbacv1.Resource("clusterroles"), client.Key{Cluster: "a", Name: "good"})
	if err != nil || good.(*rbacv1.ClusterRole).Rules[0].Verbs[0] != "get" {
		t.Errorf("good = %v, %v", good, err)
	}
}
