package storage

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/head"
	"github.com/annex-dev/annex/registry/storage/layout"
)

// showing is a filter that a function decides.
type showing func(head.Head) bool

func (f showing) Shows(h head.Head) bool { return f(h) }

// ownNamespace shows of each cluster the namespace of its name; an event of the cluster called changed ends the watch.
type ownNamespace struct{ changed logicalcluster.Name }

func (ownNamespace) Shows(h head.Head) bool { return string(h.Cluster) == h.Namespace }

func (f ownNamespace) Follows(h head.Head, _ bool) (bool, error) {
	if h.Cluster == f.changed {
		return false, apierrors.NewResourceExpired("list again")
	}
	return f.Shows(h), nil
}

// A filter narrows what is read of all clusters, and nothing that it holds back shows in any way.
func TestFilter_ShowsWhatIsMapped(t *testing.T) {
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	ctx := t.Context()
	narrow := WithFilter(everywhere(ctx), ownNamespace{changed: "c9"})
	const clusters = 6
	for i := range clusters {
		cluster := fmt.Sprintf("c%d", i)
		for _, namespace := range []string{"c0", "c1", "c2", "c3", "c4", "c5", "other"} {
			create(t, in(ctx, cluster), s, widget(namespace, "w", map[bool]string{true: "red", false: "blue"}[i%2 == 0]))
		}
	}
	want := "[c0|c0/w c1|c1/w c2|c2/w c3|c3/w c4|c4/w c5|c5/w]"
	got, all := list(t, narrow, s, s.root, recursive)
	if fmt.Sprint(got) != want || all.GetResourceVersion() == "" {
		t.Errorf("a list holds %v at %q, want %s", got, all.GetResourceVersion(), want)
	}
	if got, _ := list(t, narrow, s, s.key("c3"), recursive); fmt.Sprint(got) != "[c3|c3/w]" {
		t.Errorf("one namespace holds %v", got)
	}
	if got, _ := list(t, narrow, s, s.root, selecting(t, "spec.color=red", widgetAttrs)); fmt.Sprint(got) != "[c0|c0/w c2|c2/w c4|c4/w]" {
		t.Errorf("selected by field: %v", got)
	}
	if got, _ := list(t, in(ctx, "c1"), s, s.root, recursive); len(got) != 7 {
		t.Errorf("a list of one cluster with no filter holds %v", got)
	}
	var pages []string
	for options := selecting(t, "", widgetAttrs); ; {
		options.Predicate.Limit = 2
		page, meta := list(t, narrow, s, s.root, options)
		pages = append(pages, page...)
		if len(page) > 2 || meta.GetRemainingItemCount() != nil {
			t.Errorf("a page of %d, with %v to come", len(page), meta.GetRemainingItemCount())
		}
		if options.Predicate.Continue = meta.GetContinue(); options.Predicate.Continue == "" {
			break
		}
	}
	if fmt.Sprint(pages) != want {
		t.Errorf("pages hold %v, want %s", pages, want)
	}

	first := startWatch(t, narrow, s, s.root, watchList)
	if got := initial(t, first); len(got) != clusters {
		t.Errorf("initial events: %v", got)
	}
	resumed := recursive
	resumed.ResourceVersion = all.GetResourceVersion()
	later := startWatch(t, narrow, s, s.root, resumed)
	selected := selecting(t, "spec.color=green", widgetAttrs)
	selected.ResourceVersion = all.GetResourceVersion()
	green := startWatch(t, narrow, s, s.root, selected)
	create(t, in(ctx, "c6"), s, widget("c0", "hidden", "green"))
	create(t, in(ctx, "c6"), s, widget("c6", "shown", "green"))
	update(t, in(ctx, "c1"), s, widget("c0", "w", ""), setColor("green"))
	update(t, in(ctx, "c1"), s, widget("c1", "w", ""), setColor("green"))
	remove(t, in(ctx, "c2"), s, widget("c3", "w", ""))
	remove(t, in(ctx, "c2"), s, widget("c2", "w", ""))
	for _, w := range []watch.Interface{first, later} {
		expect(t, w, "ADDED c6|c6/shown", "MODIFIED c1|c1/w", "DELETED c2|c2/w")
	}
	expect(t, green, "ADDED c6|c6/shown", "ADDED c1|c1/w")
	create(t, in(ctx, "c9"), s, widget("c9", "w", "green"))
	for _, w := range []watch.Interface{first, later, green} {
		event := next(t, w)
		if status, ok := event.Object.(*metav1.Status); !ok || event.Type != watch.Error || status.Code != http.StatusGone {
			t.Errorf("got %+v, want to be told to list again", event)
		}
		if _, open := <-w.ResultChan(); open {
			t.Error("the watch goes on")
		}
	}
}

