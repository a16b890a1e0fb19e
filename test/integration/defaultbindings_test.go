package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/test/framework/annex"
)

const typeOf = `
apiVersion: tenancy.kcp.io/v1alpha1
kind: WorkspaceType
metadata: {name: %s}
spec:
  extend: {with: [{name: universal, path: root}]}
  %s
`

// answersOf returns how the default binding of a workspace to widgets answers claims; false if there is no such binding.
func answersOf(ctx context.Context, t *testing.T, in dynamic.Interface, name string) (string, bool) {
	t.Helper()
	got, err := in.Resource(bindings).Get(ctx, name, metav1.GetOptions{})
	if err != nil || got.GetDeletionTimestamp() != nil {
		return "", false
	}
	var binding apisv1alpha2.APIBinding
	data, err := got.MarshalJSON()
	if err == nil {
		err = json.Unmarshal(data, &binding)
	}
	if err != nil {
		t.Fatal(err)
	}
	var answers []string
	for _, answer := range binding.Spec.PermissionClaims {
		answers = append(answers, fmt.Sprintf("%s %s %v %v", answer.Resource, answer.State, answer.Selector.MatchAll, answer.Selector.MatchLabels))
	}
	return strings.Join(answers, "; "), binding.Status.Phase == apisv1alpha2.APIBindingPhaseBound
}

// Default bindings of a type that maintains them are what the export and the type say, whatever users and providers do.
func TestDefaultBindings_AreMaintained(t *testing.T) {
	ctx := t.Context()
	c := newClaiming(t, claim("", "secrets", readOnly, "defaultSelector: {matchLabels: {app: database}}"))
	apply(t, c.s.Workspace(c.path), fmt.Sprintf(typeOf, "kept", "defaultAPIBindingLifecycle: Maintain\n  defaultAPIBindings: [{path: \""+c.path+"\", export: widgets}]"))
	apply(t, c.s.Workspace(c.path), fmt.Sprintf(typeOf, "once", "defaultAPIBindings: [{path: \""+c.path+"\", export: widgets}]"))
	made, at, names := map[string]dynamic.Interface{}, map[string]string{}, map[string]string{}
	for _, typ := range []string{"kept", "once"} {
		name := uniqueName(typ)
		apply(t, c.s.Workspace(c.path), fmt.Sprintf("apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: %s}\nspec: {type: {name: %s, path: %q}}", name, typ, c.path))
		_, parent := annex.Clients(t, c.s.Workspace(c.path))
		cluster, err := annex.WaitWorkspace(ctx, parent, name)
		if err != nil {
			t.Fatal(err)
		}
		at[typ] = cluster
		_, made[typ] = annex.Clients(t, c.s.Workspace(cluster))
		names[typ] = identity.DefaultBindingName(logicalcluster.Name(cluster), logicalcluster.Path(c.path), "widgets")
		if typ == "kept" {
			waitCondition(t, parent.Resource(workspaces), name, "APIBindingsReconciled", "True", "")
		}
	}
	const selected = "secrets Accepted false map[app:database]"
	waitFor := func(what, want string) {
		t.Helper()
		began := time.Now()
		var last string
		eventually(t, what, func(ctx context.Context) (bool, error) {
			var bound bool
			last, bound = answersOf(ctx, t, made["kept"], names["kept"])
			return bound && last == want, nil
		})
		t.Logf("%s after %s", what, time.Since(began))
	}
	waitFor("created, with the default selector", selected)

	change := func(typ, spec string) {
		t.Helper()
		a := asAdmin(t, c.s).send(request{method: http.MethodPatch, path: "/clusters/" + at[typ] + "/apis/apis.kcp.io/v1alpha2/apibindings/" + names[typ],
			body: spec, headers: http.Header{"Content-Type": {"application/merge-patch+json"}}})
		if a.code != http.StatusOK {
			t.Fatalf("changing the binding: %d %s", a.code, a.body)
		}
	}
	const none = `{"spec":{"permissionClaims":null}}`
	for _, typ := range []string{"kept", "once"} {
		change(typ, none)
	}
	waitFor("claims that a user removed", selected)
	if got, _ := answersOf(ctx, t, made["once"], names["once"]); got != "" {
		t.Errorf("what a user changed of a binding that is not maintained: %s", got)
	}
	for _, typ := range []string{"once", "kept"} {
		if err := made[typ].Resource(bindings).Delete(ctx, names[typ], metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	waitFor("a binding that a user deleted", selected)
	if got, bound := answersOf(ctx, t, made["once"], names["once"]); bound {
		t.Errorf("a binding that is not maintained is back: %s", got)
	}
	c.claims(claim("", "secrets", readOnly, "defaultSelector: {matchLabels: {app: cache}}"), claim("", "events", anyVerb, ""))
	waitFor("a new claim, and another selector", "secrets Accepted false map[app:cache]; events Accepted true map[]")

	// A type that begins to maintain its bindings reaches the workspaces that exist.
	put(t, c.s.Workspace(c.path), workspaceTypes, fmt.Sprintf(typeOf, "once", "defaultAPIBindingLifecycle: Maintain\n  defaultAPIBindings: [{path: \""+c.path+"\", export: widgets}]"))
	eventually(t, "a binding that an existing workspace lacks", func(ctx context.Context) (bool, error) {
		_, bound := answersOf(ctx, t, made["once"], names["once"])
		return bound, nil
	})
}

// An untouched workspace of a type that maintains its bindings is as small as others.
func TestDefaultBindings_StayRendered(t *testing.T) {
	s := start(t)
	path, _ := newWorkspace(t, s, "root", uniqueName("types"))
	apply(t, s.Workspace(path), fmt.Sprintf(typeOf, "kept", "defaultAPIBindingLifecycle: Maintain\n  defaultAPIBindings: [{path: root, export: tenancy.kcp.io}]"))
	name := uniqueName("kept")
	apply(t, s.Workspace(path), fmt.Sprintf("apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: %s}\nspec: {type: {name: kept, path: %q}}", name, path))
	_, parent := annex.Clients(t, s.Workspace(path))
	cluster, err := annex.WaitWorkspace(t.Context(), parent, name)
	if err != nil {
		t.Fatal(err)
	}
	put(t, s.Workspace(path), workspaceTypes, fmt.Sprintf(typeOf, "kept", "defaultAPIBindingLifecycle: Maintain\n  additionalWorkspaceLabels: {a: b}\n  defaultAPIBindings: [{path: root, export: tenancy.kcp.io}]"))
	time.Sleep(200 * time.Millisecond) // nothing is to happen
	if keys := keysOf(t.Context(), t, etcdOf(t, s), cluster); keys != 1 {
		t.Errorf("the workspace has %d keys besides its Workspace, want its LogicalCluster", keys)
	}
}
