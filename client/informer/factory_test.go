package informer

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/client"
)

var versioned = corev1.SchemeGroupVersion.WithResource("configmaps")

// wildcardServer has one ConfigMap of the same name in each of two clusters, and notes what it is asked.
func wildcardServer(t *testing.T) (url string, asked func() []string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Query().Get("watch") != "" {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-req.Context().Done()
			return
		}
		mu.Lock()
		seen = append(seen, req.URL.Path+" "+req.Header.Get("Accept"))
		mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if strings.Contains(req.Header.Get("Accept"), "PartialObjectMetadataList") {
			list := &metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}}
			list.Items = append(list.Items, metav1.PartialObjectMetadata{ObjectMeta: configMap("a", "same", "1").ObjectMeta})
			list.ResourceVersion = "3"
			_ = json.NewEncoder(w).Encode(list)
			return
		}
		list := &corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"}}
		list.Items = append(list.Items, *configMap("a", "same", "1"), *configMap("b", "same", "2"))
		list.ResourceVersion = "3"
		_ = json.NewEncoder(w).Encode(list)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(seen)
	}
}

func TestFactory_ReadsAllClusters(t *testing.T) {
	url, asked := wildcardServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// The cluster in a URL is not the one that is read.
	f, err := NewFactory(&rest.Config{Host: url + "/clusters/root:provider"}, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.WaitForSync(ctx); err == nil {
		t.Error("a factory without informers is in sync")
	}
	typed, err := For[*corev1.ConfigMap](f, versioned)
	if err != nil {
		t.Fatal(err)
	}
	again, err := For[*corev1.ConfigMap](f, versioned)
	if err != nil || again.Informer() != typed.Informer() {
		t.Errorf("the same is asked for twice: %v", err)
	}
	heard := make(chan client.Key, 10)
	typed.Informer().Add(ctx, &Handler{Listed: func(_ context.Context, keys []client.Key) {
		for _, key := range keys {
			heard <- key
		}
	}})
	if err := f.Start(ctx); err != nil {
		t.Fatal(err)
	}
	// What is asked for later is started later.
	heads, err := For[*metav1.PartialObjectMetadata](f, versioned)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := For[*unstructured.Unstructured](f, versioned)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if err := f.WaitForSync(ctx); err != nil {
		t.Fatal(err)
	}
	for _, cluster := range []string{"a", "b"} {
		if key := <-heard; string(key.Cluster) != cluster {
			t.Errorf("a handler hears of %s, want it from %s", key, cluster)
		}
	}
	if found, err := typed.List(labels.Everything()); err != nil || len(found) != 2 {
		t.Errorf("in all clusters: %v, %v", found, err)
	}
	if got, err := typed.Cluster("b").Namespace("default").Get("same"); err != nil || got.ResourceVersion != "2" {
		t.Errorf("in b: %v, %v", got, err)
	}
	if got, err := raw.Cluster("a").Namespace("default").Get("same"); err != nil || got.GetResourceVersion() != "1" {
		t.Errorf("in a, unstructured: %v, %v", got, err)
	}
	if _, err := heads.Cluster("b").Namespace("default").Get("same"); !apierrors.IsNotFound(err) {
		t.Errorf("the metadata of what only a has: %v", err)
	}
	if requests := asked(); len(requests) != 3 || slices.ContainsFunc(requests, func(r string) bool { return !strings.HasPrefix(r, "/clusters/*/api/v1/configmaps ") }) {
		t.Errorf("the server was asked %q, want one list of each form", requests)
	}
}

func TestFor_RefusesOtherTypes(t *testing.T) {
	f, err := NewFactory(&rest.Config{Host: "http://localhost:1"}, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := For[*corev1.ConfigMap](f, versioned.GroupResource().WithVersion("v2")); err == nil || !strings.Contains(err.Error(), "is a type of v1, not of /v2") && !strings.Contains(err.Error(), "not of v2") {
		t.Errorf("another version: %v", err)
	}
	type unknown struct{ corev1.ConfigMap }
	if _, err := For[*unknown](f, versioned); err == nil {
		t.Error("a type that the scheme does not know is accepted")
	}
	if _, err := For[client.Object](f, versioned); err == nil {
		t.Error("an interface is accepted")
	}
	if _, err := NewFactory(&rest.Config{Host: "http://localhost:1", TLSClientConfig: rest.TLSClientConfig{CAFile: "missing"}}, nil, Options{}); err == nil {
		t.Error("a config that cannot be used is accepted")
	}
}
