package owners

import (
	"context"
	"fmt"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/raw"
)

// storeServing writes what serves widgets past the Client, with the versions in which objects are stored.
func (h *house) storeServing(k layout.Key, versions string) int64 {
	h.t.Helper()
	value := protobufOf(h.t, versions)
	if k.Resource == Bindings {
		value = fmt.Sprintf(`{"metadata":{"uid":"uid"},"status":{"boundResources":[
			{"group":"example.com","resource":"gears","schema":{"identityHash":"id"},"storageVersions":["v1","v2"]},
			{"group":"example.com","resource":"widgets","schema":{"identityHash":"another"},"storageVersions":["v1","v2"]},
			{"group":"example.com","resource":"widgets","schema":{"identityHash":"id"},"storageVersions":[%s]}]}}`, versions)
	}
	resp, err := h.etcd.KV.Put(h.t.Context(), h.path(k), value)
	if err != nil {
		h.t.Fatal(err)
	}
	h.known[k] = resp.Header.Revision
	return resp.Header.Revision
}

// protobufOf returns a definition as it is stored.
func protobufOf(t *testing.T, versions string) string {
	t.Helper()
	crd := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{UID: "uid"}}
	for _, v := range strings.Split(versions, ",") {
		crd.Status.StoredVersions = append(crd.Status.StoredVersions, strings.Trim(v, `"`))
	}
	inner, err := crd.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	envelope := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"}, Raw: inner}
	data, err := envelope.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw.ProtobufMagic + string(data)
}

// change updates the widget that was stored at a revision.
func (h *house) change(ctx context.Context, k layout.Key, version string, revision int64) (kubernetes.PutResponse, error) {
	h.t.Helper()
	value := fmt.Sprintf(`{"apiVersion":"example.com/%s","metadata":{"uid":"new"}}`, version)
	return h.OptimisticPut(ctx, h.path(k), []byte(value), revision, kubernetes.PutOptions{GetOnFailure: true})
}

func TestRetire(t *testing.T) {
	etcd := runEtcd(t)
	for where, tc := range map[string]struct {
		by, k layout.Key
		with  func(context.Context) context.Context
	}{
		"by a definition": {definitionKey, widgetKey, local},
		"by a binding":    {bindingKey, boundKey, bound},
	} {
		t.Run(where, func(t *testing.T) {
			// start stores a widget in v1, and retires that version after what serves it was read.
			start := func(t *testing.T) (h *house, at int64) {
				h = newHouse(t, etcd)
				h.t = t
				for _, k := range []layout.Key{clusterKey, namespaceKey} {
					h.known[k] = h.store(k, "uid", false)
				}
				read := h.storeServing(tc.by, `"v1","v2"`)
				resp, _, err := h.put(tc.with(t.Context()), tc.k)
				if err != nil || !resp.Succeeded {
					t.Fatal(err)
				}
				if err := h.Retire(t.Context(), tc.k, "v1", Retirement{Of: tc.by.Resource.String(), Name: tc.by.Name, Revision: read}); err != nil {
					t.Fatal(err)
				}
				return h, resp.Revision
			}
			another := tc.k
			another.Name = "another"

			t.Run("refuses writes in the version, and no others", func(t *testing.T) {
				h, at := start(t)
				if _, err := h.change(t.Context(), tc.k, "v1", at); !apierrors.IsServiceUnavailable(err) {
					t.Errorf("an update: %v", err)
				}
				if _, _, err := h.put(tc.with(t.Context()), another); !apierrors.IsServiceUnavailable(err) || h.has(another) {
					t.Errorf("a creation: %v", err)
				}
				if delay, ok := apierrors.SuggestsClientDelay(retired(&change{k: tc.k, version: "v1"})); !ok || delay == 0 {
					t.Error("clients are not told to come again")
				}
				// Who keeps the version may release an object that cannot be converted.
				kept, err := h.change(layout.KeepingVersion(t.Context()), tc.k, "v1", at)
				if err != nil || !kept.Succeeded {
					t.Fatalf("an update that keeps the version: %v", err)
				}
				at = kept.Revision
				if _, _, err := h.put(tc.with(layout.KeepingVersion(t.Context())), another); !apierrors.IsServiceUnavailable(err) || h.has(another) {
					t.Errorf("a creation that keeps the version: %v", err)
				}
				// What the request says counts, because bytes may be encrypted.
				if _, err := h.change(layout.WithVersion(t.Context(), "v1"), tc.k, "v2", at); !apierrors.IsServiceUnavailable(err) {
					t.Errorf("an update of a request in v1: %v", err)
				}
				resp, err := h.change(t.Context(), tc.k, "v2", at)
				if err != nil || !resp.Succeeded {
					t.Fatalf("an update in v2: %v", err)
				}
				// A conflict is answered as such.
				if resp, err := h.change(t.Context(), tc.k, "v1", at); err != nil || resp.Succeeded || resp.KV == nil {
					t.Errorf("an update of an old state: %+v, %v", resp, err)
				}
				if resp, err := h.OptimisticDelete(t.Context(), h.path(tc.k), resp.Revision, kubernetes.DeleteOptions{}); err != nil || !resp.Succeeded {
					t.Errorf("a deletion: %v", err)
				}
				for _, elsewhere := range []layout.Key{{Custom: true, Resource: widgets, Bucket: "another", Cluster: "c1", Namespace: "ns", Name: "w"}, {Custom: true, Resource: widgets, Bucket: tc.k.Bucket, Cluster: "c2", Namespace: "ns", Name: "w"}} {
					if resp, err := h.etcd.KV.Put(t.Context(), h.path(elsewhere), "{}"); err != nil {
						t.Fatal(err)
					} else if done, err := h.change(t.Context(), elsewhere, "v1", resp.Header.Revision); err != nil || !done.Succeeded {
						t.Errorf("an update of %v: %v", elsewhere, err)
					}
				}
			})
			t.Run("still refuses when the version is no longer listed", func(t *testing.T) {
				h, at := start(t)
				h.storeServing(tc.by, `"v2"`)
				for range 2 {
					if _, err := h.change(t.Context(), tc.k, "v1", at); !apierrors.IsServiceUnavailable(err) {
						t.Errorf("an update: %v", err)
					}
				}
			})
			t.Run("ends when what serves the resource has changed and lists the version", func(t *testing.T) {
				h, at := start(t)
				read := h.storeServing(tc.by, `"v1","v2"`)
				resp, err := h.change(t.Context(), tc.k, "v1", at)
				if err != nil || !resp.Succeeded || h.has(RetiredKey(tc.k, "v1")) {
					t.Fatalf("an update: %v", err)
				}
				if err := h.Retire(t.Context(), tc.k, "v1", Retirement{Of: tc.by.Resource.String(), Name: tc.by.Name, Revision: read}); err != nil {
					t.Fatal(err)
				}
				if _, err := h.change(t.Context(), tc.k, "v1", resp.Revision); !apierrors.IsServiceUnavailable(err) {
					t.Errorf("an update after it is retired again: %v", err)
				}
			})
			t.Run("ends when what serves the resource is gone", func(t *testing.T) {
				h, at := start(t)
				h.remove(tc.by)
				if resp, err := h.change(t.Context(), tc.k, "v1", at); err != nil || !resp.Succeeded {
					t.Errorf("an update: %v", err)
				}
			})
			// A writer that has looked at what served the resource before must not undo what is retired since.
			t.Run("is not undone by who looked before", func(t *testing.T) {
				h, at := start(t)
				read := h.storeServing(tc.by, `"v1","v2"`)
				h.before = func() { // the update has not been tried yet
					h.before = func() { // it was refused, and has looked; now it is about to reopen the version
						if err := h.Retire(t.Context(), tc.k, "v1", Retirement{Of: tc.by.Resource.String(), Name: tc.by.Name, Revision: read}); err != nil {
							t.Error(err)
						}
					}
				}
				if _, err := h.change(t.Context(), tc.k, "v1", at); !apierrors.IsServiceUnavailable(err) || !h.has(RetiredKey(tc.k, "v1")) {
					t.Errorf("an update: %v", err)
				}
			})
		})
	}
}