// claimed shows what has the label claimed, of the resource of s alone.
func claimed(ctx context.Context, resource schema.GroupResource) context.Context {
	return WithFilter(ctx, showing(func(h head.Head) bool { return h.Resource == resource && h.Labels["claimed"] == "yes" }))
}

func resourceOf(s *store) schema.GroupResource {
	if _, ok := s.newFunc().(*unstructured.Unstructured); ok {
		return widgets
	}
	return configMaps
}

func claim(value string) func(object) {
	return func(o object) { o.SetLabels(map[string]string{"claimed": value}) }
}

// labelsNow returns the labels of an object, read without a filter; false if there is none.
func labelsNow(t *testing.T, ctx context.Context, s *store, obj object) (map[string]string, bool) {
	t.Helper()
	out := s.newFunc()
	err := s.Get(WithFilter(ctx, nil), keyFor(s, obj), apistorage.GetOptions{}, out)
	if err != nil && !apistorage.IsNotFound(err) {
		t.Fatal(err)
	}
	return out.(object).GetLabels(), err == nil
}

// What is out of sight is neither read nor written, nor told apart from what does not exist.
func TestFilter_OutOfSightIsNotFound(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		plain := in(t.Context(), "c1")
		ctx := claimed(plain, resourceOf(s))
		hidden := newObject("default", "hidden")
		hidden.SetLabels(map[string]string{"claimed": "no"})
		hidden = create(t, plain, s, hidden)
		absent := newObject("default", "absent")

		other := types.UID("other")
		unmet := &apistorage.Preconditions{UID: &other}
		changes := apistorage.SimpleUpdate(func(o runtime.Object) (runtime.Object, error) {
			o.(object).SetLabels(map[string]string{"claimed": "yes"})
			return o, nil
		})
		ways := map[string]func(key string, out runtime.Object) error{
			"get": func(key string, out runtime.Object) error { return s.Get(ctx, key, apistorage.GetOptions{}, out) },
			"get from cache": func(key string, out runtime.Object) error {
				return s.Get(ctx, key, apistorage.GetOptions{ResourceVersion: hidden.GetResourceVersion()}, out)
			},
			"update": func(key string, out runtime.Object) error {
				return s.GuaranteedUpdate(ctx, key, out, false, nil, changes, nil)
			},
			"update with a precondition": func(key string, out runtime.Object) error {
				return s.GuaranteedUpdate(ctx, key, out, false, unmet, changes, nil)
			},
			"delete": func(key string, out runtime.Object) error {
				return s.Delete(ctx, key, out, nil, apistorage.ValidateAllObjectFunc, nil, apistorage.DeleteOptions{})
			},
			"delete with a precondition": func(key string, out runtime.Object) error {
				return s.Delete(ctx, key, out, unmet, apistorage.ValidateAllObjectFunc, nil, apistorage.DeleteOptions{})
			},
		}
		for way, do := range ways {
			for _, obj := range []object{hidden, absent} {
				out := s.newFunc()
				if err := do(keyFor(s, obj), out); !apistorage.IsNotFound(err) || out.(object).GetName() != "" {
					t.Errorf("%s of the %s object: %v, %v; want not found", way, obj.GetName(), out, err)
				}
			}
		}
		if err := s.GuaranteedUpdate(ctx, keyFor(s, hidden), s.newFunc(), true, nil, changes, nil); !apistorage.IsNotFound(err) {
			t.Errorf("an update that may create: %v", err)
		}
		out := s.newFunc()
		if err := s.Get(ctx, keyFor(s, hidden), apistorage.GetOptions{IgnoreNotFound: true}, out); err != nil || out.(object).GetName() != "" {
			t.Errorf("a get that may find nothing: %v, %v", out, err)
		}
		taken := newObject("default", "hidden")
		claim("yes")(taken)
		if err := s.Create(ctx, keyFor(s, taken), taken, s.newFunc(), 0); !apistorage.IsExist(err) {
			t.Errorf("creating what is there: %v", err)
		}
		if labels, _ := labelsNow(t, plain, s, hidden); labels["claimed"] != "no" {
			t.Errorf("the object has changed to %v", labels)
		}
	})
}

