package operator

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/annex-dev/annex/test/framework/annex"
	"github.com/annex-dev/annex/test/framework/host/process"
)

// A bakery, and the ConfigMap that is its flour.
const (
	corner    = "corner"
	flourName = "flour"
)

func TestMain(m *testing.M) {
	log.SetLogger(klog.Logger{}) // the zero value says nothing
	m.Run()
}

// freePort returns a port of the loopback interface.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := process.FreePort(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(port)
}

// operate runs an operator until stop is called, which waits for its end.
func operate(t *testing.T, config *rest.Config, name string, options manager.Options, more ...func(context.Context, manager.Manager) error) (stop func()) {
	t.Helper()
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	// Long enough for a server that starts again on a busy machine. Who stops gives the Lease back.
	lease, deadline, retry := time.Minute, 50*time.Second, 200*time.Millisecond
	options.Scheme, options.LeaseDuration, options.RenewDeadline, options.RetryPeriod = scheme, &lease, &deadline, &retry
	options.LeaderElection, options.LeaderElectionReleaseOnCancel = true, true
	options.LeaderElectionID, options.LeaderElectionNamespace = "bakery-operator", "default"
	if options.Metrics.BindAddress == "" {
		options.Metrics.BindAddress = "0"
	}
	mgr, err := manager.New(config, options)
	if err != nil {
		t.Fatal(err)
	}
	for _, setup := range append(more, (&baker{name: name}).setup) {
		if err := setup(t.Context(), mgr); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("operator %s: %v", name, err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// newClient returns a client without a cache.
func newClient(t *testing.T, config *rest.Config) client.Client {
	t.Helper()
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newBakery returns one; fewer than no loaves leaves the number to the webhook.
func newBakery(name, flour string, loaves int) *Bakery {
	bakery := &Bakery{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: BakerySpec{Flour: flour}}
	if loaves >= 0 {
		bakery.Spec.Loaves = &loaves
	}
	return bakery
}

// baked is a condition: the bakery at the corner has that many loaves of that flour, and says so.
func baked(c client.Client, loaves int, flour, by string) func(context.Context) error {
	return func(ctx context.Context) error {
		bakery := &Bakery{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: "default", Name: corner}, bakery); err != nil {
			return err
		}
		condition := meta.FindStatusCondition(bakery.Status.Conditions, "Baked")
		if condition == nil || condition.ObservedGeneration != bakery.Generation || bakery.Status.Loaves != loaves || bakery.Status.FlourVersion != flour {
			return fmt.Errorf("the status of %s is %+v, want %d loaves of %s", corner, bakery.Status, loaves, flour)
		}
		if by != "" && !strings.HasSuffix(condition.Message, " by "+by) {
			return fmt.Errorf("%s, want %s", condition.Message, by)
		}
		var list corev1.ConfigMapList
		if err := c.List(ctx, &list, client.InNamespace("default"), client.MatchingLabels{bakedBy: corner}); err != nil {
			return err
		}
		for i := range list.Items {
			if loaf := &list.Items[i]; loaf.Data["flour"] != flour || !metav1.IsControlledBy(loaf, bakery) || loaf.ManagedFields[0].Manager != fieldOwner {
				return fmt.Errorf("a loaf is %+v", loaf)
			}
		}
		if len(list.Items) != loaves {
			return fmt.Errorf("%d loaves of %s, want %d", len(list.Items), corner, loaves)
		}
		return nil
	}
}

// mill changes the flour.
func mill(t *testing.T, c client.Client, kind string) {
	t.Helper()
	flour := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: flourName}, Data: map[string]string{"kind": kind}}
	err := c.Create(t.Context(), flour)
	if apierrors.IsAlreadyExists(err) {
		err = c.Update(t.Context(), flour)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Two replicas of an operator with webhooks, set up by envtest, do all that operators do. One of them stops, and the server crashes.
func TestOperator_InOneWorkspace(t *testing.T) {
	t.Parallel()
	server := annex.Start(t, "--webhook-allow-cidr", "127.0.0.0/8", "--secure-port", freePort(t))
	path, _ := server.NewWorkspace("root", "bakers", "")
	other, _ := server.NewWorkspace("root", "other", "")
	existing := true
	env := &envtest.Environment{
		UseExistingCluster: &existing, Config: server.Workspace(path), CRDDirectoryPaths: []string{"testdata/bakeries.yaml"}, ErrorIfCRDPathMissing: true,
		WebhookInstallOptions: envtest.WebhookInstallOptions{Paths: []string{"testdata/webhooks.yaml"}},
	}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := envtest.InstallCRDs(server.Workspace(other), envtest.CRDInstallOptions{Paths: env.CRDDirectoryPaths}); err != nil {
		t.Fatal(err)
	}
	metrics := "127.0.0.1:" + freePort(t)
	hooking := webhook.Options{Host: env.WebhookInstallOptions.LocalServingHost, Port: env.WebhookInstallOptions.LocalServingPort, CertDir: env.WebhookInstallOptions.LocalServingCertDir}
	stopFirst := operate(t, config, "first", manager.Options{WebhookServer: webhook.NewServer(hooking), Metrics: metricsserver.Options{BindAddress: metrics}}, setupWebhooks)
	c := newClient(t, config)
	// Nobody is asked in a workspace without webhooks.
	elsewhere := newClient(t, server.Workspace(other))
	if err := elsewhere.Create(t.Context(), newBakery(corner, "", 99)); err != nil {
		t.Fatal(err)
	}

	mill(t, c, "rye")
	annex.Eventually(t, func(ctx context.Context) error {
		return client.IgnoreAlreadyExists(c.Create(ctx, newBakery(corner, flourName, -1)))
	})
	annex.Eventually(t, baked(c, 3, "rye", "first"))
	if err := c.Create(t.Context(), newBakery("large", flourName, 99)); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "the oven is too small") {
		t.Errorf("what the webhook refuses: %v", err)
	}
	warned := &warnings{}
	warning := rest.CopyConfig(config)
	warning.WarningHandler = warned
	if err := newClient(t, warning).Create(t.Context(), newBakery("airy", "", 0)); err != nil {
		t.Error(err)
	}
	if !slices.Contains(warned.said, "a bakery without flour bakes air") {
		t.Errorf("the webhook warns with %q", warned.said)
	}
	// What the other replica sees while it waits is what it works with later.
	stopSecond := operate(t, config, "second", manager.Options{})

	// A loaf that is taken, and one that is spoilt.
	if err := c.Delete(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: corner + "-loaf-1"}}); err != nil {
		t.Fatal(err)
	}
	if err := c.Patch(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: corner + "-loaf-2"}},
		client.RawPatch("application/merge-patch+json", []byte(`{"data":{"flour":"mold"}}`))); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, baked(c, 3, "rye", "first"))
	mill(t, c, "wheat")
	annex.Eventually(t, baked(c, 3, "wheat", "first"))
	var happened eventsv1.EventList
	annex.Eventually(t, func(ctx context.Context) error {
		if err := c.List(ctx, &happened, client.InNamespace("default"), client.MatchingFields{"reason": "Baked"}); err != nil {
			return err
		}
		if len(happened.Items) == 0 || happened.Items[0].ReportingController != fieldOwner {
			return fmt.Errorf("the events are %+v", happened.Items)
		}
		return nil
	})
	checkMetrics(t, metrics)

	server.Kill()
	server.Start()
	annex.Eventually(t, func(ctx context.Context) error { return scale(ctx, c, 5) })
	annex.Eventually(t, baked(c, 5, "wheat", ""))

	stopFirst()
	// The webhooks were the first one's.
	if err := scale(t.Context(), c, 1); !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), "failed calling webhook") {
		t.Errorf("a write while nobody answers for the webhooks: %v", err)
	}
	stopSecond()
	stopThird := operate(t, config, "third", manager.Options{WebhookServer: webhook.NewServer(hooking)}, setupWebhooks)
	annex.Eventually(t, func(ctx context.Context) error { return scale(ctx, c, 1) })
	annex.Eventually(t, baked(c, 1, "wheat", "third"))

	if err := protect(t.Context(), c, "true"); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), newBakery(corner, "", 0)); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "the bakery is protected") {
		t.Errorf("what the webhook does not let go: %v", err)
	}
	if err := protect(t.Context(), c, "false"); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), newBakery(corner, "", 0), client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, closed(c))
	stopThird()
	untouched := newBakery(corner, "", 0)
	if err := elsewhere.Get(t.Context(), client.ObjectKeyFromObject(untouched), untouched); err != nil || len(untouched.Finalizers) > 0 || len(untouched.Status.Conditions) > 0 {
		t.Errorf("the bakery in the other workspace is %+v, %v", untouched, err)
	}
}

