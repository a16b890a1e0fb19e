package integration

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/test/framework/annex"
)

// hooked is a server whose webhooks may be on this machine.
var hooked = &launch{name: "hooked", args: []string{"--webhook-allow-cidr", "127.0.0.0/8"}}

// webhooks is a server of webhooks. Each path has an answer of its own, and every request is recorded.
type webhooks struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse
	asked   map[string][]*admissionv1.AdmissionRequest
}

func newWebhooks(t *testing.T) *webhooks {
	t.Helper()
	w := &webhooks{
		answers: map[string]func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse{},
		asked:   map[string][]*admissionv1.AdmissionRequest{},
	}
	w.Server = httptest.NewTLSServer(http.HandlerFunc(w.serve))
	t.Cleanup(w.Close)
	return w
}

func (w *webhooks) serve(out http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(out, "no review", http.StatusBadRequest)
		return
	}
	path := r.URL.Path
	w.mu.Lock()
	w.asked[path] = append(w.asked[path], review.Request)
	answer := w.answers[path]
	w.mu.Unlock()
	response := &admissionv1.AdmissionResponse{Allowed: true}
	if answer != nil {
		response = answer(review.Request)
	}
	response.UID = review.Request.UID
	out.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(out).Encode(&admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: response})
}

// on sets the answer of a path.
func (w *webhooks) on(path string, answer func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[path] = answer
}

// requests returns what a path was asked about objects with a name.
func (w *webhooks) requests(path, name string) []*admissionv1.AdmissionRequest {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*admissionv1.AdmissionRequest
	for _, r := range w.asked[path] {
		if r.Name == name {
			all = append(all, r)
		}
	}
	return all
}

// client returns the configuration of a client for a path.
func (w *webhooks) client(path string) admissionregistrationv1.WebhookClientConfig {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Certificate().Raw})
	return admissionregistrationv1.WebhookClientConfig{URL: ptr.To(w.URL + path), CABundle: ca}
}

func rulesFor(group, version, resource string) []admissionregistrationv1.RuleWithOperations {
	return []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource}},
	}}
}

// validating creates a configuration with one webhook, which adjust may change.
func (w *webhooks) validating(t *testing.T, typed kubernetes.Interface, name, path string, adjust func(*admissionregistrationv1.ValidatingWebhook)) {
	t.Helper()
	hook := admissionregistrationv1.ValidatingWebhook{
		Name: name + ".example.com", ClientConfig: w.client(path), Rules: rulesFor("", "v1", "configmaps"),
		SideEffects: ptr.To(admissionregistrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
	}
	if adjust != nil {
		adjust(&hook)
	}
	if _, err := typed.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Webhooks: []admissionregistrationv1.ValidatingWebhook{hook},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (w *webhooks) mutating(t *testing.T, typed kubernetes.Interface, name string, hooks ...admissionregistrationv1.MutatingWebhook) {
	t.Helper()
	for i := range hooks {
		h := &hooks[i]
		if h.Rules == nil {
			h.Rules = rulesFor("", "v1", "configmaps")
		}
		h.SideEffects, h.AdmissionReviewVersions = ptr.To(admissionregistrationv1.SideEffectClassNone), []string{"v1"}
	}
	if _, err := typed.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Webhooks: hooks,
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// asksAbout waits until path is asked about a ConfigMap that is created to find that out, and deleted.
func (w *webhooks) asksAbout(t *testing.T, typed kubernetes.Interface, path string, labels map[string]string) {
	t.Helper()
	probe := aConfigMap(uniqueName("probe"), labels)
	eventually(t, path+" is asked", func(ctx context.Context) (bool, error) {
		_, _ = typed.CoreV1().ConfigMaps("default").Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return len(w.requests(path, probe.Name)) > 0, nil
	})
}

func aConfigMap(name string, labels map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: labels}, Data: map[string]string{"a": "b"}}
}

// patch answers with a JSON patch.
func patch(operations string) func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	return func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{Allowed: true, Patch: []byte(operations), PatchType: ptr.To(admissionv1.PatchTypeJSONPatch)}
	}
}

