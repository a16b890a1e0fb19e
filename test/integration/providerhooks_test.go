package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/annex-dev/annex/test/framework/annex"
)

// sharing is an export of widgets, and a workspace that has bound it.
type sharing struct {
	s *annex.Server
	// provider and consumer are paths, producer and cluster the clusters there.
	provider, producer string
	consumer, cluster  string

	atProvider, atConsumer           kubernetes.Interface
	providerDynamic, consumerDynamic dynamic.Interface
}

func newSharing(t *testing.T, s *annex.Server) *sharing {
	t.Helper()
	h := &sharing{s: s}
	h.provider, h.producer = newWorkspace(t, s, "root", uniqueName("provider"))
	apply(t, s.Workspace(h.provider), widgetSchema)
	apply(t, s.Workspace(h.provider), widgetExport)
	h.consumer, h.cluster = newWorkspace(t, s, "root", uniqueName("consumer"))
	apply(t, s.Workspace(h.consumer), binding("widgets", h.provider, "widgets"))
	h.atProvider, h.providerDynamic = annex.Clients(t, s.Workspace(h.provider))
	h.atConsumer, h.consumerDynamic = annex.Clients(t, s.Workspace(h.consumer))
	waitCondition(t, h.consumerDynamic.Resource(bindings), "widgets", "Ready", "True", "")
	return h
}

func aWidget(t *testing.T, name string, labels map[string]string) *unstructured.Unstructured {
	t.Helper()
	obj := parse(t, "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: "+name+", namespace: default}\nspec: {size: 1}")
	obj.SetLabels(labels)
	return obj
}

// create creates a widget in the consumer.
func (h *sharing) create(t *testing.T, name string) (*unstructured.Unstructured, error) {
	t.Helper()
	return h.consumerDynamic.Resource(widgets).Namespace("default").Create(t.Context(), aWidget(t, name, nil), metav1.CreateOptions{})
}

// refuses waits until creating a widget is refused with a message.
func (h *sharing) refuses(t *testing.T, message string) {
	t.Helper()
	var last error
	eventually(t, "a widget is refused: "+message, func(context.Context) (bool, error) {
		_, last = h.create(t, uniqueName("probe"))
		return last != nil && strings.Contains(last.Error(), message), nil
	})
}

func onWidgets(h *admissionregistrationv1.ValidatingWebhook) {
	h.Rules = rulesFor("example.com", "*", "widgets")
}

