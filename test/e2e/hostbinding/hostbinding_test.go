package hostbinding

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/test/framework/annex"
)

func TestHostBinding_TwoNamespacesTwoWorkspaces(t *testing.T) {
	w := newWorld(t, "two", false)
	a, b := w.team("two-a"), w.team("two-b")
	other, _ := w.NewWorkspace("root", "two-other", "")
	w.bind(other) // a consumer to which no namespace maps
	w.Kubectl(other, "", "create", "namespace", "two-a")
	w.Kubectl(other, fmt.Sprintf(widgetManifest, w.group, "stranger", 9), "apply", "-n", "two-a", "-f", "-")
	w.Kubectl(a, "", "create", "namespace", "two-b")
	w.Kubectl(a, fmt.Sprintf(widgetManifest, w.group, "astray", 9), "apply", "-n", "two-b", "-f", "-")
	w.project(w.template(), byHost)

	dev := newUser(t, "two-dev", w.group)
	kind := "widgets." + w.group
	dev.kubectl(fmt.Sprintf(widgetManifest, w.group, "w", 1), "apply", "-n", "two-a", "-f", "-")
	dev.kubectl(fmt.Sprintf(widgetManifest, w.group, "w", 2), "apply", "--server-side", "-n", "two-b", "-f", "-")
	for namespace, want := range map[string]string{"two-a": "1", "two-b": "2"} {
		if out := dev.kubectl("", "get", kind, "w", "-n", namespace, "-o", "jsonpath={.spec.size}"); out != want {
			t.Errorf("w in %s has size %s, want %s", namespace, out, want)
		}
	}
	// It is there and nowhere else.
	if out := w.Kubectl(a, "", "get", kind, "w", "-n", "two-a", "-o", "jsonpath={.spec.size}"); out != "1" {
		t.Errorf("w in workspace %s has size %s", a, out)
	}
	if out := w.Kubectl(b, "", "get", kind, "-A", "-o", "name"); strings.Count(out, "widget") != 1 {
		t.Errorf("widgets of %s: %s", b, out)
	}
	// All namespaces: what is mapped, as a table, with one resourceVersion, selected, and page by page.
	table := dev.kubectl("", "get", kind, "-A")
	if lines := strings.Split(strings.TrimSpace(table), "\n"); len(lines) != 3 || !strings.Contains(lines[0], "SIZE") || !strings.Contains(table, "\ntwo-a ") || !strings.Contains(table, "\ntwo-b ") {
		t.Errorf("all namespaces:\n%s", table)
	}
	if out := dev.kubectl("", "get", kind, "-A", "-l", "size=2", "-o", "jsonpath={.items[*].metadata.namespace}"); out != "two-b" {
		t.Errorf("selected by label: %s", out)
	}
	if out := dev.kubectl("", "get", kind, "-A", "--field-selector", "metadata.namespace=two-a", "-o", "jsonpath={.items[*].metadata.namespace}"); out != "two-a" {
		t.Errorf("selected by field: %s", out)
	}
	_, client := annex.Clients(t, dev.config)
	widgets := client.Resource(schema.GroupVersionResource{Group: w.group, Version: "v1", Resource: "widgets"})
	var names []string
	for options := (metav1.ListOptions{Limit: 1}); ; {
		page, err := widgets.List(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		for _, item := range page.Items {
			names = append(names, item.GetNamespace()+"/"+item.GetName())
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			break
		}
	}
	if strings.Join(names, " ") != "two-a/w two-b/w" && strings.Join(names, " ") != "two-b/w two-a/w" {
		t.Errorf("page by page: %v", names)
	}
	// The host collects the OpenAPI documents of a new group in its own time.
	w.eventually("explain", func() error {
		if out, err := dev.try("", "explain", kind+".spec.size"); err != nil || !strings.Contains(out, "How big it is.") {
			return fmt.Errorf("not explained: %s", out)
		}
		return nil
	})
	dev.kubectl("", "scale", kind+"/w", "-n", "two-a", "--replicas=5")
	if out := dev.kubectl("", "get", kind, "w", "-n", "two-a", "-o", "jsonpath={.spec.size}"); out != "5" {
		t.Errorf("scaled to %s", out)
	}
	dev.kubectl("", "delete", kind, "w", "-n", "two-a")
	if out := dev.kubectl("", "get", kind, "-A", "-o", "jsonpath={.items[*].metadata.namespace}"); out != "two-b" {
		t.Errorf("after the deletion of one: %s", out)
	}
	if code := annex.Status(t, dev.config, http.MethodDelete, "/apis/"+w.group+"/v1/widgets"); code != http.StatusMethodNotAllowed {
		t.Errorf("deletion in all namespaces at once: %d", code)
	}
	if out := w.Kubectl(other, "", "get", kind, "-n", "two-a", "-o", "name"); !strings.Contains(out, "stranger") {
		t.Errorf("an object of another consumer is gone: %s", out)
	}
}

func TestHostBinding_WatchOverAllNamespaces(t *testing.T) {
	w := newWorld(t, "watched", false)
	w.team("watched-a")
	w.namespace("watched-b")
	w.project(w.template(), byHost)
	dev := newUser(t, "watched-dev", w.group)
	kind := "widgets." + w.group
	dev.kubectl(fmt.Sprintf(widgetManifest, w.group, "first", 1), "apply", "-n", "watched-a", "-f", "-")

	all := follow(t, dev, "get", kind, "-A", "-w", "-o", `jsonpath={.metadata.namespace}/{.metadata.name}{"\n"}`)
	all.expect("watched-a/first")
	// A namespace whose workspace does not exist: there is nothing, until there is.
	if out := dev.kubectl("", "get", kind, "-n", "watched-b"); !strings.Contains(out, "No resources found") {
		t.Errorf("a namespace without a workspace: %s", out)
	}
	one := follow(t, dev, "get", kind, "-n", "watched-b", "-w", "-o", `jsonpath={.metadata.name}{"\n"}`)
	if out, err := dev.try("", "get", kind, "x", "-n", "watched-b"); err == nil || !strings.Contains(out, "NotFound") {
		t.Errorf("an object without a workspace: %v: %s", err, out)
	}
	out, err := dev.try(fmt.Sprintf(widgetManifest, w.group, "late", 2), "create", "-n", "watched-b", "-f", "-")
	if err == nil || !strings.Contains(out, w.teams+":watched-b does not exist") || !strings.Contains(out, "spec.workspace.create") {
		t.Errorf("a write without a workspace: %v: %s", err, out)
	}
	path, _ := w.NewWorkspace(w.teams, "watched-b", "")
	out, err = dev.try(fmt.Sprintf(widgetManifest, w.group, "late", 2), "create", "-n", "watched-b", "-f", "-")
	if err == nil || !strings.Contains(out, "Conflict") || !strings.Contains(out, "APIBinding") {
		t.Errorf("a write without a binding: %v: %s", err, out)
	}
	w.bind(path)
	w.Kubectl(path, "", "create", "namespace", "watched-b")
	dev.kubectl(fmt.Sprintf(widgetManifest, w.group, "late", 2), "create", "-n", "watched-b", "-f", "-")
	all.expect("watched-b/late")
	one.expect("late")
}

// following is a command that prints one line after the other.
type following struct {
	t     *testing.T
	lines chan string
}

func follow(t *testing.T, u *user, args ...string) *following {
	t.Helper()
	command := u.command(args...)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	f := &following{t: t, lines: make(chan string, 100)}
	go func() {
		defer close(f.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			f.lines <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return f
}

func (f *following) expect(want string) {
	f.t.Helper()
	for limit := time.After(2 * time.Minute); ; {
		select {
		case line, open := <-f.lines:
			if !open {
				f.t.Fatalf("the watch ended before %s came", want)
			}
			if line == want {
				return
			}
		case <-limit:
			f.t.Fatalf("the watch did not show %s", want)
		}
	}
}

func TestHostBinding_ConflictsAreRefused(t *testing.T) {
	w := newWorld(t, "taken", true)
	root := admin(t)
	root.kubectl(fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.%[1]s}
spec:
  group: %[1]s
  names: {plural: things, singular: thing, kind: Thing}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
`, w.group), "apply", "-f", "-")
	root.kubectl("", "wait", "--for=condition=Established", "crd/things."+w.group, "--timeout=120s")
	w.apply(w.template(), byHost)
	w.eventually("a conflict with a CRD of the host", func() error {
		if got := w.condition("GroupVersionsRegistered"); !strings.HasPrefix(got, "False Conflict") || !strings.Contains(got, "CustomResourceDefinition") {
			return errors.New(got)
		}
		return nil
	})
	if got := w.condition("WorkspaceValid"); !strings.HasPrefix(got, "False FixedWorkspaceRequired") || !strings.Contains(got, "planets."+w.group) {
		t.Errorf("a cluster-scoped resource of a template: %s", got)
	}
	if out := root.kubectl("", "get", "things."+w.group, "-A"); !strings.Contains(out, "No resources") {
		t.Errorf("the host's own resource: %s", out)
	}
	if out := root.kubectl("", "get", "hostbindings"); !strings.Contains(out, "READY") || !strings.Contains(out, "EXPORT") || !strings.Contains(out, "WORKSPACE") {
		t.Errorf("kubectl get hostbindings: %s", out)
	}
	// Once the host lets go, it is registered.
	root.kubectl("", "delete", "crd", "things."+w.group)
	w.eventually("registration", func() error {
		if got := w.condition("GroupVersionsRegistered"); !strings.HasPrefix(got, "True") {
			return errors.New(got)
		}
		return nil
	})
	// Another HostBinding does not get it.
	w.Kubectl("root", fmt.Sprintf("apiVersion: annex.dev/v1alpha1\nkind: HostBinding\nmetadata: {name: second}\nspec:\n  reference: {export: {path: %s, name: %s}}\n  workspace: {path: %q}", w.provider, w.group, w.teams), "apply", "-f", "-")
	defer w.Kubectl("root", "", "delete", "hostbinding", "second")
	w.eventually("a conflict with another HostBinding", func() error {
		out, _, _ := w.TryKubectl("root", "", "get", "hostbinding", "second", "-o", "jsonpath={.status.groupVersions}")
		if !strings.Contains(out, "Conflict") || !strings.Contains(out, "HostBinding "+w.group) {
			return errors.New(out)
		}
		return nil
	})
}

// What the workspaces decide, and what the host's word is enough for.
func TestHostBinding_WhoDecides(t *testing.T) {
	w := newWorld(t, "decides", false)
	a := w.team("decides-a")
	w.team("decides-b")
	w.project(w.template(), byWorkspace)
	kind := "widgets." + w.group
	dev := newUser(t, "decides-dev", w.group)
	manifest := fmt.Sprintf(widgetManifest, w.group, "w", 1)
	w.Kubectl(a, manifest, "apply", "-n", "decides-a", "-f", "-")
	w.Kubectl(w.teams+":decides-b", manifest, "apply", "-n", "decides-b", "-f", "-")

	refused := func(u *user, what string, args ...string) {
		t.Helper()
		if out, err := u.try(manifest, args...); err == nil || !strings.Contains(strings.ToLower(out), "forbidden") {
			t.Errorf("%s: %v: %s", what, err, out)
		}
	}
	// The host allows it all; the workspace does not know the user.
	refused(dev, "a list that the workspace does not allow", "get", kind, "-n", "decides-a")
	refused(dev, "a read that the workspace does not allow", "get", kind, "w", "-n", "decides-a")
	refused(dev, "a write that the workspace does not allow", "apply", "-n", "decides-a", "-f", "-")
	refused(dev, "a deletion that the workspace does not allow", "delete", kind, "w", "-n", "decides-a")
	if out := dev.kubectl("", "get", kind, "-A"); !strings.Contains(out, "No resources found") {
		t.Errorf("all namespaces, for somebody whom no workspace knows: %s", out)
	}
	// One workspace lets them in.
	w.Kubectl(a, "", "create", "clusterrolebinding", "dev", "--clusterrole=cluster-admin", "--user=decides-dev")
	w.eventually("a list that the workspace allows", func() error {
		out, err := dev.try("", "get", kind, "-A", "-o", "jsonpath={.items[*].metadata.namespace}")
		if err == nil && out != "decides-a" {
			err = errors.New("want decides-a alone")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		return nil
	})
	refused(dev, "a list that the other does not allow", "get", kind, "-n", "decides-b")
	// A workspace alone is not enough either.
	outsider := newUser(t, "decides-outsider", w.group, "decides-b")
	w.Kubectl(a, "", "create", "clusterrolebinding", "outsider", "--clusterrole=cluster-admin", "--user=decides-outsider")
	refused(outsider, "a list that the host does not allow", "get", kind, "-n", "decides-a")

	// At Annex's own door nobody comes in without a prefix whom the host does not know.
	path := "/apis/" + w.group + "/v1/namespaces/decides-a/widgets"
	config := w.Config(annex.ContextBase)
	config.Host = w.URL()
	if code := annex.Status(t, config, http.MethodGet, path); code != http.StatusForbidden {
		t.Errorf("an administrator of all workspaces, without a prefix: %d", code)
	}

	w.Kubectl("root", "", "patch", "hostbinding", w.group, "--type=merge", "-p", `{"spec":{"authorization":"Host"}}`)
	w.eventually("the host's word", func() error {
		out, err := dev.try("", "get", kind, "-n", "decides-b", "-o", "name")
		if err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		return nil
	})
	if out := dev.kubectl("", "get", kind, "-A", "-o", "jsonpath={.items[*].metadata.namespace}"); out != "decides-a decides-b" && out != "decides-b decides-a" {
		t.Errorf("all namespaces: %s", out)
	}
	refused(outsider, "a list that the host does not allow, whose word is enough", "get", kind, "-n", "decides-a")
	refused(outsider, "all namespaces, of which the host allows one", "get", kind, "-A")
	// It is enough for these resources, not for others of the workspace.
	refused(dev, "another resource of the workspace", "get", "--raw", "/apis/tenancy.kcp.io/v1alpha1/workspaces/"+w.teams+":decides-b/proxy/api/v1/secrets")
}
