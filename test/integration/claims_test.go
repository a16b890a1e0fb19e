package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

var (
	secrets      = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	namespaces   = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	coreEvents   = schema.GroupVersionResource{Version: "v1", Resource: "events"}
	newEvents    = schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}
	clusterRoles = schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"}
	accessReview = schema.GroupVersionResource{Group: "authorization.k8s.io", Version: "v1", Resource: "subjectaccessreviews"}
)

// claiming is an export with permission claims, and its provider: user provider, who has all verbs on its content and no right anywhere else.
type claiming struct {
	t             *testing.T
	s             *annex.Server
	path, cluster string
}

// claim is a permission claim as a document, in the flow style of YAML.
func claim(group, resource, verbs, more string) string {
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf("{group: %q, resource: %q, verbs: [%s]%s}", group, resource, verbs, more)
}

// accept is the acceptance of a claim.
func accept(group, resource, verbs, selector string) string {
	return answerTo("Accepted", group, resource, verbs, selector)
}

func reject(resource string) string {
	return answerTo("Rejected", "", resource, anyVerb, "matchAll: true")
}

func answerTo(state, group, resource, verbs, selector string) string {
	return claim(group, resource, verbs, "state: "+state+", selector: {"+selector+"}")
}

const (
	all      = "matchAll: true"
	anyVerb  = `"*"`
	readOnly = "get, list, watch"
	// gadgetsOf accepts the gadgets of an identity.
	gadgetsOf = `{group: example.org, resource: gadgets, identityHash: %s, verbs: ["*"], state: Accepted, selector: {matchAll: true}}`
)

func newClaiming(t *testing.T, claims ...string) *claiming {
	t.Helper()
	return newClaimingOn(t, start(t), claims...)
}

func newClaimingOn(t *testing.T, s *annex.Server, claims ...string) *claiming {
	t.Helper()
	c := &claiming{t: t, s: s}
	c.path, c.cluster = newWorkspace(t, c.s, "root", uniqueName("claiming"))
	apply(t, c.s.Workspace(c.path), widgetSchema)
	c.claims(claims...)
	apply(t, c.s.Workspace(c.path), `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: content}
rules: [{apiGroups: [apis.kcp.io], resources: [apiexports/content], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: content}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: content}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: provider}]
`)
	_, client := annex.Clients(t, c.s.Workspace(c.path))
	waitCondition(t, client.Resource(exports), "widgets", "IdentityValid", "True", "")
	return c
}

// put makes an object what document says, whether or not it exists.
func put(t *testing.T, config *rest.Config, gvr schema.GroupVersionResource, document string) {
	t.Helper()
	_, client := annex.Clients(t, config)
	obj := parse(t, document)
	if _, err := client.Resource(gvr).Apply(t.Context(), obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "test", Force: true}); err != nil {
		t.Fatalf("writing %s %s: %v", obj.GetKind(), obj.GetName(), err)
	}
}

// claims makes the export claim exactly these.
func (c *claiming) claims(claims ...string) {
	c.t.Helper()
	put(c.t, c.s.Workspace(c.path), exports, fmt.Sprintf(`
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: widgets}
spec:
  resources: [{name: widgets, group: example.com, schema: v1.widgets.example.com, storage: {crd: {}}}]
  permissionClaims: [%s]
`, strings.Join(claims, ", ")))
}

// consumer is a workspace that binds the export.
type consumer struct {
	*claiming
	path, cluster string
	dynamic.Interface
}

func (c *claiming) consumer(answers ...string) *consumer {
	c.t.Helper()
	path, cluster := newWorkspace(c.t, c.s, "root", uniqueName("consumer"))
	_, client := annex.Clients(c.t, c.s.Workspace(path))
	k := &consumer{claiming: c, path: path, cluster: cluster, Interface: client}
	k.answer(answers...)
	waitCondition(c.t, client.Resource(bindings), "widgets", "Ready", "True", "")
	return k
}

