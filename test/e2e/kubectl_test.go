package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/annex-dev/annex/test/framework/annex"
)

// gadgets is a CRD; gadget one object of it.
const (
	gadgets = "../../examples/widgets/crd.yaml"
	gadget  = "apiVersion: example.org/v1\nkind: Gadget\nmetadata: {name: cart}\nspec: {wheels: 4}\n"
)

// configMap returns a manifest.
func configMap(name, value string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {key: \"" + value + "\"}\n"
}

// kubectlIn returns a kubectl for one workspace.
func kubectlIn(server *annex.Server, workspace string) func(stdin string, args ...string) string {
	return func(stdin string, args ...string) string { return server.Kubectl(workspace, stdin, args...) }
}

// mustFail runs what has to be refused and returns what it says.
func mustFail(t *testing.T, server *annex.Server, workspace, stdin string, args ...string) string {
	t.Helper()
	out, stderr, err := server.TryKubectl(workspace, stdin, args...)
	if err == nil {
		t.Fatalf("kubectl %v succeeds: %s", args, out)
	}
	return out + stderr
}

// notServed checks that a workspace does not know a resource. What kubectl says depends on what it remembers.
func notServed(t *testing.T, server *annex.Server, workspace, resource string) {
	t.Helper()
	out := mustFail(t, server, workspace, "", "get", resource)
	if !strings.Contains(out, "doesn't have a resource type") && !strings.Contains(out, "the server could not find the requested resource") {
		t.Errorf("get %s in %s: %s", resource, workspace, out)
	}
}

func contains(t *testing.T, what, out string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(out, want) {
			t.Errorf("%s: %q is not in\n%s", what, want, out)
		}
	}
}