// closed is a condition: of the bakery at the corner only the note that its finalizer wrote is left.
func closed(c client.Client) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKey{Namespace: "default", Name: corner}, &Bakery{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the bakery is there, %w", err)
		}
		var list corev1.ConfigMapList
		if err := c.List(ctx, &list, client.InNamespace("default"), client.MatchingLabels{bakedBy: corner}); err != nil {
			return err
		}
		if len(list.Items) > 0 {
			return fmt.Errorf("%d loaves are left", len(list.Items))
		}
		return c.Get(ctx, client.ObjectKey{Namespace: "default", Name: corner + "-closed"}, &corev1.ConfigMap{})
	}
}

func scale(ctx context.Context, c client.Client, loaves int) error {
	return c.Patch(ctx, newBakery(corner, "", 0), client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"loaves":%d}}`, loaves)))
}

func protect(ctx context.Context, c client.Client, protected string) error {
	return c.Patch(ctx, newBakery(corner, "", 0), client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"labels":{"protected":%q}}}`, protected)))
}

// warnings collects what a server warns of.
type warnings struct{ said []string }

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _ string, text string) { w.said = append(w.said, text) }

func checkMetrics(t *testing.T, address string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`controller_runtime_reconcile_total{controller="bakery",result="success"}`, `leader_election_master_status{name="bakery-operator"}`, `rest_client_requests_total{code="200"`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// An operator in a pod knows the address of its API server, without a path, and has a token. Annex finds the workspace by the token.
func TestOperator_WithATokenAtTheAddressWithoutAPath(t *testing.T) {
	t.Parallel()
	server := annex.Start(t)
	path, _ := server.NewWorkspace("root", "bakers", "")
	other, _ := server.NewWorkspace("root", "other", "")
	for _, workspace := range []string{path, other} {
		if _, err := envtest.InstallCRDs(server.Workspace(workspace), envtest.CRDInstallOptions{Paths: []string{"testdata/bakeries.yaml"}}); err != nil {
			t.Fatal(err)
		}
	}
	config := server.Workspace(path)
	admin, _ := annex.Clients(t, config)
	c, elsewhere := newClient(t, config), newClient(t, server.Workspace(other))
	if err := c.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "operator"}}); err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "operator"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{groupVersion.Group}, Resources: []string{"bakeries"}, Verbs: []string{"get", "list", "watch", "update"}},
		{APIGroups: []string{groupVersion.Group}, Resources: []string{"bakeries/status"}, Verbs: []string{"patch"}},
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch", "create", "patch", "delete"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "create", "update"}},
		{APIGroups: []string{"", "events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
	}}
	if err := c.Create(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "operator"}, Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: "operator"}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "operator"},
	}); err != nil {
		t.Fatal(err)
	}
	token, err := admin.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "operator", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	inPod := rest.AnonymousClientConfig(config)
	inPod.Host, inPod.BearerToken, inPod.QPS = server.URL(), token.Status.Token, -1
	for _, c := range []client.Client{c, elsewhere} {
		mill(t, c, "rye")
		if err := c.Create(t.Context(), newBakery(corner, flourName, 2)); err != nil {
			t.Fatal(err)
		}
	}
	stop := operate(t, inPod, "pod", manager.Options{})
	annex.Eventually(t, baked(c, 2, "rye", "pod"))
	if err := c.Delete(t.Context(), newBakery(corner, "", 0)); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, closed(c))
	// The operator reads the other workspace neither with its cache nor by its address.
	untouched := newBakery(corner, "", 0)
	if err := elsewhere.Get(t.Context(), client.ObjectKeyFromObject(untouched), untouched); err != nil || len(untouched.Finalizers) > 0 {
		t.Errorf("the bakery in the other workspace is %+v, %v", untouched, err)
	}
	stranger := rest.CopyConfig(inPod)
	stranger.Host = server.Workspace(other).Host
	if err := newClient(t, stranger).Get(t.Context(), client.ObjectKeyFromObject(untouched), untouched); err == nil {
		t.Error("the operator reads another workspace")
	}
	typed, _ := annex.Clients(t, stranger)
	if _, err := typed.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("the operator lists in another workspace: %v", err)
	}
	stop()
}
