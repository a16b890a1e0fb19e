package hostbinding

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A workspace may have an API of the same name by other means: of its own, or of another provider.
func TestHostBinding_OtherIdentitiesNeverShow(t *testing.T) {
	w := newWorld(t, "identity", false)
	kind := "widgets." + w.group
	local, _ := w.NewWorkspace(w.teams, "identity-local", "")
	w.Kubectl(local, fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.%[1]s}
spec:
  group: %[1]s
  names: {plural: widgets, singular: widget, kind: Widget}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`, w.group), "apply", "-f", "-")
	w.Kubectl(local, "", "wait", "--for=condition=Established", "crd/"+kind, "--timeout=120s")
	impostor := &world{Server: w.Server, t: t, group: w.group, teams: w.teams}
	impostor.provider, _ = w.NewWorkspace("root", "identity-impostor", "")
	w.Kubectl(impostor.provider, fmt.Sprintf(exportManifest, w.group), "apply", "-f", "-")
	impostor.team("identity-other")
	w.namespace("identity-local")
	w.Kubectl(local, "", "create", "namespace", "identity-local")
	w.project(w.template(), ", create: {}"+byHost)

	dev := newUser(t, "identity-dev", w.group)
	for _, namespace := range []string{"identity-local", "identity-other"} {
		workspace := w.teams + ":" + namespace
		w.Kubectl(workspace, fmt.Sprintf(widgetManifest, w.group, "secret", 1), "apply", "-n", namespace, "-f", "-")
		if out := dev.kubectl("", "get", kind, "-n", namespace); !strings.Contains(out, "No resources found") {
			t.Errorf("%s: %s", namespace, out)
		}
		for _, args := range [][]string{{"get", kind, "secret"}, {"delete", kind, "secret"}, {"patch", kind, "secret", "--type=merge", "-p", `{"spec":{"size":2}}`}} {
			if out, err := dev.try("", append(args, "-n", namespace)...); err == nil || !strings.Contains(out, "NotFound") {
				t.Errorf("%s %v: %v: %s", namespace, args, err, out)
			}
		}
		out, err := dev.try(fmt.Sprintf(widgetManifest, w.group, "mine", 1), "create", "-n", namespace, "-f", "-")
		if err == nil || !strings.Contains(out, "Conflict") || !strings.Contains(out, "was not created for HostBinding "+w.group) {
			t.Errorf("%s: creation: %v: %s", namespace, err, out)
		}
		if out := w.Kubectl(workspace, "", "get", kind, "-A", "-o", "name"); strings.TrimSpace(out) != "widget."+w.group+"/secret" {
			t.Errorf("%s holds %s", workspace, out)
		}
	}
	if out := dev.kubectl("", "get", kind, "-A"); !strings.Contains(out, "No resources found") {
		t.Errorf("all namespaces: %s", out)
	}
}

// Workspaces are made when something is first created in them: by the server where the host's word is enough, and by the
// user where the workspaces decide.
func TestHostBinding_WorkspacesOnDemand(t *testing.T) {
	w := newWorld(t, "demand", false)
	kind := "widgets." + w.group
	for _, namespace := range []string{"demand-a", "demand-b", "demand-c", "demand-d"} {
		w.namespace(namespace)
	}
	w.project(w.template(), ", create: {type: {name: universal, path: root}}"+byHost)
	dev := newUser(t, "demand-dev", w.group)
	if out, err := dev.try("", "delete", kind, "x", "-n", "demand-a"); err == nil || !strings.Contains(out, "NotFound") {
		t.Errorf("a deletion without a workspace: %v: %s", err, out)
	}
	if out, err := dev.try(fmt.Sprintf(widgetManifest, w.group, "x", 1), "apply", "--dry-run=server", "-n", "demand-a", "-f", "-"); err == nil || !strings.Contains(out, "a dry run creates nothing") {
		t.Errorf("a dry run without a workspace: %v: %s", err, out)
	}
	if out := w.Kubectl(w.teams, "", "get", "workspaces", "-o", "name"); strings.TrimSpace(out) != "" {
		t.Errorf("made without need: %s", out)
	}
	dev.kubectl(fmt.Sprintf(widgetManifest, w.group, "x", 1), "create", "-n", "demand-a", "-f", "-")
	dev.kubectl(fmt.Sprintf(widgetManifest, w.group, "x", 2), "apply", "--server-side", "-n", "demand-b", "-f", "-")
	for namespace, want := range map[string]string{"demand-a": "1", "demand-b": "2"} {
		workspace := w.teams + ":" + namespace
		if out := w.Kubectl(workspace, "", "get", kind, "x", "-n", namespace, "-o", "jsonpath={.spec.size}"); out != want {
			t.Errorf("x in %s has size %s", workspace, out)
		}
		if out := w.Kubectl(w.teams, "", "get", "workspace", namespace, "-o", `jsonpath={.metadata.annotations.annex\.dev/hostbinding} {.metadata.annotations.experimental\.tenancy\.kcp\.io/owner}`); out != w.group+" " {
			t.Errorf("%s was made for, and by: %q", workspace, out)
		}
	}
	dev.kubectl(fmt.Sprintf(widgetManifest, w.group, "second", 2), "create", "-n", "demand-b", "-f", "-")

	// Where the workspaces decide, who may create a workspace gets one.
	w.Kubectl("root", "", "patch", "hostbinding", w.group, "--type=merge", "-p", `{"spec":{"authorization":"Workspace"}}`)
	w.eventually("the workspaces decide", func() error {
		if out, err := dev.try("", "get", kind, "-n", "demand-a"); err == nil || !strings.Contains(out, "Forbidden") {
			return errors.New(out)
		}
		return nil
	})
	out, err := dev.try(fmt.Sprintf(widgetManifest, w.group, "x", 3), "create", "-n", "demand-c", "-f", "-")
	if err == nil || !strings.Contains(out, "may not create it") {
		t.Errorf("a workspace for somebody who may not create one: %v: %s", err, out)
	}
	w.Kubectl(w.teams, "", "create", "clusterrole", "maker", "--verb=create", "--resource=workspaces.tenancy.kcp.io")
	w.Kubectl(w.teams, "", "create", "clusterrolebinding", "maker", "--clusterrole=maker", "--user=demand-dev")
	w.Kubectl(w.teams, "", "create", "clusterrolebinding", "access", "--clusterrole=system:kcp:workspace:access", "--user=demand-dev")
	w.eventually("a workspace for somebody who may create one", func() error {
		if out, err := dev.try(fmt.Sprintf(widgetManifest, w.group, "x", 3), "apply", "-n", "demand-c", "-f", "-"); err != nil {
			return fmt.Errorf("%s: %w", out, err)
		}
		return nil
	})
	if out := dev.kubectl("", "get", kind, "-A", "-o", "jsonpath={.items[*].metadata.namespace}"); out != "demand-c" {
		t.Errorf("all namespaces: %s", out)
	}
	stranger := newUser(t, "demand-stranger", w.group)
	if out, err := stranger.try(fmt.Sprintf(widgetManifest, w.group, "x", 4), "apply", "-n", "demand-d", "-f", "-"); err == nil || !strings.Contains(out, "may not create it") {
		t.Errorf("a stranger: %v: %s", err, out)
	}
	if out := w.Kubectl(w.teams, "", "get", "workspaces", "-o", "name"); strings.Contains(out, "demand-d") {
		t.Errorf("workspaces: %s", out)
	}
}

// Cluster-scoped resources need a fixed workspace; others lie in its namespaces.
func TestHostBinding_AFixedWorkspace(t *testing.T) {
	w := newWorld(t, "fixed", true)
	path := w.team("fixed-a")
	w.Kubectl(path, "", "create", "namespace", "fixed-b")
	w.namespace("fixed-b")
	w.project(path, byHost)
	dev := newUser(t, "fixed-dev", w.group)
	planet := fmt.Sprintf("apiVersion: %s/v1\nkind: Planet\nmetadata: {name: mars}\n", w.group)
	dev.kubectl(planet, "apply", "-f", "-")
	if out := dev.kubectl("", "get", "planets."+w.group, "-o", "name"); strings.TrimSpace(out) != "planet."+w.group+"/mars" {
		t.Errorf("planets: %s", out)
	}
	if out := w.Kubectl(path, "", "get", "planets."+w.group, "-o", "name"); !strings.Contains(out, "mars") {
		t.Errorf("planets in the workspace: %s", out)
	}
	for i, namespace := range []string{"fixed-a", "fixed-b"} {
		dev.kubectl(fmt.Sprintf(widgetManifest, w.group, "w", i), "apply", "-n", namespace, "-f", "-")
	}
	if out := dev.kubectl("", "get", "widgets."+w.group, "-A", "-o", "jsonpath={.items[*].metadata.namespace}"); out != "fixed-a fixed-b" {
		t.Errorf("all namespaces: %s", out)
	}
	dev.kubectl("", "delete", "planets."+w.group, "--all")
}
