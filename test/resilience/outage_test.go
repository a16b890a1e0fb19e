package resilience

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

// requestTimeout is what the server allows a request; short, so that a test sees the end of it.
const requestTimeout = 4 * time.Second

// tooLong is much more than that, also on a busy machine, and less than the minute that a request is allowed by default.
const tooLong = 40 * time.Second

var outage = flag.Duration("outage", 8*time.Second, "how long etcd is away")

// clearly returns what is wrong with the answer to a request that could not be served.
func clearly(err error, took time.Duration) error {
	if took > tooLong {
		return fmt.Errorf("took %s: %w", took, err)
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return fmt.Errorf("is no API status: %w", err)
	}
	if code := status.Status().Code; code != http.StatusTooManyRequests && code < 500 {
		return fmt.Errorf("has code %d: %w", code, err)
	}
	return nil
}

// roundTripper is a function.
type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// impatient returns credentials whose client tells of every answer, where client-go tries again up to ten times.
func impatient(config *rest.Config) *rest.Config {
	config.WrapTransport = func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			if response != nil {
				response.Header.Del("Retry-After")
			}
			return response, err
		})
	}
	return config
}

// review asks what the caller may do.
func review(ctx context.Context, client kubernetes.Interface) error {
	_, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "configmaps", Namespace: "default"}},
	}, metav1.CreateOptions{})
	return err
}

// healthy asks a health endpoint; the error is an API status if it answers at all.
func healthy(ctx context.Context, server *annex.Server, path string) error {
	client, err := discovery.NewDiscoveryClientForConfig(impatient(server.Config(annex.ContextBase)))
	if err != nil {
		return err
	}
	_, err = client.RESTClient().Get().AbsPath(path).DoRaw(ctx)
	return err
}

