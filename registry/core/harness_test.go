package core

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/etcd/client/v3/kubernetes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/wait"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/etcd3/testserver"
	"k8s.io/apiserver/pkg/warning"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
)

// harness is the core group over an etcd of its own.
type harness struct {
	group *group.Group
	etcd  *kubernetes.Client
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	s := kinds.All.NewScheme()
	h := &harness{etcd: testserver.RunEtcd(t, nil)}
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: h.etcd, Codec: s.StorageCodec, CompactionInterval: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	if h.group, err = NewGroup(s, backend.RESTOptionsGetter()); err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		return backend.Ready() == nil, nil
	}); err != nil {
		t.Fatal(backend.Ready())
	}
	return h
}

// in returns a context as it reaches storage from a request of the core group in cluster.
func in(ctx context.Context, cluster logicalcluster.Name, namespace string) context.Context {
	ctx = logicalcluster.WithCluster(genericapirequest.WithNamespace(ctx, namespace), cluster)
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{APIVersion: version, Namespace: namespace})
}

// served returns what users reach under a path such as "namespaces/status".
func served[T any](t *testing.T, h *harness, path string) T {
	t.Helper()
	storage, ok := h.group.Versions[version][path].(T)
	if !ok {
		t.Fatalf("%s is a %T", path, h.group.Versions[version][path])
	}
	return storage
}

func create[T runtime.Object](ctx context.Context, t *testing.T, h *harness, path string, obj T, dryRun ...string) T {
	t.Helper()
	created, err := served[rest.CreaterUpdater](t, h, path).Create(ctx, obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{DryRun: dryRun})
	if err != nil {
		t.Fatal(err)
	}
	return created.(T)
}

func update[T runtime.Object](ctx context.Context, t *testing.T, h *harness, path, name string, obj T) (T, error) {
	t.Helper()
	updated, _, err := served[rest.Updater](t, h, path).Update(ctx, name, rest.DefaultUpdatedObjectInfo(obj),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		var none T
		return none, err
	}
	return updated.(T), nil
}

// recorder collects warnings.
type recorder struct {
	mu   sync.Mutex
	said []string
}

func (r *recorder) AddWarning(_, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, text)
}

func withWarnings(ctx context.Context) (context.Context, *recorder) {
	r := &recorder{}
	return warning.WithWarningRecorder(ctx, r), r
}

// checkErrors demands exactly the errors given as "path: part of the message", in any order.
func checkErrors(t *testing.T, got field.ErrorList, want ...string) {
	t.Helper()
	left := slices.Clone(got)
	for _, w := range want {
		path, message, _ := strings.Cut(w, ": ")
		i := slices.IndexFunc(left, func(e *field.Error) bool { return e.Field == path && strings.Contains(e.ErrorBody(), message) })
		if i < 0 {
			t.Errorf("no error %q among %v", w, got)
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	if len(left) > 0 {
		t.Errorf("unexpected errors %v", left)
	}
}

func meta(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: "a", Name: name} }
