package hostbinding

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/test/framework/annex"
)

// require makes a workspace require that its users are in a group, as only system:masters may.
func (w *world) require(path, group string) {
	w.t.Helper()
	config := w.Config(annex.ContextShardBase)
	config.Host = w.URL() + "/clusters/" + path
	_, client := annex.Clients(w.t, config)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, corev1alpha1.RequiredGroupsAnnotationKey, group)
	if _, err := client.Resource(corev1alpha1.SchemeGroupVersion.WithResource("logicalclusters")).Patch(w.t.Context(), corev1alpha1.LogicalClusterName, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// requires returns the groups that a workspace requires.
func (w *world) requires(path string) string {
	w.t.Helper()
	return w.Kubectl(path, "", "get", "logicalcluster", corev1alpha1.LogicalClusterName, "-o", `jsonpath={.metadata.annotations.authorization\.kcp\.io/required-groups}`)
}

// Where the host's decision is enough, a workspace that keeps users out keeps them out of those that are made in it, too.
func TestHostBinding_RequiredGroups(t *testing.T) {
	w := newWorld(t, "groups", false)
	kind := "widgets." + w.group
	w.require(w.teams, "staff")
	w.namespace("groups-a")
	w.namespace("groups-b")
	w.project(w.template(), ", create: {}"+byHost)
	outsider := newUser(t, "groups-outsider", w.group)
	newUser(t, "groups-insider", w.group)
	config, err := installed.host.ConfigFor("groups-insider", "staff")
	if err != nil {
		t.Fatal(err)
	}
	insider := withConfig(t, config)

	if out, err := outsider.try(fmt.Sprintf(widgetManifest, w.group, "x", 1), "create", "-n", "groups-a", "-f", "-"); err == nil || !strings.Contains(out, "may not create it") {
		t.Errorf("a workspace for somebody who is not in the group: %v: %s", err, out)
	}
	if out := w.Kubectl(w.teams, "", "get", "workspaces", "-o", "name"); strings.TrimSpace(out) != "" {
		t.Errorf("it was made nevertheless: %s", out)
	}
	insider.kubectl(fmt.Sprintf(widgetManifest, w.group, "x", 1), "create", "-n", "groups-a", "-f", "-")
	if got := w.requires(w.teams + ":groups-a"); got != "staff" {
		t.Errorf("the new workspace requires %q", got)
	}
	for _, args := range [][]string{{"get", kind, "x"}, {"get", kind}, {"delete", kind, "x"}} {
		if out, err := outsider.try("", append(args, "-n", "groups-a")...); err == nil || !strings.Contains(out, "Forbidden") {
			t.Errorf("%v by somebody who is not in the group: %v: %s", args, err, out)
		}
	}
	if out := outsider.kubectl("", "get", kind, "-A"); !strings.Contains(out, "No resources found") {
		t.Errorf("all namespaces for somebody who is not in the group: %s", out)
	}
	if out := insider.kubectl("", "get", kind, "-n", "groups-a", "-o", "name"); strings.TrimSpace(out) != "widget."+w.group+"/x" {
		t.Errorf("somebody in the group sees %s", out)
	}
}

// So does a workspace that is claimed.
func TestWorkspaceClaim_RequiredGroups(t *testing.T) {
	c := newClaims(t, "claim-groups", "owner: Creator")
	c.require(c.teams, "staff")
	if out, err := c.apply(c.alice, "app"); err != nil {
		t.Fatal(out)
	}
	if got := c.requires(c.path(c.alice, "app")); got != "staff" {
		t.Errorf("the workspace requires %q", got)
	}
}