func TestWebhooks_OfAProvider(t *testing.T) {
	s := startOne(t, hooked)
	w := newWebhooks(t)
	h := newSharing(t, s)
	w.on("/provider", deny(http.StatusForbidden, "the provider says no"))
	w.on("/consumer", deny(http.StatusForbidden, "the consumer says no"))
	w.validating(t, h.atConsumer, "consumer", "/consumer", onWidgets)
	w.validating(t, h.atConsumer, "everything", "/consumer", func(h *admissionregistrationv1.ValidatingWebhook) { h.Rules = rulesFor("*", "*", "*") })
	refused := func() error {
		_, err := h.atConsumer.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap(uniqueName("own"), nil), metav1.CreateOptions{})
		return err
	}
	eventually(t, "the consumer's webhook decides about its own objects", func(context.Context) (bool, error) {
		return apierrors.IsForbidden(refused()), nil
	})
	if _, err := h.create(t, "free"); err != nil {
		t.Errorf("the consumer's webhook decides about what it has bound: %v", err)
	}
	w.validating(t, h.atProvider, "provider", "/provider", func(hook *admissionregistrationv1.ValidatingWebhook) {
		onWidgets(hook)
		hook.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"guarded": "yes"}}
	})
	if _, err := h.atProvider.CoreV1().Namespaces().Patch(t.Context(), "default", types.MergePatchType, []byte(`{"metadata":{"labels":{"guarded":"yes"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.create(t, "unguarded"); err != nil {
		t.Errorf("the namespaces are those of the consumer: %v", err)
	}
	if err := h.atConsumer.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(t.Context(), "everything", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace has its label", func(ctx context.Context) (bool, error) {
		_, err := h.atConsumer.CoreV1().Namespaces().Patch(ctx, "default", types.MergePatchType, []byte(`{"metadata":{"labels":{"guarded":"yes"}}}`), metav1.PatchOptions{})
		return err == nil, nil
	})
	h.refuses(t, `admission webhook "provider.example.com" denied the request: the provider says no`)
	if _, err := h.create(t, "denied"); !apierrors.IsForbidden(err) {
		t.Errorf("denied: %v", err)
	}
	asked := w.requests("/provider", "denied")
	if len(asked) != 1 || len(w.requests("/consumer", "denied"))+len(w.requests("/consumer", "free")) > 0 {
		t.Fatalf("the provider's webhook was asked %d times", len(asked))
	}
	var sent metav1.PartialObjectMetadata
	if err := json.Unmarshal(asked[0].Object.Raw, &sent); err != nil || sent.Annotations["kcp.io/cluster"] != h.cluster {
		t.Errorf("it was asked about %s, %v", asked[0].Object.Raw, err)
	}
	if err := h.consumerDynamic.Resource(widgets).Namespace("default").Delete(t.Context(), "free", metav1.DeleteOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a deletion: %v", err)
	}

	// What the provider writes through its own endpoint is decided by its own webhooks, too.
	config := s.Config(annex.ContextShardBase)
	config.Host = s.URL() + "/services/apiexport/" + h.producer + "/widgets/clusters/" + h.cluster
	_, endpoint := annex.Clients(t, config)
	if _, err := endpoint.Resource(widgets).Namespace("default").Create(t.Context(), aWidget(t, "theirs", nil), metav1.CreateOptions{}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "the provider says no") {
		t.Errorf("through the endpoint of the provider: %v", err)
	}
	// They say nothing about what the consumer has of its own.
	if err := refused(); err != nil {
		t.Errorf("a ConfigMap of the consumer: %v", err)
	}

	// Where they are and why they fail is nothing for the consumer.
	broken := "https://127.0.0.1:9/secret-path"
	configuration, err := h.atProvider.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), "provider", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	configuration.Webhooks[0].ClientConfig.URL = &broken
	if _, err := h.atProvider.AdmissionregistrationV1().ValidatingWebhookConfigurations().Update(t.Context(), configuration, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	h.refuses(t, `failed calling webhook "provider.example.com": the webhook of the provider of widgets.example.com cannot be called`)
	if _, err := h.create(t, "broken"); err == nil || strings.Contains(err.Error(), "secret-path") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("the consumer learns %v", err)
	}

	// A provider cannot keep a consumer from leaving.
	if err := h.consumerDynamic.Resource(bindings).Delete(t.Context(), "widgets", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the binding is gone", func(ctx context.Context) (bool, error) {
		_, err := h.consumerDynamic.Resource(bindings).Get(ctx, "widgets", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// A provider that binds its own export is asked once.
func TestWebhooks_OfAProviderThatConsumes(t *testing.T) {
	s := startOne(t, hooked)
	w := newWebhooks(t)
	h := newSharing(t, s)
	apply(t, s.Workspace(h.provider), binding("widgets", h.provider, "widgets"))
	waitCondition(t, h.providerDynamic.Resource(bindings), "widgets", "Ready", "True", "")
	w.mutating(t, h.atProvider, "marks", admissionregistrationv1.MutatingWebhook{
		Name: "marks.example.com", ClientConfig: w.client("/mark"), Rules: rulesFor("example.com", "*", "widgets"),
	})
	w.on("/mark", patch(`[{"op":"add","path":"/metadata/labels","value":{"marked":"yes"}}]`))
	for at, client := range map[string]dynamic.Interface{"provider": h.providerDynamic, "consumer": h.consumerDynamic} {
		name := ""
		eventually(t, "the webhook marks widgets of the "+at, func(ctx context.Context) (bool, error) {
			name = uniqueName(at)
			created, err := client.Resource(widgets).Namespace("default").Create(ctx, aWidget(t, name, nil), metav1.CreateOptions{})
			return err == nil && created.GetLabels()["marked"] == "yes", err
		})
		if n := len(w.requests("/mark", name)); n != 1 {
			t.Errorf("%s: asked %d times", at, n)
		}
	}
}

func TestPolicies_OfAProvider(t *testing.T) {
	s := start(t)
	h := newSharing(t, s)
	const onBound = `matchConstraints: {resourceRules: [{apiGroups: [example.com], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [widgets]}]}
`
	validates(t, h.atConsumer, "own", onBound+`validations: [{expression: "false", message: the consumer says no}]`, "validationActions: [Deny]")
	validates(t, h.atConsumer, "ready", onConfigMaps+`validations: [{expression: "false", message: the consumer says no}]`, "validationActions: [Deny]")
	refusesProbe(t, h.atConsumer, nil, "the consumer says no")
	if _, err := h.create(t, "free"); err != nil {
		t.Errorf("the consumer's policy decides about what it has bound: %v", err)
	}

	// Parameters are in the workspace of the policy, and the authorizer is that of the request.
	limit := func(client kubernetes.Interface, most string) {
		t.Helper()
		if _, err := client.CoreV1().ConfigMaps("kube-system").Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "limits", Namespace: "kube-system"}, Data: map[string]string{"most": most},
		}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"ready", "own"} {
		if err := h.atConsumer.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the consumer has parameters of its own", func(ctx context.Context) (bool, error) {
		_, err := h.atConsumer.CoreV1().ConfigMaps("kube-system").Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: "limits", Namespace: "kube-system"}, Data: map[string]string{"most": "9"},
		}, metav1.CreateOptions{})
		return err == nil, nil
	})
	limit(h.atProvider, "0")
	validates(t, h.atProvider, "limited", onBound+`
paramKind: {apiVersion: v1, kind: ConfigMap}
validations:
- {expression: "object.spec.size <= int(params.data.most)", messageExpression: "'at most ' + params.data.most"}
- {expression: "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()", message: no rights}`, `
validationActions: [Deny]
paramRef: {name: limits, namespace: kube-system, parameterNotFoundAction: Deny}`)
	h.refuses(t, "at most 0")
	if _, err := h.create(t, "many"); err == nil || strings.Contains(err.Error(), "no rights") {
		t.Errorf("the administrator of the consumer: %v", err)
	}
	if _, err := h.atProvider.CoreV1().ConfigMaps("kube-system").Patch(t.Context(), "limits", types.MergePatchType, []byte(`{"data":{"most":"5"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the parameters allow it", func(context.Context) (bool, error) {
		_, err := h.create(t, uniqueName("few"))
		return err == nil, nil
	})

	// A mutating policy of the provider knows the schema that the consumer has bound.
	policy := &admissionregistrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "marks"}}
	if err := yaml.UnmarshalStrict([]byte(onBound+`
reinvocationPolicy: Never
mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{spec: Object.spec{size: 4}}'}}]`), &policy.Spec); err != nil {
		t.Fatal(err)
	}
	if _, err := h.atProvider.AdmissionregistrationV1().MutatingAdmissionPolicies().Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.atProvider.AdmissionregistrationV1().MutatingAdmissionPolicyBindings().Create(t.Context(), &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "marks"}, Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: "marks"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the policy changes widgets", func(context.Context) (bool, error) {
		created, err := h.create(t, uniqueName("sized"))
		if err != nil {
			return false, err
		}
		size, _, _ := unstructured.NestedInt64(created.Object, "spec", "size")
		return size == 4, nil
	})
}