func TestRetire_NeedsWhatServesTheResource(t *testing.T) {
	h := newHouse(t, runEtcd(t))
	good := Retirement{Of: Bindings.String(), Name: "b", Revision: 7}
	for name, r := range map[string]Retirement{
		"nothing": {}, "another kind": {Of: "secrets", Name: "b", Revision: 7}, "no name": {Of: good.Of, Revision: 7}, "no revision": {Of: good.Of, Name: "b"},
	} {
		if err := h.Retire(t.Context(), boundKey, "v1", r); !apierrors.IsInternalError(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := h.Retire(t.Context(), boundKey, "", good); !apierrors.IsInternalError(err) {
		t.Errorf("no version: %v", err)
	}
	// Nothing is left behind in a cluster that is gone.
	if err := h.Retire(t.Context(), boundKey, "v1", good); !apierrors.IsNotFound(err) || h.has(RetiredKey(boundKey, "v1")) {
		t.Errorf("no cluster: %v", err)
	}
}

func TestRetire_IsBounded(t *testing.T) {
	h := newHouse(t, runEtcd(t))
	h.store(clusterKey, "uid", false)
	h.storeServing(bindingKey, `"v1","v2"`)
	fill := func(from, to int, name string) {
		t.Helper()
		for i := from; i < to; i += 100 {
			var ops []clientv3.Op
			for j := i; j < min(i+100, to); j++ {
				ops = append(ops, clientv3.OpPut(h.path(RetiredKey(boundKey, fmt.Sprint("v", j))), fmt.Sprintf(`{"of":"apibindings.apis.kcp.io","name":%q,"revision":1}`, name)))
			}
			if _, err := h.etcd.KV.Txn(t.Context()).Then(ops...).Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	r := Retirement{Of: Bindings.String(), Name: "b", Revision: 7}
	fill(0, 10, "gone")
	fill(10, mostRetired, "b")
	if err := h.Retire(t.Context(), boundKey, "one", r); err != nil {
		t.Error(err)
	}
	if h.has(RetiredKey(boundKey, "v0")) || !h.has(RetiredKey(boundKey, "v10")) {
		t.Error("not that is gone of which the binding is")
	}
	fill(0, 10, "b")
	if err := h.Retire(t.Context(), boundKey, "two", r); !apierrors.IsForbidden(err) {
		t.Errorf("one too many: %v", err)
	}
}

func TestOptimisticPut_RefusesWithoutVersion(t *testing.T) {
	h := newHouse(t, runEtcd(t))
	for _, value := range []string{"", "k8s:enc:aesgcm:v1:key:...", `{"apiVersion":"v1"}`, `{"metadata":{}}`} {
		resp, err := h.OptimisticPut(local(t.Context()), h.path(widgetKey), []byte(value), 7, kubernetes.PutOptions{})
		if !apierrors.IsInternalError(err) || resp.Succeeded {
			t.Errorf("%q: %v", value, err)
		}
	}
}
