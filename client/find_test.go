package client_test

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func TestFind(t *testing.T) {
	namespaces := schema.GroupResource{Resource: "namespaces"}
	fake := clienttest.NewFake(clienttest.In("root", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}}))
	key := client.Key{Cluster: "root", Name: "default"}
	ns, err := client.Find[corev1.Namespace](t.Context(), fake, namespaces, key)
	if err != nil || ns == nil || ns.Name != "default" {
		t.Errorf("Find = %v, %v", ns, err)
	}
	if ns, err := client.Find[corev1.Namespace](t.Context(), fake, namespaces, client.Key{Cluster: "other", Name: "default"}); ns != nil || err != nil {
		t.Errorf("Find of what is not there = %v, %v", ns, err)
	}
	if _, err := client.Find[corev1.Secret](t.Context(), fake, namespaces, key); err == nil {
		t.Error("an object of another type is found")
	}
	broken := errors.New("storage is away")
	fake.Intercept(func(string, schema.GroupResource, client.Key) error { return broken })
	if _, err := client.Find[corev1.Namespace](t.Context(), fake, namespaces, key); !errors.Is(err, broken) {
		t.Errorf("err = %v", err)
	}
}

func TestList(t *testing.T) {
	namespaces := schema.GroupResource{Resource: "namespaces"}
	fake := clienttest.NewFake(
		clienttest.In("root", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}}),
		clienttest.In("root", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "b"}}),
		clienttest.In("other", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "c"}}),
	)
	all, err := client.List[corev1.Namespace](t.Context(), fake, namespaces, client.Scope{Cluster: "root"})
	if err != nil || len(all) != 2 || all[0].Name != "a" || all[1].Name != "b" {
		t.Errorf("List = %v, %v", all, err)
	}
	if _, err := client.List[corev1.Secret](t.Context(), fake, namespaces, client.Scope{Cluster: "root"}); err == nil {
		t.Error("objects of another type are listed")
	}
	broken := errors.New("storage is away")
	fake.Intercept(func(string, schema.GroupResource, client.Key) error { return broken })
	if _, err := client.List[corev1.Namespace](t.Context(), fake, namespaces, client.Scope{}); !errors.Is(err, broken) {
		t.Errorf("err = %v", err)
	}
}

func TestFindNow(t *testing.T) {
	namespaces := schema.GroupResource{Resource: "namespaces"}
	named := func(name string) client.Object {
		return clienttest.In("root", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	cached, live := clienttest.NewFake(named("old"), named("deleted")), clienttest.NewFake(named("old"), named("new"))
	looks := 0
	live.Intercept(func(string, schema.GroupResource, client.Key) error { looks++; return nil })
	for name, want := range map[string]struct {
		found bool
		looks int
	}{"old": {true, 0}, "deleted": {true, 0}, "new": {true, 1}, "never": {false, 1}} {
		looks = 0
		ns, err := client.FindNow[corev1.Namespace](t.Context(), cached, live, namespaces, client.Key{Cluster: "root", Name: name})
		if err != nil || (ns != nil) != want.found || looks != want.looks {
			t.Errorf("%s: %v, %v after %d looks past the caches", name, ns, err, looks)
		}
	}
	broken := errors.New("storage is away")
	cached.Intercept(func(string, schema.GroupResource, client.Key) error { return broken })
	looks = 0
	if _, err := client.FindNow[corev1.Namespace](t.Context(), cached, live, namespaces, client.Key{Cluster: "root", Name: "new"}); !errors.Is(err, broken) || looks != 0 {
		t.Errorf("err = %v after %d looks past the caches that cannot be read", err, looks)
	}
}
