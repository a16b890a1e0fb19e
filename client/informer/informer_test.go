package informer

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

var configMaps = schema.GroupResource{Resource: "configmaps"}

func configMap(cluster logicalcluster.Name, name, version string, owners ...types.UID) *corev1.ConfigMap {
	cm := clienttest.In(cluster, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, ResourceVersion: version, UID: types.UID(cluster) + "-" + types.UID(name)}})
	for _, owner := range owners {
		cm.OwnerReferences = append(cm.OwnerReferences, metav1.OwnerReference{UID: owner})
	}
	return cm
}

// script is a server that sends the events of the test.
type script chan client.Event

func (s script) Watch(ctx context.Context, _ schema.GroupResource, handle func(client.Event)) error {
	for {
		select {
		case event := <-s:
			handle(event)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s script) list(objects ...client.Object) {
	s <- client.Event{Type: client.Reset}
	for _, obj := range objects {
		s <- client.Event{Type: client.Added, Object: obj}
	}
	s <- client.Event{Type: client.Synced}
}

// ear writes down what a handler hears.
type ear struct {
	mu    sync.Mutex
	heard []string
}

func (e *ear) handler() *Handler {
	say := func(what string, key client.Key) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard = append(e.heard, what+" "+key.String())
	}
	return &Handler{
		Listed: func(_ context.Context, keys []client.Key) {
			for _, key := range keys {
				say("listed", key)
			}
		},
		Changed: func(_ context.Context, change Change) {
			switch {
			case change.Old == nil:
				say("created", client.KeyOf(change.New))
			case change.New == nil:
				say("deleted", client.KeyOf(change.Old))
			default:
				say("changed", client.KeyOf(change.New))
			}
		},
	}
}

func (e *ear) want(t *testing.T, want ...string) {
	t.Helper()
	var heard []string
	for range 500 {
		e.mu.Lock()
		heard = slices.Clone(e.heard)
		e.mu.Unlock()
		if len(heard) >= len(want) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !slices.Equal(heard, want) {
		t.Errorf("heard %q, want %q", heard, want)
	}
}

// follow lets i follow a script until the returned function is called.
func follow(t *testing.T, i *Informer, name string) (script, func()) {
	t.Helper()
	s := make(script)
	ctx, cancel := context.WithCancel(t.Context())
	done, err := i.Follow(ctx, name, s)
	if err != nil {
		t.Fatal(err)
	}
	return s, func() { cancel(); <-done }
}

func TestInformer_KeepsEqualNamesApart(t *testing.T) {
	i := New(configMaps, Options{})
	if err := i.AddIndex("metadata.name", func(obj client.Object) []string { return []string{obj.GetName()} }); err != nil {
		t.Fatal(err)
	}
	s, end := follow(t, i, "one")
	defer end()
	s.list(configMap("a", "same", "1", "owner"), configMap("b", "same", "2", "owner"), configMap("b", "other", "3"))
	if err := i.WaitForSync(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, cluster := range []logicalcluster.Name{"a", "b"} {
		if obj := i.Get(client.Key{Cluster: cluster, Namespace: "default", Name: "same"}); obj == nil || logicalcluster.From(obj) != cluster {
			t.Errorf("in %s there is %v", cluster, obj)
		}
		owned, err := i.Owned(cluster, "owner")
		if err != nil || len(owned) != 1 || logicalcluster.From(owned[0]) != cluster {
			t.Errorf("owned in %s: %v, %v", cluster, owned, err)
		}
		named, err := i.Indexed("metadata.name", cluster, "same")
		if err != nil || len(named) != 1 || logicalcluster.From(named[0]) != cluster {
			t.Errorf("indexed in %s: %v, %v", cluster, named, err)
		}
	}
	for scope, want := range map[client.Scope]int{
		{}: 3, {Cluster: "b"}: 2, {Cluster: "b", Namespace: "default"}: 2, {Cluster: "b", Namespace: "x"}: 0, {Cluster: "c"}: 0,
	} {
		if found, err := i.List(scope); err != nil || len(found) != want {
			t.Errorf("%v has %v, %v", scope, found, err)
		}
	}
	if _, err := i.List(client.Scope{Namespace: "default"}); err == nil {
		t.Error("a namespace of no cluster is listed")
	}
	if _, err := i.Indexed("spec.size", "a", "1"); err == nil {
		t.Error("an index that does not exist is read")
	}
}

func TestInformer_TellsWhatAListWouldHide(t *testing.T) {
	i := New(configMaps, Options{})
	var before, late ear
	i.Add(t.Context(), before.handler())
	s, end := follow(t, i, "one")
	defer end()
	s.list(configMap("a", "x", "1"), configMap("b", "x", "2"), configMap("b", "y", "3"))
	s <- client.Event{Type: client.Modified, Object: configMap("a", "x", "4")}
	s <- client.Event{Type: client.Deleted, Object: configMap("b", "y", "5")}
	before.want(t, "listed a|default/x", "listed b|default/x", "listed b|default/y", "changed a|default/x", "deleted b|default/y")
	i.Add(t.Context(), late.handler())
	late.want(t, "listed a|default/x", "listed b|default/x")
	// The connection was away: one was deleted, one made anew, one created, one is as it was.
	again := configMap("a", "x", "9")
	again.UID = "another"
	s.list(again, configMap("c", "x", "8"))
	late.want(t, "listed a|default/x", "listed b|default/x", "changed a|default/x", "created c|default/x", "deleted b|default/x")
	s.list(again, configMap("c", "x", "8"))
	s <- client.Event{Type: client.Deleted, Object: configMap("c", "x", "10")}
	late.want(t, "listed a|default/x", "listed b|default/x", "changed a|default/x", "created c|default/x", "deleted b|default/x", "deleted c|default/x")
}

func TestInformer_FollowsServersThatComeAndGo(t *testing.T) {
	i := New(configMaps, Options{})
	if err := i.WaitForSync(t.Context()); err != nil {
		t.Errorf("without a server: %v", err)
	}
	var heard ear
	i.Add(t.Context(), heard.handler())
	waits, giveUp := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer giveUp()
	first, endFirst := follow(t, i, "first")
	if err := i.WaitForSync(waits); err == nil {
		t.Error("nothing is listed yet")
	}
	second, endSecond := follow(t, i, "second")
	first.list(configMap("a", "x", "1"))
	heard.want(t, "listed a|default/x")
	second.list(configMap("b", "x", "1"))
	heard.want(t, "listed a|default/x", "listed b|default/x")
	if !i.Has("first", "a") || i.Has("first", "b") || !i.Has("second", "b") {
		t.Error("it is not known which server has which cluster")
	}
	endSecond()
	if i.Get(client.Key{Cluster: "b", Namespace: "default", Name: "x"}) != nil || i.Has("second", "b") {
		t.Error("what is at a server that has gone is still there")
	}
	third, endThird := follow(t, i, "second")
	third.list(configMap("b", "x", "1"))
	// Nobody has deleted anything.
	heard.want(t, "listed a|default/x", "listed b|default/x", "listed b|default/x")
	endThird()
	endFirst()
}

func TestInformer_Transforms(t *testing.T) {
	i := New(configMaps, Options{Transform: func(obj client.Object) (client.Object, error) {
		obj.(*corev1.ConfigMap).Data = nil
		return obj, nil
	}})
	s, end := follow(t, i, "one")
	defer end()
	big := configMap("a", "x", "1")
	big.Data = map[string]string{"large": "value"}
	s.list(big)
	if obj := i.Get(client.KeyOf(big)).(*corev1.ConfigMap); obj.Data != nil {
		t.Errorf("kept is %v", obj)
	}
}