// deny refuses with a code and a message.
func deny(code int32, message string) func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	return func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{Result: &metav1.Status{Code: code, Message: message}}
	}
}

func TestWebhooks_Validating(t *testing.T) {
	s := startOne(t, hooked)
	w := newWebhooks(t)
	path, cluster := newWorkspace(t, s, "root", uniqueName("hooks"))
	other := workspace(t, s)
	typed, _ := annex.Clients(t, s.Workspace(path))
	elsewhere, _ := annex.Clients(t, s.Workspace(other))
	w.on("/deny", deny(http.StatusTeapot, "not today"))
	w.validating(t, typed, "deny", "/deny", func(h *admissionregistrationv1.ValidatingWebhook) {
		h.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"deny": "yes"}}
	})
	w.asksAbout(t, typed, "/deny", map[string]string{"deny": "yes"})
	create := func(client kubernetes.Interface, name string, labels map[string]string) error {
		_, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap(name, labels), metav1.CreateOptions{})
		return err
	}

	err := create(typed, "denied", map[string]string{"deny": "yes"})
	if status, ok := err.(apierrors.APIStatus); !ok || status.Status().Code != http.StatusTeapot || status.Status().Message != `admission webhook "deny.example.com" denied the request: not today` {
		t.Errorf("denied: %v", err)
	}
	asked := w.requests("/deny", "denied")
	if len(asked) != 1 {
		t.Fatalf("asked %d times", len(asked))
	}
	var sent corev1.ConfigMap
	if err := json.Unmarshal(asked[0].Object.Raw, &sent); err != nil {
		t.Fatal(err)
	}
	if sent.Kind != "ConfigMap" || sent.APIVersion != "v1" || sent.Annotations["kcp.io/cluster"] != cluster || asked[0].Namespace != "default" || asked[0].Operation != admissionv1.Create {
		t.Errorf("the webhook was asked about %s", asked[0].Object.Raw)
	}
	if err := create(typed, "other-labels", nil); err != nil {
		t.Error(err)
	}
	if err := create(elsewhere, "denied", map[string]string{"deny": "yes"}); err != nil {
		t.Errorf("in another workspace: %v", err)
	}
	if n := len(w.requests("/deny", "other-labels")) + len(w.requests("/deny", "denied")) - 1; n != 0 {
		t.Errorf("the webhook was asked %d times about what is not its business", n)
	}
	if err := typed.CoreV1().ConfigMaps("default").Delete(t.Context(), "other-labels", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}

	// A webhook of the same name in the other workspace is another one.
	w.on("/elsewhere", deny(http.StatusConflict, "not here"))
	w.validating(t, elsewhere, "deny", "/elsewhere", nil)
	w.asksAbout(t, elsewhere, "/elsewhere", nil)
	if err := create(elsewhere, "again", nil); !apierrors.IsConflict(err) {
		t.Errorf("in the other workspace: %v", err)
	}
	if err := create(typed, "again", nil); err != nil {
		t.Errorf("the webhook of another workspace was asked: %v", err)
	}

	// When the configuration is gone, so is the webhook.
	if err := typed.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), "deny", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the webhook is gone", func(context.Context) (bool, error) {
		return create(typed, uniqueName("free"), map[string]string{"deny": "yes"}) == nil, nil
	})
}

