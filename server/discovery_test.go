package server

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/kubernetes"
	"go.uber.org/zap"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage"
	"github.com/annex-dev/annex/server/authentication"
	"github.com/annex-dev/annex/server/authorization"
)

// newUnstarted returns a server in a host that does not run, and whose etcd was never there.
func newUnstarted(t *testing.T) *Server {
	t.Helper()
	client, err := kubernetes.New(clientv3.Config{Endpoints: []string{"http://127.0.0.1:1"}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	types := kinds.All.NewScheme()
	backend, err := storage.NewBackend(storage.Config{Orphans: true, Client: client, Codec: types.StorageCodec})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Destroy)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	s, err := New(Config{
		Scheme:  types,
		Backend: backend,
		ApplyServing: func(c *genericapiserver.Config) error {
			c.SecureServing, c.LoopbackClientConfig = &genericapiserver.SecureServingInfo{Listener: listener}, &rest.Config{}
			return nil
		},
		Authentication: authentication.Config{},
		Authorization:  Authorization{Order: authorization.DefaultOrder()},
		Host:           &Host{Workspace: "root"},
		ShardName:      "root",
		RequestTimeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The host asks for discovery as soon as the port is open, and waits with the deletion of namespaces until it has an answer.
func TestHostDiscovery_BeforeAnythingRuns(t *testing.T) {
	s := newUnstarted(t)
	paths := []string{"/apis", "/openapi/v2", "/openapi/v3"}
	if len(s.HostVersions()) == 0 {
		t.Fatal("nothing is served to the host")
	}
	for _, gv := range s.HostVersions() {
		paths = append(paths, "/apis/"+gv.Group, "/apis/"+gv.String(), "/openapi/v3/apis/"+gv.String())
	}
	for _, path := range paths {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		recorder := httptest.NewRecorder()
		s.Generic.Handler.ServeHTTP(recorder, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
		if recorder.Code != http.StatusOK || ctx.Err() != nil {
			t.Errorf("%s: %d, %v", path, recorder.Code, ctx.Err())
		}
		// Kinds have no internal twin, but the version __internal is nothing that a client may know.
		if body := recorder.Body.String(); strings.HasPrefix(path, "/openapi") && strings.Contains(body, "__internal") {
			t.Errorf("%s names the version __internal", path)
		}
		cancel()
	}
}
