package storage

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

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