func TestKubectl_ObjectsFromApplyToDelete(t *testing.T) {
	server := annex.Start(t)
	path, _ := server.NewWorkspace("root", "team", "")
	kubectl := kubectlIn(server, path)

	contains(t, "apply", kubectl(configMap("settings", "one"), "apply", "-f", "-"), "created")
	contains(t, "apply again", kubectl(configMap("settings", "one"), "apply", "-f", "-"), "unchanged")
	out, stderr, err := server.TryKubectl(path, configMap("settings", "two"), "diff", "-f", "-")
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 { //nolint:errorlint // it comes unwrapped
		t.Errorf("diff ends with %v: %s", err, stderr)
	}
	contains(t, "diff", out, "-  key: one", "+  key: two")
	contains(t, "apply a change", kubectl(configMap("settings", "two"), "apply", "-f", "-"), "configured")
	if out := kubectl(configMap("settings", "two"), "diff", "-f", "-"); out != "" {
		t.Errorf("diff of what is there: %s", out)
	}

	contains(t, "server-side apply", kubectl(configMap("declared", "one"), "apply", "--server-side", "--field-manager=first", "-f", "-"), "serverside-applied")
	refusal := mustFail(t, server, path, configMap("declared", "two"), "apply", "--server-side", "--field-manager=second", "-f", "-")
	contains(t, "server-side apply of a field of another", refusal, "conflict with \"first\"", ".data.key")
	kubectl(configMap("declared", "two"), "apply", "--server-side", "--field-manager=second", "--force-conflicts", "-f", "-")
	out, _, _ = server.TryKubectl(path, configMap("declared", "three"), "diff", "--server-side", "--field-manager=second", "-f", "-")
	contains(t, "server-side diff", out, "-  key: two", "+  key: three")
	contains(t, "managers", kubectl("", "get", "configmap", "declared", "-o", "yaml", "--show-managed-fields"), "manager: second", "operation: Apply")

	editor := filepath.Join(t.TempDir(), "editor")
	write(t, editor, "#!/bin/sh\nexec sed -i 's/key: two/key: edited/' \"$1\"\n")
	if err := os.Chmod(editor, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBE_EDITOR", editor)
	contains(t, "edit", kubectl("", "edit", "configmap", "settings"), "edited")
	contains(t, "edited", kubectl("", "get", "configmap", "settings", "-o", "jsonpath={.data.key}"), "edited")

	kubectl("", "label", "configmap", "settings", "tier=gold")
	kubectl("", "annotate", "configmap", "settings", "example.org/note=hello")
	contains(t, "selector", kubectl("", "get", "configmaps", "-l", "tier=gold", "-o", "name"), "configmap/settings")
	contains(t, "describe", kubectl("", "describe", "configmap", "settings"), "tier=gold", "example.org/note: hello", "key:", "edited")
	for kind, patch := range map[string]string{"json": `[{"op":"add","path":"/data/json","value":"x"}]`, "merge": `{"data":{"merge":"x"}}`, "strategic": `{"data":{"strategic":"x"}}`} {
		kubectl("", "patch", "configmap", "settings", "--type", kind, "-p", patch)
		contains(t, kind+" patch", kubectl("", "get", "configmap", "settings", "-o", "jsonpath={.data}"), `"`+kind+`":"x"`)
	}
	kubectl(configMap("settings", "replaced"), "replace", "-f", "-")
	contains(t, "field validation", mustFail(t, server, path, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ncolor: red\n", "apply", "-f", "-"), "color")
	kubectl(configMap("dry", "run"), "create", "--dry-run=server", "-f", "-")
	contains(t, "after a dry run", mustFail(t, server, path, "", "get", "configmap", "dry"), "not found")

	kubectl("", "apply", "-f", gadgets)
	kubectl("", "wait", "--for=condition=Established", "crd/gadgets.example.org", "--timeout=120s")
	kubectl(gadget, "apply", "-f", "-")
	contains(t, "describe a custom resource", kubectl("", "describe", "gadget", "cart"), "Wheels:  4")
	contains(t, "wait for a field", kubectl("", "wait", "--for=jsonpath={.spec.wheels}=4", "gadget/cart", "--timeout=120s"), "condition met")
	contains(t, "validation by the schema", mustFail(t, server, path, strings.Replace(gadget, "4", "9", 1), "apply", "-f", "-"), "spec.wheels", "less than or equal to 8")
	kubectl(strings.Replace(gadget, "4", "3", 1), "apply", "--server-side", "--force-conflicts", "-f", "-")
	contains(t, "delete", kubectl("", "delete", "gadget", "cart"), "deleted")
	kubectl("", "delete", "crd", "gadgets.example.org", "--timeout=120s")
	notServed(t, server, path, "gadgets")

	kubectl("", "delete", "configmaps", "-l", "tier", "--wait")
	kubectl("", "delete", "configmap", "settings", "declared", "--ignore-not-found")
	if out := kubectl("", "get", "configmaps", "-o", "name"); strings.TrimSpace(out) != "configmap/kube-root-ca.crt" {
		t.Errorf("left are %s", out)
	}
	contains(t, "delete what is not there", mustFail(t, server, path, "", "delete", "configmap", "settings"), `configmaps "settings" not found`)
	contains(t, "pods", mustFail(t, server, path, "", "logs", "some-pod"), "doesn't have a resource type \"pods\"")
}

// A quota is made, described, used up and raised by kubectl, and LimitRanges say that they limit nothing.
func TestKubectl_Quotas(t *testing.T) {
	server := annex.Start(t)
	path, _ := server.NewWorkspace("root", "team", "")
	kubectl := kubectlIn(server, path)

	_, stderr, err := server.TryKubectl(path, "", "create", "quota", "few", "--hard=configmaps=2,count/secrets=1,pods=3")
	if err != nil || stderr != "" {
		t.Errorf("creating a quota: %v, and warns %q", err, stderr)
	}
	kubectl("", "wait", "--for=jsonpath={.status.used.configmaps}=1", "quota/few", "--timeout=120s")
	described := strings.Join(strings.Fields(kubectl("", "describe", "quota", "few")), " ")
	contains(t, "describe quota", described, "Name: few", "Resource Used Hard", "configmaps 1 2", "count/secrets 0 1", "pods 0 3")
	contains(t, "describe namespace", strings.Join(strings.Fields(kubectl("", "describe", "namespace", "default")), " "), "Resource Quotas Name: few", "configmaps 1 2")
	contains(t, "get quota", strings.Join(strings.Fields(kubectl("", "get", "quota")), " "), "configmaps: 1/2")
	kubectl("", "create", "configmap", "last")
	contains(t, "above the quota", mustFail(t, server, path, "", "create", "configmap", "more"),
		`configmaps "more" is forbidden: exceeded quota: few, requested: configmaps=1, used: configmaps=2, limited: configmaps=2`)
	contains(t, "above the quota, dry run", mustFail(t, server, path, "", "create", "configmap", "more", "--dry-run=server"), "exceeded quota: few")
	kubectl("", "patch", "quota", "few", "--type=merge", "-p", `{"spec":{"hard":{"configmaps":"3"}}}`)
	kubectl("", "create", "configmap", "more")
	kubectl("", "wait", "--for=jsonpath={.status.used.configmaps}=3", "quota/few", "--timeout=120s")

	_, stderr, err = server.TryKubectl(path, "apiVersion: v1\nkind: LimitRange\nmetadata: {name: limits}\nspec: {limits: [{type: Container, default: {cpu: 1}}]}\n", "apply", "-f", "-")
	contains(t, "limit range", stderr, "limits nothing")
	if err != nil {
		t.Error(err)
	}
}

func TestKubectl_SaysWhatAWorkspaceServes(t *testing.T) {
	server := annex.Start(t)
	path, _ := server.NewWorkspace("root", "team", "")
	kubectl := kubectlIn(server, path)
	kubectl("", "apply", "-f", gadgets)
	kubectl("", "wait", "--for=condition=Established", "crd/gadgets.example.org", "--timeout=120s")

	resources := kubectl("", "api-resources", "--no-headers")
	for _, want := range []string{
		"configmaps cm v1 true ConfigMap", "namespaces ns v1 false Namespace", "secrets v1 true Secret",
		"serviceaccounts sa v1 true ServiceAccount", "limitranges limits v1 true LimitRange", "resourcequotas quota v1 true ResourceQuota",
		"events ev v1 true Event", "events ev events.k8s.io/v1 true Event", "leases coordination.k8s.io/v1 true Lease",
		"roles rbac.authorization.k8s.io/v1 true Role", "clusterrolebindings rbac.authorization.k8s.io/v1 false ClusterRoleBinding",
		"customresourcedefinitions crd,crds apiextensions.k8s.io/v1 false CustomResourceDefinition",
		"certificatesigningrequests csr certificates.k8s.io/v1 false CertificateSigningRequest",
		"validatingwebhookconfigurations admissionregistration.k8s.io/v1 false ValidatingWebhookConfiguration",
		"mutatingadmissionpolicies admissionregistration.k8s.io/v1 false MutatingAdmissionPolicy",
		"gadgets example.org/v1 true Gadget", "workspaces ws tenancy.kcp.io/v1alpha1 false Workspace",
		"apibindings apis.kcp.io/v1alpha2 false APIBinding", "logicalclusters core.kcp.io/v1alpha1 false LogicalCluster",
	} {
		found := false
		for line := range strings.Lines(resources) {
			found = found || strings.Join(strings.Fields(line), " ") == want
		}
		if !found {
			t.Errorf("api-resources lacks %q:\n%s", want, resources)
		}
	}
	contains(t, "api-versions", kubectl("", "api-versions"), "example.org/v1\n", "rbac.authorization.k8s.io/v1\n", "\nv1\n")
	contains(t, "explain", kubectl("", "explain", "gadget.spec.wheels"), "How many wheels the gadget has.", "<integer>")
	contains(t, "explain --recursive", kubectl("", "explain", "gadget", "--recursive"), "wheels\t<integer>")
	for resource, want := range map[string]string{"configmaps.data": "configuration data", "role.rules": "PolicyRules", "crd.spec": "custom resource", "workspace.spec.type": "type", "secret.type": "Secret"} {
		contains(t, "explain "+resource, kubectl("", "explain", resource), want)
	}
	contains(t, "version", kubectl("", "version"), "Server Version: v1.")
	contains(t, "whoami", kubectl("", "auth", "whoami"), "kcp-admin", "system:kcp:admin")

	contains(t, "can-i of the administrator", kubectl("", "auth", "can-i", "delete", "gadgets"), "yes")
	kubectl("", "create", "serviceaccount", "robot")
	kubectl("", "create", "clusterrolebinding", "enter", "--clusterrole=system:kcp:workspace:access", "--user=alice")
	kubectl("", "create", "role", "reader", "--verb=get,list", "--resource=configmaps,gadgets.example.org")
	kubectl("", "create", "rolebinding", "alice-reads", "--role=reader", "--user=alice")
	annex.Eventually(t, canI(server, path, "yes", "get", "configmaps", "--as=alice"))
	annex.Eventually(t, canI(server, path, "yes", "list", "gadgets", "--as=alice"))
	annex.Eventually(t, canI(server, path, "no", "get", "configmaps", "-n", "kube-system", "--as=alice"))
	annex.Eventually(t, canI(server, path, "no", "delete", "configmaps", "--as=alice"))
	contains(t, "can-i --list", kubectl("", "auth", "can-i", "--list", "--as=alice"), "configmaps", "gadgets.example.org", "[get list]")
	contains(t, "what alice may not", mustFail(t, server, path, "", "create", "configmap", "x", "--as=alice"),
		`User "alice" cannot create resource "configmaps"`)
	contains(t, "auth reconcile", kubectl("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: default}\nrules:\n- {apiGroups: [''], resources: [secrets], verbs: [get]}\n",
		"auth", "reconcile", "-f", "-"), "reconciled")
}

func TestKubectl_GetWatchFollows(t *testing.T) {
	server := annex.Start(t)
	path, _ := server.NewWorkspace("root", "team", "")
	other, _ := server.NewWorkspace("root", "other", "")
	binary, err := annex.Program("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), binary, "--kubeconfig", server.Kubeconfig(), "--server", server.URL()+"/clusters/"+path,
		"get", "configmaps", "--watch", "--output-watch-events", "-l", "watched")
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 100)
	go func() {
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			lines <- strings.Join(strings.Fields(scanner.Text()), " ")
		}
		close(lines)
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case line := <-lines:
			if !strings.HasPrefix(line, want) {
				t.Errorf("get -w prints %q, want %q", line, want)
			}
		case <-time.After(2 * time.Minute):
			t.Fatalf("get -w does not print %q", want)
		}
	}
	labeled := func(name, value string) string {
		return strings.Replace(configMap(name, value), "{name: "+name+"}", "{name: "+name+", labels: {watched: 'true'}}", 1)
	}
	server.Kubectl(other, labeled("foreign", "x"), "apply", "-f", "-")
	server.Kubectl(path, labeled("seen", "1"), "apply", "-f", "-")
	expect("EVENT NAME DATA AGE")
	expect("ADDED seen 1")
	server.Kubectl(other, "", "delete", "configmap", "foreign")
	server.Kubectl(path, labeled("seen", "2"), "apply", "-f", "-")
	expect("MODIFIED seen 1")
	server.Kubectl(path, "", "label", "configmap", "seen", "watched-")
	expect("DELETED seen 1")
	server.Kubectl(path, labeled("again", "1"), "apply", "-f", "-")
	expect("ADDED again 1")
	server.Kubectl(path, "", "delete", "configmap", "again")
	expect("DELETED again 1")
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = command.Wait()
}

