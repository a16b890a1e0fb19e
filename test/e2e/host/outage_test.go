package host

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
	hostframework "github.com/annex-dev/annex/test/framework/host"
)

// A watch that is open goes on when the host goes away, also one by a user of the host.
func TestHost_WatchesOutliveTheHost(t *testing.T) {
	own := &cluster{dir: t.TempDir()}
	own.host = hostframework.Start(t)
	kubeconfig, err := own.prepare(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t, "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig)
	root := server.Config(annex.ContextBase)
	readiness := func(want int) {
		t.Helper()
		annex.Eventually(t, func(context.Context) error {
			if code := annex.Status(t, root, http.MethodGet, "/readyz/host"); code != want {
				return fmt.Errorf("/readyz/host: %d, want %d", code, want)
			}
			return nil
		})
	}
	readiness(http.StatusOK)

	path, _ := server.NewWorkspace("root", "outage", "")
	admin, _ := annex.Clients(t, server.Workspace(path))
	if _, err := admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "robot"},
		Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: "host:serviceaccount:default:robot"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(server.Workspace(path))
	config.BearerToken = own.token(t, "robot")
	robot, _ := annex.Clients(t, config)
	annex.Eventually(t, func(ctx context.Context) error {
		_, err := robot.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
		return err
	})
	watch, err := robot.CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=after"})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()

	if err := own.host.Stop(); err != nil {
		t.Fatal(err)
	}
	readiness(http.StatusInternalServerError)
	if code := annex.Status(t, root, http.MethodGet, "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz without the host: %d", code)
	}
	if _, err := admin.CoreV1().ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "after"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case event, open := <-watch.ResultChan():
		if !open || event.Type != "ADDED" {
			t.Errorf("the watch showed %+v", event)
		}
	case <-time.After(2 * time.Minute):
		t.Error("the watch shows nothing any more")
	}
}

// While discovery of a registered group hangs, the host deletes no namespace: all of it is answered from memory.
func TestHost_DiscoveryWithoutEtcd(t *testing.T) {
	etcd := annex.StartEtcd(t)
	kubeconfig, err := (&cluster{dir: t.TempDir(), host: installed.host}).credentials()
	if err != nil {
		t.Fatal(err)
	}
	server := annex.Start(t, "--etcd-servers", etcd.URL(), "--authentication-kubeconfig", kubeconfig, "--host-apiservice=")
	config := rest.AnonymousClientConfig(server.Config(annex.ContextBase))
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	etcd.Stop()
	defer server.Kill() // an orderly end would wait for etcd
	paths := []string{"/apis", "/openapi/v2", "/openapi/v3"}
	for _, gv := range groupVersions {
		paths = append(paths, "/apis/"+gv.Group, "/apis/"+gv.String(), "/openapi/v3/apis/"+gv.String())
	}
	for _, path := range paths {
		annex.Quickly(t, path, 100*time.Millisecond, func() {
			response, err := client.Get(config.Host + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("%s: %s", path, response.Status)
			}
		})
	}
}
