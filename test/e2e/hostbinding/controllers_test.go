package hostbinding

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

// A namespace of the host goes whatever is projected into it. The objects go with it where the host's word is enough, and
// stay where the workspaces decide.
func TestHostBinding_NamespacesOfTheHostGo(t *testing.T) {
	w := newWorld(t, "gone", false)
	a, b := w.team("gone-a"), w.team("gone-b")
	w.namespace("gone-c") // without a workspace
	w.project(w.template(), byWorkspace)
	kind := "widgets." + w.group
	for workspace, namespace := range map[string]string{a: "gone-a", b: "gone-b"} {
		w.Kubectl(workspace, fmt.Sprintf(widgetManifest, w.group, "w", 1), "apply", "-n", namespace, "-f", "-")
	}
	root := admin(t)
	root.kubectl("", "delete", "namespace", "gone-a", "gone-c", "--timeout=120s")
	if out := w.Kubectl(a, "", "get", kind, "-n", "gone-a", "-o", "name"); !strings.Contains(out, "/w") {
		t.Errorf("the object of a workspace that decides for itself went with the namespace of the host: %q", out)
	}
	w.Kubectl("root", "", "patch", "hostbinding", w.group, "--type=merge", "-p", `{"spec":{"authorization":"Host"}}`)
	w.eventually("the host's word", func() error {
		if out, err := root.try("", "get", kind, "w", "-n", "gone-b"); err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		return nil
	})
	root.kubectl("", "delete", "namespace", "gone-b", "--timeout=120s")
	if out := w.Kubectl(b, "", "get", kind, "-n", "gone-b", "-o", "name"); strings.TrimSpace(out) != "" {
		t.Errorf("the host's word was enough, but there is still %s", out)
	}
	// Nothing else of the workspace is touched.
	w.Kubectl(b, "", "get", "namespace", "gone-b")
}

// The owners of projected objects are in the workspace: a collector that looks for them on the host would find none.
func TestHostBinding_GarbageCollectorSeesNothing(t *testing.T) {
	w := newWorld(t, "garbage", false)
	a := w.team("garbage-a")
	w.project(w.template(), byHost)
	kind := "widgets." + w.group
	w.Kubectl(a, "", "create", "configmap", "owner", "-n", "garbage-a")
	uid := w.Kubectl(a, "", "get", "configmap", "owner", "-n", "garbage-a", "-o", "jsonpath={.metadata.uid}")
	owned := fmt.Sprintf(widgetManifest, w.group, "owned", 1)
	owned = strings.Replace(owned, "labels:", fmt.Sprintf("ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: %s}], labels:", uid), 1)
	w.Kubectl(a, owned, "apply", "-n", "garbage-a", "-f", "-")
	root := admin(t)
	if out := root.kubectl("", "get", kind, "-A", "-o", "name"); !strings.Contains(out, "owned") {
		t.Errorf("an administrator of the host sees %s", out)
	}
	for _, name := range []string{"system:serviceaccount:kube-system:generic-garbage-collector", "system:serviceaccount:kube-system:resourcequota-controller", "system:kube-controller-manager"} {
		out, err := root.try("", "get", kind, "-A", "--as", name, "--as-group", "system:masters")
		if err != nil || !strings.Contains(out, "No resources found") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
	// An owner on the host that is projected is found, though its own owner is not on the host, and nothing of it is deleted.
	depend := func(name, owner, uid string) {
		t.Helper()
		root.kubectl(fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: garbage-a, ownerReferences: [{apiVersion: %s/v1, kind: Widget, name: %s, uid: %s}]}", name, w.group, owner, uid), "apply", "-f", "-")
	}
	// What depends on something that never was shows that the collector has come by: it learns of new groups now and then only.
	collected := func(name string) {
		t.Helper()
		depend(name, "never", "00000000-0000-0000-0000-"+fmt.Sprintf("%012x", len(name)))
		w.eventually("the garbage collector", func() error {
			if out, err := root.try("", "get", "configmap", name, "-n", "garbage-a"); err == nil || !strings.Contains(out, "NotFound") {
				return fmt.Errorf("configmap %s is not collected: %s", name, out)
			}
			return nil
		})
	}
	collected("first")
	depend("dependent", "owned", root.kubectl("", "get", kind, "owned", "-n", "garbage-a", "-o", "jsonpath={.metadata.uid}"))
	for _, name := range []string{"before-last", "at-the-last"} {
		collected(name)
		root.kubectl("", "get", "configmap", "dependent", "-n", "garbage-a")
		if out := w.Kubectl(a, "", "get", kind, "-n", "garbage-a", "-o", "name"); !strings.Contains(out, "owned") {
			t.Errorf("the garbage collector of the host took %q", "owned")
		}
	}
}

// Discovery of what is projected hangs on nothing: while it does not answer, the host deletes no namespace.
func TestHostBinding_DiscoveryWithoutEtcd(t *testing.T) {
	etcd := annex.StartEtcd(t)
	kubeconfig, err := installed.credentials(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	// Beside the one that is registered.
	server := annex.Start(t, "--etcd-servers", etcd.URL(), "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig, "--host-apiservice=")
	w := &world{Server: server, t: t, group: "dark.example.com"}
	w.provider, _ = w.NewWorkspace("root", "provider", "")
	w.teams, _ = w.NewWorkspace("root", "teams", "")
	w.Kubectl(w.provider, fmt.Sprintf(exportManifest, w.group), "apply", "-f", "-")
	w.Kubectl("root", fmt.Sprintf("apiVersion: annex.dev/v1alpha1\nkind: HostBinding\nmetadata: {name: dark}\nspec:\n  reference: {export: {path: %s, name: %s}}\n  workspace: {path: %q}", w.provider, w.group, w.template()), "apply", "-f", "-")
	config := rest.AnonymousClientConfig(server.Config(annex.ContextBase))
	config.Host = server.URL()
	paths := []string{"/apis/" + w.group + "/v1", "/apis/" + w.group, "/apis", "/openapi/v3/apis/" + w.group + "/v1", "/openapi/v2"}
	w.eventually("discovery", func() error {
		if code := annex.Status(t, config, http.MethodGet, paths[0]); code != http.StatusOK {
			return fmt.Errorf("%s: %d", paths[0], code)
		}
		return nil
	})
	etcd.Stop()
	for _, path := range paths {
		annex.Quickly(t, path+" without etcd", 2*time.Second, func() {
			if code := annex.Status(t, config, http.MethodGet, path); code != http.StatusOK {
				t.Errorf("%s without etcd: %d", path, code)
			}
		})
	}
}

// A HostBinding that goes takes its APIServices with it.
func TestHostBinding_GoesFromTheHost(t *testing.T) {
	w := newWorld(t, "leaving", false)
	w.team("leaving-a")
	w.project(w.template(), byHost)
	root := admin(t)
	root.kubectl("", "get", "apiservice", "v1."+w.group)
	root.kubectl("", "delete", "hostbinding", w.group, "--timeout=120s")
	if out, err := root.try("", "get", "apiservice", "v1."+w.group); err == nil {
		t.Errorf("still registered: %s", out)
	}
	w.eventually("an API that is gone", func() error {
		if code := annex.Status(t, root.config, http.MethodGet, "/apis/"+w.group+"/v1/widgets"); code != http.StatusNotFound {
			return fmt.Errorf("the host answers %d", code)
		}
		return nil
	})
	root.kubectl("", "delete", "namespace", "leaving-a", "--timeout=120s")
}
