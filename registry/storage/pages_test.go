package storage

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/features"
	apistorage "k8s.io/apiserver/pkg/storage"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	featuregatetesting "k8s.io/component-base/featuregate/testing"
)

// Whoever reads all clusters page by page reads etcd for none of them, and sees one state.
func TestPages_OfAllClustersComeFromMemory(t *testing.T) {
	featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.ListFromCacheSnapshot, false) // as the server does
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	typed, custom := configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	for _, s := range []*store{typed, custom} {
		t.Run(s.root, func(t *testing.T) {
			made := func(name string) object {
				if s == custom {
					return widget("default", name, "red")
				}
				return configMap("default", name)
			}
			var want []string
			for c := range 3 {
				for i := range 3 {
					want = append(want, id(create(t, in(t.Context(), fmt.Sprint("c", c)), s, made(fmt.Sprint("n", i)))))
				}
			}
			read := func(token string) ([]string, string, error) {
				options := apistorage.ListOptions{Recursive: true, Predicate: apistorage.Everything}
				options.Predicate.Limit, options.Predicate.Continue = 2, token
				got, meta, err := tryList(everywhere(t.Context()), s, s.root, options)
				if err != nil {
					return nil, "", err
				}
				return got, meta.GetContinue(), nil
			}
			got, token, err := read("")
			if err != nil {
				t.Fatal(err)
			}
			second := token
			// From here on etcd does not know that state any more.
			remove(t, in(t.Context(), "c1"), s, made("n0"))
			last := create(t, in(t.Context(), "c2"), s, made("new"))
			revision, err := strconv.ParseInt(last.GetResourceVersion(), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Compact(t.Context(), revision); err != nil {
				t.Fatal(err)
			}
			for token != "" {
				var page []string
				if page, token, err = read(token); err != nil {
					t.Fatal(err)
				}
				got = append(got, page...)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if _, _, err := read(second + "x"); !apierrors.IsBadRequest(err) && !apierrors.IsResourceExpired(err) {
				t.Errorf("a damaged token: %v", err)
			}
			for i := range 2 { // as many lists as are held
				create(t, in(t.Context(), "c2"), s, made(fmt.Sprint("newer", i)))
				if _, _, err := read(""); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, err := read(second); !apierrors.IsResourceExpired(err) {
				t.Errorf("a token whose list is not held: %v, want that it has expired", err)
			}
		})
	}
}

// A long list of one cluster comes from one state in memory, too; a short one does not.
func TestPages_OfALongList(t *testing.T) {
	featuregatetesting.SetFeatureGateDuringTest(t, utilfeature.DefaultFeatureGate, features.ListFromCacheSnapshot, false) // as the server does
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	s := configMapStore(t, b)
	waitReady(t, b)
	const long = 2300
	var group errgroup.Group
	group.SetLimit(32)
	for cluster, objects := range map[string]int{"long": long, "short": 300} {
		for i := range objects {
			group.Go(func() error {
				obj := configMap("default", fmt.Sprintf("n%04d", i))
				return s.Create(in(t.Context(), cluster), keyFor(s, obj), obj, s.newFunc(), 0)
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	read := func(cluster, token string, limit int64) (int, string, *int64, error) {
		options := apistorage.ListOptions{Recursive: true, Predicate: apistorage.Everything}
		options.Predicate.Limit, options.Predicate.Continue = limit, token
		got, meta, err := tryList(in(t.Context(), cluster), s, s.root, options)
		if err != nil {
			return 0, "", nil, err
		}
		return len(got), meta.GetContinue(), meta.GetRemainingItemCount(), nil
	}
	begin := func(cluster string, limit int64, wantHeld bool) string {
		t.Helper()
		before, _ := b.ListBytes()
		_, token, _, err := read(cluster, "", limit)
		if err != nil {
			t.Fatal(err)
		}
		if after, _ := b.ListBytes(); after > before != wantHeld {
			t.Errorf("%d bytes are held after %d, want more: %t", after, before, wantHeld)
		}
		return token
	}
	begin("short", 100, false)
	begin("long", 10, false) // nobody may want the rest
	token := begin("long", 200, true)
	// From here on etcd does not know that state any more.
	remove(t, in(t.Context(), "long"), s, configMap("default", "n2000"))
	last := create(t, in(t.Context(), "long"), s, configMap("default", "new"))
	revision, err := strconv.ParseInt(last.GetResourceVersion(), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(t.Context(), revision); err != nil {
		t.Fatal(err)
	}
	for sum := 200; token != ""; {
		var n int
		var rest *int64
		if n, token, rest, err = read("long", token, 200); err != nil {
			t.Fatal(err)
		}
		if sum += n; token == "" && sum != long || token != "" && (rest == nil || sum+int(*rest) != long) {
			t.Fatalf("%d objects so far, %v to come", sum, rest)
		}
	}
}
