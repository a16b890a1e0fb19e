package webhook

import (
	"context"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/webhook"
	"k8s.io/apiserver/pkg/authentication/user"
	testingclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/server/admission/dynamic"
	"github.com/annex-dev/annex/server/outbound"
)

// denying is a configuration whose only webhook cannot be reached.
func denying(cluster logicalcluster.Name, name string) *admissionregistrationv1.ValidatingWebhookConfiguration {
	c := clienttest.In(cluster, &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}})
	c.Webhooks = []admissionregistrationv1.ValidatingWebhook{{
		Name:         name + ".example.com",
		ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: ptr.To("https://127.0.0.1:1/")},
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.OperationAll},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}, Scope: ptr.To(admissionregistrationv1.AllScopes)},
		}},
		NamespaceSelector: &metav1.LabelSelector{}, ObjectSelector: &metav1.LabelSelector{},
		SideEffects: ptr.To(admissionregistrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
	}}
	return c
}

func plugins(tb testing.TB, objects ...client.Object) *Plugins {
	tb.Helper()
	fake := clienttest.NewFake(objects...)
	p, err := New(Config{Reader: fake, Workspace: &dynamic.Workspace{Cached: fake, Live: fake, Catalog: catalog.New(catalog.Config{Reader: fake})}, Guard: outbound.New(outbound.Config{})})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func attributes(obj *corev1.ConfigMap) admission.Attributes {
	return admission.NewAttributesRecord(obj, nil, corev1.SchemeGroupVersion.WithKind("ConfigMap"), "default", "a",
		corev1.SchemeGroupVersion.WithResource("configmaps"), "", admission.Create, &metav1.CreateOptions{}, false, &user.DefaultInfo{Name: "alice"})
}

// Requests of two clusters at once get the webhooks of their own.
func TestHandover_GivesEachRequestItsOwn(t *testing.T) {
	h := &handover{}
	mine := make([][]webhook.WebhookAccessor, 8)
	for i := range mine {
		mine[i] = make([]webhook.WebhookAccessor, i)
	}
	var all sync.WaitGroup
	for i := range mine {
		all.Go(func() {
			for n := range 500 {
				err := h.dispatch(mine[i], func() error {
					if n%3 == 0 {
						return nil // it does not ask
					}
					if got := h.Webhooks(); len(got) != i {
						t.Errorf("got %d webhooks, want %d", len(got), i)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestPlugins_WhoseWebhooksAreCalled(t *testing.T) {
	p := plugins(t, denying("a", "hook"))
	objects := admission.NewObjectInterfacesFromScheme(kinds.All.NewScheme().Scheme)
	for cluster, want := range map[logicalcluster.Name]bool{"a": true, "b": false} {
		ctx := logicalcluster.WithCluster(t.Context(), cluster)
		err := p.Validating().Validate(ctx, attributes(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"}}), objects)
		if called := err != nil; called != want || called && !apierrors.IsInternalError(err) {
			t.Errorf("in cluster %s: %v, want a call: %v", cluster, err, want)
		}
	}
	if err := p.Validating().Validate(t.Context(), attributes(&corev1.ConfigMap{}), objects); err != nil {
		t.Errorf("without a cluster: %v", err)
	}
}

// A workspace without webhooks does not pay for those of others.
func TestPlugins_CostNothingWithoutWebhooks(t *testing.T) {
	p := plugins(t, denying("a", "hook"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	for !p.view.InStep() {
		time.Sleep(time.Millisecond)
	}
	in := logicalcluster.WithCluster(t.Context(), "b")
	validating, a := p.Validating(), attributes(&corev1.ConfigMap{})
	if n := testing.AllocsPerRun(100, func() {
		if err := validating.Validate(in, a, nil); err != nil {
			t.Error(err)
		}
	}); n > 2 {
		t.Errorf("a request allocates %v times", n)
	}
}

func TestOwn_WaitsForAPartOfTheTime(t *testing.T) {
	clock := testingclock.NewFakePassiveClock(time.Now())
	o := newOwn(clock)
	slow := func(context.Context) error {
		clock.SetTime(clock.Now().Add(ownTimeout))
		return nil
	}
	calls := 0
	for range 100 {
		if o.call(t.Context(), "one", slow) == nil {
			calls++
		}
	}
	if calls > 2*int(ownBurst/ownTimeout) {
		t.Errorf("the server waited for %d slow webhooks in a row", calls)
	}
	// Another workspace has time of its own.
	if err := o.call(t.Context(), "two", func(context.Context) error { return nil }); err != nil {
		t.Errorf("the webhooks of one workspace leave no time for others: %v", err)
	}
	if len(o.of) > 2 {
		t.Errorf("kept for %d workspaces", len(o.of))
	}
	if err := o.call(t.Context(), "one", slow); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("got %v", err)
	}
	clock.SetTime(clock.Now().Add(ownPart * ownShare * ownTimeout))
	for range 100 { // those that answer take no time
		if err := o.call(t.Context(), "one", func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.call(t.Context(), "one", func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("there is no time limit")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}

// Services are those of the host cluster, so a flag has to open them. A client is made once.
func TestClients(t *testing.T) {
	service := admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Name: "hooks", Namespace: "system", Path: ptr.To("/validate")}}
	closed, err := newClients(outbound.New(outbound.Config{}), false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := closed.of(service); err == nil {
		t.Error("a service of the host cluster is called without the flag")
	}
	if _, err := closed.of(admissionregistrationv1.WebhookClientConfig{}); err == nil {
		t.Error("a webhook without address is called")
	}
	open, err := newClients(outbound.New(outbound.Config{HostServices: true}), true)
	if err != nil {
		t.Fatal(err)
	}
	client, err := open.of(service)
	if err != nil {
		t.Fatal(err)
	}
	if got := client.Post().URL().String(); got != "https://hooks.system.svc:443/validate" {
		t.Errorf("the service is called at %s", got)
	}
	hook := open.with(webhook.NewValidatingWebhookAccessor("a", "a", &admissionregistrationv1.ValidatingWebhook{ClientConfig: service}))
	first, err := hook.GetRESTClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := hook.GetRESTClient(nil); err != nil || second != first {
		t.Errorf("a second client is made: %v", err)
	}
}