// A write must not move anything out of sight, and what it works on must be in sight when it is written.
func TestFilter_WritesStayInSight(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		plain := in(t.Context(), "c1")
		ctx := claimed(plain, resourceOf(s))
		hidden := newObject("default", "hidden")
		if err := s.Create(ctx, keyFor(s, hidden), hidden, s.newFunc(), 0); !apierrors.IsForbidden(err) {
			t.Errorf("creating something out of sight: %v", err)
		}
		if _, ok := labelsNow(t, plain, s, hidden); ok {
			t.Error("something out of sight was created")
		}
		if err := s.GuaranteedUpdate(ctx, keyFor(s, hidden), s.newFunc(), true, nil, apistorage.SimpleUpdate(func(runtime.Object) (runtime.Object, error) {
			return newObject("default", "hidden"), nil
		}), nil); !apierrors.IsForbidden(err) {
			t.Errorf("creating something out of sight by an update: %v", err)
		}

		shown := newObject("default", "shown")
		claim("yes")(shown)
		create(t, ctx, s, shown)
		hide := apistorage.SimpleUpdate(func(o runtime.Object) (runtime.Object, error) {
			claim("no")(o.(object))
			return o, nil
		})
		if err := s.GuaranteedUpdate(ctx, keyFor(s, shown), s.newFunc(), false, nil, hide, nil); !apierrors.IsForbidden(err) {
			t.Errorf("moving an object out of sight: %v", err)
		}
		if labels, _ := labelsNow(t, plain, s, shown); labels["claimed"] != "yes" {
			t.Errorf("the object has changed to %v", labels)
		}
		update(t, ctx, s, shown, func(o object) { o.SetLabels(map[string]string{"claimed": "yes", "more": "yes"}) })

		tries := 0
		err := s.GuaranteedUpdate(ctx, keyFor(s, shown), s.newFunc(), false, nil, apistorage.SimpleUpdate(func(o runtime.Object) (runtime.Object, error) {
			if tries++; tries == 1 {
				update(t, plain, s, shown, claim("no")) // it leaves while the update is under way
			}
			o.(object).SetLabels(map[string]string{"claimed": "yes", "tries": "one"})
			return o, nil
		}), nil)
		if !apistorage.IsNotFound(err) || tries != 1 {
			t.Errorf("an update of what leaves meanwhile: %v after %d tries", err, tries)
		}
		update(t, plain, s, shown, claim("yes"))
		validated := 0
		err = s.Delete(ctx, keyFor(s, shown), s.newFunc(), nil, func(context.Context, runtime.Object) error {
			if validated++; validated == 1 {
				update(t, plain, s, shown, claim("no"))
			}
			return nil
		}, nil, apistorage.DeleteOptions{})
		if labels, ok := labelsNow(t, plain, s, shown); !apistorage.IsNotFound(err) || !ok || labels["claimed"] != "no" {
			t.Errorf("a deletion of what leaves meanwhile: %v; %v is left", err, labels)
		}
		update(t, plain, s, shown, claim("yes"))
		remove(t, ctx, s, shown)
		if _, ok := labelsNow(t, plain, s, shown); ok {
			t.Error("an object in sight was not deleted")
		}
	})
}

