package storage

import (
	"context"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// kinds runs a test for typed and for custom resources.
func kinds(t *testing.T, test func(t *testing.T, s *store, make func(namespace, name string) object)) {
	client := runEtcd(t)
	b := newTestBackend(t, client, coreCodec(t))
	typed, custom := configMapStore(t, b), widgetStore(t, b)
	waitReady(t, b)
	t.Run("typed", func(t *testing.T) {
		test(t, typed, func(namespace, name string) object { return configMap(namespace, name) })
	})
	t.Run("custom", func(t *testing.T) {
		test(t, custom, func(namespace, name string) object { return widget(namespace, name, "red") })
	})
}

func TestStorage_KeepsClustersApart(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, make func(string, string) object) {
		ctx := t.Context()
		for _, cluster := range []string{"c1", "c2", "c11"} {
			create(t, in(ctx, cluster), s, make("default", "same"))
		}
		create(t, in(ctx, "c2"), s, make("default", "only"))

		got, _ := list(t, in(ctx, "c1"), s, s.root, recursive)
		if want := []string{"c1|default/same"}; !slices.Equal(got, want) {
			t.Errorf("c1 holds %v, want %v", got, want)
		}
		got, _ = list(t, everywhere(ctx), s, s.root, recursive)
		if want := []string{"c1|default/same", "c11|default/same", "c2|default/only", "c2|default/same"}; !slices.Equal(got, want) {
			t.Errorf("all clusters hold %v, want %v", got, want)
		}
		out := s.newFunc()
		if err := s.Get(in(ctx, "c1"), s.key("default", "only"), apistorage.GetOptions{}, out); !apistorage.IsNotFound(err) {
			t.Errorf("getting what only c2 has: %v, want not found", err)
		}
		remove(t, in(ctx, "c1"), s, make("default", "same"))
		got, _ = list(t, everywhere(ctx), s, s.root, recursive)
		if want := []string{"c11|default/same", "c2|default/only", "c2|default/same"}; !slices.Equal(got, want) {
			t.Errorf("after the deletion all clusters hold %v, want %v", got, want)
		}
	})
}

func TestStorage_RefusesWithoutOneCluster(t *testing.T) {
	kinds(t, func(t *testing.T, s *store, make func(string, string) object) {
		obj := make("default", "a")
		key := keyFor(s, obj)
		type call func(context.Context) error
		writes := map[string]call{
			"create": func(ctx context.Context) error { return s.Create(ctx, key, obj, s.newFunc(), 0) },
			"update": func(ctx context.Context) error {
				return s.GuaranteedUpdate(ctx, key, s.newFunc(), true, nil, nil, nil)
			},
			"delete": func(ctx context.Context) error {
				return s.Delete(ctx, key, s.newFunc(), nil, apistorage.ValidateAllObjectFunc, nil, apistorage.DeleteOptions{})
			},
			"get": func(ctx context.Context) error {
				return s.Get(ctx, key, apistorage.GetOptions{}, s.newFunc())
			},
		}
		reads := map[string]call{
			"list":  func(ctx context.Context) error { return s.GetList(ctx, s.root, recursive, s.newList()) },
			"watch": func(ctx context.Context) error { _, err := s.Watch(ctx, s.root, recursive); return err },
		}
		base := WithBucket(t.Context(), LocalBucket)
		targets := map[string]struct {
			ctx  context.Context
			want func(error) bool
		}{
			"none":     {base, apierrors.IsInternalError},
			"unknown":  {logicalcluster.WithUnknown(base), apierrors.IsForbidden},
			"with a /": {logicalcluster.WithCluster(base, "c1/default"), apierrors.IsInternalError},
			"..":       {logicalcluster.WithCluster(base, ".."), apierrors.IsInternalError},
		}
		for name, target := range targets {
			for verb, do := range writes {
				if err := do(target.ctx); !target.want(err) {
					t.Errorf("%s for target %s: %v", verb, name, err)
				}
			}
			for verb, do := range reads {
				if err := do(target.ctx); !target.want(err) {
					t.Errorf("%s for target %s: %v", verb, name, err)
				}
			}
		}
		for verb, do := range writes {
			if err := do(logicalcluster.WithWildcard(base)); !apierrors.IsMethodNotSupported(err) {
				t.Errorf("%s for all clusters: %v, want method not supported", verb, err)
			}
		}
	})
}
