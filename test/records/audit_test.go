package records

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	"github.com/annex-dev/annex/test/framework/annex"
)

// auditPolicy records Secrets without content, nothing in the namespace silent, and everything else with content.
const auditPolicy = `
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: None
  namespaces: [silent]
- level: None
  users: [quiet]
- level: Metadata
  resources: [{group: "", resources: [secrets, serviceaccounts/token]}]
- level: RequestResponse
`

// events are the audit log of a server.
type events struct{ file string }

func (e events) read(t *testing.T) (all []auditv1.Event) {
	t.Helper()
	file, err := os.Open(e.file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var event auditv1.Event
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
		all = append(all, event)
	}
	return all
}

// of returns the events of the request that was sent with an Audit-ID, once it is complete.
func (e events) of(t *testing.T, id string) (stages []auditv1.Event) {
	t.Helper()
	annex.Eventually(t, func(context.Context) error {
		stages = slices.DeleteFunc(e.read(t), func(event auditv1.Event) bool { return string(event.AuditID) != id })
		if len(stages) == 0 || stages[len(stages)-1].ResponseStatus == nil {
			return fmt.Errorf("%s: %d events", id, len(stages))
		}
		return nil
	})
	return stages
}

func TestAudit(t *testing.T) {
	received := &receiver{ids: map[string]int{}}
	hook := httptest.NewServer(received)
	t.Cleanup(hook.Close)
	dir := t.TempDir()
	log := events{filepath.Join(dir, "audit.log")}
	s := annex.Start(t, "--audit-policy-file", write(t, "policy.yaml", auditPolicy), "--audit-log-path", log.file,
		"--audit-webhook-config-file", write(t, "webhook.yaml", fmt.Sprintf(webhook, hook.URL)), "--audit-webhook-batch-max-wait", "100ms",
		"--token-auth-file", write(t, "tokens.csv", "alice-token,alice,1,team\nquiet-token,quiet,2,team\n"), "--webhook-allow-cidr", "127.0.0.0/8")
	path, cluster := s.NewWorkspace("root", "audited", "")
	admin, alice := s.Workspace(path), s.As("alice-token", path)
	defineGadgets(t, admin)
	whole := admin.Host[strings.Index(admin.Host, "/clusters/"):]
	masters := s.Config(annex.ContextShardBase)
	masters.Host = s.URL()

	must(t, admin, 201, http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
		`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"team"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"bob"}]}`)
	// A tenant whose policies have the names of the server's annotations.
	for _, name := range []string{"request.auth.kcp.io", "kcp.io", "mine.example.com"} {
		must(t, admin, 201, http.MethodPost, "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies", fmt.Sprintf(forging, name))
		must(t, admin, 201, http.MethodPost, "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings", fmt.Sprintf(bound, name, name))
	}
	annex.Eventually(t, func(ctx context.Context) error {
		id := fmt.Sprintf("forged-%d", time.Now().UnixNano())
		if _, _, err := send(ctx, admin, http.MethodPost, gadgets, gadget(id, "x"), "Audit-ID", id); err != nil {
			return err
		}
		for _, event := range log.of(t, id) {
			for _, key := range []string{"request.auth.kcp.io/forged", "kcp.io/forged"} {
				if _, ok := event.Annotations[key]; ok {
					t.Fatalf("a tenant has written %s", key)
				}
			}
			if event.Annotations["mine.example.com/forged"] == "forged" {
				return nil
			}
		}
		return errNotYet
	})

	for name, tc := range map[string]struct {
		do         func(t *testing.T, id string)
		uri        string
		code       int32
		user, as   string
		path       string // what kcp.io/path is, if not the path of the workspace
		nowhere    bool   // whether the request is in no cluster that exists
		decision   string // an annotation that begins so
		req, resp  string // what the contents hold
		bodiless   bool
		wantStages int
	}{
		"a read": {
			do: func(t *testing.T, id string) {
				must(t, admin, 200, http.MethodGet, configMaps+"?limit=5", "", "Audit-ID", id)
			},
			uri: whole + configMaps + "?limit=5", code: 200, resp: "kube-root-ca.crt", decision: "request.auth.kcp.io/05-",
		},
		"rendered objects": {
			do: func(t *testing.T, id string) {
				must(t, admin, 200, http.MethodGet, "/api/v1/namespaces/default/serviceaccounts/default", "", "Audit-ID", id)
			},
			uri: whole + "/api/v1/namespaces/default/serviceaccounts/default", code: 200, resp: `"kind":"ServiceAccount"`,
		},
		"a custom resource": {
			do: func(t *testing.T, id string) {
				must(t, admin, 201, http.MethodPost, gadgets, gadget("one", "content"), "Audit-ID", id)
			},
			uri: whole + gadgets, code: 201, req: `"word":"content"`, resp: `"uid"`,
		},
		"a bound API": {
			do: func(t *testing.T, id string) {
				must(t, s.Workspace("root"), 201, http.MethodPost, "/apis/tenancy.kcp.io/v1alpha1/workspaces", `{"apiVersion":"tenancy.kcp.io/v1alpha1","kind":"Workspace","metadata":{"name":"bound"}}`, "Audit-ID", id)
			},
			uri: "/clusters/root/apis/tenancy.kcp.io/v1alpha1/workspaces", code: 201, req: `"bound"`, resp: `"uid"`, path: "root", decision: "request.auth.kcp.io/04-maxpermissionpolicy-decision=NoOpinion",
		},
		"a body that is no object": {
			do: func(t *testing.T, id string) {
				must(t, admin, 400, http.MethodPost, gadgets, `{"kind":`, "Audit-ID", id)
			},
			uri: whole + gadgets, code: 400, bodiless: true,
		},
		"a patch": {
			do: func(t *testing.T, id string) {
				must(t, admin, 200, http.MethodPatch, "/api/v1/namespaces/default", `{"metadata":{"labels":{"a":"patched"}}}`, "Audit-ID", id, "Content-Type", "application/merge-patch+json")
			},
			uri: whole + "/api/v1/namespaces/default", code: 200, req: `"patched"`, resp: `"patched"`,
		},
		"deletecollection": {
			do: func(t *testing.T, id string) {
				must(t, admin, 200, http.MethodDelete, gadgets+"?labelSelector=a%3Db", "", "Audit-ID", id)
			},
			uri: whole + gadgets + "?labelSelector=a%3Db", code: 200,
		},
		"a Secret": {
			do: func(t *testing.T, id string) {
				must(t, admin, 201, http.MethodPost, secrets, secret("one", "confidential"), "Audit-ID", id)
			},
			uri: whole + secrets, code: 201, bodiless: true,
		},
		"bad credentials": {
			do: func(t *testing.T, id string) {
				must(t, s.As("nobody", path), 401, http.MethodGet, configMaps, "", "Audit-ID", id)
			},
			uri: whole + configMaps, code: 401, user: "-",
		},
		"somebody else": {
			do:  func(t *testing.T, id string) { must(t, alice, 403, http.MethodGet, configMaps, "", "Audit-ID", id) },
			uri: whole + configMaps, code: 403, user: "alice", decision: "request.auth.kcp.io/02-content-decision=Denied",
		},
		"a workspace that is not": {
			do: func(t *testing.T, id string) {
				must(t, s.As("alice-token", "root:missing"), 403, http.MethodGet, configMaps, "", "Audit-ID", id)
			},
			uri: "/clusters/root:missing" + configMaps, code: 403, user: "alice", path: "root:missing", nowhere: true, decision: "request.auth.kcp.io/decision=Denied",
		},
		"impersonation": {
			do: func(t *testing.T, id string) {
				must(t, admin, 200, http.MethodGet, configMaps, "", "Audit-ID", id, "Impersonate-User", "bob", "Impersonate-Group", "system:authenticated")
			},
			uri: whole + configMaps, code: 200, as: "bob",
		},
		"an impersonation that is refused": {
			do: func(t *testing.T, id string) {
				must(t, admin, 403, http.MethodGet, configMaps, "", "Audit-ID", id, "Impersonate-User", "bob", "Impersonate-Group", "system:masters")
			},
			uri: whole + configMaps, code: 403, decision: "request.auth.kcp.io/impersonation-decision=Denied",
		},
		"a review": {
			do: func(t *testing.T, id string) {
				must(t, admin, 201, http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
					`{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"verb":"get","resource":"secrets"}}}`, "Audit-ID", id)
			},
			uri: whole + "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", code: 201, decision: "sar.auth.kcp.io/decision=Allowed",
		},
		"metrics of a workspace": {
			do: func(t *testing.T, id string) {
				must(t, masters, 501, http.MethodGet, whole+"/metrics", "", "Audit-ID", id)
			},
			uri: whole + "/metrics", code: 501, decision: "shardpaths.kcp.io/rejected=/metrics",
		},
		"all clusters": {
			do: func(t *testing.T, id string) {
				must(t, masters, 200, http.MethodGet, "/clusters/*/api/v1/configmaps?limit=1", "", "Audit-ID", id)
			},
			uri: "/clusters/*/api/v1/configmaps?limit=1", code: 200, path: "*", nowhere: true, decision: "request.auth.kcp.io/reason=system:masters may do everything",
		},
		"a provider's endpoint": {
			do: func(t *testing.T, id string) {
				must(t, masters, 404, http.MethodGet, "/services/apiexport/"+cluster+"/missing/clusters/*/apis/example.com/v1/gadgets", "", "Audit-ID", id)
			},
			uri: "/services/apiexport/" + cluster + "/missing/clusters/*/apis/example.com/v1/gadgets", code: 404, path: "*", nowhere: true, decision: "request.auth.kcp.io/decision=Allowed",
		},
		"a watch": {
			do: func(t *testing.T, id string) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, _, _ = send(ctx, admin, http.MethodGet, configMaps+"?watch=true&timeoutSeconds=1", "", "Audit-ID", id)
			},
			uri: whole + configMaps + "?watch=true&timeoutSeconds=1", code: 200, wantStages: 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			id := "id-" + strings.ReplaceAll(name, " ", "-")
			tc.do(t, id)
			var stages []auditv1.Event
			annex.Eventually(t, func(context.Context) error {
				if stages = log.of(t, id); len(stages) < max(tc.wantStages, 1) {
					return errNotYet
				}
				return nil
			})
			wantPath := path
			if tc.path != "" {
				wantPath = tc.path
			}
			for _, event := range stages {
				if event.RequestURI != tc.uri {
					t.Errorf("%s: URI %s, want %s", event.Stage, event.RequestURI, tc.uri)
				}
				in := event.Annotations["kcp.io/cluster"]
				if event.Annotations["kcp.io/path"] != wantPath || (in == "") != tc.nowhere || in != event.Annotations["tenancy.kcp.io/workspace"] ||
					wantPath == path && in != cluster {
					t.Errorf("%s: annotations %v", event.Stage, event.Annotations)
				}
				if tc.user == "-" && event.User.Username != "" || tc.user != "" && tc.user != "-" && event.User.Username != tc.user {
					t.Errorf("%s: user %q", event.Stage, event.User.Username)
				}
			}
			last := stages[len(stages)-1]
			if last.ResponseStatus.Code != tc.code {
				t.Errorf("code %d, want %d", last.ResponseStatus.Code, tc.code)
			}
			if tc.as != "" && (last.ImpersonatedUser == nil || last.ImpersonatedUser.Username != tc.as || last.User.Username == tc.as) {
				t.Errorf("user %q impersonates %v", last.User.Username, last.ImpersonatedUser)
			}
			if key, value, _ := strings.Cut(tc.decision, "="); tc.decision != "" && !slices.ContainsFunc(keysOf(last.Annotations), func(k string) bool {
				return strings.HasPrefix(k, key) && strings.HasPrefix(last.Annotations[k], value)
			}) {
				t.Errorf("annotations %v, want %s", last.Annotations, tc.decision)
			}
			if tc.req != "" && (last.RequestObject == nil || !strings.Contains(string(last.RequestObject.Raw), tc.req)) {
				t.Errorf("request %v, want %s", last.RequestObject, tc.req)
			}
			if tc.resp != "" && (last.ResponseObject == nil || !strings.Contains(string(last.ResponseObject.Raw), tc.resp)) {
				t.Errorf("response %v, want %s", last.ResponseObject, tc.resp)
			}
			if tc.bodiless && last.RequestObject != nil {
				t.Errorf("request %s", last.RequestObject.Raw)
			}
		})
	}
	must(t, admin, 201, http.MethodPost, "/api/v1/namespaces", `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"silent"}}`)
	must(t, admin, 200, http.MethodGet, "/api/v1/namespaces/silent/configmaps", "", "Audit-ID", "silent")
	must(t, s.As("quiet-token", path), 403, http.MethodGet, configMaps, "", "Audit-ID", "silent")
	must(t, admin, 200, http.MethodGet, "/api", "", "Audit-ID", "last")
	log.of(t, "last")
	for _, event := range log.read(t) {
		switch {
		case event.AuditID == "silent":
			t.Errorf("the policy excludes %s", event.RequestURI)
		case event.User.Username == "system:apiserver":
			t.Errorf("the server's own request %s", event.RequestURI)
		}
	}
	if content, err := os.ReadFile(log.file); err != nil || strings.Contains(string(content), "confidential") || strings.Contains(string(content), "sent-uri") {
		t.Errorf("the log holds a Secret, or an annotation that is for the server alone: %v", err)
	}
	annex.Eventually(t, func(context.Context) error {
		if n := received.events("id-a-read"); n < 2 {
			return fmt.Errorf("the webhook has got %d events", n)
		}
		return nil
	})

	// A webhook that takes events for ever, and one that is gone, do not hold up requests.
	for _, broken := range []func(){received.hang, hook.CloseClientConnections} {
		broken()
		began := time.Now()
		for i := range 50 {
			must(t, admin, 200, http.MethodGet, fmt.Sprintf("%s?limit=%d", configMaps, i+1), "")
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("50 requests took %s", took)
		}
	}
	received.proceed()
}

