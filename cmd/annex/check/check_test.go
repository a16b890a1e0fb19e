package check

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/registry/kinds"
)

const subject = "tenancy.kcp.io/v1alpha1"

// host answers as the API server of a host cluster does when all is well; answers replace some of that, by path.
func host(t *testing.T, answers map[string]http.HandlerFunc) *rest.Config {
	t.Helper()
	mux := http.NewServeMux()
	write := func(path string, object any) {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if answer, ok := answers[r.URL.Path]; ok {
				answer(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(object)
		})
	}
	write("/version", map[string]string{"gitVersion": "v1.36.3"})
	write("/api", metav1.APIVersions{Versions: []string{"v1"}})
	write("/apis", groups())
	for _, served := range kinds.All.HostVersions() {
		write("/apis/"+served.String(), discovered(served))
		write("/apis/apiregistration.k8s.io/v1/apiservices/"+served.Version+"."+served.Group, registered("True", "Passed"))
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

// groups is the list of all groups as hosts without aggregated discovery answer, without those that are missing.
func groups(missing ...string) metav1.APIGroupList {
	list := metav1.APIGroupList{}
	for _, served := range kinds.All.HostVersions() {
		if !slices.Contains(missing, served.String()) {
			list.Groups = append(list.Groups, metav1.APIGroup{Name: served.Group, Versions: []metav1.GroupVersionForDiscovery{{GroupVersion: served.String(), Version: served.Version}}})
		}
	}
	return list
}

// aggregated answers with the list of all groups and their resources, with the subject as fresh as freshness says.
func aggregated(freshness apidiscovery.DiscoveryFreshness) http.HandlerFunc {
	list := apidiscovery.APIGroupDiscoveryList{}
	for _, served := range kinds.All.HostVersions() {
		group := apidiscovery.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: served.Group}}
		version := apidiscovery.APIVersionDiscovery{Version: served.Version, Freshness: apidiscovery.DiscoveryFreshnessCurrent}
		if served.String() == subject {
			version.Freshness = freshness
		}
		group.Versions = append(group.Versions, version)
		list.Items = append(list.Items, group)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
		_ = json.NewEncoder(w).Encode(list)
	}
}

// discovered is the discovery document of a group that serves kinds.
func discovered(served kinds.Served) metav1.APIResourceList {
	list := metav1.APIResourceList{GroupVersion: served.String()}
	for _, kind := range served.Kinds {
		list.APIResources = append(list.APIResources, metav1.APIResource{Name: strings.ToLower(kind) + "s", Kind: kind}, metav1.APIResource{Name: strings.ToLower(kind) + "s/status", Kind: kind})
	}
	return list
}

func registered(status, reason string) map[string]any {
	return map[string]any{
		"spec":   map[string]any{"service": map[string]any{"namespace": "annex-system", "name": "annex"}},
		"status": map[string]any{"conditions": []any{map[string]any{"type": "Available", "status": status, "reason": reason, "message": "as the host says"}}},
	}
}

// status answers as API servers refuse.
func status(code int32, reason metav1.StatusReason, message string) http.HandlerFunc {
	return answer(int(code), metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message})
}

func answer(code int, object any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(object)
	}
}

