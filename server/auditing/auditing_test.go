package auditing

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/admission"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// taken is a backend that keeps what it gets.
type taken struct {
	audit.Backend
	events []*auditinternal.Event
}

// ProcessEvents implements audit.Sink.
func (t *taken) ProcessEvents(events ...*auditinternal.Event) bool {
	t.events = append(t.events, events...)
	return true
}

func TestBackend_WritesWhatClientsSent(t *testing.T) {
	for name, tc := range map[string]struct {
		sent, trimmed, want string
	}{
		"in a workspace":   {"/clusters/root:a/api/v1/secrets?limit=5", "/api/v1/secrets?limit=5", "/clusters/root:a/api/v1/secrets?limit=5"},
		"without a prefix": {"/api/v1/secrets", "/api/v1/secrets", "/api/v1/secrets"},
		"escaped":          {"/clusters/root%3Aa/api", "/api", "/clusters/root%3Aa/api"},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequestWithContext(audit.WithAuditContext(t.Context()), http.MethodGet, tc.sent, nil)
			var err error
			if req.URL, err = url.ParseRequestURI(tc.trimmed); err != nil {
				t.Fatal(err)
			}
			log := &taken{}
			ac := audit.AuditContextFrom(req.Context())
			if err := ac.Init(audit.RequestAuditConfig{Level: auditinternal.LevelMetadata}, Backend{log}); err != nil {
				t.Fatal(err)
			}
			Note(req)
			audit.AddAuditAnnotation(req.Context(), "kcp.io/cluster", "a")
			audit.LogRequestMetadata(req.Context(), req, time.Now(), authorizer.AttributesRecord{})
			for _, stage := range []auditinternal.Stage{auditinternal.StageRequestReceived, auditinternal.StageResponseComplete} {
				ac.ProcessEventStage(req.Context(), stage)
			}
			if len(log.events) != 2 {
				t.Fatalf("%d events", len(log.events))
			}
			for _, event := range log.events {
				if event.RequestURI != tc.want || len(event.Annotations) != 1 || event.Annotations["kcp.io/cluster"] != "a" {
					t.Errorf("%s: %s, annotations %v", event.Stage, event.RequestURI, event.Annotations)
				}
			}
		})
	}
}

func TestAnnotated_RefusesTheServersOwn(t *testing.T) {
	for key, ok := range map[string]bool{
		"hook.example.com/why":                   true,
		"notkcp.io/why":                          true,
		"policy.k8s.io/why":                      true,
		"kcp.io/cluster":                         false,
		"request.auth.kcp.io/05-local-decision":  false,
		"tenancy.kcp.io/workspace":               false,
		"annex.dev/sent-uri":                     false,
		"authorization.k8s.io/decision":          false,
		"authentication.k8s.io/legacy-token":     false,
		"below.authentication.k8s.io/legacy-use": false,
	} {
		a := &noted{}
		err := Annotated(a).AddAnnotation(key, "x")
		if (err == nil) != ok || (a.key == key) != ok {
			t.Errorf("%s: %v, added %q", key, err, a.key)
		}
	}
}

type noted struct {
	admission.Attributes
	key string
}

// AddAnnotation implements admission.Attributes.
func (n *noted) AddAnnotation(key, _ string) error {
	n.key = key
	return nil
}