func TestWebhooks_WhichAreAsked(t *testing.T) {
	s := startOne(t, hooked)
	w := newWebhooks(t)
	path := workspace(t, s)
	typed, _ := annex.Clients(t, s.Workspace(path))
	for name, labels := range map[string]map[string]string{"chosen": {"team": "a"}, "left": {"team": "b"}} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
		if _, err := typed.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	w.validating(t, typed, "namespaces", "/namespaces", func(h *admissionregistrationv1.ValidatingWebhook) {
		h.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}
	})
	w.validating(t, typed, "conditions", "/conditions", func(h *admissionregistrationv1.ValidatingWebhook) {
		h.MatchConditions = []admissionregistrationv1.MatchCondition{
			{Name: "data", Expression: "has(object.data) && 'a' in object.data"},
			{Name: "rights", Expression: "authorizer.group('').resource('secrets').namespace('chosen').check('get').allowed()"},
			{Name: "no-rights", Expression: "!authorizer.serviceAccount('chosen', 'nobody').group('').resource('secrets').check('get').allowed()"},
		}
	})
	w.validating(t, typed, "all", "/all", nil)
	w.asksAbout(t, typed, "/all", nil)
	for _, ns := range []string{"chosen", "left"} {
		obj := aConfigMap("in-"+ns, nil)
		obj.Namespace = ns
		if _, err := typed.CoreV1().ConfigMaps(ns).Create(t.Context(), obj, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	empty := aConfigMap("empty", nil)
	empty.Data = nil
	if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), empty, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, name string
		want       int
	}{
		{"/all", "in-chosen", 1}, {"/all", "in-left", 1}, {"/all", "empty", 1},
		{"/namespaces", "in-chosen", 1}, {"/namespaces", "in-left", 0}, {"/namespaces", "empty", 0},
		{"/conditions", "in-chosen", 1}, {"/conditions", "in-left", 1}, {"/conditions", "empty", 0},
	} {
		if got := len(w.requests(c.path, c.name)); got != c.want {
			t.Errorf("%s was asked %d times about %s, want %d", c.path, got, c.name, c.want)
		}
	}
}

