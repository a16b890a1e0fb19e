package records

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/annex-dev/annex/test/framework/annex"
)

// spans is an OTLP receiver.
type spans struct {
	collector.UnimplementedTraceServiceServer
	lock     sync.Mutex
	all      []*tracev1.Span
	services map[string]bool
}

// Export implements collector.TraceServiceServer.
func (s *spans) Export(_ context.Context, req *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, of := range req.ResourceSpans {
		for _, attribute := range of.Resource.Attributes {
			if attribute.Key == "service.name" {
				s.services[attribute.Value.GetStringValue()] = true
			}
		}
		for _, scope := range of.ScopeSpans {
			s.all = append(s.all, scope.Spans...)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func attribute(span *tracev1.Span, key string) string {
	for _, a := range span.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

// request returns the spans in the trace of the request with an Audit-ID, and its own span; nil if it is not there yet.
func (s *spans) request(id string) (own *tracev1.Span, all []*tracev1.Span) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, span := range s.all {
		if attribute(span, "audit-id") == id {
			own = span
		}
	}
	for _, span := range s.all {
		if own != nil && string(span.TraceId) == string(own.TraceId) {
			all = append(all, span)
		}
	}
	return own, all
}

func TestTracing(t *testing.T) {
	got := &spans{services: map[string]bool{}}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, got)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	config := func(rate int) string {
		return fmt.Sprintf("apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\nendpoint: %s\nsamplingRatePerMillion: %d\n", listener.Addr(), rate)
	}
	file := write(t, "tracing.yaml", config(1000000))
	s := annex.Start(t, "--tracing-config-file", file, "--token-auth-file", write(t, "tokens.csv", "alice-token,alice,1,team\n"))
	path, cluster := s.NewWorkspace("root", "traced", "")
	const trace = "0af7651916cd43dd8448eb211c80319c"
	const parent = "00-" + trace + "-b7ad6b7169203331-01"
	masters := s.Config(annex.ContextShardBase)
	masters.Host = s.URL() + "/clusters/" + path

	must(t, s.Workspace(path), 200, http.MethodGet, configMaps+"/kube-root-ca.crt", "", "Audit-ID", "a-read")
	must(t, s.Workspace(path), 200, http.MethodGet, configMaps, "", "Audit-ID", "stranger", "traceparent", parent)
	must(t, s.As("alice-token", path), 403, http.MethodGet, configMaps, "", "Audit-ID", "refused")
	must(t, masters, 200, http.MethodGet, configMaps, "", "Audit-ID", "trusted", "traceparent", parent)
	annex.Eventually(t, func(context.Context) error {
		own, all := got.request("a-read")
		names := map[string]bool{}
		for _, span := range all {
			names[span.Name] = true
			if span.Name == "Resolve workspace" && (attribute(span, "kcp.io/path") != path || string(span.ParentSpanId) != string(own.SpanId)) {
				t.Fatalf("the look for the workspace: %v", span)
			}
			if its := attribute(span, "kcp.io/cluster"); its != cluster {
				t.Fatalf("span %s is in %q, want %q", span.Name, its, cluster)
			}
		}
		if !names["Resolve workspace"] || !names["etcdserverpb.KV/Txn"] && !names["etcdserverpb.KV/Range"] || !names["authorization"] {
			return fmt.Errorf("spans %v", names)
		}
		if !strings.HasPrefix(own.Name, "GET /api/v1/namespaces/{:namespace}/configmaps") {
			return fmt.Errorf("the request is %q", own.Name)
		}
		return nil
	})
	annex.Eventually(t, func(context.Context) error {
		for _, id := range []string{"refused", "stranger", "trusted"} {
			if own, _ := got.request(id); own == nil {
				return fmt.Errorf("no span of %s", id)
			}
		}
		return nil
	})
	if own, _ := got.request("stranger"); fmt.Sprintf("%x", own.TraceId) == trace || len(own.Links) != 1 {
		t.Errorf("somebody continues a trace of their own: %v", own)
	}
	if own, _ := got.request("trusted"); fmt.Sprintf("%x", own.TraceId) != trace {
		t.Errorf("a member of system:masters does not: %v", own)
	}
	if own, _ := got.request("refused"); attribute(own, "kcp.io/cluster") != cluster {
		t.Errorf("refused: %v", own)
	}
	if !got.services["annex"] || len(got.services) != 1 {
		t.Errorf("services %v", got.services)
	}

	// With a rate of 0, only those are traced who are trusted and ask for it.
	s.Stop()
	rewrite(t, file, config(0))
	s.Start()
	masters = s.Config(annex.ContextShardBase)
	masters.Host = s.URL() + "/clusters/" + path
	must(t, s.Workspace(path), 200, http.MethodGet, configMaps, "", "Audit-ID", "unasked", "traceparent", parent)
	must(t, masters, 200, http.MethodGet, configMaps, "", "Audit-ID", "asked", "traceparent", parent)
	annex.Eventually(t, func(context.Context) error {
		if own, _ := got.request("asked"); own == nil {
			return errNotYet
		}
		return nil
	})
	if own, _ := got.request("unasked"); own != nil {
		t.Errorf("traced without a rate: %v", own)
	}

	if _, errs, code := annex.Run(t, "serve", "--root-directory", t.TempDir(), "--tracing-config-file", write(t, "bad.yaml", config(1000001))); code == 0 || !strings.Contains(errs, "--tracing-config-file") || !strings.Contains(errs, "samplingRatePerMillion") {
		t.Errorf("a rate that is too high ends with %d: %s", code, errs)
	}
}