// Requests that wait for the webhooks of a provider hold up neither their own workspace nor others.
func TestWebhooks_SlowOnesOfAProvider(t *testing.T) {
	s := startOne(t, hooked)
	w := newWebhooks(t)
	h := newSharing(t, s)
	other, _ := annex.Clients(t, s.Workspace(workspace(t, s)))
	ended := make(chan struct{})
	w.on("/wait", func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		<-ended
		return &admissionv1.AdmissionResponse{Allowed: true}
	})
	w.validating(t, h.atProvider, "wait", "/wait", func(h *admissionregistrationv1.ValidatingWebhook) {
		onWidgets(h)
		h.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"wait": "yes"}}
		h.TimeoutSeconds = ptr.To[int32](30)
	})
	w.validating(t, h.atProvider, "ready", "/ready", onWidgets)
	eventually(t, "the webhooks are asked", func(context.Context) (bool, error) {
		name := uniqueName("probe")
		_, err := h.create(t, name)
		return len(w.requests("/ready", name)) > 0, err
	})
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			_, _ = h.consumerDynamic.Resource(widgets).Namespace("default").Create(t.Context(), aWidget(t, fmt.Sprintf("waiting-%d", i), map[string]string{"wait": "yes"}), metav1.CreateOptions{})
		})
	}
	eventually(t, "more requests wait than the workspace has seats", func(context.Context) (bool, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.asked["/wait"]) >= 20, nil
	})
	for range 10 {
		for where, client := range map[string]kubernetes.Interface{"in another workspace": other, "in the workspace of the consumer": h.atConsumer} {
			if _, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), aConfigMap(uniqueName("quick"), nil), metav1.CreateOptions{}); err != nil {
				t.Errorf("%s: %v", where, err)
			}
		}
	}
	close(ended)
	all.Wait()
}
