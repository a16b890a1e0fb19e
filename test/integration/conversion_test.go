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
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

const doorsCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: doors.example.net}
spec:
  group: example.net
  scope: Namespaced
  names: {plural: doors, singular: door, kind: Door, listKind: DoorList}
  conversion:
    strategy: Webhook
    webhook:
      conversionReviewVersions: [%s]
      clientConfig: {url: %q, caBundle: %s}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
  - name: v2
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

var (
	doors   = schema.GroupVersionResource{Group: "example.net", Version: "v1", Resource: "doors"}
	doorsV2 = schema.GroupVersionResource{Group: "example.net", Version: "v2", Resource: "doors"}
)

// convertingHook converts by moving color to paint and back, unless it is broken.
type convertingHook struct {
	*httptest.Server
	mu     sync.Mutex
	broken bool
	hang   chan struct{}
	calls  int
}

func newConvertingHook(t *testing.T) *convertingHook {
	t.Helper()
	h := &convertingHook{}
	h.Server = httptest.NewTLSServer(http.HandlerFunc(h.serve))
	t.Cleanup(h.Close)
	return h
}

func (h *convertingHook) set(broken bool, hang chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.broken, h.hang = broken, hang
}

func (h *convertingHook) serve(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	broken, hang := h.broken, h.hang
	h.calls++
	h.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}
	if broken {
		http.Error(w, "broken", http.StatusInternalServerError)
		return
	}
	var review apiextensionsv1.ConversionReview // v1beta1 has the same fields
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review.Response = &apiextensionsv1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
	for _, raw := range review.Request.Objects {
		obj := map[string]any{}
		_ = json.Unmarshal(raw.Raw, &obj)
		from, to := "color", "paint"
		if strings.HasSuffix(review.Request.DesiredAPIVersion, "/v1") {
			from, to = to, from
		}
		if value, ok := obj[from]; ok {
			obj[to] = value
			delete(obj, from)
		}
		obj["apiVersion"] = review.Request.DesiredAPIVersion
		data, _ := json.Marshal(obj)
		review.Response.ConvertedObjects = append(review.Response.ConvertedObjects, runtime.RawExtension{Raw: data})
	}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(&review)
}

// install makes a workspace that serves doors.
func (h *convertingHook) install(t *testing.T, config *rest.Config, versions string) dynamic.Interface {
	t.Helper()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})
	bundle, _ := json.Marshal(ca)
	apply(t, config, fmt.Sprintf(doorsCRD, versions, h.URL, bundle))
	_, client := annex.Clients(t, config)
	eventually(t, "doors are served", func(ctx context.Context) (bool, error) {
		_, err := client.Resource(doorsV2).Namespace("default").List(ctx, metav1.ListOptions{})
		return err == nil, nil
	})
	return client
}

func door(name, color string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.net/v1", "kind": "Door", "metadata": map[string]any{"name": name}, "color": color,
	}}
}

func TestConversion_ByWebhook(t *testing.T) {
	s := startOne(t, hooked)
	for _, versions := range []string{"v1", "v1beta1, v1"} {
		h := newConvertingHook(t)
		client := h.install(t, s.Workspace(workspace(t, s)), versions)
		if _, err := client.Resource(doors).Namespace("default").Create(t.Context(), door("a", "red"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		got, err := client.Resource(doorsV2).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{})
		if err != nil || got.Object["paint"] != "red" || got.Object["color"] != nil {
			t.Errorf("%s: %v, %v", versions, got, err)
		}
	}
}

// Without the flag that opens loopback, no request goes there.
func TestConversion_IsGuarded(t *testing.T) {
	s := start(t)
	h := newConvertingHook(t)
	client := h.install(t, s.Workspace(workspace(t, s)), "v1")
	if _, err := client.Resource(doors).Namespace("default").Create(t.Context(), door("a", "red"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := client.Resource(doorsV2).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{})
	if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), "conversion webhook for example.net/v1, Kind=Door failed") || !strings.Contains(err.Error(), "sends no requests to this address") {
		t.Errorf("got %v", err)
	}
	if h.calls > 0 {
		t.Error("the webhook on loopback was called")
	}
}

