package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/test/framework/annex"
)

const homeAt = "/clusters/root/apis/tenancy.kcp.io/v1alpha1/workspaces/~"

// homeOf returns the home workspace of a user as it is shown.
func homeOf(t *testing.T, s *annex.Server, user string) tenancyv1alpha1.Workspace {
	t.Helper()
	a := as(t, s, user).get(homeAt)
	if a.code != http.StatusOK {
		t.Fatalf("the home of %s: %d %s", user, a.code, a.body)
	}
	var ws tenancyv1alpha1.Workspace
	if err := json.Unmarshal(a.body, &ws); err != nil {
		t.Fatal(err)
	}
	return ws
}

// Users get their homes when they ask for them. All who ask at once get the same.
func TestHome(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	var all sync.WaitGroup
	uids := make([]string, 8)
	for i := range uids {
		all.Go(func() { uids[i] = string(homeOf(t, s, alice).UID) })
	}
	all.Wait()
	hers, his := homeOf(t, s, alice), homeOf(t, s, bob)
	for _, uid := range uids {
		if uid != string(hers.UID) {
			t.Errorf("UID %s, want %s", uid, hers.UID)
		}
	}
	if hers.Spec.Cluster != "v1u4alow0iv9" || his.Spec.Cluster != "2okdry95y5lkv" || hers.Name != "cluster" || hers.Status.Phase != "Ready" ||
		hers.Spec.URL != s.URL()+"/clusters/v1u4alow0iv9" {
		t.Errorf("alice has %+v, bob %+v", hers, his)
	}
	// It is hers by path and by name, and she administers it.
	typed, untyped := annex.Clients(t, s.As(token(alice), "user:alice"))
	if _, err := typed.CoreV1().ConfigMaps("default").Get(ctx, "kube-root-ca.crt", metav1.GetOptions{}); err != nil {
		t.Errorf("by path: %v", err)
	}
	if got := as(t, s, alice).get("/clusters/v1u4alow0iv9/api/v1/namespaces/default"); got.code != http.StatusOK {
		t.Errorf("by name: %d %s", got.code, got.body)
	}
	child := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": map[string]any{"name": "team"}}}
	if _, err := untyped.Resource(workspaces).Create(ctx, child, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := annex.WaitWorkspace(ctx, untyped, "team"); err != nil {
		t.Fatal(err)
	}
	if got := as(t, s, alice).get("/clusters/user:alice:team/api/v1/namespaces/default"); got.code != http.StatusOK {
		t.Errorf("a workspace below: %d %s", got.code, got.body)
	}
	got, err := untyped.Resource(workspaces).Get(ctx, "team", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if url, _, _ := unstructured.NestedString(got.Object, "spec", "URL"); url != s.URL()+"/clusters/user:alice:team" {
		t.Errorf("its URL is %s", url)
	}

	// It is nobody else's, and nobody else learns whether it is there.
	for _, path := range []string{"user:alice", "user:alice:team", "user:nobody", "user:stranger", "v1u4alow0iv9", "36ks9xj4a2n61"} {
		a := as(t, s, bob).get("/clusters/" + path + "/api/v1/namespaces")
		if want := fmt.Sprintf(`workspace \"%s\" does not exist, or you may not enter it`, path); a.code != http.StatusForbidden || !strings.Contains(string(a.body), want) {
			t.Errorf("bob in %s: %d %s", path, a.code, a.body)
		}
	}
	if a := as(t, s, "").get(homeAt); a.code != http.StatusForbidden {
		t.Errorf("anonymously: %d %s", a.code, a.body)
	}
	// The name is for reading only, and for root only.
	for _, r := range []request{
		{method: http.MethodDelete, path: homeAt},
		{path: "/clusters/user:alice/apis/tenancy.kcp.io/v1alpha1/workspaces/~"},
		{method: http.MethodPatch, path: homeAt, body: `{"metadata":{"labels":{"a":"b"}}}`, headers: http.Header{"Content-Type": {"application/merge-patch+json"}}},
	} {
		if a := asAdmin(t, s).send(r); a.code != http.StatusNotFound {
			t.Errorf("%s %s: %d %s", r.method, r.path, a.code, a.body)
		}
	}

	// Nobody makes another workspace like it.
	home := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": map[string]any{"name": "second"},
		"spec": map[string]any{"type": map[string]any{"name": "home", "path": "root"}},
	}}
	if _, err := untyped.Resource(workspaces).Create(ctx, home, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a Workspace of type home: %v", err)
	}
}

// Who deletes a home gets a new one at the next request.
func TestHome_DeletedByItsUser(t *testing.T) {
	s := start(t)
	before := homeOf(t, s, provider)
	typed, untyped := annex.Clients(t, s.As(token(provider), "user:provider"))
	if err := typed.RbacV1().ClusterRoleBindings().Delete(t.Context(), "workspace-admin", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the administrator is back", func(ctx context.Context) (bool, error) {
		_, err := untyped.Resource(clusters).Get(ctx, "cluster", metav1.GetOptions{})
		return err == nil, nil
	})
	if err := untyped.Resource(clusters).Delete(t.Context(), "cluster", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is a new home", func(context.Context) (bool, error) {
		a := as(t, s, provider).get(homeAt)
		var ws tenancyv1alpha1.Workspace
		return a.code == http.StatusOK && json.Unmarshal(a.body, &ws) == nil && ws.UID != before.UID && ws.Status.Phase == "Ready", nil
	})
}
