package storage

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/names"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// lax lets everything through.
type lax struct {
	runtime.ObjectTyper
	names.NameGenerator
}

func (lax) NamespaceScoped() bool                                                 { return true }
func (lax) PrepareForCreate(context.Context, runtime.Object)                      {}
func (lax) PrepareForUpdate(context.Context, runtime.Object, runtime.Object)      {}
func (lax) Validate(context.Context, runtime.Object) field.ErrorList              { return nil }
func (lax) ValidateUpdate(_ context.Context, _, _ runtime.Object) field.ErrorList { return nil }
func (lax) WarningsOnCreate(context.Context, runtime.Object) []string             { return nil }
func (lax) WarningsOnUpdate(_ context.Context, _, _ runtime.Object) []string      { return nil }
func (lax) AllowCreateOnUpdate(context.Context) bool                              { return true }
func (lax) AllowUnconditionalUpdate(context.Context) bool                         { return true }
func (lax) Canonicalize(runtime.Object)                                           {}

// stockStore is a stock store over b, as every registry makes them.
func stockStore(t *testing.T, b *Backend) *genericregistry.Store {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	strategy := lax{scheme, names.SimpleNameGenerator}
	s := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &corev1.ConfigMap{} },
		NewListFunc:               func() runtime.Object { return &corev1.ConfigMapList{} },
		DefaultQualifiedResource:  configMaps,
		SingularQualifiedResource: configMaps,
		CreateStrategy:            strategy,
		UpdateStrategy:            strategy,
		DeleteStrategy:            strategy,
		TableConvertor:            rest.NewDefaultTableConvertor(configMaps),
	}
	if err := s.CompleteWithOptions(&generic.StoreOptions{RESTOptions: b.RESTOptionsGetter()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Destroy)
	return s
}