// hookedSchema is an APIResourceSchema that a webhook converts, and its APIExport.
const hookedSchema = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.doors.example.net}
spec:
  group: example.net
  scope: Namespaced
  names: {plural: doors, singular: door, kind: Door, listKind: DoorList}
  conversion:
    strategy: Webhook
    webhook:
      conversionReviewVersions: [v1]
      clientConfig: {url: %q, caBundle: %s}
  versions:
  - {name: v1, served: true, storage: true, schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
  - {name: v2, served: true, storage: false, schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: doors}
spec: {resources: [{name: doors, group: example.net, schema: v1.doors.example.net, storage: {crd: {}}}]}
`

// doorSchema is an APIResourceSchema with two versions, and doorConversion its APIConversion.
const (
	doorSchema = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIResourceSchema
metadata: {name: v1.doors.example.net}
spec:
  group: example.net
  scope: Namespaced
  names: {plural: doors, singular: door, kind: Door, listKind: DoorList}
  conversion: {strategy: None}
  versions:
  - {name: v1, served: true, storage: true, schema: {type: object, properties: {color: {type: string}}}}
  - {name: v2, served: true, storage: false, schema: {type: object, properties: {paint: {type: string}}}}
`
	doorConversion = `
apiVersion: apis.kcp.io/v1alpha1
kind: APIConversion
metadata: {name: v1.doors.example.net}
spec:
  conversions:
  - {from: v1, to: v2, rules: [{field: .color, destination: .paint}]}
  - {from: v2, to: v1, rules: [{field: .paint, destination: .color}]}
`
)

// The webhook of an APIResourceSchema converts for consumers and for the provider, behind the same guard. A consumer does not learn where it is.
func TestConversion_ByTheWebhookOfASchema(t *testing.T) {
	for name, c := range map[string]struct {
		server  *annex.Server
		guarded bool
	}{"open": {startOne(t, hooked), false}, "guarded": {start(t), true}} {
		h := newConvertingHook(t)
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw})
		bundle, _ := json.Marshal(ca)
		provider, cluster := newWorkspace(t, c.server, "root", uniqueName("provider"))
		consumer, consumerCluster := newWorkspace(t, c.server, "root", uniqueName("consumer"))
		apply(t, c.server.Workspace(provider), fmt.Sprintf(hookedSchema, h.URL, bundle))
		apply(t, c.server.Workspace(consumer), binding("doors", provider, "doors"))
		_, client := annex.Clients(t, c.server.Workspace(consumer))
		eventually(t, "doors are served", func(ctx context.Context) (bool, error) {
			_, err := client.Resource(doors).Namespace("default").Create(ctx, door("a", "red"), metav1.CreateOptions{})
			return err == nil, nil
		})
		at := func(consumers string) dynamic.NamespaceableResourceInterface {
			config := c.server.Workspace(provider)
			config.Host = c.server.URL() + "/services/apiexport/" + cluster + "/doors/clusters/" + consumers
			_, client := annex.Clients(t, config)
			return client.Resource(doorsV2)
		}
		got, err := client.Resource(doorsV2).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{})
		list, listErr := at("*").List(t.Context(), metav1.ListOptions{})
		if !c.guarded {
			if err != nil || got.Object["paint"] != "red" {
				t.Errorf("%s: the consumer gets %v, %v", name, got, err)
			}
			if listErr != nil || len(list.Items) != 1 || list.Items[0].Object["paint"] != "red" {
				t.Errorf("%s: the provider gets %v, %v", name, list, listErr)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "the webhook of the provider of doors.example.net cannot be called") || strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: the consumer gets %v, %v", name, got, err)
		}
		if listErr != nil || len(list.Items) != 0 {
			t.Errorf("%s: the provider gets %v, %v; want a list without what cannot be converted", name, list, listErr)
		}
		_, err = at(consumerCluster).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{})
		if err == nil || !strings.Contains(err.Error(), "sends no requests to this address") {
			t.Errorf("%s: the provider gets %v", name, err)
		}
		if h.calls > 0 {
			t.Error("the webhook on loopback was called")
		}
	}
}

