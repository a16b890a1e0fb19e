package resilience

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/test/framework/annex"
)

// While another etcd is away, what it has cannot be used, and nothing is deleted that may contain some of it. The rest works.
func TestElsewhere_Outage(t *testing.T) {
	main, other := annex.StartEtcd(t), annex.StartEtcd(t)
	flags := []string{"--etcd-servers", main.URL(), "--etcd-servers-overrides", "/secrets#" + other.URL()}
	server := annex.Start(t, append([]string{"--request-timeout", requestTimeout.String()}, flags...)...)
	path, cluster := server.NewWorkspace("root", "team", "")
	typed, _ := annex.Clients(t, impatient(server.Workspace(path)))
	_, root := annex.Clients(t, server.Workspace("root"))
	secret := func(name string) error {
		_, err := typed.CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		return err
	}
	if err := secret("before"); err != nil {
		t.Fatal(err)
	}

	other.Stop()
	began := time.Now()
	if err := clearly(secret("meanwhile"), time.Since(began)); err != nil {
		t.Errorf("creating a Secret %v", err)
	}
	if _, err := typed.CoreV1().ConfigMaps("default").Create(t.Context(), configMap("meanwhile", "x"), metav1.CreateOptions{}); err != nil {
		t.Errorf("creating a ConfigMap: %v", err)
	}
	if err := healthy(t.Context(), server, "/readyz"); err == nil {
		t.Error("the server says that it is ready")
	}
	if err := healthy(t.Context(), server, "/livez"); err != nil {
		t.Errorf("the server says that it is not alive: %v", err)
	}
	workspaces := root.Resource(schema.GroupVersionResource{Group: "tenancy.kcp.io", Version: "v1alpha1", Resource: "workspaces"})
	if err := workspaces.Delete(t.Context(), "team", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	annex.Eventually(t, func(ctx context.Context) error {
		_, err := typed.CoreV1().ConfigMaps("default").Create(ctx, configMap("late", "x"), metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) {
			return fmt.Errorf("creating in a workspace that is being deleted: %w", err)
		}
		return nil
	})
	if keys, _ := main.Mentions("/logicalclusters/" + cluster); len(keys) == 0 {
		t.Error("the workspace was deleted while nobody could know what it contains")
	}

	other.Start()
	annex.Eventually(t, func(context.Context) error {
		for _, etcd := range []*annex.Etcd{main, other} {
			if keys, _ := etcd.Mentions("/" + cluster + "/"); len(keys) > 0 {
				return fmt.Errorf("keys are left: %q", keys)
			}
		}
		return nil
	})
	annex.Eventually(t, func(ctx context.Context) error { return healthy(ctx, server, "/readyz") })
	if out, errs, code := annex.Run(t, append([]string{"check", "data"}, flags...)...); code != 0 {
		t.Errorf("annex check data ends with %d:\n%s%s", code, out, errs)
	}
}

// A server waits for all etcds.
func TestElsewhere_Start(t *testing.T) {
	main, other := annex.StartEtcd(t), annex.StartEtcd(t)
	flags := []string{"--etcd-servers", main.URL(), "--etcd-servers-overrides", strings.Join([]string{"/secrets#" + other.URL(), "cr/0#" + other.URL()}, ",")}
	other.Stop()
	dir := filepath.Join(t.TempDir(), "annex")
	ready := make(chan launched, 1)
	go func() {
		server, err := annex.Launch(t.Context(), dir, flags...)
		ready <- launched{server, err}
	}()
	says(t, dir+".log")
	other.Start()
	server := await(t, ready)
	typed, _ := annex.Clients(t, server.Workspace("root"))
	if _, err := typed.CoreV1().Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "works"}}, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
	if keys, _ := other.Mentions("/secrets/root/default/works"); len(keys) != 1 {
		t.Errorf("the Secret is stored %d times", len(keys))
	}
}
