package object

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apistorage "k8s.io/apiserver/pkg/storage"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/storage/layout"
)

const root = "/core/configmaps"

// store has one object in etcd, and what a watch cache has of it.
type store struct {
	apistorage.Interface
	cached, stored *corev1.ConfigMap // nil for none
	reads          []string
}

func (s *store) read(_ context.Context, key string, opts apistorage.GetOptions, out runtime.Object) error {
	from := s.stored
	if opts.ResourceVersion != "" {
		from = s.cached
	}
	s.reads = append(s.reads, "at "+opts.ResourceVersion)
	if from == nil {
		return apistorage.NewKeyNotFoundError(key, 0)
	}
	from.DeepCopyInto(out.(*corev1.ConfigMap))
	return nil
}

// Delete implements storage.Interface: like a stock store it validates what is stored.
func (s *store) Delete(ctx context.Context, _ string, _ runtime.Object, _ *apistorage.Preconditions, validate apistorage.ValidateObjectFunc, _ runtime.Object, _ apistorage.DeleteOptions) error {
	if err := validate(ctx, s.stored); err != nil {
		return err
	}
	s.stored = nil
	return nil
}

func (s *store) storage() *Storage {
	return &Storage{
		Interface: s, Layout: layout.Resource{Resource: schema.GroupResource{Resource: "configmaps"}, Root: root},
		Read: s.read, Suggest: func(context.Context, string) runtime.Object { return nil },
	}
}

func configMap(finalizers ...string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a", Finalizers: finalizers}}
}

func TestDeletingCached(t *testing.T) {
	plain := logicalcluster.WithCluster(t.Context(), "c1")
	for name, tc := range map[string]struct {
		ctx       context.Context
		store     store
		wantReads []string
		wantErr   func(error) bool
	}{
		"reads the cache":                   {DeletingCached(plain), store{cached: configMap(), stored: configMap()}, []string{"at 0"}, nil},
		"reads etcd what is too new for it": {DeletingCached(plain), store{stored: configMap()}, []string{"at 0", "at "}, nil},
		"reads etcd without it":             {plain, store{cached: configMap(), stored: configMap()}, []string{"at "}, nil},
		"reads etcd when it is undone":      {NotDeletingCached(DeletingCached(plain)), store{cached: configMap(), stored: configMap()}, []string{"at "}, nil},
		"misses no finalizer":               {DeletingCached(plain), store{cached: configMap(), stored: configMap("example.com/hold")}, []string{"at 0"}, apierrors.IsConflict},
		// An update that takes off the last finalizer does so: it has read the object.
		"lets others delete what has finalizers": {plain, store{stored: configMap("example.com/hold")}, []string{"at "}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, key := tc.store.storage(), root+"/default/a"
			if err := s.Get(tc.ctx, key, apistorage.GetOptions{}, &corev1.ConfigMap{}); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(tc.store.reads, tc.wantReads) {
				t.Errorf("it reads %q, want %q", tc.store.reads, tc.wantReads)
			}
			none := func(context.Context, runtime.Object) error { return nil }
			err := s.Delete(tc.ctx, key, &corev1.ConfigMap{}, nil, none, nil, apistorage.DeleteOptions{})
			if tc.wantErr == nil && err != nil || tc.wantErr != nil && !tc.wantErr(err) {
				t.Errorf("deleting: %v", err)
			}
			if deleted := tc.store.stored == nil; deleted != (tc.wantErr == nil) {
				t.Errorf("deleted: %v", deleted)
			}
		})
	}
}

func TestDeletingCached_ChangesNoReadAtAVersion(t *testing.T) {
	s := store{cached: configMap(), stored: configMap()}
	ctx := DeletingCached(logicalcluster.WithCluster(t.Context(), "c1"))
	if err := s.storage().Get(ctx, root+"/default/a", apistorage.GetOptions{ResourceVersion: "7"}, &corev1.ConfigMap{}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.reads, []string{"at 7"}) {
		t.Errorf("it reads %q", s.reads)
	}
}