func TestStockStore_WorksInEachCluster(t *testing.T) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := stockStore(t, b)
	waitReady(t, b)
	at := func(cluster string) context.Context {
		return genericapirequest.WithNamespace(in(t.Context(), cluster), "default")
	}
	make1 := func(ctx context.Context, name string, opts *metav1.CreateOptions) error {
		_, err := s.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}, rest.ValidateAllObjectFunc, opts)
		return err
	}
	for _, cluster := range []string{"c1", "c2"} {
		for i := range 5 {
			if err := make1(at(cluster), fmt.Sprint("n", i), &metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := make1(at("c1"), "n0", &metav1.CreateOptions{}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("creating again: %v", err)
	}
	dry := []string{metav1.DryRunAll}
	if err := make1(at("c1"), "dry", &metav1.CreateOptions{DryRun: dry}); err != nil {
		t.Errorf("dry run: %v", err)
	}
	if err := make1(at("c1"), "n0", &metav1.CreateOptions{DryRun: dry}); !apierrors.IsAlreadyExists(err) {
		t.Errorf("dry run of what exists: %v", err)
	}
	if _, _, err := s.Delete(at("c1"), "n0", rest.ValidateAllObjectFunc, &metav1.DeleteOptions{DryRun: dry}); err != nil {
		t.Errorf("dry run of a deletion: %v", err)
	}
	for verb, ctx := range map[string]context.Context{"without target": genericapirequest.WithNamespace(t.Context(), "default"), "for all": genericapirequest.WithNamespace(everywhere(t.Context()), "default")} {
		if err := make1(ctx, "x", &metav1.CreateOptions{}); !apierrors.IsInternalError(err) && !apierrors.IsMethodNotSupported(err) {
			t.Errorf("creating %s: %v", verb, err)
		}
		if err := make1(ctx, "x", &metav1.CreateOptions{DryRun: dry}); err == nil {
			t.Logf("dry run %s is answered, as it never reaches storage", verb)
		}
	}

	got, err := s.Get(at("c1"), "n1", &metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	changed := got.DeepCopyObject().(*corev1.ConfigMap)
	changed.Data = map[string]string{"a": "b"}
	updated, _, err := s.Update(at("c1"), "n1", rest.DefaultUpdatedObjectInfo(changed), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil || logicalcluster.From(updated.(object)) != "c1" {
		t.Errorf("updating: %v, %v", updated, err)
	}
	if _, _, err := s.Update(at("c2"), "n1", rest.DefaultUpdatedObjectInfo(changed), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("updating another cluster's object with this one's: %v, want a conflict", err)
	}

	if _, err := s.DeleteCollection(at("c1"), rest.ValidateAllObjectFunc, &metav1.DeleteOptions{}, &metainternalversion.ListOptions{}); err != nil {
		t.Errorf("deleting all of c1: %v", err)
	}
	all, err := s.ListPredicate(everywhere(t.Context()), s.PredicateFunc(labels.Everything(), fields.Everything()), &metainternalversion.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	if err := meta.EachListItem(all, func(o runtime.Object) error { left = append(left, id(o.(object))); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"c2|default/n0", "c2|default/n1", "c2|default/n2", "c2|default/n3", "c2|default/n4"}; !slices.Equal(left, want) {
		t.Errorf("left is %v, want %v", left, want)
	}
	w, err := s.WatchPredicate(everywhere(t.Context()), s.PredicateFunc(labels.Everything(), fields.Everything()), all.(metav1.ListInterface).GetResourceVersion(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if err := make1(at("c3"), "later", &metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, w, "ADDED c3|default/later")
	if got := s.StorageVersion().Identifier(); got != "v1" {
		t.Errorf("the storage version is %q, want v1", got)
	}
}

func TestGuaranteedUpdate_TriesAgainAfterConflict(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, newObject func(string, string) object) {
		ctx := in(t.Context(), "c1")
		obj := newObject("default", "a")
		create(t, ctx, s, obj)
		tries := 0
		out := s.newFunc()
		err := s.GuaranteedUpdate(ctx, keyFor(s, obj), out, false, nil, apistorage.SimpleUpdate(func(o runtime.Object) (runtime.Object, error) {
			if tries++; tries == 1 {
				update(t, ctx, s, obj, func(o object) { o.SetLabels(map[string]string{"first": "x"}) })
			}
			merged := map[string]string{"second": "y"}
			for k, v := range o.(object).GetLabels() {
				merged[k] = v
			}
			o.(object).SetLabels(merged)
			return o, nil
		}), nil)
		if err != nil || tries < 2 || len(out.(object).GetLabels()) != 2 {
			t.Errorf("after %d tries: %v, %v; want both labels", tries, out.(object).GetLabels(), err)
		}
		mine := fmt.Errorf("mine")
		if err := s.GuaranteedUpdate(ctx, keyFor(s, obj), s.newFunc(), false, nil, apistorage.SimpleUpdate(func(runtime.Object) (runtime.Object, error) {
			return nil, mine
		}), nil); err != mine { //nolint:errorlint // stores compare their sentinels by identity
			t.Errorf("an error of the update comes back as %v", err)
		}
		moved := s.GuaranteedUpdate(ctx, keyFor(s, obj), s.newFunc(), false, nil, apistorage.SimpleUpdate(func(o runtime.Object) (runtime.Object, error) {
			o.(object).SetName("b")
			return o, nil
		}), nil)
		if moved == nil {
			t.Error("an object was written below the key of another")
		}
	})
}

func BenchmarkList_OfClusterAmongMany(b *testing.B) {
	client := runEtcd(b)
	backend := newTestBackend(b, client, coreCodec(b))
	stores := map[string]*store{"typed": configMapStore(b, backend), "custom": widgetStore(b, backend)}
	waitReady(b, backend)
	for i := range 1000 {
		ctx := in(b.Context(), fmt.Sprintf("cluster%d", i))
		for n := range 5 {
			create(b, ctx, stores["typed"], configMap("default", fmt.Sprint("n", n)))
			create(b, ctx, stores["custom"], widget("default", fmt.Sprint("n", n), "red"))
		}
	}
	for _, kind := range []string{"typed", "custom"} {
		for _, rv := range []string{"0", ""} {
			b.Run(fmt.Sprintf("%s/rv=%q", kind, rv), func(b *testing.B) {
				s := stores[kind]
				ctx := in(b.Context(), "cluster500")
				opts := apistorage.ListOptions{Recursive: true, ResourceVersion: rv, Predicate: apistorage.Everything}
				b.ReportAllocs()
				for b.Loop() {
					if err := s.GetList(ctx, s.root, opts, s.newList()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
