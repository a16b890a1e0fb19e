package webhook

import (
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	admissionmetrics "k8s.io/apiserver/pkg/admission/metrics"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/mutating"
	webhooktesting "k8s.io/apiserver/pkg/admission/plugin/webhook/testing"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/component-base/metrics/testutil"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/server/admission/dynamic"
	"github.com/annex-dev/annex/server/outbound"
)

// Upstream's cases for the plugins of webhooks, on ours. The receiver is upstream's, under a certificate of this test: ours present no
// certificate to it. A webhook that names a service is called by URL, as a workspace has no services; TestClients is about those.
//
// Left out are NewNonMutatingPanicTestCases, which panic in a resolver of services, which ours have not; and NewCachedClientTestcases,
// which count calls of upstream's cache of clients: here each webhook has one client, see TestClients.

const (
	upstreamCluster       = logicalcluster.Name("a")
	upstreamNamespace     = "webhook-test"
	upstreamConfiguration = "test-webhooks"
)

// receiver starts upstream's receiver of webhooks and returns it with its CA.
func receiver(t *testing.T, upstream *httptest.Server) (*url.URL, []byte) {
	t.Helper()
	s := httptest.NewUnstartedServer(upstream.Config.Handler)
	s.StartTLS()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// addressed returns the way to the receiver in place of the one of a case.
func addressed(c admissionregistrationv1.WebhookClientConfig, at *url.URL, ca []byte) admissionregistrationv1.WebhookClientConfig {
	switch {
	case c.Service != nil:
		to := at.JoinPath(*c.Service.Path).String()
		return admissionregistrationv1.WebhookClientConfig{URL: &to, CABundle: ca}
	case c.URL != nil:
		c.CABundle = ca
	}
	return c
}

// upstreamPlugins returns the plugins of a workspace with the configuration, which may call this machine.
func upstreamPlugins(t *testing.T, configuration client.Object) *Plugins {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: upstreamNamespace, Labels: map[string]string{"runlevel": "0"}}}
	fake := clienttest.NewFake(clienttest.In(upstreamCluster, namespace), configuration)
	p, err := New(Config{
		Reader: fake, Workspace: &dynamic.Workspace{Cached: fake, Live: fake, Catalog: catalog.New(catalog.Config{Reader: fake})},
		Guard: outbound.New(outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func validatingPlugins(t *testing.T, hooks []admissionregistrationv1.ValidatingWebhook, at *url.URL, ca []byte) *Plugins {
	t.Helper()
	c := clienttest.In(upstreamCluster, &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: upstreamConfiguration}})
	for _, hook := range hooks {
		hook.ClientConfig = addressed(hook.ClientConfig, at, ca)
		c.Webhooks = append(c.Webhooks, hook)
	}
	return upstreamPlugins(t, c)
}

func mutatingPlugins(t *testing.T, hooks []admissionregistrationv1.MutatingWebhook, at *url.URL, ca []byte) *Plugins {
	t.Helper()
	c := clienttest.In(upstreamCluster, &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: upstreamConfiguration}})
	for _, hook := range hooks {
		hook.ClientConfig = addressed(hook.ClientConfig, at, ca)
		c.Webhooks = append(c.Webhooks, hook)
	}
	return upstreamPlugins(t, c)
}

// outcome is what a case of upstream wants.
type outcome struct {
	allow         bool
	errorContains string
	code          int32
	annotations   map[string]string
	metrics       string
}

// label is one label of a series.
var label = regexp.MustCompile(`(\w+)="([^"]*)"`)

