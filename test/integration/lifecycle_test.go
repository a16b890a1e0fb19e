package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

const (
	initializingAt = "initializingworkspaces"
	terminatingAt  = "terminatingworkspaces"
)

// staged is a workspace with WorkspaceTypes, below root. The user provider may initialize and terminate workspaces of some of them.
type staged struct {
	t             *testing.T
	s             *annex.Server
	path, cluster string
}

// newStaged makes WorkspaceTypes with these specs, and lets provider initialize and terminate those that are named.
func newStaged(t *testing.T, specs map[string]string, may ...string) *staged {
	t.Helper()
	return newStagedOn(t, start(t), specs, may...)
}

// newStagedOn does it on a server.
func newStagedOn(t *testing.T, s *annex.Server, specs map[string]string, may ...string) *staged {
	t.Helper()
	st := &staged{t: t, s: s}
	st.path, st.cluster = newWorkspace(t, st.s, "root", uniqueName("staged"))
	for name, spec := range specs {
		apply(t, st.s.Workspace(st.path), "apiVersion: tenancy.kcp.io/v1alpha1\nkind: WorkspaceType\nmetadata: {name: "+name+"}\nspec: {"+
			strings.ReplaceAll(spec, "HERE", st.path)+"}")
	}
	apply(t, st.s.Workspace(st.path), fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: stages}
rules: [{apiGroups: [tenancy.kcp.io], resources: [workspacetypes], resourceNames: [%s], verbs: [initialize, terminate]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: stages}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: stages}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: provider}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: team}
rules:
- {apiGroups: [tenancy.kcp.io], resources: [workspacetypes], verbs: [use]}
- {apiGroups: [tenancy.kcp.io], resources: [workspaces], verbs: ["*"]}
- {nonResourceURLs: [/], verbs: [access]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: team}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}]
`, strings.Join(may, ", ")))
	return st
}

// id is the name of the initializer or terminator of a type.
func (st *staged) id(name string) string { return st.cluster + ":" + name }

// config is how a user reaches a virtual workspace of a type, for one cluster, or all with *.
func (st *staged) config(user, at, name, target string) *rest.Config {
	config := st.s.As(token(user), "root")
	config.Host = st.s.URL() + "/services/" + at + "/" + st.id(name) + "/clusters/" + target
	return config
}

func (st *staged) at(at, name, target string) dynamic.Interface {
	st.t.Helper()
	_, client := annex.Clients(st.t, st.config(provider, at, name, target))
	return client
}

// workspaces is what alice works with.
func (st *staged) workspaces() dynamic.ResourceInterface {
	st.t.Helper()
	_, client := annex.Clients(st.t, st.s.As(token(alice), st.path))
	return client.Resource(workspaces)
}

// make makes a workspace of a type as alice and waits until it is in a phase. It returns its path and its cluster.
func (st *staged) make(name, typeName, phase string) (path, cluster string) {
	st.t.Helper()
	create(st.t, st.workspaces(), parse(st.t, fmt.Sprintf("apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: %s}\nspec: {type: {name: %s, path: %q}}", name, typeName, st.path)))
	ws := st.phase(name, phase)
	cluster, _, _ = unstructured.NestedString(ws.Object, "spec", "cluster")
	return st.path + ":" + name, cluster
}

// phase waits until a workspace is in a phase.
func (st *staged) phase(name, phase string) *unstructured.Unstructured {
	st.t.Helper()
	var ws *unstructured.Unstructured
	last := ""
	eventually(st.t, "workspace "+name+" is "+phase, func(ctx context.Context) (bool, error) {
		var err error
		if ws, err = st.workspaces().Get(ctx, name, metav1.GetOptions{}); err != nil {
			return false, err
		}
		last, _, _ = unstructured.NestedString(ws.Object, "status", "phase")
		return last == phase, nil
	})
	return ws
}

// shows returns the clusters that a virtual workspace shows.
func (st *staged) shows(at, name string) []string {
	st.t.Helper()
	list, err := st.at(at, name, "*").Resource(clusters).List(st.t.Context(), metav1.ListOptions{})
	if err != nil {
		st.t.Fatalf("listing at %s of %s: %v", at, name, err)
	}
	found := []string{}
	for _, lc := range list.Items {
		found = append(found, lc.GetAnnotations()["kcp.io/cluster"])
	}
	slices.Sort(found)
	return found
}

// remove takes an initializer or a terminator off, as its controller does.
func (st *staged) remove(at, name, cluster string) error {
	return st.write(at, name, cluster, func(left []string) []string {
		return slices.DeleteFunc(left, func(id string) bool { return id == st.id(name) })
	})
}

// write patches who is left as the controller of a type.
func (st *staged) write(at, name, cluster string, change func([]string) []string) error {
	in, field := st.at(at, name, cluster).Resource(clusters), fieldOf(at)
	lc, err := in.Get(st.t.Context(), "cluster", metav1.GetOptions{})
	if err != nil {
		return err
	}
	left, _, _ := unstructured.NestedStringSlice(lc.Object, "status", field)
	quoted := []string{}
	for _, id := range change(left) {
		quoted = append(quoted, fmt.Sprintf("%q", id))
	}
	patch := fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"status":{%q:[%s]}}`, lc.GetResourceVersion(), field, strings.Join(quoted, ","))
	_, err = in.Patch(st.t.Context(), "cluster", types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	return err
}

