package integration

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/cert"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client/operator"
	"github.com/annex-dev/annex/client/remote"
	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host/process"
)

// ceiling refuses Widgets that are larger than the ConfigMap "limit" in their own workspace says, and marks each with its cluster.
type ceiling struct{ *operator.Manager }

func (l ceiling) Default(ctx context.Context, widget *sized) error {
	cluster, err := operator.AdmissionCluster(ctx)
	if err != nil {
		return err
	}
	widget.SetLabels(map[string]string{"marked": string(cluster)})
	return nil
}

func (l ceiling) ValidateCreate(ctx context.Context, widget *sized) (admission.Warnings, error) {
	name, err := operator.AdmissionCluster(ctx)
	if err != nil {
		return nil, err
	}
	cluster, err := l.GetCluster(ctx, name)
	if err != nil {
		return nil, err
	}
	limit := &corev1.ConfigMap{}
	if err := cluster.GetClient().Get(ctx, ctrlclient.ObjectKey{Namespace: widget.GetNamespace(), Name: "limit"}, limit); err != nil {
		return nil, fmt.Errorf("reading the limit: %w", err)
	}
	most, err := strconv.ParseInt(limit.Data["size"], 10, 64)
	if err != nil {
		return nil, err
	}
	if widget.Spec.Size > most {
		return nil, fmt.Errorf("at most %d", most)
	}
	return nil, nil
}

func (l ceiling) ValidateUpdate(ctx context.Context, _, widget *sized) (admission.Warnings, error) {
	return l.ValidateCreate(ctx, widget)
}

func (l ceiling) ValidateDelete(ctx context.Context, widget *sized) (admission.Warnings, error) {
	return l.ValidateCreate(ctx, widget)
}

// sized is a Widget.
type sized struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Size int64 `json:"size"`
	} `json:"spec"`
}

func (s *sized) DeepCopyObject() runtime.Object {
	c := *s
	s.ObjectMeta.DeepCopyInto(&c.ObjectMeta)
	return &c
}

// hookedOperator is an operator with webhooks: stock ones for Widgets, one of its own for their status.
type hookedOperator struct {
	*claiming
	// asked is told in which cluster a status is.
	asked chan string
	port  int
	ca    []byte
}

func startHooked(t *testing.T) *hookedOperator {
	t.Helper()
	o := &hookedOperator{claiming: newClaimingOn(t, startOne(t, hooked), claim("", "configmaps", anyVerb, "")), asked: make(chan string, 1000)}
	admit(t, o.s, o.path, provider)
	ca, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(ca, key)
	if err != nil {
		t.Fatal(err)
	}
	if o.port, err = process.FreePort(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.ca = ca
	scheme := remote.NewScheme()
	scheme.AddKnownTypeWithName(widgets.GroupVersion().WithKind("Widget"), &sized{})
	m, err := operator.New(o.s.As(token(provider), o.path), operator.Options{
		EndpointSlice: "widgets",
		Options: manager.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, WebhookServer: webhook.NewServer(webhook.Options{
			Host: "127.0.0.1", Port: o.port, TLSOpts: []func(*tls.Config){func(c *tls.Config) {
				c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }
			}},
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := builder.WebhookManagedBy(m, &sized{}).WithDefaulter(ceiling{m}).WithValidator(ceiling{m}).Complete(); err != nil {
		t.Fatal(err)
	}
	m.GetWebhookServer().Register("/status", &admission.Webhook{Handler: operator.Admission(func(_ context.Context, r operator.AdmissionRequest) admission.Response {
		o.asked <- string(r.ClusterName)
		return admission.Allowed("")
	})})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the operator ended with %v", err)
		}
	})
	return o
}

// hook returns the configuration of one of its webhooks.
func (o *hookedOperator) hook(name, path, resource string) admissionregistrationv1.ValidatingWebhook {
	return admissionregistrationv1.ValidatingWebhook{
		Name: name + ".example.com", ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: ptr.To(fmt.Sprintf("https://127.0.0.1:%d%s", o.port, path)), CABundle: o.ca},
		Rules: rulesFor("example.com", "v1", resource), SideEffects: ptr.To(admissionregistrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"},
	}
}

// limitedTo is a consumer with a limit.
func (o *hookedOperator) limitedTo(t *testing.T, size string) *consumer {
	t.Helper()
	k := o.consumer(accept("", "configmaps", anyVerb, "matchAll: true"))
	create(t, k.Resource(configMaps).Namespace("default"), parse(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: limit, namespace: default}\ndata: {size: %q}", size)))
	return k
}

// Webhooks of an operator decide about each consumer by what is in its own workspace, whatever clients write.
func TestOperator_WebhooksKnowTheCluster(t *testing.T) {
	o := startHooked(t)
	strict, lenient := o.limitedTo(t, "1"), o.limitedTo(t, "9")
	typed, _ := annex.Clients(t, o.s.Workspace(o.path))
	marks := o.hook("mark", "/mutate-example-com-v1-widget", "widgets")
	if _, err := typed.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(t.Context(), &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets"},
		Webhooks: []admissionregistrationv1.MutatingWebhook{
			{Name: marks.Name, ClientConfig: marks.ClientConfig, Rules: marks.Rules, SideEffects: marks.SideEffects, AdmissionReviewVersions: marks.AdmissionReviewVersions},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := typed.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(t.Context(), &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "widgets"},
		Webhooks:   []admissionregistrationv1.ValidatingWebhook{o.hook("limit", "/validate-example-com-v1-widget", "widgets"), o.hook("status", "/status", "widgets/status")},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	widget := func(cluster string) *unstructured.Unstructured {
		w := parse(t, "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: same, namespace: default}\nspec: {size: 5}")
		w.SetAnnotations(map[string]string{logicalcluster.AnnotationKey: cluster})
		return w
	}
	in := func(k *consumer) dynamic.ResourceInterface { return k.Resource(widgets).Namespace("default") }
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	eventually(t, "the webhooks decide", func(ctx context.Context) (bool, error) {
		_, err := in(strict).Create(ctx, widget(""), dry)
		marked, failed := in(lenient).Create(ctx, widget(""), dry)
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "at most 1") && failed == nil && marked.GetLabels()["marked"] == lenient.cluster, nil
	})

	// A client that claims to be in another workspace is not believed.
	if _, err := in(strict).Create(t.Context(), widget(lenient.cluster), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a Widget that is too large for its workspace, with the annotation of another one: %v", err)
	}
	made, err := in(lenient).Create(t.Context(), widget(strict.cluster), metav1.CreateOptions{})
	if err != nil || made.GetLabels()["marked"] != lenient.cluster {
		t.Fatalf("a Widget: %v, %v", made, err)
	}
	forged := made.DeepCopy()
	forged.SetAnnotations(map[string]string{logicalcluster.AnnotationKey: strict.cluster})
	if err := unstructured.SetNestedField(forged.Object, true, "status", "ready"); err != nil {
		t.Fatal(err)
	}
	if _, err := in(lenient).UpdateStatus(t.Context(), forged, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := <-o.asked; got != lenient.cluster {
		t.Errorf("the webhook was asked about the status of a Widget in %s, want %s", got, lenient.cluster)
	}

	// Deletions are about stored objects, and the cache follows.
	if _, err := lenient.Resource(configMaps).Namespace("default").Patch(t.Context(), "limit", types.MergePatchType, []byte(`{"data":{"size":"3"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the operator follows the limit", func(ctx context.Context) (bool, error) {
		err := in(lenient).Delete(ctx, "same", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
		return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "at most 3"), nil
	})
}