// A webhook that is broken keeps nobody from deleting what it would convert, and the server from nothing.
func TestConversion_BrokenWebhookBlocksNothing(t *testing.T) {
	s := startOne(t, hooked)
	h := newConvertingHook(t)
	path := workspace(t, s)
	config := s.Workspace(path)
	client := h.install(t, config, "v1")
	typed, _ := annex.Clients(t, config)
	for _, ns := range []string{"gone", "kept"} {
		if _, err := typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if _, err := client.Resource(doors).Namespace(ns).Create(t.Context(), door(fmt.Sprint("door-", i), "red"), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	owner, err := typed.CoreV1().ConfigMaps("kept").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "owner"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned := door("owned", "blue")
	owned.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}})
	if _, err := client.Resource(doors).Namespace("kept").Create(t.Context(), owned, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// From now on v2 is stored, so every object would have to be converted.
	if _, err := client.Resource(crds).Patch(t.Context(), "doors.example.net", "application/json-patch+json",
		[]byte(`[{"op":"replace","path":"/spec/versions/0/storage","value":false},{"op":"replace","path":"/spec/versions/1/storage","value":true}]`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	h.set(true, nil)
	eventually(t, "the webhook is broken", func(ctx context.Context) (bool, error) {
		_, err := client.Resource(doorsV2).Namespace("kept").Get(ctx, "door-0", metav1.GetOptions{})
		return apierrors.IsInternalError(err), nil
	})
	stored := func(ns string) int {
		list, err := client.Resource(doors).Namespace(ns).List(t.Context(), metav1.ListOptions{}) // as they are stored
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
	if err := typed.CoreV1().Namespaces().Delete(t.Context(), "gone", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := typed.CoreV1().ConfigMaps("kept").Delete(t.Context(), "owner", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is gone", func(ctx context.Context) (bool, error) {
		_, err := typed.CoreV1().Namespaces().Get(ctx, "gone", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	eventually(t, "what is owned is gone", func(context.Context) (bool, error) { return stored("kept") == 3, nil })
	if err := asAdminDelete(t, s, path); err != nil {
		t.Fatal(err)
	}
}

// asAdminDelete deletes a workspace of root, and waits until it is gone.
func asAdminDelete(t *testing.T, s *annex.Server, path string) error {
	t.Helper()
	_, root := annex.Clients(t, s.Workspace("root"))
	name := path[strings.LastIndex(path, ":")+1:]
	if err := root.Resource(workspaces).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	eventually(t, "the workspace is gone", func(ctx context.Context) (bool, error) {
		_, err := root.Resource(workspaces).Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	return nil
}

// Requests that wait for a slow webhook keep the seats of their own workspace.
func TestConversion_SlowWebhookTakesNoSharesOfOthers(t *testing.T) {
	s := startOne(t, hooked)
	h := newConvertingHook(t)
	client := h.install(t, s.Workspace(workspace(t, s)), "v1")
	if _, err := client.Resource(doors).Namespace("default").Create(t.Context(), door("a", "red"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	other, _ := annex.Clients(t, s.Workspace(workspace(t, s)))
	hang := make(chan struct{})
	h.set(false, hang)
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			_, _ = client.Resource(doorsV2).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{})
		})
	}
	for i := range 20 {
		began := time.Now()
		if _, err := other.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap(fmt.Sprint("free-", i), nil), metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("a request in another workspace took %v", took)
		}
	}
	h.set(false, nil)
	close(hang)
	all.Wait()
}

// What the server itself does to custom resources is decided by the webhooks of the workspace, as in Kubernetes.
func TestWebhooks_DecideAboutTheServersWritesOfCustomResources(t *testing.T) {
	s := startOne(t, hooked)
	w := newWebhooks(t)
	path := workspace(t, s)
	config := s.Workspace(path)
	apply(t, config, gadgetCRD)
	typed, client := annex.Clients(t, config)
	if _, err := typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "full"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	gadget := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.org/v1", "kind": "Gadget", "metadata": map[string]any{"name": "g"}}}
	eventually(t, "gadgets are served", func(ctx context.Context) (bool, error) {
		_, err := client.Resource(gadgets).Namespace("full").Create(ctx, gadget, metav1.CreateOptions{})
		return err == nil, nil
	})
	w.on("/gadgets", func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return deny(http.StatusForbidden, "gadgets stay")(r)
	})
	w.validating(t, typed, "gadgets", "/gadgets", func(h *admissionregistrationv1.ValidatingWebhook) {
		h.Rules = rulesFor("example.org", "*", "gadgets")
		h.Rules[0].Operations = []admissionregistrationv1.OperationType{admissionregistrationv1.Delete}
	})
	eventually(t, "the webhook is asked", func(ctx context.Context) (bool, error) {
		err := client.Resource(gadgets).Namespace("full").Delete(ctx, "g", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsForbidden(err), nil
	})
	if err := typed.CoreV1().Namespaces().Delete(t.Context(), "full", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the condition of the namespace says why", func(ctx context.Context) (bool, error) {
		ns, err := typed.CoreV1().Namespaces().Get(ctx, "full", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, c := range ns.Status.Conditions {
			if c.Type == corev1.NamespaceDeletionContentFailure && c.Status == corev1.ConditionTrue && strings.Contains(c.Message, "gadgets stay") {
				return true, nil
			}
		}
		return false, nil
	})
	if _, err := client.Resource(gadgets).Namespace("full").Get(t.Context(), "g", metav1.GetOptions{}); err != nil {
		t.Errorf("what the webhook keeps: %v", err)
	}
	asked := w.requests("/gadgets", "g")
	last := asked[len(asked)-1]
	if last.UserInfo.Username != "system:apiserver" || last.Operation != admissionv1.Delete || last.Resource.Resource != "gadgets" || len(last.OldObject.Raw) == 0 {
		t.Errorf("the webhook was asked %+v", last)
	}
	// Others go on, and the server does not try all the time.
	if _, err := typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "empty"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := typed.CoreV1().Namespaces().Delete(t.Context(), "empty", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another namespace is gone", func(ctx context.Context) (bool, error) {
		_, err := typed.CoreV1().Namespaces().Get(ctx, "empty", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if n := len(w.requests("/gadgets", "g")); n > 60 {
		t.Errorf("the webhook was asked %d times", n)
	}
	// The deletion of the workspace asks nobody.
	if err := asAdminDelete(t, s, path); err != nil {
		t.Fatal(err)
	}
}

// Consumers follow a change of the rules: open watches end, and what is read is converted anew.
func TestConversion_FollowsTheRules(t *testing.T) {
	s := start(t)
	provider := workspace(t, s)
	consumer := workspace(t, s)
	apply(t, s.Workspace(provider), doorSchema+"---\n"+hookedSchema[strings.Index(hookedSchema, "apiVersion: apis.kcp.io/v1alpha2"):])
	apply(t, s.Workspace(consumer), binding("doors", provider, "doors"))
	_, client := annex.Clients(t, s.Workspace(consumer))
	eventually(t, "doors are served", func(ctx context.Context) (bool, error) {
		_, err := client.Resource(doors).Namespace("default").Create(ctx, door("a", "red"), metav1.CreateOptions{})
		return err == nil, nil
	})
	open, err := client.Resource(doorsV2).Namespace("default").Watch(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Stop()
	if first := <-open.ResultChan(); first.Object.(*unstructured.Unstructured).Object["paint"] != nil {
		t.Errorf("without rules: %v", first.Object)
	}
	apply(t, s.Workspace(provider), doorConversion)
	eventually(t, "the rules are in effect", func(ctx context.Context) (bool, error) {
		got, err := client.Resource(doorsV2).Namespace("default").Get(ctx, "a", metav1.GetOptions{})
		return err == nil && got.Object["paint"] == "red", err
	})
	for range open.ResultChan() { // ends with the test if the watch does not
	}
}
