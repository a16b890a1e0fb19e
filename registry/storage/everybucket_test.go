package storage

import (
	"context"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Whoever needs no schema lists and watches the objects of all buckets, of one resource, in all clusters.
func TestEveryBucket_ListsAndWatches(t *testing.T) {
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	every := WithEveryBucket(logicalcluster.WithWildcard(t.Context()))
	w, err := s.Watch(every, s.root, apistorage.ListOptions{Recursive: true, Predicate: apistorage.Everything})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	want := []string{}
	for _, at := range []struct{ cluster, bucket string }{{"c1", LocalBucket}, {"c2", LocalBucket}, {"c2", "identity"}, {"c3", "other"}} {
		create(t, WithBucket(in(t.Context(), at.cluster), at.bucket), s, widget("default", "w", "red"))
		want = append(want, at.cluster+"|default/w")
		if event := <-w.ResultChan(); event.Type != watch.Added || id(shown(event.Object)) != at.cluster+"|default/w" {
			t.Errorf("%+v", event)
		}
	}
	slices.Sort(want)
	got, _ := list(t, every, s, s.root, recursive)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	var paged []string
	for options := recursive; ; {
		options.Predicate.Limit = 1
		page, meta := list(t, every, s, s.root, options)
		paged = append(paged, page...)
		if options.Predicate.Continue = meta.GetContinue(); options.Predicate.Continue == "" {
			break
		}
	}
	if slices.Sort(paged); !slices.Equal(paged, want) {
		t.Errorf("the pages have %q, want %q", paged, want)
	}
	remove(t, WithBucket(in(t.Context(), "c2"), "identity"), s, widget("default", "w", "red"))
	if event := <-w.ResultChan(); event.Type != watch.Deleted || id(shown(event.Object)) != "c2|default/w" {
		t.Errorf("%+v", event)
	}
}

// shown returns the object of an event.
func shown(obj runtime.Object) object {
	if shared, ok := obj.(runtime.CacheableObject); ok {
		obj = shared.GetObject()
	}
	return obj.(object)
}

// Without one bucket nothing is read of a single cluster, and nothing is written.
func TestEveryBucket_IsForReadsOfAllClusters(t *testing.T) {
	b := newTestBackend(t, runEtcd(t), coreCodec(t))
	s := widgetStore(t, b)
	waitReady(t, b)
	obj := widget("default", "w", "red")
	create(t, in(t.Context(), "c1"), s, obj)
	all, one := WithEveryBucket(logicalcluster.WithWildcard(t.Context())), WithEveryBucket(logicalcluster.WithCluster(t.Context(), "c1"))
	key := keyFor(s, obj)
	for name, do := range map[string]func(context.Context) error{
		"get":    func(ctx context.Context) error { return s.Get(ctx, key, apistorage.GetOptions{}, s.newFunc()) },
		"create": func(ctx context.Context) error { return s.Create(ctx, s.key("default", "x"), obj, s.newFunc(), 0) },
		"update": func(ctx context.Context) error { return s.GuaranteedUpdate(ctx, key, s.newFunc(), true, nil, nil, nil) },
		"delete": func(ctx context.Context) error {
			return s.Delete(ctx, key, s.newFunc(), nil, apistorage.ValidateAllObjectFunc, nil, apistorage.DeleteOptions{})
		},
	} {
		if err := do(all); !apierrors.IsMethodNotSupported(err) {
			t.Errorf("%s in all clusters: %v", name, err)
		}
		if err := do(one); !apierrors.IsInternalError(err) {
			t.Errorf("%s in one cluster: %v", name, err)
		}
	}
	for name, ctx := range map[string]context.Context{"one cluster": one, "a bucket, too": WithBucket(all, LocalBucket), "no cluster": WithEveryBucket(t.Context())} {
		if err := s.GetList(ctx, s.root, recursive, s.newList()); !apierrors.IsInternalError(err) {
			t.Errorf("list in %s: %v", name, err)
		}
		if _, err := s.Watch(ctx, s.root, recursive); !apierrors.IsInternalError(err) {
			t.Errorf("watch in %s: %v", name, err)
		}
	}
}