// rejections returns the value of the series that a case wants.
func rejections(t *testing.T, series string) float64 {
	t.Helper()
	labels := map[string]string{}
	for _, found := range label.FindAllStringSubmatch(series, -1) {
		labels[found[1]] = found[2]
	}
	value, err := testutil.GetCounterMetricValue(admissionmetrics.Metrics.WebhookRejectionGathererForTest().With(labels))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// checkOutcome compares it with what came out.
func checkOutcome(t *testing.T, want outcome, attr admission.Attributes, err error) {
	t.Helper()
	if want.allow != (err == nil) {
		t.Errorf("got %v, want it allowed: %v", err, want.allow)
	}
	if want.errorContains != "" && (err == nil || !strings.Contains(err.Error(), want.errorContains)) {
		t.Errorf("got %v, want an error that says %q", err, want.errorContains)
	}
	if err != nil {
		var status *apierrors.StatusError
		if !errors.As(err, &status) {
			t.Errorf("got a %T, want a StatusError", err)
		} else if want.code != 0 && status.ErrStatus.Code != want.code {
			t.Errorf("got status code %d, want %d", status.ErrStatus.Code, want.code)
		}
	}
	got := attr.(*webhooktesting.FakeAttributes).GetAnnotations(auditinternal.LevelMetadata)
	if diff := cmp.Diff(want.annotations, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("audit annotations (-want +got):\n%s", diff)
	}
	if want.metrics != "" && rejections(t, want.metrics) != 1 {
		t.Errorf("there is no rejection %s", want.metrics)
	}
}

func upstreamAttributes(unstructured bool, labels map[string]string, dryRun bool) admission.Attributes {
	if unstructured {
		return webhooktesting.NewAttributeUnstructured(upstreamNamespace, labels, dryRun)
	}
	return webhooktesting.NewAttribute(upstreamNamespace, labels, dryRun)
}

func TestUpstream_Validating(t *testing.T) {
	at, ca := receiver(t, webhooktesting.NewTestServer(t))
	for _, c := range webhooktesting.NewNonMutatingTestCases(at) {
		t.Run(c.Name, func(t *testing.T) {
			admissionmetrics.Metrics.WebhookRejectionGathererForTest().Reset()
			ctx := logicalcluster.WithCluster(t.Context(), upstreamCluster)
			attr := upstreamAttributes(c.IsCRD, c.AdditionalLabels, c.IsDryRun)
			err := validatingPlugins(t, c.Webhooks, at, ca).Validating().Validate(ctx, attr, webhooktesting.NewObjectInterfacesForTest())
			checkOutcome(t, outcome{
				allow: c.ExpectAllow, errorContains: c.ErrorContains, code: c.ExpectStatusCode, annotations: c.ExpectAnnotations, metrics: c.ExpectRejectionMetrics,
			}, attr, err)
		})
	}
}

func TestUpstream_Mutating(t *testing.T) {
	at, ca := receiver(t, webhooktesting.NewTestServer(t))
	cases := append(webhooktesting.NewMutatingTestCases(at, upstreamConfiguration),
		webhooktesting.ConvertToMutatingTestCases(webhooktesting.NewNonMutatingTestCases(at), upstreamConfiguration)...)
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			admissionmetrics.Metrics.WebhookRejectionGathererForTest().Reset()
			ctx := logicalcluster.WithCluster(t.Context(), upstreamCluster)
			attr := upstreamAttributes(c.IsCRD, c.AdditionalLabels, c.IsDryRun)
			err := mutatingPlugins(t, c.Webhooks, at, ca).Mutating().Admit(ctx, attr, webhooktesting.NewObjectInterfacesForTest())
			checkOutcome(t, outcome{
				allow: c.ExpectAllow, errorContains: c.ErrorContains, code: c.ExpectStatusCode, annotations: c.ExpectAnnotations, metrics: c.ExpectRejectionMetrics,
			}, attr, err)
			if c.ExpectLabels != nil {
				obj, err := meta.Accessor(attr.GetObject())
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.ExpectLabels, obj.GetLabels()); diff != "" {
					t.Errorf("labels (-want +got):\n%s", diff)
				}
			}
			again := attr.GetReinvocationContext()
			again.SetIsReinvoke()
			for name, want := range c.ExpectReinvokeWebhooks {
				asked, ok := again.Value(mutating.PluginName).(interface{ ShouldReinvokeWebhook(uid string) bool })
				if !ok {
					t.Fatalf("the stock plugin remembers a %T", again.Value(mutating.PluginName))
				}
				if got := asked.ShouldReinvokeWebhook(upstreamConfiguration + "/" + name + "/0"); got != want {
					t.Errorf("webhook %s is to be called again: %v, want %v", name, got, want)
				}
			}
		})
	}
}

// The time for which webhooks were waited is what the access log says.
func TestUpstream_Durations(t *testing.T) {
	clock := testingclock.NewFakeClock(time.Now())
	at, ca := receiver(t, webhooktesting.NewTestServerWithHandler(t, webhooktesting.ClockSteppingWebhookHandler(t, clock)))
	for _, c := range webhooktesting.NewValidationDurationTestCases(at) {
		for _, mutate := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, mutating: %v", c.Name, mutate), func(t *testing.T) {
				ctx := logicalcluster.WithCluster(t.Context(), upstreamCluster)
				if c.InitContext {
					ctx = genericapirequest.WithLatencyTrackersAndCustomClock(ctx, clock)
				}
				// The last webhook of a case refuses.
				attr, objects := webhooktesting.NewAttribute(upstreamNamespace, nil, c.IsDryRun), webhooktesting.NewObjectInterfacesForTest()
				var err error
				if mutate {
					err = mutatingPlugins(t, webhooktesting.ConvertToMutatingWebhooks(c.Webhooks), at, ca).Mutating().Admit(ctx, attr, objects)
				} else {
					err = validatingPlugins(t, c.Webhooks, at, ca).Validating().Validate(ctx, attr, objects)
				}
				if err == nil {
					t.Error("nothing was refused")
				}
				trackers, ok := genericapirequest.LatencyTrackersFrom(ctx)
				if ok != c.InitContext {
					t.Fatalf("there are trackers: %v, want %v", ok, c.InitContext)
				}
				if !ok {
					return
				}
				took, other, want := trackers.ValidatingWebhookTracker.GetLatency(), trackers.MutatingWebhookTracker.GetLatency(), c.ExpectedDurationMax
				if mutate { // they are called one after the other
					took, other, want = other, took, c.ExpectedDurationSum
				}
				if other != 0 || took < want {
					t.Errorf("took %s and, for the other kind, %s, want at least %s and 0", took, other, want)
				}
			})
		}
	}
}