const webhook = `
apiVersion: v1
kind: Config
clusters: [{name: receiver, cluster: {server: "%s"}}]
contexts: [{name: receiver, context: {cluster: receiver, user: ""}}]
current-context: receiver
`

const forging = `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":%q},"spec":{
"matchConstraints":{"resourceRules":[{"apiGroups":["example.com"],"apiVersions":["*"],"operations":["CREATE"],"resources":["gadgets"]}]},
"validations":[{"expression":"true"}],"auditAnnotations":[{"key":"forged","valueExpression":"'forged'"}]}}`

const bound = `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicyBinding","metadata":{"name":%q},"spec":{"policyName":%q,"validationActions":["Deny"]}}`

func keysOf(m map[string]string) (all []string) {
	for k := range m {
		all = append(all, k)
	}
	return all
}

// receiver is a webhook for events.
type receiver struct {
	lock sync.Mutex
	ids  map[string]int
	held chan struct{} // closed to go on; nil while nothing hangs
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var list auditv1.EventList
	if err := json.NewDecoder(req.Body).Decode(&list); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.lock.Lock()
	held := r.held
	for _, event := range list.Items {
		r.ids[string(event.AuditID)]++
	}
	r.lock.Unlock()
	if held != nil {
		<-held
	}
}

func (r *receiver) events(id string) int {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.ids[id]
}

func (r *receiver) hang() {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.held = make(chan struct{})
}

func (r *receiver) proceed() {
	r.lock.Lock()
	defer r.lock.Unlock()
	close(r.held)
	r.held = nil
}
