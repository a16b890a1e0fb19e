package host

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/remote"
	"github.com/annex-dev/annex/test/framework/annex"
)

// What follows stands in docs/clients.md, word by word.

// inWorkspace returns config, which leads to a host cluster, for one of its workspaces.
func inWorkspace(config *rest.Config, path string) *rest.Config {
	config = rest.CopyConfig(config)
	config.Host = strings.TrimSuffix(config.Host, "/") + "/apis/tenancy.kcp.io/v1alpha1/workspaces/" + path + "/proxy"
	return config
}

func listConfigMaps(ctx context.Context, config *rest.Config) (*corev1.ConfigMapList, error) {
	client, err := kubernetes.NewForConfig(inWorkspace(config, "root:org:team"))
	if err != nil {
		return nil, err
	}
	return client.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
}

func runInTeam(ctx context.Context, config *rest.Config, reconciler reconcile.Reconciler) error {
	mgr, err := manager.New(inWorkspace(config, "root:org:team"), manager.Options{Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		return err
	}
	if err := builder.ControllerManagedBy(mgr).For(&corev1.ConfigMap{}).Complete(reconciler); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// readyWidgets marks the Widgets of all consumers as ready.
func readyWidgets(ctx context.Context, config *rest.Config, endpoint string) error {
	config = rest.CopyConfig(config)
	config.Host = endpoint + "/clusters/*"
	c, err := remote.New(config, nil)
	if err != nil {
		return err
	}
	widgets := schema.GroupResource{Group: "example.com", Resource: "widgets"}
	return c.Watch(ctx, widgets, func(event client.Event) {
		widget, ok := event.Object.(*unstructured.Unstructured)
		if !ok || event.Type == client.Deleted {
			return
		}
		widget = widget.DeepCopy() // objects are shared
		if err := unstructured.SetNestedField(widget.Object, "Ready", "status", "phase"); err != nil {
			log.Print(err)
			return
		}
		// An update that changes nothing causes no event.
		key := client.KeyOf(widget)
		if _, err := c.Update(ctx, widgets, key.Cluster, widget); err != nil {
			log.Printf("updating Widget %s: %v", key, err)
		}
	})
}

// Until here.

const clientsPage = "../../../docs/clients.md"

// blocks returns the code of one language in the page.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	page, err := os.ReadFile(clientsPage)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, match := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		found = append(found, match[1])
	}
	if len(found) == 0 {
		t.Fatalf("the page shows no %s", language)
	}
	return found
}

func TestClients_GoIsWhatThePageShows(t *testing.T) {
	own, err := os.ReadFile("clients_go_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range blocks(t, "go") {
		if strings.Contains(block, "\npackage main\n") {
			continue // test/consumer builds and runs it
		}
		if !strings.Contains(string(own), block) {
			t.Errorf("this is shown, but not compiled:\n%s", block)
		}
	}
}

func TestClients_Go(t *testing.T) {
	const name = "clients-go"
	server := team(t)
	server.Kubectl("root:org:team", "", "create", "clusterrolebinding", name, "--clusterrole=cluster-admin", "--user="+name)
	dev := newUser(t, name, workspaceRule("root:org:team"))
	annex.Eventually(t, func(ctx context.Context) error {
		list, err := listConfigMaps(ctx, dev.config)
		if err == nil && len(list.Items) == 0 {
			err = errors.New("no ConfigMap")
		}
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen, ended := make(chan string, 100), make(chan error, 1)
	go func() {
		ended <- runInTeam(ctx, dev.config, reconcile.Func(func(_ context.Context, request reconcile.Request) (reconcile.Result, error) {
			select {
			case seen <- request.String():
			default:
			}
			return reconcile.Result{}, nil
		}))
	}()
	server.Kubectl("root:org:team", "", "create", "configmap", name)
	for limit := time.After(2 * time.Minute); ; {
		select {
		case request := <-seen:
			if request != "default/"+name {
				continue
			}
		case err := <-ended:
			t.Fatalf("the manager ended: %v", err)
		case <-limit:
			t.Fatal("the reconciler is not called")
		}
		break
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// team returns the server after making sure that root:org:team is there, which the page uses throughout.
func team(t *testing.T) *annex.Server {
	t.Helper()
	server := installed.annex.For(t)
	for _, workspace := range []struct{ parent, name string }{{"root", "org"}, {"root:org", "team"}} {
		if _, _, err := server.TryKubectl(workspace.parent, "", "get", "workspace", workspace.name); err != nil {
			server.NewWorkspace(workspace.parent, workspace.name, "")
		}
	}
	return server
}

// bindAdministrator makes a user of the host an administrator there and in root:org:team.
func bindAdministrator(t *testing.T, name string) *user {
	t.Helper()
	u := newUser(t, name)
	client, _ := annex.Clients(t, installed.host.Config())
	if _, err := client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: name}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(fmt.Errorf("making %s an administrator of the host: %w", name, err))
	}
	team(t).Kubectl("root:org:team", "", "create", "clusterrolebinding", name, "--clusterrole=cluster-admin", "--user="+name)
	return u
}