func TestFilter_Pages(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		var wantOne, wantAll []string
		for _, cluster := range []string{"c1", "c2"} {
			for i := range 9 {
				obj := newObject("default", fmt.Sprint("n", i))
				claim(map[bool]string{true: "yes", false: "no"}[i%3 == 0])(obj)
				create(t, in(t.Context(), cluster), s, obj)
				if i%3 == 0 {
					wantAll = append(wantAll, id(inCluster(cluster, obj)))
				}
			}
			if cluster == "c1" {
				wantOne = slices.Clone(wantAll)
			}
		}
		for name, tc := range map[string]struct {
			ctx  context.Context
			want []string
		}{"one cluster": {in(t.Context(), "c1"), wantOne}, "all": {everywhere(t.Context()), wantAll}} {
			ctx := claimed(tc.ctx, resourceOf(s))
			for _, version := range []string{"", "0"} {
				options := recursive
				options.ResourceVersion = version
				if got, _ := list(t, ctx, s, s.root, options); !slices.Equal(got, tc.want) {
					t.Errorf("%s: a list at %q holds %v, want %v", name, version, got, tc.want)
				}
			}
			for limit := range int64(len(tc.want) + 1) {
				var got []string
				options := selecting(t, "", apistorage.DefaultNamespaceScopedAttr)
				for options.Predicate.Limit = limit + 1; ; {
					page, meta := list(t, ctx, s, s.root, options)
					got = append(got, page...)
					if int64(len(page)) > limit+1 || meta.GetRemainingItemCount() != nil {
						t.Errorf("%s: a page of %d, with %v to come", name, len(page), meta.GetRemainingItemCount())
					}
					if options.Predicate.Continue = meta.GetContinue(); options.Predicate.Continue == "" {
						break
					}
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("%s: pages of %d hold %v, want %v", name, limit+1, got, tc.want)
				}
			}
			named := selecting(t, "metadata.name=n1", apistorage.DefaultNamespaceScopedAttr)
			if got, _ := list(t, ctx, s, s.root, named); len(got) != 0 {
				t.Errorf("%s: by its name, a list holds %v", name, got)
			}
		}
	})
}

// inCluster returns obj such that it says that it is in cluster.
func inCluster(cluster string, obj object) object {
	c := obj.DeepCopyObject().(object)
	c.SetAnnotations(map[string]string{logicalcluster.AnnotationKey: cluster})
	return c
}

