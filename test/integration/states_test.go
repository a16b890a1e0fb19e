package integration

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/annex-dev/annex/test/framework/annex"
)

// annotate sets an annotation of an object as system:masters; null removes it.
func annotate(t *testing.T, s *annex.Server, path, key, value string) {
	t.Helper()
	if value != "null" {
		value = fmt.Sprintf("%q", value)
	}
	a := asMaster(t, s).send(request{method: http.MethodPatch, path: path, body: fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, key, value),
		headers: http.Header{"Content-Type": {"application/merge-patch+json"}}})
	if a.code != http.StatusOK {
		t.Fatalf("annotating %s: %d %s", path, a.code, a.body)
	}
}

const logicalClusterAt = "/apis/core.kcp.io/v1alpha1/logicalclusters/cluster"

// Required groups keep users out, whatever RBAC allows, and are those of new workspaces below; ServiceAccounts are spared.
func TestRequiredGroups(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	before, _ := newWorkspace(t, s, path, "before")
	for _, user := range []string{alice, bob} {
		admit(t, s, path, user)
		admit(t, s, before, user)
	}
	typed, _ := annex.Clients(t, s.Workspace(path))
	account := tokenOf(t, typed, "default")
	annotate(t, s, "/clusters/"+path+logicalClusterAt, "authorization.kcp.io/required-groups", "nobodies,devs;devs")
	eventually(t, "bob is kept out", func(context.Context) (bool, error) {
		return as(t, s, bob).get("/clusters/"+path+"/api/v1/namespaces").code == http.StatusForbidden, nil
	})
	after, _ := makeWorkspace(t, s.As(token(alice), path), path, "after")
	admit(t, s, after, alice)
	apply(t, s.Workspace(after), `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: bob}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: bob}]`)
	for _, c := range []struct {
		who, path string
		want      int
	}{
		{alice, path, 200}, {bob, path, 403}, {alice, after, 200}, {bob, after, 403}, {alice, before, 200}, {bob, before, 200},
	} {
		if a := as(t, s, c.who).get("/clusters/" + c.path + "/api/v1/namespaces"); a.code != c.want {
			t.Errorf("%s in %s: %d, want %d: %s", c.who, c.path, a.code, c.want, a.body)
		}
	}
	if a := carrying(t, s, account).get("/clusters/" + path + "/api"); a.code != http.StatusOK {
		t.Errorf("a ServiceAccount: %d %s", a.code, a.body)
	}
}

// tokenOf returns a token of the ServiceAccount default.
func tokenOf(t *testing.T, in kubernetes.Interface, namespace string) string {
	t.Helper()
	issued, err := in.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), "default", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return issued.Status.Token
}

// A workspace that no shard takes waits, and is made as soon as one does.
func TestUnschedulable(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	_, parent := annex.Clients(t, s.Workspace(path))
	const shard = "/clusters/root/apis/core.kcp.io/v1alpha1/shards/root"
	waiting := func(name, spec string) {
		t.Helper()
		apply(t, s.Workspace(path), "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: "+name+"}\nspec: {"+spec+"}")
		waitCondition(t, parent.Resource(workspaces), name, "WorkspaceScheduled", "False", "Unschedulable")
	}
	annotate(t, s, shard, "experimental.core.kcp.io/unschedulable", "")
	defer annotate(t, s, shard, "experimental.core.kcp.io/unschedulable", "null")
	waiting("waits", "")
	annotate(t, s, shard, "experimental.core.kcp.io/unschedulable", "null")
	began := time.Now()
	if _, err := annex.WaitWorkspace(t.Context(), parent, "waits"); err != nil {
		t.Fatal(err)
	}
	t.Logf("Ready after %s", time.Since(began))
	waiting("elsewhere", "location: {selector: {matchLabels: {name: nowhere}}}")
	apply(t, s.Workspace(path), "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: here}\nspec: {location: {selector: {matchLabels: {name: root}}}}")
	if _, err := annex.WaitWorkspace(t.Context(), parent, "here"); err != nil {
		t.Fatal(err)
	}
}

// An inactive workspace serves only what makes it active again, and its watches end.
func TestInactive(t *testing.T) {
	s := start(t)
	path, cluster := newWorkspace(t, s, "root", uniqueName("ws"))
	admit(t, s, path, alice)
	typed, untyped := annex.Clients(t, s.As(token(alice), path))
	open, err := typed.CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer open.Stop()
	all := s.Config(annex.ContextShardBase)
	all.Host = s.URL() + "/clusters/*"
	everywhere, _ := annex.Clients(t, all)
	exist, err := everywhere.CoreV1().ServiceAccounts("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	everything, err := everywhere.CoreV1().ServiceAccounts("").Watch(t.Context(), metav1.ListOptions{ResourceVersion: exist.ResourceVersion})
	if err != nil {
		t.Fatal(err)
	}
	defer everything.Stop()
	annotate(t, s, "/clusters/"+cluster+logicalClusterAt, "core.kcp.io/inactive", "true")
	for _, of := range []watch.Interface{open, everything} {
		for range of.ResultChan() { // until it ends
			continue
		}
	}
	eventually(t, "the workspace is inactive", func(ctx context.Context) (bool, error) {
		lc, err := untyped.Resource(clusters).Get(ctx, "cluster", metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return lc.GetLabels()["tenancy.kcp.io/phase"] == "Inactive", nil
	})
	get := func(at string) int { return as(t, s, alice).get("/clusters/" + path + at).code }
	for at, want := range map[string]int{"/api/v1/namespaces": 403, "/apis/tenancy.kcp.io/v1alpha1/workspaces": 403, "/openapi/v3": 200, logicalClusterAt: 200} {
		if got := get(at); got != want {
			t.Errorf("%s: %d, want %d", at, got, want)
		}
	}
	annotate(t, s, "/clusters/"+cluster+logicalClusterAt, "core.kcp.io/inactive", "null")
	eventually(t, "the workspace is active again", func(context.Context) (bool, error) { return get("/api/v1/namespaces") == http.StatusOK, nil })
}