// answer makes the binding answer exactly these claims.
func (k *consumer) answer(answers ...string) {
	k.t.Helper()
	put(k.t, k.s.Workspace(k.path), bindings, fmt.Sprintf(`
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: widgets}
spec: {reference: {export: {path: %q, name: widgets}}, permissionClaims: [%s]}
`, k.claiming.path, strings.Join(answers, ", ")))
}

// config is how the provider reaches a consumer, or all with *.
func (c *claiming) config(target string) *rest.Config {
	config := c.s.As(token(provider), "root")
	config.Host = c.s.URL() + "/services/apiexport/" + c.cluster + "/widgets/clusters/" + target
	return config
}

// at returns the provider's client for a consumer, or for all with *.
func (c *claiming) at(target string) dynamic.Interface {
	c.t.Helper()
	_, client := annex.Clients(c.t, c.config(target))
	return client
}

// everywhere lists a resource over all consumers as "cluster/namespace/name", without what workspaces have from the beginning.
func (c *claiming) everywhere(ctx context.Context, gvr schema.GroupVersionResource) ([]string, error) {
	list, err := c.at("*").Resource(gvr).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return shownNames(list.Items), nil
}

func shownNames(items []unstructured.Unstructured) []string {
	found := []string{}
	for _, obj := range items {
		if obj.GetName() != "kube-root-ca.crt" {
			found = append(found, obj.GetAnnotations()["kcp.io/cluster"]+"/"+obj.GetNamespace()+"/"+obj.GetName())
		}
	}
	slices.Sort(found)
	return found
}

// shows waits until the provider sees exactly these over all consumers.
func (c *claiming) shows(gvr schema.GroupVersionResource, want ...string) {
	c.t.Helper()
	slices.Sort(want)
	var last []string
	begun := time.Now()
	eventually(c.t, fmt.Sprintf("the provider sees %v", want), func(ctx context.Context) (bool, error) {
		var err error
		last, err = c.everywhere(ctx, gvr)
		if err == nil && !slices.Equal(last, want) && time.Since(begun) > 20*time.Second {
			err = fmt.Errorf("it sees %v", last)
		}
		return slices.Equal(last, want), err
	})
}

// make creates an object as the consumer.
func (k *consumer) make(gvr schema.GroupVersionResource, name, labels string) string {
	k.t.Helper()
	create(k.t, k.Resource(gvr).Namespace("default"), parse(k.t, documentOf(gvr, name, labels)))
	return k.cluster + "/default/" + name
}

func documentOf(gvr schema.GroupVersionResource, name, labels string) string {
	kind := map[string]string{"configmaps": "ConfigMap", "secrets": "Secret", "widgets": "Widget", "serviceaccounts": "ServiceAccount"}[gvr.Resource]
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s, namespace: default, labels: {%s}}", gvr.GroupVersion(), kind, name, labels)
}

func wantForbidden(t *testing.T, what string, err error) {
	t.Helper()
	if !apierrors.IsForbidden(err) {
		t.Errorf("%s: %v, want Forbidden", what, err)
	}
}

func wantNotFound(t *testing.T, what string, err error) {
	t.Helper()
	if !apierrors.IsNotFound(err) {
		t.Errorf("%s: %v, want NotFound", what, err)
	}
}