// Whoever is not let into a workspace reads why in one sentence, the same whether there is one.
func TestKubectl_WorkspacesThatLetNobodyIn(t *testing.T) {
	server := annex.Start(t)
	path, _ := server.NewWorkspace("root", "secret", "")
	closed, _ := server.NewWorkspace("root", "closed", "")
	server.Kubectl(closed, "", "create", "clusterrolebinding", "alice", "--clusterrole=cluster-admin", "--user=alice")
	server.Kubectl(closed, "", "annotate", "logicalcluster", "cluster", "core.kcp.io/inactive=true")
	for name, tc := range map[string]struct {
		workspace, want string
		args            []string
	}{
		"forbidden":          {path, `Warning: workspace "root:secret" does not exist, or you may not enter it`, []string{"get", "configmaps"}},
		"a wrong name":       {"root:secrets", `Warning: workspace "root:secrets" does not exist, or you may not enter it`, []string{"get", "configmaps"}},
		"an ID":              {"2f8kq1z0c7a9x3bd", `Warning: workspace "2f8kq1z0c7a9x3bd" does not exist, or you may not enter it`, []string{"get", "configmaps"}},
		"its version":        {path, `workspace "root:secret" does not exist, or you may not enter it`, []string{"version"}},
		"inactive":           {closed, `Warning: workspace "root:closed" is inactive`, []string{"get", "configmaps"}},
		"inactive, a member": {closed, "logicalcluster.core.kcp.io/cluster annotated", []string{"annotate", "logicalcluster", "cluster", "a=b"}},
	} {
		t.Run(name, func(t *testing.T) {
			out, stderr, _ := server.TryKubectl(tc.workspace, "", append(tc.args, "--as=alice", "--cache-dir="+t.TempDir())...)
			all := out + stderr
			if strings.Count(all, tc.want) != 1 || strings.Contains(all, "unknown") || strings.Count(strings.TrimSpace(all), "\n") > 2 {
				t.Errorf("kubectl says\n%s\nwant %q once", all, tc.want)
			}
		})
	}
}

// Who uses the URL of the server itself reads what is missing.
func TestKubectl_NoWorkspace(t *testing.T) {
	server := annex.Start(t)
	const want = "the URL of the server names no workspace: add one, such as /clusters/root:team-a"
	for _, args := range [][]string{{"get", "configmaps"}, {"api-resources"}, {"get", "--raw", "/api/v1/namespaces/default/configmaps"}} {
		out, stderr, _ := server.TryKubectl("", "", append(args, "--server="+server.URL(), "--cache-dir="+t.TempDir())...)
		all := out + stderr
		if strings.Count(all, want) != 1 || strings.Contains(all, "unknown") || strings.Count(strings.TrimSpace(all), "\n") > 2 {
			t.Errorf("kubectl %s says\n%s\nwant %q once", strings.Join(args, " "), all, want)
		}
	}
}