func TestOnce(t *testing.T) {
	const discovery, service = "/apis/" + subject, "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.tenancy.kcp.io"
	for name, test := range map[string]struct {
		answers map[string]http.HandlerFunc
		// wantFault is in the report about the subject; empty when all is well.
		wantFault, wantAPIService string
	}{
		"all is well":                       {wantAPIService: "annex-system/annex, Available: True"},
		"the user may not read APIServices": {answers: map[string]http.HandlerFunc{service: status(403, metav1.StatusReasonForbidden, "no")}},
		"nothing is registered": {
			answers: map[string]http.HandlerFunc{
				discovery: status(404, metav1.StatusReasonNotFound, "not found"), service: status(404, metav1.StatusReasonNotFound, "not found"),
			},
			wantFault: "APIService v1alpha1.tenancy.kcp.io is missing", wantAPIService: "missing",
		},
		"Annex is down": {
			answers: map[string]http.HandlerFunc{
				discovery: func(w http.ResponseWriter, _ *http.Request) {
					http.Error(w, "service unavailable", http.StatusServiceUnavailable)
				},
				service: answer(200, registered("False", "FailedDiscoveryCheck")),
			},
			wantFault:      "the host cannot reach Annex (503); APIService v1alpha1.tenancy.kcp.io is not available: FailedDiscoveryCheck: as the host says",
			wantAPIService: "annex-system/annex, Available: False",
		},
		"the user is not known": {
			answers:   map[string]http.HandlerFunc{discovery: status(401, metav1.StatusReasonUnauthorized, "who?"), service: status(401, metav1.StatusReasonUnauthorized, "who?")},
			wantFault: "refused (401): who?",
		},
		"an older server": {
			answers: map[string]http.HandlerFunc{
				discovery: answer(200, metav1.APIResourceList{APIResources: []metav1.APIResource{{Name: "workspaces", Kind: "Workspace"}, {Name: "x/y", Kind: "WorkspaceType"}}}),
			},
			wantFault: "does not serve the kinds WorkspaceAuthenticationConfiguration, WorkspaceType", wantAPIService: "annex-system/annex, Available: True",
		},
		"a CRD has the name": {
			answers:   map[string]http.HandlerFunc{service: answer(200, map[string]any{"spec": map[string]any{}})},
			wantFault: "belongs to the host itself", wantAPIService: "local",
		},
		"the host's list is not refreshed yet": {
			answers:   map[string]http.HandlerFunc{"/apis": aggregated(apidiscovery.DiscoveryFreshnessStale)},
			wantFault: "the host's list of APIs is out of date", wantAPIService: "annex-system/annex, Available: True",
		},
		"the host's list is fresh": {
			answers:        map[string]http.HandlerFunc{"/apis": aggregated(apidiscovery.DiscoveryFreshnessCurrent)},
			wantAPIService: "annex-system/annex, Available: True",
		},
		"it is not in the host's list": {
			answers:   map[string]http.HandlerFunc{"/apis": answer(200, groups(subject))},
			wantFault: "the host's list of APIs does not have it", wantAPIService: "annex-system/annex, Available: True",
		},
		"the host has not looked yet": {
			answers:   map[string]http.HandlerFunc{service: answer(200, map[string]any{"spec": registered("", "")["spec"]})},
			wantFault: "has not checked", wantAPIService: "annex-system/annex",
		},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := Once(t.Context(), host(t, test.answers))
			if err != nil {
				t.Fatal(err)
			}
			if report.Good != (test.wantFault == "") || (report.Err() == nil) != report.Good {
				t.Errorf("Good = %v, Err() = %v", report.Good, report.Err())
			}
			for _, gv := range report.GroupVersions {
				faults := strings.Join(gv.Faults, "; ")
				if gv.Name != subject {
					if faults != "" {
						t.Errorf("%s: %s", gv.Name, faults)
					}
					continue
				}
				if !strings.Contains(faults, test.wantFault) || (faults == "") != (test.wantFault == "") {
					t.Errorf("faults: %q, want %q", faults, test.wantFault)
				}
				if gv.APIService != test.wantAPIService {
					t.Errorf("APIService: %q, want %q", gv.APIService, test.wantAPIService)
				}
			}
			var out bytes.Buffer
			if err := report.Print(&out); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), "FAULT") == report.Good || strings.Contains(out.String(), "Annex is served by") != report.Good {
				t.Errorf("printed %s", out.String())
			}
		})
	}
}

func TestOnce_TheHostIsGone(t *testing.T) {
	config := host(t, nil)
	config.Host = "http://127.0.0.1:1"
	if _, err := Once(t.Context(), config); err == nil || !strings.Contains(err.Error(), "asking http://127.0.0.1:1") {
		t.Errorf("a host that is gone: %v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// One group version that hangs must not hide what is found about the others.
func TestOnce_SomethingHangs(t *testing.T) {
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	config := host(t, map[string]http.HandlerFunc{"/apis/" + subject: hang})
	// The time is over when all but the one that hangs are answered: the version, the list of APIs in two parts, and two questions
	// about each other one.
	var answered atomic.Int32
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err != nil {
				return nil, err
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return nil, err
			}
			if int(answered.Add(1)) == 2*len(kinds.All.HostVersions())+1 {
				cancel()
			}
			resp.Body = io.NopCloser(bytes.NewReader(body))
			return resp, nil
		})
	})
	report, err := Once(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	for _, gv := range report.GroupVersions {
		if (len(gv.Faults) > 0) != (gv.Name == subject) {
			t.Errorf("%s: %v", gv.Name, gv.Faults)
		}
	}
}

func TestUntil(t *testing.T) {
	all := kinds.All.HostVersions()
	whole := all[slices.IndexFunc(all, func(served kinds.Served) bool { return served.String() == subject })]
	var looks atomic.Int32
	config := host(t, map[string]http.HandlerFunc{"/apis/" + subject: func(w http.ResponseWriter, r *http.Request) {
		if looks.Add(1) < 3 {
			status(503, metav1.StatusReasonServiceUnavailable, "not yet")(w, r)
			return
		}
		answer(200, discovered(whole))(w, r)
	}})
	report, err := Until(t.Context(), config)
	if err != nil || !report.Good || looks.Load() != 3 {
		t.Errorf("after %d looks: %+v, %v", looks.Load(), report, err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	report, err = Until(ctx, host(t, map[string]http.HandlerFunc{"/apis/" + subject: status(503, metav1.StatusReasonServiceUnavailable, "never")}))
	if err != nil || report.Good || report.Err() == nil {
		t.Errorf("what never gets well: %+v, %v", report, err)
	}
}