// Watches show an object from when it comes into sight until it leaves.
func TestFilter_WatchFollowsSight(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		plain := in(t.Context(), "c1")
		make1 := func(name, claimed string) object {
			obj := newObject("default", name)
			claim(claimed)(obj)
			return create(t, plain, s, obj)
		}
		stays, comes, leaves, goes, never := make1("stays", "yes"), make1("comes", "no"), make1("leaves", "yes"), make1("goes", "yes"), make1("never", "no")
		var first, later []watch.Interface
		for _, ctx := range []context.Context{claimed(plain, resourceOf(s)), claimed(everywhere(t.Context()), resourceOf(s))} {
			first = append(first, startWatch(t, ctx, s, s.root, recursive), startWatch(t, ctx, s, s.root, watchList))
			resumed := recursive
			resumed.ResourceVersion = never.GetResourceVersion()
			fromNow := recursive
			fromNow.SendInitialEvents = new(bool)
			later = append(later, startWatch(t, ctx, s, s.root, resumed), startWatch(t, ctx, s, s.root, fromNow))
		}
		for _, w := range first {
			if got := initialOf(t, w, 3); !slices.Equal(got, []string{"c1|default/goes", "c1|default/leaves", "c1|default/stays"}) {
				t.Errorf("initial events: %v", got)
			}
		}
		update(t, plain, s, never, claim("never"))
		update(t, plain, s, stays, func(o object) { o.SetLabels(map[string]string{"claimed": "yes", "more": "yes"}) })
		update(t, plain, s, comes, claim("yes"))
		left := update(t, plain, s, leaves, claim("no"))
		update(t, plain, s, leaves, claim("gone"))
		remove(t, plain, s, never)
		remove(t, plain, s, leaves)
		remove(t, plain, s, goes)
		for _, w := range append(first, later...) {
			expect(t, w, "MODIFIED c1|default/stays", "ADDED c1|default/comes")
			event := next(t, w)
			gone := event.Object.(object)
			if said(event) != "DELETED c1|default/leaves" || gone.GetLabels()["claimed"] != "yes" || gone.GetResourceVersion() != left.GetResourceVersion() {
				t.Errorf("the object that leaves: %s %v at %s, want its last state in sight at %s", said(event), gone.GetLabels(), gone.GetResourceVersion(), left.GetResourceVersion())
			}
			expect(t, w, "DELETED c1|default/goes")
		}
		labeled := recursive
		labeled.Predicate = apistorage.SelectionPredicate{Label: labels.SelectorFromSet(labels.Set{"more": "yes"}), Field: fields.Everything(), GetAttrs: apistorage.DefaultNamespaceScopedAttr}
		w := startWatch(t, claimed(plain, resourceOf(s)), s, s.root, labeled)
		update(t, plain, s, stays, func(o object) { o.SetLabels(map[string]string{"claimed": "yes"}) })
		update(t, plain, s, comes, func(o object) { o.SetLabels(map[string]string{"claimed": "no", "more": "yes"}) })
		update(t, plain, s, stays, func(o object) { o.SetLabels(map[string]string{"claimed": "yes", "more": "yes"}) })
		expect(t, w, "ADDED c1|default/stays", "DELETED c1|default/stays", "ADDED c1|default/stays")
	})
}

// initialOf returns the sorted ids of the first n events, which must add objects.
func initialOf(t *testing.T, w watch.Interface, n int) []string {
	t.Helper()
	var got []string
	for range n {
		event := next(t, w)
		if event.Type != watch.Added {
			t.Fatalf("got %s", said(event))
		}
		got = append(got, id(event.Object.(object)))
	}
	slices.Sort(got)
	return got
}

// An object whose head cannot be read, or which cannot be decoded, is out of sight, and in nobody's way.
func TestFilter_DamagedObjectsDoNotShow(t *testing.T) {
	for name, stored := range map[string]string{
		"no object": "{", "no kind": `{"apiVersion":"example.com/v1","metadata":{"name":"damaged","namespace":"default"}}`,
	} {
		t.Run(name, func(t *testing.T) { testDamaged(t, stored) })
	}
}