func TestWebhooks_Mutating(t *testing.T) {
	s := startOne(t, hooked)
	w := newWebhooks(t)
	path := workspace(t, s)
	typed, dynamic := annex.Clients(t, s.Workspace(path))
	apply(t, s.Workspace(path), gadgetCRD)
	again := admissionregistrationv1.IfNeededReinvocationPolicy
	w.on("/first", patch(`[{"op":"add","path":"/data/first","value":"yes"}]`))
	w.on("/second", patch(`[{"op":"add","path":"/data/second","value":"yes"}]`))
	w.on("/gadgets", patch(`[{"op":"add","path":"/metadata/labels","value":{"mutated":"yes"}}]`))
	w.mutating(t, typed, "mutate",
		admissionregistrationv1.MutatingWebhook{Name: "first.example.com", ClientConfig: w.client("/first"), ReinvocationPolicy: &again},
		admissionregistrationv1.MutatingWebhook{Name: "second.example.com", ClientConfig: w.client("/second")},
		admissionregistrationv1.MutatingWebhook{Name: "gadgets.example.com", ClientConfig: w.client("/gadgets"), Rules: rulesFor("example.org", "*", "gadgets")},
	)
	w.asksAbout(t, typed, "/second", nil)
	got, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap("mutated", nil), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Data["first"] != "yes" || got.Data["second"] != "yes" || got.Data["a"] != "b" {
		t.Errorf("the object is %v", got.Data)
	}
	if first, second := len(w.requests("/first", "mutated")), len(w.requests("/second", "mutated")); first != 2 || second != 1 {
		t.Errorf("the webhooks were asked %d and %d times; the first one again after the second one has changed the object", first, second)
	}
	got.Labels = map[string]string{"updated": "yes"}
	delete(got.Data, "first")
	if got, err = typed.CoreV1().ConfigMaps("default").Update(t.Context(), got, metav1.UpdateOptions{}); err != nil || got.Data["first"] != "yes" {
		t.Errorf("updated: %v, %v", got, err)
	}

	eventually(t, "gadgets are served", func(ctx context.Context) (bool, error) {
		_, err := dynamic.Resource(gadgets).Namespace("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	gadget := parse(t, "apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: cart, namespace: default}\nspec: {wheels: 3}")
	created, err := dynamic.Resource(gadgets).Namespace("default").Create(t.Context(), gadget, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if created.GetLabels()["mutated"] != "yes" {
		t.Errorf("the custom resource has labels %v", created.GetLabels())
	}
	asked := w.requests("/gadgets", "cart")
	if len(asked) == 0 || asked[0].Kind.Kind != "Gadget" || !strings.Contains(string(asked[0].Object.Raw), `"wheels":3`) {
		t.Errorf("asked about %v", asked)
	}

	// A patch that makes the object invalid is refused like an invalid object.
	w.on("/first", patch(`[{"op":"add","path":"/data/not a key","value":"yes"}]`))
	if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap("invalid", nil), metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("got %v", err)
	}
	// So is a patch that forges which workspace the object is of.
	w.on("/first", patch(`[{"op":"replace","path":"/metadata/annotations","value":{"kcp.io/cluster":"root"}}]`))
	forged, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap("forged", nil), metav1.CreateOptions{})
	if err != nil || forged.Annotations["kcp.io/cluster"] == "root" {
		t.Errorf("got %v, %v", forged, err)
	}
}

func TestWebhooks_Failures(t *testing.T) {
	s := startOne(t, hooked)
	w := newWebhooks(t)
	path := workspace(t, s)
	typed, _ := annex.Clients(t, s.Workspace(path))
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	w.on("/slow", func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		<-ended
		return &admissionv1.AdmissionResponse{}
	})
	selects := func(value string, more func(*admissionregistrationv1.ValidatingWebhook)) func(*admissionregistrationv1.ValidatingWebhook) {
		return func(h *admissionregistrationv1.ValidatingWebhook) {
			h.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"hook": value}}
			h.TimeoutSeconds = ptr.To[int32](1)
			if more != nil {
				more(h)
			}
		}
	}
	ignore := ptr.To(admissionregistrationv1.Ignore)
	w.validating(t, typed, "slow", "/slow", selects("slow", nil))
	w.validating(t, typed, "slow-ignored", "/slow", selects("slow-ignored", func(h *admissionregistrationv1.ValidatingWebhook) { h.FailurePolicy = ignore }))
	w.validating(t, typed, "closed", "/closed", selects("closed", func(h *admissionregistrationv1.ValidatingWebhook) {
		h.ClientConfig.URL = ptr.To("https://127.0.0.1:1/")
	}))
	w.validating(t, typed, "service", "/service", selects("service", func(h *admissionregistrationv1.ValidatingWebhook) {
		h.ClientConfig = admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Name: "kubernetes", Namespace: "default"}}
	}))
	w.validating(t, typed, "name", "/name", selects("name", func(h *admissionregistrationv1.ValidatingWebhook) {
		h.ClientConfig.URL = ptr.To("https://kubernetes.default.svc/")
	}))
	w.validating(t, typed, "untrusted", "/untrusted", selects("untrusted", func(h *admissionregistrationv1.ValidatingWebhook) { h.ClientConfig.CABundle = nil }))
	w.validating(t, typed, "fine", "/fine", selects("fine", nil))
	w.asksAbout(t, typed, "/fine", map[string]string{"hook": "fine"})
	for value, want := range map[string]string{
		"slow": "context deadline exceeded", "slow-ignored": "", "closed": "connection refused", "fine": "",
		"service": "a workspace has no service", "name": "does not send requests to services", "untrusted": "certificate",
	} {
		_, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap(value, map[string]string{"hook": value}), metav1.CreateOptions{})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", value, err)
		case want != "" && (!apierrors.IsInternalError(err) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "failed calling webhook")):
			t.Errorf("%s: %v, want %q", value, err, want)
		}
	}
	dry := aConfigMap("dry", map[string]string{"hook": "fine"})
	if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), dry, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Error(err)
	}
	if asked := w.requests("/fine", "dry"); len(asked) != 1 || !ptr.Deref(asked[0].DryRun, false) {
		t.Errorf("about a dry run: %v", asked)
	}
}

