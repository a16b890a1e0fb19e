package authorization

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/apis/logicalcluster"
)

// answering is a webhook that allows configmaps, denies secrets, fails for leases, and has no opinion about the rest.
type answering struct{ asked []string }

func (a *answering) Authorize(_ context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	a.asked = append(a.asked, attrs.GetUser().GetName()+" "+attrs.GetResource()+attrs.GetPath()+" "+strings.Join(attrs.GetUser().GetExtra()[ClusterNameKey], ","))
	switch attrs.GetResource() {
	case "configmaps", "apibindings", "widgets":
		return authorizer.DecisionAllow, "", nil
	case "secrets":
		return authorizer.DecisionDeny, "", nil
	case "leases":
		return authorizer.DecisionDeny, "", errors.New("the webhook is at 10.0.0.1")
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func TestAuthorize_Order(t *testing.T) {
	alice, bob, carol, dave := someone("alice"), someone("bob"), someone("carol"), someone("dave")
	masters := someone("root", user.SystemPrivilegedGroup)
	first := []string{Webhook, AlwaysAllowGroups, AlwaysAllowPaths, RBAC}
	alone := []string{Webhook}
	for _, tc := range []struct {
		name   string
		order  []string
		target string
		attrs  authorizer.AttributesRecord
		want   authorizer.Decision
		asked  bool
		// reason and err are whether the user learns more than that it is denied.
		reason, err bool
	}{
		{"RBAC allows before the webhook denies", DefaultOrder(), "org", list(alice, "secrets"), authorizer.DecisionAllow, false, false, false},
		{"the webhook allows what RBAC does not", DefaultOrder(), "org", list(bob, "configmaps"), authorizer.DecisionAllow, true, false, false},
		{"both have no opinion", DefaultOrder(), "org", list(bob, "namespaces"), authorizer.DecisionNoOpinion, true, false, false},
		{"the webhook denies what RBAC does not allow", DefaultOrder(), "org", list(bob, "secrets"), authorizer.DecisionDeny, true, false, false},
		{"the webhook does not answer", DefaultOrder(), "org", list(bob, "leases"), authorizer.DecisionDeny, true, false, true},
		{"the webhook is not asked about strangers", DefaultOrder(), "org", list(carol, "configmaps"), authorizer.DecisionDeny, false, true, false},
		{"nor about masters", DefaultOrder(), "org", list(masters, "secrets"), authorizer.DecisionAllow, false, false, false},
		{"nor about health", DefaultOrder(), "org", get(dave, "/healthz"), authorizer.DecisionAllow, false, false, false},
		{"nor about a cluster that does not exist", DefaultOrder(), "gone", list(alice, "configmaps"), authorizer.DecisionDeny, false, true, false},
		{"nor about all clusters", DefaultOrder(), "*", list(bob, "configmaps"), authorizer.DecisionDeny, false, false, false},
		{"nor about the process", DefaultOrder(), "", get(bob, "/metrics"), authorizer.DecisionNoOpinion, false, false, false},

		{"a webhook that is first denies what RBAC allows", first, "org", list(alice, "secrets"), authorizer.DecisionDeny, true, false, false},
		{"and what masters may", first, "org", list(masters, "secrets"), authorizer.DecisionDeny, true, true, false},
		{"without an opinion, RBAC decides", first, "org", list(alice, "namespaces"), authorizer.DecisionAllow, true, false, false},
		{"it lets in whom RBAC does not", first, "org", list(dave, "configmaps"), authorizer.DecisionAllow, true, false, false},
		{"whom it denies something learns nothing about the workspace", first, "org", list(dave, "secrets"), authorizer.DecisionDeny, true, true, false},
		{"if it does not answer, nothing is allowed", first, "org", list(alice, "leases"), authorizer.DecisionDeny, true, false, true},
		{"and strangers learn nothing from that", first, "org", list(dave, "leases"), authorizer.DecisionDeny, true, true, false},
		{"it opens no cluster that is switched off", first, "off", list(dave, "configmaps"), authorizer.DecisionDeny, false, true, false},
		{"nor one that does not exist", first, "gone", list(dave, "configmaps"), authorizer.DecisionDeny, false, true, false},
		{"nor one of the server", first, "system:admin", list(dave, "configmaps"), authorizer.DecisionDeny, false, true, false},
		{"nor required groups", first, "required", list(dave, "configmaps"), authorizer.DecisionDeny, false, true, false},
		{"nor what only the server writes", first, "org", status(dave, "update", "apis.kcp.io", "apibindings"), authorizer.DecisionDeny, false, true, false},
		{"nor all clusters", first, "*", list(dave, "configmaps"), authorizer.DecisionDeny, false, false, false},

		{"alone it decides", alone, "org", list(dave, "configmaps"), authorizer.DecisionAllow, true, false, false},
		{"RBAC does not", alone, "org", list(alice, "namespaces"), authorizer.DecisionNoOpinion, true, false, false},
		{"and masters are nobody", alone, "org", list(masters, "namespaces"), authorizer.DecisionNoOpinion, true, true, false},
		{"health needs somebody who allows it", alone, "org", get(dave, "/healthz"), authorizer.DecisionNoOpinion, true, true, false},
		{"not even of the unknown", alone, "?", get(dave, "/healthz"), authorizer.DecisionDeny, false, true, false},

		{"another path that is open", DefaultOrder(), "org", get(dave, "/open/x"), authorizer.DecisionAllow, false, false, false},
		{"is not open where nothing is", DefaultOrder(), "?", get(dave, "/open/x"), authorizer.DecisionDeny, false, true, false},
		{"a name like it", DefaultOrder(), "org", get(dave, "/opened"), authorizer.DecisionDeny, false, true, false},

		{"without a webhook", []string{AlwaysAllowGroups, RBAC}, "org", list(alice, "secrets"), authorizer.DecisionAllow, false, false, false},
		{"without RBAC", []string{AlwaysAllowGroups}, "org", list(alice, "secrets"), authorizer.DecisionNoOpinion, false, true, false},
		{"without RBAC, masters", []string{AlwaysAllowGroups}, "org", list(masters, "secrets"), authorizer.DecisionAllow, false, false, false},
		{"without groups, masters of all clusters", []string{RBAC}, "*", list(masters, "secrets"), authorizer.DecisionDeny, false, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hook := &answering{}
			c := over(world())
			c.AlwaysAllowPaths, c.Order = append(DefaultAlwaysAllowPaths(), "/open/*"), tc.order
			if slices.Contains(tc.order, Webhook) {
				c.Webhook = hook
			}
			ctx := t.Context()
			switch tc.target {
			case "?":
				ctx = logicalcluster.WithUnknown(ctx)
			case "*":
				ctx = logicalcluster.WithWildcard(ctx)
			case "":
			default:
				ctx = logicalcluster.WithCluster(ctx, logicalcluster.Name(tc.target))
			}
			decision, reason, err := build(t, c, onlyVera).Authorize(ctx, tc.attrs)
			if decision != tc.want || (err != nil) != tc.err || (len(hook.asked) > 0) != tc.asked {
				t.Errorf("Authorize() = %v, %q, %v, asked %q", decision, reason, err, hook.asked)
			}
			if decision != authorizer.DecisionAllow && (reason != denied) != tc.reason || strings.Contains(reason, "10.0.0.1") {
				t.Errorf("the user is told %q", reason)
			}
			for _, asked := range hook.asked {
				if !strings.HasSuffix(asked, " "+tc.target) {
					t.Errorf("the webhook was asked %q, want the cluster %s", asked, tc.target)
				}
			}
		})
	}
}

// service is a webhook of a URL. It allows what is in the cluster org.
type service struct {
	*httptest.Server
	reviews []authorizationv1.SubjectAccessReviewSpec
}

func newService(t *testing.T) *service {
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review authorizationv1.SubjectAccessReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		s.reviews = append(s.reviews, review.Spec)
		review.Status.Allowed = slices.Equal(review.Spec.Extra[ClusterNameKey], []string{"org"})
		review.TypeMeta = metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SubjectAccessReview"}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(review); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) authorizer(t *testing.T) authorizer.UnconditionalAuthorizer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	content := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q}}]\ncontexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n", s.URL)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := NewWebhook(WebhookConfig{Kubeconfig: file, Version: "v1", AllowTTL: time.Minute, DenyTTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The answer about a request in one cluster is none about the same request in another.
func TestNewWebhook_AnswersAreOfOneCluster(t *testing.T) {
	s := newService(t)
	c := over(world())
	c.Order, c.Webhook = []string{Webhook}, s.authorizer(t)
	a := build(t, c, onlyVera)
	forged := someone("dave")
	forged.Extra = map[string][]string{ClusterNameKey: {"org"}, "team": {"red"}}
	for range 2 {
		for cluster, want := range map[logicalcluster.Name]authorizer.Decision{"org": authorizer.DecisionAllow, "other": authorizer.DecisionNoOpinion} {
			if got, _, err := a.Authorize(logicalcluster.WithCluster(t.Context(), cluster), list(forged, "configmaps")); got != want || err != nil {
				t.Errorf("in %s: %v, %v, want %v", cluster, got, err, want)
			}
		}
	}
	if len(s.reviews) != 2 {
		t.Fatalf("the service was asked %d times, want once about each cluster", len(s.reviews))
	}
	if r := s.reviews[0]; r.User != "dave" || !slices.Equal(r.Extra["team"], []string{"red"}) || r.ResourceAttributes.Resource != "configmaps" || r.ResourceAttributes.Verb != "list" {
		t.Errorf("the service was asked %+v", r)
	}
	if len(forged.Extra[ClusterNameKey]) != 1 || forged.Extra[ClusterNameKey][0] != "org" {
		t.Error("the user of the request was changed")
	}
}

func TestNewWebhook_DownIsClosed(t *testing.T) {
	s := newService(t)
	hook := s.authorizer(t)
	s.Close()
	decision, _, err := hook.Authorize(t.Context(), list(someone("dave"), "configmaps"))
	if decision != authorizer.DecisionDeny || err == nil {
		t.Errorf("Authorize() = %v, %v, want an error", decision, err)
	}
}

// The stock authorizer keeps each question as a key, however long it is. Tenants ask with access reviews.
func TestNewWebhook_AnswersAreBounded(t *testing.T) {
	s := newService(t)
	hook := s.authorizer(t).(*remote)
	ask := func(groups ...string) {
		t.Helper()
		u := someone("dave", groups...)
		u.Extra = map[string][]string{ClusterNameKey: {"org"}}
		if decision, _, err := hook.Authorize(t.Context(), list(u, "configmaps")); decision != authorizer.DecisionAllow || err != nil {
			t.Fatalf("Authorize() = %v, %v", decision, err)
		}
	}
	const size = 1 << 20
	first := hook.current
	for i := range 2 * mostAnswers / size {
		ask(strings.Repeat("g", size), fmt.Sprint(i))
		if sum := hook.asked.Load(); sum > mostAnswers+2*size {
			t.Fatalf("answers of %d bytes are kept", sum)
		}
	}
	if hook.current == first {
		t.Error("nothing was forgotten")
	}
	before := len(s.reviews)
	ask()
	ask()
	if len(s.reviews) != before+1 {
		t.Errorf("a small answer is not used again: %d questions", len(s.reviews)-before)
	}
}

func TestNewWebhook_Files(t *testing.T) {
	if _, err := NewWebhook(WebhookConfig{Kubeconfig: "missing", Version: "v1"}); err == nil || !strings.Contains(err.Error(), "--authorization-webhook-config-file missing") {
		t.Errorf("a missing file: %v", err)
	}
}