func wantDone(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// The provider sees what consumers accepted and nothing else: of each consumer, of each resource, of each verb.
func TestClaims_ShowWhatIsAccepted(t *testing.T) {
	c := newClaiming(t, claim("", "configmaps", anyVerb, ""), claim("", "secrets", readOnly, ""))
	yes := c.consumer(accept("", "configmaps", anyVerb, all), accept("", "secrets", anyVerb, all))
	no := c.consumer(reject("configmaps"), reject("secrets"))
	open := c.consumer()
	some := c.consumer(accept("", "configmaps", "list, watch", all))
	want := yes.make(configMaps, "a", "")
	secret := yes.make(secrets, "a", "")
	for _, k := range []*consumer{no, open} {
		k.make(configMaps, "a", "")
		k.make(secrets, "a", "")
	}
	c.shows(configMaps, want, some.make(configMaps, "b", ""))
	c.shows(secrets, secret)
	in := func(k *consumer, gvr schema.GroupVersionResource) dynamic.ResourceInterface {
		return c.at(k.cluster).Resource(gvr).Namespace("default")
	}
	for _, gvr := range []schema.GroupVersionResource{configMaps, secrets} {
		got, err := in(yes, gvr).Get(t.Context(), "a", metav1.GetOptions{})
		wantDone(t, "get", err)
		if err == nil && got.GetAnnotations()["kcp.io/cluster"] != yes.cluster {
			t.Errorf("the object says it is in %q", got.GetAnnotations()["kcp.io/cluster"])
		}
		for _, k := range []*consumer{no, open} {
			_, err := in(k, gvr).Get(t.Context(), "a", metav1.GetOptions{})
			wantForbidden(t, "get without a claim", err)
			_, err = in(k, gvr).List(t.Context(), metav1.ListOptions{})
			wantForbidden(t, "list without a claim", err)
			_, err = in(k, gvr).Watch(t.Context(), metav1.ListOptions{})
			wantForbidden(t, "watch without a claim", err)
			_, err = in(k, gvr).Create(t.Context(), parse(t, documentOf(gvr, "mine", "")), metav1.CreateOptions{})
			wantForbidden(t, "create without a claim", err)
			wantForbidden(t, "delete without a claim", in(k, gvr).Delete(t.Context(), "a", metav1.DeleteOptions{}))
			wantForbidden(t, "deletecollection without a claim", in(k, gvr).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
		}
	}
	// Verbs are those on which both agree.
	_, err := in(some, configMaps).List(t.Context(), metav1.ListOptions{})
	wantDone(t, "list", err)
	_, err = in(some, configMaps).Get(t.Context(), "b", metav1.GetOptions{})
	wantForbidden(t, "a verb that the consumer does not accept", err)
	_, err = in(yes, secrets).Create(t.Context(), parse(t, documentOf(secrets, "mine", "")), metav1.CreateOptions{})
	wantForbidden(t, "a verb that the export does not claim", err)
	wantForbidden(t, "the same for a deletion", in(yes, secrets).Delete(t.Context(), "a", metav1.DeleteOptions{}))
	// What is not claimed is not there, and other workspaces are closed.
	_, err = in(yes, schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}).List(t.Context(), metav1.ListOptions{})
	wantNotFound(t, "a resource that is not claimed", err)
	_, err = c.at("*").Resource(clusterRoles).List(t.Context(), metav1.ListOptions{})
	wantNotFound(t, "the same over all consumers", err)
	_, stranger := newWorkspace(t, c.s, "root", uniqueName("stranger"))
	_, err = c.at(stranger).Resource(configMaps).Namespace("default").List(t.Context(), metav1.ListOptions{})
	wantForbidden(t, "a workspace that does not bind", err)
	// The provider's own rights are limited to the endpoint.
	_, direct := annex.Clients(t, c.s.As(token(provider), yes.path))
	_, err = direct.Resource(configMaps).Namespace("default").Get(t.Context(), "a", metav1.GetOptions{})
	wantForbidden(t, "the workspace of the consumer itself", err)
	other := c.s.As(token(alice), "root")
	other.Host = c.config("*").Host
	_, others := annex.Clients(t, other)
	_, err = others.Resource(configMaps).List(t.Context(), metav1.ListOptions{})
	wantForbidden(t, "somebody else at the endpoint", err)

	// Dropping a claim from the export makes the resource unknown.
	c.claims(claim("", "configmaps", anyVerb, ""))
	eventually(t, "secrets are unknown", func(ctx context.Context) (bool, error) {
		_, err := c.everywhere(ctx, secrets)
		return apierrors.IsNotFound(err), nil
	})
	_, err = in(yes, secrets).Get(t.Context(), "a", metav1.GetOptions{})
	wantNotFound(t, "a claim that was dropped", err)
	// So does deleting the binding, for its objects.
	if err := yes.Resource(bindings).Delete(t.Context(), "widgets", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.shows(configMaps, some.cluster+"/default/b")
	_, err = in(yes, configMaps).Get(t.Context(), "a", metav1.GetOptions{})
	wantForbidden(t, "a binding that is gone", err)
}

// Selectors decide what the provider sees and writes.
func TestClaims_Selectors(t *testing.T) {
	c := newClaiming(t, claim("", "configmaps", anyVerb, ""), claim("", "secrets", anyVerb, ""))
	k := c.consumer(accept("", "configmaps", anyVerb, "matchLabels: {team: db}"),
		accept("", "secrets", anyVerb, "matchExpressions: [{key: team, operator: In, values: [db, web]}]"))
	mine, theirs := k.make(configMaps, "mine", "team: db"), k.make(configMaps, "theirs", "team: web")
	k.make(configMaps, "plain", "")
	k.make(secrets, "web", "team: web")
	k.make(secrets, "plain", "")
	c.shows(configMaps, mine)
	c.shows(secrets, k.cluster+"/default/web")
	maps, secret := c.at(k.cluster).Resource(configMaps).Namespace("default"), c.at(k.cluster).Resource(secrets).Namespace("default")
	list, err := maps.List(t.Context(), metav1.ListOptions{})
	if err != nil || !slices.Equal(shownNames(list.Items), []string{mine}) {
		t.Errorf("one consumer shows %v, %v", list, err)
	}
	_, err = maps.Get(t.Context(), "theirs", metav1.GetOptions{})
	wantNotFound(t, "get of what is not selected", err)
	wantNotFound(t, "delete of what is not selected", maps.Delete(t.Context(), "theirs", metav1.DeleteOptions{}))
	merge := func(in dynamic.ResourceInterface, name, patch string) (*unstructured.Unstructured, error) {
		return in.Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	}
	_, err = merge(maps, "theirs", `{"metadata":{"labels":{"team":"db"}}}`)
	wantNotFound(t, "drawing an object into the claim", err)

	// matchLabels: labels are added, and protected.
	made, err := maps.Create(t.Context(), parse(t, documentOf(configMaps, "made", "")), metav1.CreateOptions{})
	if err != nil || made.GetLabels()["team"] != "db" {
		t.Errorf("created %v, %v", made, err)
	}
	_, err = maps.Create(t.Context(), parse(t, documentOf(configMaps, "other", "team: web")), metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "protected label") {
		t.Errorf("another value: %v", err)
	}
	_, err = merge(maps, "made", `{"metadata":{"labels":{"team":"web"}}}`)
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "protected label") {
		t.Errorf("a changed value: %v", err)
	}
	made, err = merge(maps, "made", `{"metadata":{"labels":{"team":null}},"data":{"a":"b"}}`)
	if err != nil || made.GetLabels()["team"] != "db" {
		t.Errorf("a dropped label: %v, %v", made, err)
	}
	_, err = maps.Create(t.Context(), parse(t, documentOf(configMaps, "theirs", "")), metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		t.Errorf("a name that is taken: %v", err)
	}

	// matchExpressions: nothing is added.
	for _, dryRun := range [][]string{nil, {metav1.DryRunAll}} {
		_, err = secret.Create(t.Context(), parse(t, documentOf(secrets, "none", "")), metav1.CreateOptions{DryRun: dryRun})
		wantForbidden(t, "create of what is not selected", err)
	}
	_, err = secret.Create(t.Context(), parse(t, documentOf(secrets, "db", "team: db")), metav1.CreateOptions{})
	wantDone(t, "create of what is selected", err)
	_, err = merge(secret, "db", `{"metadata":{"labels":{"team":"ops"}}}`)
	wantForbidden(t, "moving an object out of the claim", err)
	_, err = merge(secret, "db", `{"metadata":{"labels":{"team":"web"}}}`)
	wantDone(t, "another value that is selected", err)

	// A collection is what is selected of it.
	wantDone(t, "deletecollection", maps.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
	left, err := k.Resource(configMaps).Namespace("default").List(t.Context(), metav1.ListOptions{})
	if want := []string{k.cluster + "/default/plain", theirs}; err != nil || !slices.Equal(shownNames(left.Items), want) {
		t.Errorf("left are %v, %v, want %v", shownNames(left.Items), err, want)
	}
	// The consumer's labels decide, and the label that kcp uses is nobody's to set.
	_, err = merge(k.Resource(configMaps).Namespace("default"), "plain", `{"metadata":{"labels":{"claimed.internal.apis.kcp.io/x":"y"}}}`)
	wantForbidden(t, "a reserved label", err)
	_, err = merge(k.Resource(configMaps).Namespace("default"), "plain", `{"metadata":{"labels":{"team":"db"}}}`)
	wantDone(t, "a label by the consumer", err)
	c.shows(configMaps, k.cluster+"/default/plain")

	// The selector of an answer does not change, except by another answer.
	_, err = merge(k.Resource(bindings), "widgets", `{"spec":{"permissionClaims":[`+
		`{"group":"","resource":"configmaps","verbs":["*"],"state":"Accepted","selector":{"matchAll":true}}]}}`)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "selector must not be changed") {
		t.Errorf("changing a selector: %v", err)
	}
	k.answer()
	c.shows(configMaps)
	k.answer(accept("", "configmaps", anyVerb, "matchLabels: {team: web}"))
	c.shows(configMaps, theirs)
}

// Answers take effect in watches that are open.
func TestClaims_WatchesFollowAnswers(t *testing.T) {
	c := newClaiming(t, claim("", "configmaps", anyVerb, ""))
	first := c.consumer(accept("", "configmaps", anyVerb, all))
	second := c.consumer(reject("configmaps"))
	one, two := first.make(configMaps, "a", ""), second.make(configMaps, "a", "")
	c.shows(configMaps, one)
	list, err := c.at("*").Resource(configMaps).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.at("*").Resource(configMaps).Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	next := func(want string) {
		t.Helper()
		for {
			select {
			case e, ok := <-w.ResultChan():
				if !ok || e.Type == watch.Error {
					t.Fatalf("the watch ended with %v, want %s", e.Object, want)
				}
				obj := e.Object.(*unstructured.Unstructured)
				names := shownNames([]unstructured.Unstructured{*obj})
				if len(names) == 0 {
					continue // what every workspace has
				}
				if got := string(e.Type) + " " + names[0]; got != want {
					t.Fatalf("got %s, want %s", got, want)
				}
				return
			case <-time.After(20 * time.Second):
				t.Fatalf("no event, want %s", want)
			}
		}
	}
	second.answer(accept("", "configmaps", anyVerb, all))
	next("ADDED " + two)
	first.answer(reject("configmaps"))
	next("DELETED " + one)
	first.make(configMaps, "unseen", "")
	next("ADDED " + second.make(configMaps, "b", ""))
	third := c.consumer(accept("", "configmaps", anyVerb, "matchLabels: {a: b}"))
	third.make(configMaps, "unseen", "")
	next("ADDED " + third.make(configMaps, "seen", "a: b"))
	if err := third.Resource(bindings).Delete(t.Context(), "widgets", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	next("DELETED " + third.cluster + "/default/seen")
	second.answer()
	next("DELETED " + two)
	next("DELETED " + second.cluster + "/default/b")

	// From before the answers nobody goes on: what happened shows in no event.
	_, err = c.at("*").Resource(configMaps).Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
		t.Errorf("a watch from before: %v", err)
	}
	// A claim that the export drops ends the watch.
	c.claims(claim("", "secrets", anyVerb, ""))
	for e := range w.ResultChan() {
		t.Logf("%s %v", e.Type, e.Object)
	}
}

// The binding says what becomes of claims.
func TestClaims_Conditions(t *testing.T) {
	c := newClaiming(t)
	k := c.consumer()
	waitCondition(t, k.Resource(bindings), "widgets", "PermissionClaimsValid", "True", "")
	c.claims(claim("", "configmaps", "get, list", ""), claim("", "secrets", anyVerb, ""))
	waitCondition(t, k.Resource(bindings), "widgets", "PermissionClaimsValid", "False", "PermissionClaimsMismatch")
	k.answer(accept("", "configmaps", "list, create", all), reject("secrets"))
	waitCondition(t, k.Resource(bindings), "widgets", "PermissionClaimsValid", "True", "")
	waitCondition(t, k.Resource(bindings), "widgets", "PermissionClaimsApplied", "True", "")
	got, err := k.Resource(bindings).Get(t.Context(), "widgets", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	offered, _, _ := unstructured.NestedSlice(got.Object, "status", "exportPermissionClaims")
	applied, _, _ := unstructured.NestedSlice(got.Object, "status", "appliedPermissionClaims")
	raw, err := json.Marshal(applied)
	if err != nil {
		t.Fatal(err)
	}
	if len(offered) != 2 || string(raw) != `[{"group":"","resource":"configmaps","selector":{"matchAll":true},"verbs":["list"]}]` {
		t.Errorf("offered are %v, applied are %s", offered, raw)
	}
	// The other version says the same, and writing it back changes nothing.
	older := bindings
	older.Version = "v1alpha1"
	old, err := k.Resource(older).Get(t.Context(), "widgets", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Resource(older).Update(t.Context(), old, metav1.UpdateOptions{}); err != nil {
		t.Errorf("writing the older version back: %v", err)
	}
	after, err := k.Resource(bindings).Get(t.Context(), "widgets", metav1.GetOptions{})
	if err != nil || after.GetResourceVersion() != got.GetResourceVersion() {
		t.Errorf("the round trip changed %v to %v, %v", got, after, err)
	}
	// An identity that the export does not claim.
	c.claims(claim("example.org", "gadgets", anyVerb, "identityHash: right"))
	k.answer(fmt.Sprintf(gadgetsOf, "wrong"))
	waitCondition(t, k.Resource(bindings), "widgets", "PermissionClaimsValid", "False", "InvalidPermissionClaims")
	waitCondition(t, k.Resource(bindings), "widgets", "PermissionClaimsApplied", "False", "InvalidPermissionClaims")
	waitCondition(t, k.Resource(bindings), "widgets", "Ready", "True", "")
	k.answer(fmt.Sprintf(gadgetsOf, "right"))
	waitCondition(t, k.Resource(bindings), "widgets", "PermissionClaimsApplied", "True", "")
	waitCondition(t, k.Resource(bindings), "widgets", "PermissionClaimsValid", "True", "")

	// An export must say whose resource it claims.
	_, owner := annex.Clients(t, c.s.Workspace(c.path))
	_, err = owner.Resource(exports).Create(t.Context(), parse(t, `{"apiVersion":"apis.kcp.io/v1alpha2","kind":"APIExport","metadata":{"name":"bad"},
		"spec":{"permissionClaims":[{"group":"example.org","resource":"gadgets","verbs":["get"]}]}}`), metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "identityHash") {
		t.Errorf("a claim without identity: %v", err)
	}
}

// What docs/claims.md shows is accepted, and does what it says.
func TestClaims_Documented(t *testing.T) {
	document, err := os.ReadFile("../../docs/claims.md")
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, part := range strings.Split(string(document), "```yaml\n")[1:] {
		text, _, _ := strings.Cut(part, "```")
		shown = append(shown, text)
	}
	if len(shown) != 2 {
		t.Fatalf("docs/claims.md shows %d documents, want those of a provider and of a consumer", len(shown))
	}
	c := newClaiming(t)
	put(t, c.s.Workspace(c.path), exports, shown[0])
	k := c.consumer()
	put(t, c.s.Workspace(k.path), bindings, strings.Replace(shown[1], "root:databases", c.path, 1))
	secret := k.make(secrets, "a", "app: database")
	k.make(secrets, "b", "")
	c.shows(secrets, secret)
	c.shows(configMaps, k.make(configMaps, "a", ""))
	waitCondition(t, k.Resource(bindings), "widgets", "PermissionClaimsValid", "True", "")
	_, err = c.at(k.cluster).Resource(configMaps).Namespace("default").Create(t.Context(), parse(t, documentOf(configMaps, "x", "")), metav1.CreateOptions{})
	wantForbidden(t, "a verb that nobody claims", err)
}