// Without a flag, no webhook reaches this machine.
func TestWebhooks_StayAwayFromTheServer(t *testing.T) {
	s := start(t)
	w := newWebhooks(t)
	typed := clientFor(t, s)
	port := w.URL[strings.LastIndex(w.URL, ":")+1:]
	for i, host := range []string{"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"} {
		name := fmt.Sprintf("local-%d", i)
		w.validating(t, typed, name, "/", func(h *admissionregistrationv1.ValidatingWebhook) {
			h.ClientConfig.URL = ptr.To("https://" + host + ":" + port + "/")
			h.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"hook": name}}
		})
		eventually(t, "the webhook at "+host+" is called", func(ctx context.Context) (bool, error) {
			_, err := typed.CoreV1().ConfigMaps("default").Create(ctx, aConfigMap(uniqueName("local"), map[string]string{"hook": name}), metav1.CreateOptions{})
			return err != nil && strings.Contains(err.Error(), "the server sends no requests to this address"), nil
		})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.asked) > 0 {
		t.Errorf("webhooks were asked: %v", w.asked)
	}
}

// A webhook that refuses everything can be deleted, and so can its workspace.
func TestWebhooks_BrokenOnesHoldNothing(t *testing.T) {
	s := startOne(t, hooked)
	w := newWebhooks(t)
	name := uniqueName("broken")
	path, _ := newWorkspace(t, s, "root", name)
	typed, _ := annex.Clients(t, s.Workspace(path))
	w.on("/all", deny(http.StatusForbidden, "nothing changes here"))
	everything := func(h *admissionregistrationv1.ValidatingWebhook) {
		h.Rules = rulesFor("*", "*", "*/*")
	}
	w.validating(t, typed, "all", "/all", everything)
	w.asksAbout(t, typed, "/all", nil)
	w.validating(t, typed, "more", "/all", everything)
	if err := typed.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), "more", metav1.DeleteOptions{}); err != nil {
		t.Errorf("a webhook decides about webhooks: %v", err)
	}
	if err := typed.CoreV1().Namespaces().Delete(t.Context(), "default", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("got %v", err)
	}
	_, parent := annex.Clients(t, s.Workspace("root"))
	if err := parent.Resource(workspaces).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the workspace is gone", func(ctx context.Context) (bool, error) {
		_, err := parent.Resource(workspaces).Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// Requests that wait for the webhooks of a workspace hold the seats of that workspace, and those of others are free.
func TestWebhooks_SlowOnesHoldUpTheirOwnWorkspace(t *testing.T) {
	s := startOne(t, hooked)
	w := newWebhooks(t)
	slow, _ := annex.Clients(t, s.Workspace(workspace(t, s)))
	other, _ := annex.Clients(t, s.Workspace(workspace(t, s)))
	ended := make(chan struct{})
	w.on("/wait", func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		<-ended
		return &admissionv1.AdmissionResponse{Allowed: true}
	})
	w.validating(t, slow, "wait", "/wait", func(h *admissionregistrationv1.ValidatingWebhook) {
		h.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"wait": "yes"}}
		h.TimeoutSeconds = ptr.To[int32](30)
	})
	w.validating(t, slow, "ready", "/ready", nil)
	w.asksAbout(t, slow, "/ready", nil)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			_, _ = slow.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap(fmt.Sprintf("waiting-%d", i), map[string]string{"wait": "yes"}), metav1.CreateOptions{})
		})
	}
	eventually(t, "a request waits", func(context.Context) (bool, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.asked["/wait"]) > 0, nil
	})
	for range 10 {
		if _, err := other.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap(uniqueName("quick"), nil), metav1.CreateOptions{}); err != nil {
			t.Errorf("in another workspace: %v", err)
		}
	}
	close(ended)
	all.Wait()
}