func TestOutage_RequestsFailClearlyAndNothingIsLost(t *testing.T) {
	etcd := annex.StartEtcd(t)
	server := annex.Start(t, "--etcd-servers", etcd.URL(), "--request-timeout", requestTimeout.String())
	path, _ := server.NewWorkspace("root", "team", "")
	typed, untyped := annex.Clients(t, server.Workspace(path))
	_, root := annex.Clients(t, server.Workspace("root"))
	createGadgets(t, untyped, newGadget("before", path))
	configMaps := typed.CoreV1().ConfigMaps("default")
	var acknowledged []string
	add := func(ctx context.Context, name string) error {
		_, err := configMaps.Create(ctx, configMap(name, name), metav1.CreateOptions{})
		if err == nil {
			acknowledged = append(acknowledged, name)
		}
		return err
	}
	for i := range 10 {
		if err := add(t.Context(), fmt.Sprintf("before-%d", i)); err != nil {
			t.Fatal(err)
		}
	}
	factory := informers.NewSharedInformerFactoryWithOptions(typed, 0, informers.WithNamespace("default"))
	informer := factory.Core().V1().ConfigMaps().Informer()
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	watch, err := configMaps.Watch(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	seen := map[string]bool{}

	typed, untyped = annex.Clients(t, impatient(server.Workspace(path)))
	configMaps = typed.CoreV1().ConfigMaps("default")
	_, root = annex.Clients(t, impatient(server.Workspace("root")))
	nowhere, _ := annex.Clients(t, impatient(server.Workspace("root:nowhere")))
	// What the server knows from memory it may go on saying.
	mayWork := map[string]bool{"a review": true, "health": true}
	var asked sync.WaitGroup

	etcd.Stop()
	began := time.Now()
	for i := 0; time.Since(began) < *outage; i++ {
		for verb, do := range map[string]func(ctx context.Context) error{
			"create": func(ctx context.Context) error { return add(ctx, fmt.Sprintf("during-%d", i)) },
			"delete": func(ctx context.Context) error { return configMaps.Delete(ctx, "before-0", metav1.DeleteOptions{}) },
			"get": func(ctx context.Context) error {
				_, err := configMaps.Get(ctx, "before-1", metav1.GetOptions{})
				return err
			},
			"list": func(ctx context.Context) error { _, err := configMaps.List(ctx, metav1.ListOptions{}); return err },
			"gadgets": func(ctx context.Context) error {
				_, err := untyped.Resource(gadgets).List(ctx, metav1.ListOptions{})
				return err
			},
			"a review": func(ctx context.Context) error { return review(ctx, typed) },
			"new workspace": func(ctx context.Context) error {
				_, err := root.Resource(workspaces).Create(ctx, newWorkspace(fmt.Sprintf("during-%d", i)), metav1.CreateOptions{})
				return err
			},
			"unknown path": func(ctx context.Context) error {
				_, err := nowhere.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
				return err
			},
			"health":    func(ctx context.Context) error { return healthy(ctx, server, "/livez") },
			"readiness": func(ctx context.Context) error { return healthy(ctx, server, "/readyz") },
		} {
			asked.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 2*tooLong)
				defer cancel()
				from := time.Now()
				err := do(ctx)
				took := time.Since(from)
				if i == 0 {
					t.Logf("%s without etcd after %s: %v", verb, took.Round(time.Millisecond), err)
				}
				if err == nil && !mayWork[verb] {
					t.Errorf("%s succeeds without etcd", verb)
				}
				if err != nil {
					if wrong := clearly(err, took); wrong != nil {
						t.Errorf("the answer to %s without etcd %v", verb, wrong)
					}
				}
			})
		}
		asked.Wait()
	}
	t.Logf("etcd was away for %s", time.Since(began).Round(time.Millisecond))
	annex.Eventually(t, func(context.Context) error {
		if !server.Printed("etcd does not answer any more") {
			return errors.New("the server does not say that etcd does not answer")
		}
		return nil
	})
	etcd.Start()

	annex.Eventually(t, func(ctx context.Context) error { return add(ctx, "after") })
	annex.Eventually(t, func(context.Context) error {
		return healthy(t.Context(), server, "/readyz")
	})
	list, err := configMaps.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, item := range list.Items {
		found[item.Name] = true
		if item.Name != "kube-root-ca.crt" && (item.Data["owner"] != item.Name || item.Data["filling"] != filling) {
			t.Errorf("ConfigMap %s is half there", item.Name)
		}
	}
	for _, name := range acknowledged {
		// A delete that was answered with an error may have reached etcd all the same.
		if !found[name] && name != "before-0" {
			t.Errorf("ConfigMap %s was acknowledged and is lost", name)
		}
	}
	if log := server.Log(); strings.Count(log, "does not answer any more") != 1 {
		t.Errorf("the server does not say once that etcd does not answer:\n%s", log)
	}
	if _, err := untyped.Resource(gadgets).Namespace("default").Get(t.Context(), "before", metav1.GetOptions{}); err != nil {
		t.Errorf("the custom resource: %v", err)
	}

	// The watch goes on, or ends so that the client begins a new one; it does not stay open in silence.
	deadline := time.After(2 * time.Minute)
	for open := true; open && !seen["after"]; {
		select {
		case event, ok := <-watch.ResultChan():
			if open = ok; ok {
				if object, is := event.Object.(*corev1.ConfigMap); is {
					seen[object.Name] = true
				}
			}
		case <-deadline:
			t.Fatal("the watch is open and shows nothing that happened after the outage")
		}
	}
	annex.Eventually(t, func(context.Context) error {
		if n := len(informer.GetStore().ListKeys()); n != len(list.Items) {
			return fmt.Errorf("the informer knows %d ConfigMaps, want %d", n, len(list.Items))
		}
		return nil
	})
	// Controllers work again: a workspace that was asked for during the outage or now becomes Ready.
	later, err := annex.NewWorkspace(t.Context(), root, "after", "")
	if err != nil {
		t.Fatal(err)
	}
	client, _ := annex.Clients(t, server.Workspace(later))
	if err := complete(t.Context(), client); err != nil {
		t.Error(err)
	}
	all, err := root.Resource(workspaces).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range all.Items {
		if _, err := annex.WaitWorkspace(t.Context(), root, item.GetName()); err != nil {
			t.Error(err)
		}
	}
}
