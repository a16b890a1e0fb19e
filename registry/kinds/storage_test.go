package kinds_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	apistorage "k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
)

// Every resource must come out of its watch cache: a kind that is not registered as internal is stored and never listed.
func TestStorageCodec_List(t *testing.T) {
	t.Parallel()
	s := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: testserver.RunEtcd(t, nil), Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	rows := map[schema.GroupResource]*kinds.Row{}
	for _, r := range kinds.All.Rows() {
		if r.MediaType != "" {
			rows[r.GroupResource()] = r
		}
	}
	stores, roots := map[schema.GroupResource]apistorage.Interface{}, map[schema.GroupResource]string{}
	for gr, r := range rows {
		options, err := backend.RESTOptionsGetter().GetRESTOptions(gr, r.Object)
		if err != nil {
			t.Fatal(err)
		}
		keyOf := func(obj runtime.Object) (string, error) {
			accessor, err := meta.Accessor(obj)
			if err != nil {
				return "", err
			}
			return options.ResourcePrefix + "/" + accessor.GetName(), nil
		}
		store, _, err := options.Decorator(options.StorageConfig, options.ResourcePrefix, keyOf,
			func() runtime.Object { return r.Object.DeepCopyObject() }, func() runtime.Object { return r.List.DeepCopyObject() },
			apistorage.DefaultClusterScopedAttr, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", gr, err)
		}
		stores[gr], roots[gr] = store, options.ResourcePrefix
	}
	var last error
	if err := wait.PollUntilContextCancel(ctx, 5*time.Millisecond, true, func(context.Context) (bool, error) {
		last = backend.Ready()
		return last == nil, nil
	}); err != nil {
		t.Fatal(last)
	}

	for gr, r := range rows {
		t.Run(gr.String(), func(t *testing.T) {
			root := roots[gr]
			for _, cluster := range []logicalcluster.Name{"one", "two"} {
				in := logicalcluster.WithCluster(ctx, cluster)
				obj := r.Object.DeepCopyObject().(client.Object)
				obj.SetName("a")
				s.Scheme.Default(obj)
				if err := stores[gr].Create(in, root+"/a", obj, r.Object.DeepCopyObject(), 0); err != nil {
					t.Fatal(err)
				}
			}
			everything := apistorage.SelectionPredicate{Label: labels.Everything(), Field: fields.Everything(), GetAttrs: apistorage.DefaultClusterScopedAttr}
			for want, in := range map[int]context.Context{1: logicalcluster.WithCluster(ctx, "one"), 2: logicalcluster.WithWildcard(ctx)} {
				list := r.List.DeepCopyObject()
				if err := stores[gr].GetList(in, root+"/", apistorage.ListOptions{Predicate: everything, Recursive: true}, list); err != nil {
					t.Fatal(err)
				}
				if got := meta.LenList(list); got != want {
					t.Errorf("listed %d, want %d", got, want)
				}
			}
		})
	}
}
