package remote_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/client/remote"
)

const patience = 30 * time.Second

var configMaps = schema.GroupResource{Resource: "configmaps"}

// answer is what a scripted server does with one request.
type answer func(w http.ResponseWriter, req *http.Request)

// server answers requests in the order of its script and remembers them. Beyond the script, a watch has no events, and
// everything else is not found.
type server struct {
	*httptest.Server

	mu     sync.Mutex
	script []answer
	by     map[string]answer // answers that come before the script, by request
	seen   []string
}

// serve starts a server and returns it with a client of its wildcard URL.
func serve(t *testing.T, script ...answer) (*server, *remote.Client) {
	t.Helper()
	s := &server{script: script}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	c, err := remote.New(&rest.Config{Host: s.URL + "/services/x/clusters/*"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func (s *server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	query.Del("timeout")
	path, encoded := req.URL.Path, query.Encode()
	if encoded != "" {
		path += "?" + encoded
	}
	s.mu.Lock()
	request := req.Method + " " + strings.TrimPrefix(path, "/services/x/clusters")
	s.seen = append(s.seen, request)
	next := s.by[request]
	if next == nil && len(s.script) > 0 {
		next, s.script = s.script[0], s.script[1:]
	}
	s.mu.Unlock()
	switch {
	case next == nil && query.Get("watch") == "true":
		next = hangs
	case next == nil:
		next = fails(http.StatusNotFound, metav1.StatusReasonNotFound)
	}
	w.Header().Set("Content-Type", "application/json")
	next(w, req)
}

// requests returns what was asked, each as "METHOD /cluster/path?query".
func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.seen...)
}

// body answers with an object.
func body(obj any) answer {
	return func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(obj) }
}

// fails answers with an API status.
func fails(code int, reason metav1.StatusReason) answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(failure(code, reason))
	}
}

func failure(code int, reason metav1.StatusReason) *metav1.Status {
	return &metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
		Status:   metav1.StatusFailure, Code: int32(code), Reason: reason, Message: string(reason),
	}
}

// hangs answers with nothing until the client gives up.
func hangs(w http.ResponseWriter, req *http.Request) {
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	<-req.Context().Done()
}

// breaks ends the connection without a whole answer, after what was written so far.
func breaks(w http.ResponseWriter, _ *http.Request) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}

// page answers with a page of ConfigMaps.
func page(resourceVersion, next string, items ...*corev1.ConfigMap) answer {
	list := &corev1.ConfigMapList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMapList"}}
	list.ResourceVersion, list.Continue = resourceVersion, next
	for _, item := range items {
		list.Items = append(list.Items, *item)
	}
	return body(list)
}

// event is a line of a watch.
func event(kind string, obj any) string {
	line, err := json.Marshal(map[string]any{"type": kind, "object": obj})
	if err != nil {
		panic(err)
	}
	return string(line) + "\n"
}

func bookmark(resourceVersion string) string {
	return event("BOOKMARK", &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{ResourceVersion: resourceVersion},
	})
}

// events answers a watch with lines, and ends it.
func events(lines ...string) answer {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, line := range lines {
			_, _ = fmt.Fprint(w, line)
		}
	}
}

// then gives the first answer and continues with the second one.
func then(first, second answer) answer {
	return func(w http.ResponseWriter, req *http.Request) {
		first(w, req)
		w.(http.Flusher).Flush()
		second(w, req)
	}
}

func configMap(cluster logicalcluster.Name, name, resourceVersion string) *corev1.ConfigMap {
	return clienttest.In(cluster, &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, ResourceVersion: resourceVersion},
	})
}

// follow watches until it has seen as many events as are wanted, and compares them. Each is written as "TYPE cluster|ns/name@rv".
func follow(t *testing.T, c client.Reader, resource schema.GroupResource, want ...string) {
	t.Helper()
	seen := make(chan string, 100)
	done := make(chan error, 1)
	go func() {
		done <- c.Watch(t.Context(), resource, func(event client.Event) {
			line := string(event.Type)
			if event.Object != nil {
				line += " " + client.KeyOf(event.Object).String() + "@" + event.Object.GetResourceVersion()
			}
			seen <- line
		})
	}()
	for i, line := range want {
		select {
		case got := <-seen:
			if got != line {
				t.Fatalf("event %d is %q, want %q", i, got, line)
			}
		case err := <-done:
			t.Fatalf("the watch ended before event %d, %q: %v", i, line, err)
		case <-time.After(patience):
			t.Fatalf("event %d, %q, does not come", i, line)
		}
	}
}