func fieldOf(at string) string {
	if at == initializingAt {
		return "initializers"
	}
	return "terminators"
}

func statusList(t *testing.T, obj *unstructured.Unstructured, field string) []string {
	t.Helper()
	list, _, err := unstructured.NestedStringSlice(obj.Object, "status", field)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// A workspace of a type that extends another one waits for both initializers, in their order, each of which sees it until it has removed itself.
func TestLifecycle_InitializersInTheirOrder(t *testing.T) {
	st := newStaged(t, map[string]string{
		"base": "initializer: true, extend: {with: [{name: universal, path: root}]}",
		"team": "initializer: true, extend: {with: [{name: base, path: HERE}]}",
	}, "base", "team")
	watching, err := st.at(initializingAt, "base", "*").Resource(clusters).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watching.Stop()
	path, cluster := st.make("one", "team", "Initializing")
	ws := st.phase("one", "Initializing")
	want := []string{st.id("base"), st.id("team")}
	if got := statusList(t, ws, "initializers"); !slices.Equal(got, want) {
		t.Errorf("it waits for %q, want %q", got, want)
	}
	waitCondition(t, st.workspaces(), "one", "WorkspaceInitialized", "False", "InitializerExists")
	waitCondition(t, st.workspaces(), "one", "APIBindingsInitialized", "True", "")
	labeled, err := st.workspaces().List(t.Context(), metav1.ListOptions{LabelSelector: "tenancy.kcp.io/phase=Initializing"})
	if err != nil || len(labeled.Items) != 1 {
		t.Errorf("by its phase one finds %v, %v", labeled, err)
	}
	initializerLabels := 0
	for key := range ws.GetLabels() {
		if strings.HasPrefix(key, "initializer.internal.kcp.io/") {
			initializerLabels++
		}
	}
	if initializerLabels != 2 {
		t.Errorf("its labels are %v", ws.GetLabels())
	}
	// Its owner may enter it meanwhile, and what every workspace contains is there. Others may not.
	_, owner := annex.Clients(t, st.s.As(token(alice), path))
	if lc, err := owner.Resource(clusters).Get(t.Context(), "cluster", metav1.GetOptions{}); err != nil || !slices.Equal(statusList(t, lc, "initializers"), want) {
		t.Errorf("its LogicalCluster is %v, %v", lc, err)
	}
	_, err = owner.Resource(namespaces).Get(t.Context(), "default", metav1.GetOptions{})
	wantDone(t, "the default namespace", err)
	_, direct := annex.Clients(t, st.s.As(token(provider), path))
	_, err = direct.Resource(clusters).Get(t.Context(), "cluster", metav1.GetOptions{})
	wantForbidden(t, "the controller at the workspace itself", err)
	_, err = owner.Resource(clusters).Patch(t.Context(), "cluster", types.MergePatchType, []byte(`{"status":{"initializers":[]}}`), metav1.PatchOptions{}, "status")
	wantForbidden(t, "the owner cannot skip initializers", err)

	_, other := st.make("other", "base", "Initializing")
	for name, want := range map[string][]string{"base": {cluster, other}, "team": {cluster}} {
		slices.Sort(want)
		if got := st.shows(initializingAt, name); !slices.Equal(got, want) {
			t.Errorf("%s shows %q, want %q", name, got, want)
		}
	}
	// Foreign ones stay.
	for name, change := range map[string]func([]string) []string{
		"the other one": func([]string) []string { return []string{st.id("team")} },
		"both":          func([]string) []string { return nil },
		"one more":      func(left []string) []string { return append(left, "root:universal") },
		"another order": func(left []string) []string { slices.Reverse(left); return left },
	} {
		if err := st.write(initializingAt, "team", cluster, change); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "status.initializers") {
			t.Errorf("removing %s: %v, want Invalid", name, err)
		}
	}
	for _, status := range []string{`{"phase":"Ready"}`, `{"conditions":[]}`, `{"terminators":["a:b"]}`} {
		_, err := st.at(initializingAt, "team", cluster).Resource(clusters).Patch(t.Context(), "cluster", types.MergePatchType, []byte(`{"status":`+status+`}`), metav1.PatchOptions{}, "status")
		if !apierrors.IsInvalid(err) {
			t.Errorf("writing %s: %v, want Invalid", status, err)
		}
	}
	_, err = st.at(initializingAt, "team", other).Resource(clusters).Get(t.Context(), "cluster", metav1.GetOptions{})
	wantNotFound(t, "a workspace that does not wait for the type", err)
	wantNotFound(t, "writing it", st.remove(initializingAt, "team", other))
	in := st.at(initializingAt, "team", cluster).Resource(clusters)
	for what, err := range map[string]error{
		"delete":           in.Delete(t.Context(), "cluster", metav1.DeleteOptions{}),
		"deletecollection": in.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}),
	} {
		if !apierrors.IsMethodNotSupported(err) {
			t.Errorf("%s: %v, want MethodNotAllowed", what, err)
		}
	}
	if _, err := in.Patch(t.Context(), "cluster", types.MergePatchType, []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{}); !apierrors.IsMethodNotSupported(err) {
		t.Errorf("writing metadata: %v, want MethodNotAllowed", err)
	}

	begun := time.Now()
	wantDone(t, "base removes itself", st.remove(initializingAt, "base", cluster))
	wantNotFound(t, "base, again", st.remove(initializingAt, "base", cluster))
	if got := st.shows(initializingAt, "base"); !slices.Equal(got, []string{other}) {
		t.Errorf("base shows %q afterwards, want %q", got, other)
	}
	if got := st.phase("one", "Initializing"); got == nil {
		t.Error("it does not wait for team")
	}
	wantDone(t, "team removes itself", st.remove(initializingAt, "team", cluster))
	done := st.phase("one", "Ready")
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	waitCondition(t, st.workspaces(), "one", "WorkspaceInitialized", "True", "")
	if left := statusList(t, done, "initializers"); len(left) > 0 {
		t.Errorf("it still waits for %q", left)
	}
	var seen []string
	for len(seen) < 3 {
		select {
		case event, ok := <-watching.ResultChan():
			if !ok {
				t.Fatalf("the watch ended after %q", seen)
			}
			if event.Type == watch.Bookmark {
				continue
			}
			lc, is := event.Object.(*unstructured.Unstructured)
			if !is {
				t.Fatalf("an event of %v", event.Object)
			}
			seen = append(seen, string(event.Type)+" "+lc.GetAnnotations()["kcp.io/cluster"])
		case <-time.After(waitTimeout):
			t.Fatalf("no event after %q", seen)
		}
	}
	if want := []string{"ADDED " + cluster, "ADDED " + other, "DELETED " + cluster}; !slices.Equal(seen, want) {
		t.Errorf("events are %q, want %q", seen, want)
	}
	// One that is deleted while it waits goes, whoever has not finished.
	if err := st.workspaces().Delete(t.Context(), "other", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the workspace is gone", func(ctx context.Context) (bool, error) {
		_, err := st.workspaces().Get(ctx, "other", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if got := st.shows(initializingAt, "base"); len(got) != 0 {
		t.Errorf("base shows %q", got)
	}
}

// What initializers may do inside: what their type says, or else what the creator of the workspace may do there.
func TestLifecycle_Permissions(t *testing.T) {
	st := newStaged(t, map[string]string{
		"owner":   "initializer: true, extend: {with: [{name: universal, path: root}]}",
		"limited": `initializer: true, extend: {with: [{name: universal, path: root}]}, initializerPermissions: [{apiGroups: [""], resources: [configmaps], verbs: [create, get, list, watch, update, patch]}, {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [create]}, {apiGroups: ["*"], resources: ["*/status"], verbs: ["*"]}]`,
		"closed":  "initializer: true, extend: {with: [{name: universal, path: root}]}",
	}, "owner", "limited")
	_, free := st.make("free", "owner", "Initializing")
	_, bound := st.make("bound", "limited", "Initializing")
	_, foreign := st.make("foreign", "closed", "Initializing")

	// As the creator, but nowhere else.
	in := st.at(initializingAt, "owner", free)
	create(t, in.Resource(configMaps).Namespace("default"), parse(t, documentOf(configMaps, "seed", "")))
	create(t, in.Resource(secrets).Namespace("default"), parse(t, documentOf(secrets, "seed", "")))
	create(t, in.Resource(clusterRoles), parse(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: seed}, rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]}`))
	untyped, _ := annex.Clients(t, st.config(provider, initializingAt, "owner", free))
	who, err := untyped.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), selfReview(), metav1.CreateOptions{})
	if err != nil || who.Status.UserInfo.Username != alice || !slices.Equal(who.Status.UserInfo.Extra["authentication.kcp.io/scopes"], []string{"cluster:" + free}) {
		t.Errorf("inside it is %+v, %v", who, err)
	}
	if resources, err := untyped.Discovery().ServerResourcesForGroupVersion("tenancy.kcp.io/v1alpha1"); err != nil || len(resources.APIResources) == 0 {
		t.Errorf("discovery inside is %v, %v", resources, err)
	}
	_, err = in.Resource(workspaces).Create(t.Context(), parse(t, "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: child}\nspec: {type: {name: closed, path: "+st.path+"}}"), metav1.CreateOptions{})
	wantForbidden(t, "a right that the creator has in another workspace", err)
	_, err = in.Resource(bindings).Patch(t.Context(), "none", types.MergePatchType, []byte(`{"status":{"phase":"Bound"}}`), metav1.PatchOptions{}, "status")
	wantForbidden(t, "a status that only the server writes", err)

	// By rules.
	in = st.at(initializingAt, "limited", bound)
	maps := in.Resource(configMaps).Namespace("default")
	create(t, maps, parse(t, documentOf(configMaps, "seed", "")))
	_, err = maps.Get(t.Context(), "seed", metav1.GetOptions{})
	wantDone(t, "get in scope", err)
	_, err = maps.Apply(t.Context(), "applied", parse(t, documentOf(configMaps, "applied", "")), metav1.ApplyOptions{FieldManager: "test"})
	wantDone(t, "apply, which creates", err)
	create(t, in.Resource(clusterRoles), parse(t, `{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: seed}, rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]}`))
	wantForbidden(t, "delete out of scope", maps.Delete(t.Context(), "seed", metav1.DeleteOptions{}))
	_, err = in.Resource(secrets).Namespace("default").List(t.Context(), metav1.ListOptions{})
	wantForbidden(t, "list out of scope", err)
	_, err = in.Resource(workspaces).List(t.Context(), metav1.ListOptions{})
	wantForbidden(t, "workspaces out of scope", err)
	_, err = in.Resource(bindings).Patch(t.Context(), "none", types.MergePatchType, []byte(`{"status":{"phase":"Bound"}}`), metav1.PatchOptions{}, "status")
	wantForbidden(t, "a status that only the server writes, by rules", err)
	untyped, _ = annex.Clients(t, st.config(provider, initializingAt, "limited", bound))
	if groups, err := untyped.Discovery().ServerGroups(); err != nil || len(groups.Groups) < 5 {
		t.Errorf("discovery inside is %v, %v", groups, err)
	}

	// Nobody else, and nowhere else.
	for what, config := range map[string]*rest.Config{
		"a type that the controller may not initialize": st.config(provider, initializingAt, "closed", foreign),
		"the same over all workspaces":                  st.config(provider, initializingAt, "closed", "*"),
		"another user":                                  st.config(bob, initializingAt, "owner", free),
		"the creator":                                   st.config(alice, initializingAt, "owner", free),
		"another user over all workspaces":              st.config(bob, initializingAt, "owner", "*"),
		"a type that does not exist":                    st.config(provider, initializingAt, "missing", "*"),
		"a workspace of another type":                   st.config(provider, initializingAt, "owner", bound),
		"a workspace that is not being initialized":     st.config(provider, initializingAt, "owner", st.cluster),
		"root":                           st.config(provider, initializingAt, "owner", "root"),
		"a cluster of the server itself": st.config(provider, initializingAt, "owner", "system:admin"),
		"the stage that has not come":    st.config(provider, terminatingAt, "owner", free),
	} {
		_, client := annex.Clients(t, config)
		_, err := client.Resource(namespaces).List(t.Context(), metav1.ListOptions{})
		if allWorkspaces := strings.HasSuffix(config.Host, "*"); !apierrors.IsForbidden(err) {
			t.Errorf("%s (all: %t): %v, want Forbidden", what, allWorkspaces, err)
		}
	}
	groups := st.s.As(token(bob), "root")
	groups.Host = st.s.URL() + "/clusters/" + free
	groups.Impersonate = rest.ImpersonationConfig{UserName: bob, Groups: []string{"system:kcp:initializer:" + st.id("owner")}}
	_, client := annex.Clients(t, groups)
	_, err = client.Resource(namespaces).List(t.Context(), metav1.ListOptions{})
	wantForbidden(t, "the group of initializers, which nobody can claim", err)

	// A watch inside ends with the right to it.
	watching, err := st.at(initializingAt, "limited", bound).Resource(configMaps).Namespace("default").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watching.Stop()
	wantDone(t, "removing itself", st.remove(initializingAt, "limited", bound))
	ended := time.After(waitTimeout)
	for open := true; open; {
		select {
		case _, open = <-watching.ResultChan():
		case <-ended:
			t.Fatal("the watch goes on")
		}
	}
	eventually(t, "the content is closed", func(ctx context.Context) (bool, error) {
		_, err := maps.Get(ctx, "seed", metav1.GetOptions{})
		return apierrors.IsForbidden(err), nil
	})
	// Over all workspaces there are LogicalClusters only.
	everywhere := st.at(initializingAt, "owner", "*")
	_, err = everywhere.Resource(configMaps).List(t.Context(), metav1.ListOptions{})
	wantNotFound(t, "content of all workspaces", err)
	untyped, _ = annex.Clients(t, st.config(provider, initializingAt, "owner", "*"))
	found := map[string]string{}
	all, err := untyped.Discovery().ServerPreferredResources()
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range all {
		for _, r := range list.APIResources {
			found[list.GroupVersion+" "+r.Name] = strings.Join(r.Verbs, ",")
		}
	}
	if len(found) != 1 || found["core.kcp.io/v1alpha1 logicalclusters"] != "get,list,watch" {
		t.Errorf("discovery shows %v", found)
	}
	served, err := untyped.Discovery().ServerResourcesForGroupVersion("core.kcp.io/v1alpha1")
	if err != nil || len(served.APIResources) != 2 || strings.Join(served.APIResources[1].Verbs, ",") != "get,patch,update" {
		t.Errorf("discovery shows %v, %v", served, err)
	}
}

// A deleted workspace waits for its terminators, which reach its content. Then it goes with all that it contains.
func TestLifecycle_Terminators(t *testing.T) {
	st := newStaged(t, map[string]string{
		"base": `terminator: true, extend: {with: [{name: universal, path: root}]}, terminatorPermissions: [{apiGroups: [""], resources: [configmaps], verbs: [get, list, delete]}]`,
		"team": "terminator: true, extend: {with: [{name: base, path: HERE}]}",
	}, "base", "team")
	path, cluster := st.make("one", "team", "Ready")
	_, owner := annex.Clients(t, st.s.As(token(alice), path))
	create(t, owner.Resource(configMaps).Namespace("default"), parse(t, documentOf(configMaps, "kept", "")))
	create(t, owner.Resource(configMaps).Namespace("default"), parse(t, documentOf(configMaps, "cleared", "")))
	for _, name := range []string{"base", "team"} {
		if got := st.shows(terminatingAt, name); len(got) > 0 {
			t.Errorf("%s shows %q before a deletion", name, got)
		}
	}
	_, err := st.at(terminatingAt, "team", cluster).Resource(configMaps).Namespace("default").Get(t.Context(), "kept", metav1.GetOptions{})
	wantForbidden(t, "content before the deletion", err)
	_, err = owner.Resource(clusters).Patch(t.Context(), "cluster", types.MergePatchType, []byte(`{"metadata":{"finalizers":null,"labels":null}}`), metav1.PatchOptions{})
	wantDone(t, "the owner takes finalizers and labels off", err)

	watching, err := st.at(terminatingAt, "team", "*").Resource(clusters).Watch(t.Context(), metav1.ListOptions{AllowWatchBookmarks: true})
	if err != nil {
		t.Fatal(err)
	}
	defer watching.Stop()
	if err := st.workspaces().Delete(t.Context(), "one", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ws := st.phase("one", "Terminating")
	if got := statusList(t, ws, "terminators"); !slices.Equal(got, []string{st.id("base"), st.id("team")}) {
		t.Errorf("it waits for %q", got)
	}
	for _, name := range []string{"base", "team"} {
		eventually(t, name+" sees the workspace", func(context.Context) (bool, error) {
			return slices.Equal(st.shows(terminatingAt, name), []string{cluster}), nil
		})
	}
	lc, err := owner.Resource(clusters).Get(t.Context(), "cluster", metav1.GetOptions{})
	if err != nil || !slices.Contains(lc.GetFinalizers(), "kcp.io/has-terminators") || lc.GetDeletionTimestamp() == nil {
		t.Errorf("its LogicalCluster is %v, %v", lc, err)
	}
	_, err = owner.Resource(clusters).Patch(t.Context(), "cluster", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	wantDone(t, "the owner takes finalizers off", err)
	// As the creator, and by rules.
	_, err = st.at(terminatingAt, "team", cluster).Resource(configMaps).Namespace("default").Get(t.Context(), "kept", metav1.GetOptions{})
	wantDone(t, "content", err)
	limited := st.at(terminatingAt, "base", cluster)
	wantDone(t, "delete in scope", limited.Resource(configMaps).Namespace("default").Delete(t.Context(), "cleared", metav1.DeleteOptions{}))
	_, err = limited.Resource(secrets).Namespace("default").List(t.Context(), metav1.ListOptions{})
	wantForbidden(t, "list out of scope", err)
	_, err = limited.Resource(configMaps).Namespace("default").Create(t.Context(), parse(t, documentOf(configMaps, "new", "")), metav1.CreateOptions{})
	wantForbidden(t, "create out of scope", err)
	for name, change := range map[string]func([]string) []string{
		"the other one": func([]string) []string { return []string{st.id("team")} },
		"both":          func([]string) []string { return nil },
	} {
		if err := st.write(terminatingAt, "team", cluster, change); !apierrors.IsInvalid(err) {
			t.Errorf("removing %s: %v, want Invalid", name, err)
		}
	}
	_, err = st.at(initializingAt, "team", cluster).Resource(clusters).Get(t.Context(), "cluster", metav1.GetOptions{})
	wantNotFound(t, "at the endpoint of initializers", err)

	wantDone(t, "team removes itself", st.remove(terminatingAt, "team", cluster))
	eventually(t, "content is closed to team", func(ctx context.Context) (bool, error) {
		_, err := st.at(terminatingAt, "team", cluster).Resource(configMaps).Namespace("default").Get(ctx, "kept", metav1.GetOptions{})
		return apierrors.IsForbidden(err), nil
	})
	_, err = limited.Resource(configMaps).Namespace("default").Get(t.Context(), "kept", metav1.GetOptions{})
	wantDone(t, "content for base", err)
	st.phase("one", "Terminating")
	wantDone(t, "base removes itself", st.remove(terminatingAt, "base", cluster))
	eventually(t, "the workspace is gone", func(ctx context.Context) (bool, error) {
		_, err := st.workspaces().Get(ctx, "one", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if left := keysOf(t.Context(), t, etcdOf(t, st.s), cluster); left > 0 {
		t.Errorf("%d keys are left", left)
	}
	var seen []string
	for len(seen) < 2 {
		select {
		case event := <-watching.ResultChan():
			if event.Type != watch.Modified && event.Type != watch.Bookmark {
				seen = append(seen, string(event.Type))
			}
		case <-time.After(waitTimeout):
			t.Fatalf("no event after %q", seen)
		}
	}
	if !slices.Equal(seen, []string{"ADDED", "DELETED"}) {
		t.Errorf("events are %q", seen)
	}
}

func selfReview() *authenticationv1.SelfSubjectReview { return &authenticationv1.SelfSubjectReview{} }

// controller is what the author of a type runs: it finds its endpoint in the status of the type, follows LogicalClusters over all workspaces,
// works in each, and releases it. It returns with ctx.
func (st *staged) controller(ctx context.Context, kind, at, name string, work func(context.Context, dynamic.Interface) error) error {
	_, admin := annex.Clients(st.t, st.s.Workspace(st.path))
	of, err := admin.Resource(workspaceTypes).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	url := ""
	endpoints, _, _ := unstructured.NestedSlice(of.Object, "status", "virtualWorkspaces")
	for _, e := range endpoints {
		if e := e.(map[string]any); e["type"] == kind {
			url, _ = e["url"].(string)
		}
	}
	config := st.s.As(token(provider), "root")
	to := func(cluster string) (dynamic.Interface, error) {
		config := rest.CopyConfig(config)
		config.Host = url + "/clusters/" + cluster
		return dynamic.NewForConfig(config)
	}
	everywhere, err := to("*")
	if err != nil {
		return err
	}
	finish := func(lc *unstructured.Unstructured) error {
		in, err := to(lc.GetAnnotations()["kcp.io/cluster"])
		if err != nil {
			return err
		}
		if err := work(ctx, in); err != nil {
			return fmt.Errorf("working in %s: %w", lc.GetAnnotations()["kcp.io/cluster"], err)
		}
		left, _, _ := unstructured.NestedStringSlice(lc.Object, "status", fieldOf(at))
		left = slices.DeleteFunc(left, func(id string) bool { return id == st.id(name) })
		if err := unstructured.SetNestedStringSlice(lc.Object, left, "status", fieldOf(at)); err != nil {
			return err
		}
		_, err = in.Resource(clusters).UpdateStatus(ctx, lc, metav1.UpdateOptions{})
		return err
	}
	list, err := everywhere.Resource(clusters).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	for i := range list.Items {
		if err := finish(&list.Items[i]); err != nil {
			return err
		}
	}
	events, err := everywhere.Resource(clusters).Watch(ctx, metav1.ListOptions{ResourceVersion: list.GetResourceVersion(), AllowWatchBookmarks: true})
	if err != nil {
		return err
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		lc, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			return fmt.Errorf("event %v", event)
		}
		if event.Type == watch.Added || event.Type == watch.Modified {
			if err := finish(lc); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
	return nil
}

// Controllers of a type prepare each workspace and clean up after it, whether they come first or the workspaces do.
func TestLifecycle_Controllers(t *testing.T) {
	st := newStaged(t, map[string]string{"team": `initializer: true, terminator: true, extend: {with: [{name: universal, path: root}]},
  terminatorPermissions: [{apiGroups: [""], resources: [configmaps], verbs: [get, delete]}]`}, "team")
	const before, after = 5, 20
	names := []string{}
	for i := range before + after {
		name := fmt.Sprint("w", i)
		names = append(names, name)
		if i < before {
			st.make(name, "team", "Initializing")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() {
		ended <- st.controller(ctx, "initializing", initializingAt, "team", func(ctx context.Context, in dynamic.Interface) error {
			_, err := in.Resource(configMaps).Namespace("default").Create(ctx, parse(t, documentOf(configMaps, "seed", "")), metav1.CreateOptions{})
			return err
		})
	}()
	begun := time.Now()
	for _, name := range names[before:] {
		create(t, st.workspaces(), parse(t, fmt.Sprintf("apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: %s}\nspec: {type: {name: team, path: %q}}", name, st.path)))
	}
	for _, name := range names {
		st.phase(name, "Ready")
		_, in := annex.Clients(t, st.s.As(token(alice), st.path+":"+name))
		_, err := in.Resource(configMaps).Namespace("default").Get(t.Context(), "seed", metav1.GetOptions{})
		wantDone(t, "what the initializer made", err)
	}
	t.Logf("%d workspaces with an initializer in %s, one after the other", len(names), time.Since(begun))
	for _, name := range names {
		if err := st.workspaces().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		ended <- st.controller(ctx, "terminating", terminatingAt, "team", func(ctx context.Context, in dynamic.Interface) error {
			return in.Resource(configMaps).Namespace("default").Delete(ctx, "seed", metav1.DeleteOptions{})
		})
	}()
	eventually(t, "all workspaces are gone", func(ctx context.Context) (bool, error) {
		select {
		case err := <-ended:
			return false, fmt.Errorf("a controller has ended: %w", err)
		default:
		}
		left, err := st.workspaces().List(ctx, metav1.ListOptions{})
		return err == nil && len(left.Items) == 0, err
	})
	cancel()
	for range 2 {
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
}

// Neither a restart of the server nor its controllers' memory lets a workspace go too early, or keeps it.
func TestLifecycle_Restart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens.csv")
	if err := os.WriteFile(file, []byte(tokens), 0o600); err != nil {
		t.Fatal(err)
	}
	launched, err := annex.Launch(t.Context(), filepath.Join(t.TempDir(), "annex"), "--token-auth-file", file)
	if err != nil {
		t.Fatal(err)
	}
	s := launched.For(t)
	t.Cleanup(s.Kill)
	st := newStagedOn(t, s, map[string]string{"team": "initializer: true, terminator: true, extend: {with: [{name: universal, path: root}]}"}, "team")
	_, begins := st.make("begins", "team", "Initializing")
	_, ends := st.make("ends", "team", "Initializing")
	wantDone(t, "an initializer removes itself", st.remove(initializingAt, "team", ends))
	st.phase("ends", "Ready")
	if err := st.workspaces().Delete(t.Context(), "ends", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	st.phase("ends", "Terminating")
	s.Stop()
	s.Start()
	// The labels by which they are found follow the phase, after the restart if need be.
	for at, want := range map[string]string{initializingAt: begins, terminatingAt: ends} {
		eventually(t, at+" show "+want, func(context.Context) (bool, error) { return slices.Equal(st.shows(at, "team"), []string{want}), nil })
	}
	st.phase("begins", "Initializing")
	st.phase("ends", "Terminating")
	wantDone(t, "an initializer removes itself", st.remove(initializingAt, "team", begins))
	wantDone(t, "a terminator removes itself", st.remove(terminatingAt, "team", ends))
	st.phase("begins", "Ready")
	eventually(t, "the workspace is gone", func(ctx context.Context) (bool, error) {
		_, err := st.workspaces().Get(ctx, "ends", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// Whoever writes a WorkspaceType gives its controllers no more than the provider of an API gives the consumers.
func TestLifecycle_ProvidersLimitControllers(t *testing.T) {
	s := start(t)
	l := newLimits(t, s, limitedExport)
	st := newStagedOn(t, s, map[string]string{
		"team": `initializer: true, extend: {with: [{name: universal, path: root}]}, defaultAPIBindings: [{path: "` + l.path + `", export: widgets}], ` +
			`initializerPermissions: [{apiGroups: [example.com], resources: [widgets], verbs: ["*"]}]`,
	}, "team")
	_, cluster := st.make("one", "team", "Initializing")
	config := st.config(provider, initializingAt, "team", cluster)
	var created error
	eventually(t, "the controller lists widgets", func(context.Context) (bool, error) {
		var listed error
		created, listed = tries(t, config)
		return listed == nil, nil
	})
	wantForbidden(t, "a widget that the provider allows nobody", created)
	l.let("controllers", `"*"`, "User", provider)
	eventually(t, "the controller creates a widget", func(context.Context) (bool, error) {
		created, _ = tries(t, config)
		return created == nil, nil
	})
}

// The types of a workspace, and who may terminate for them, stay until the workspaces below it are gone.
func TestLifecycle_TerminatorsOfAParentThatIsDeleted(t *testing.T) {
	st := newStaged(t, map[string]string{"team": "terminator: true, extend: {with: [{name: universal, path: root}]}"}, "team")
	_, cluster := st.make("one", "team", "Ready")
	_, root := annex.Clients(t, st.s.Workspace("root"))
	parent := st.path[strings.LastIndex(st.path, ":")+1:]
	if err := root.Resource(workspaces).Delete(t.Context(), parent, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "team sees the workspace", func(context.Context) (bool, error) {
		return slices.Equal(st.shows(terminatingAt, "team"), []string{cluster}), nil
	})
	// The condition is written when the deletion has done what it can.
	eventually(t, "the parent waits", func(ctx context.Context) (bool, error) {
		ws, err := root.Resource(workspaces).Get(ctx, parent, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return strings.Contains(fmt.Sprint(ws.Object["status"]), "workspaces.tenancy.kcp.io"), nil
	})
	if got := st.shows(terminatingAt, "team"); !slices.Equal(got, []string{cluster}) {
		t.Errorf("while the parent waits, team sees %q", got)
	}
	wantDone(t, "team removes itself", st.remove(terminatingAt, "team", cluster))
	eventually(t, "the parent is gone", func(ctx context.Context) (bool, error) {
		_, err := root.Resource(workspaces).Get(ctx, parent, metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	for _, cluster := range []string{cluster, st.cluster} {
		if left := keysOf(t.Context(), t, etcdOf(t, st.s), cluster); left > 0 {
			t.Errorf("%d keys of %s are left", left, cluster)
		}
	}
}