func testDamaged(t *testing.T, stored string) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	plain := in(t.Context(), "c1")
	ctx := WithFilter(plain, showing(func(head.Head) bool { return true }))
	create(t, plain, s, widget("default", "a", "red"))
	damaged := widget("default", "damaged", "red")
	create(t, plain, s, damaged)
	w := startWatch(t, ctx, s, s.root, recursive)
	expect(t, w, "ADDED c1|default/a", "ADDED c1|default/damaged")
	key := DefaultPrefix + layout.CustomResourceRoot(widgets) + "/crd/c1/default/damaged"
	if _, err := client.KV.Put(t.Context(), key, stored); err != nil {
		t.Fatal(err)
	}
	expect(t, w, "DELETED c1|default/damaged")
	for _, ctx := range []context.Context{ctx, WithFilter(everywhere(t.Context()), showing(func(head.Head) bool { return true }))} {
		if got, _ := list(t, ctx, s, s.root, recursive); fmt.Sprint(got) != "[c1|default/a]" {
			t.Errorf("a list holds %v", got)
		}
	}
	if err := s.Get(ctx, keyFor(s, damaged), apistorage.GetOptions{}, s.newFunc()); !apistorage.IsNotFound(err) {
		t.Errorf("get: %v", err)
	}
	if err := s.GuaranteedUpdate(ctx, keyFor(s, damaged), s.newFunc(), false, nil, nil, nil); !apistorage.IsNotFound(err) {
		t.Errorf("update: %v", err)
	}
	if err := s.Delete(ctx, keyFor(s, damaged), s.newFunc(), nil, apistorage.ValidateAllObjectFunc, nil, apistorage.DeleteOptions{}); !apistorage.IsNotFound(err) {
		t.Errorf("delete: %v", err)
	}
}

// Stock stores answer as for what does not exist, and leave it out of what they delete.
func TestFilter_StockStores(t *testing.T) {
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	s := stockStore(t, b)
	waitReady(t, b)
	plain := genericapirequest.WithNamespace(in(t.Context(), "c1"), "default")
	ctx := claimed(plain, configMaps)
	named := func(name string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	}
	for name, value := range map[string]string{"a": "yes", "b": "no", "c": "yes"} {
		obj := named(name)
		claim(value)(obj)
		if _, err := s.Create(plain, obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	hidden := named("b")
	claim("yes")(hidden)
	for _, dry := range [][]string{nil, {metav1.DryRunAll}} {
		if _, err := s.Get(ctx, "b", &metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("get: %v", err)
		}
		// A stock dry run takes what is not found for something that the update creates.
		if _, made, err := s.Update(ctx, "b", rest.DefaultUpdatedObjectInfo(hidden), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{DryRun: dry}); !apierrors.IsNotFound(err) && (dry == nil || !made) {
			t.Errorf("update with dry run %v: %v", dry, err)
		}
		if _, _, err := s.Delete(ctx, "b", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{DryRun: dry}); !apierrors.IsNotFound(err) {
			t.Errorf("delete with dry run %v: %v", dry, err)
		}
	}
	for name, do := range map[string]func() error{
		"create": func() error {
			_, err := s.Create(ctx, named("d"), rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
			return err
		},
		"update": func() error {
			_, _, err := s.Update(ctx, "a", rest.DefaultUpdatedObjectInfo(named("a")), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			return err
		},
		"create by an update": func() error {
			_, _, err := s.Update(ctx, "e", rest.DefaultUpdatedObjectInfo(named("e")), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, true, &metav1.UpdateOptions{})
			return err
		},
	} {
		if err := do(); !apierrors.IsForbidden(err) {
			t.Errorf("%s out of sight: %v", name, err)
		}
	}
	if _, err := s.DeleteCollection(ctx, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}, &metainternalversion.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	left, err := s.List(plain, &metainternalversion.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if items := left.(*corev1.ConfigMapList).Items; len(items) != 1 || items[0].Name != "b" || items[0].Labels["claimed"] != "no" {
		t.Errorf("left is %v, want what is out of sight", items)
	}
}

// What has no storage here cannot heed a filter.
func TestFilter_NotForOtherStorages(t *testing.T) {
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	configMapStore(t, b)
	if !b.Filters(configMaps) {
		t.Error("a resource that is stored here is said not to be")
	}
	for _, gr := range []schema.GroupResource{namespaces, {Group: "authorization.k8s.io", Resource: "subjectaccessreviews"}, {Resource: "customresources-0"}, {}} {
		if b.Filters(gr) {
			t.Errorf("%q is said to be stored here", gr)
		}
	}
}
