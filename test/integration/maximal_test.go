package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/test/framework/annex"
)

const limitedExport = `
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: widgets}
spec:
  maximalPermissionPolicy: {local: {}}
  resources: [{name: widgets, group: example.com, schema: v1.widgets.example.com, storage: {crd: {}}}]
`

// limits is a workspace that exports widgets, and the RBAC by which it limits consumers: everybody may read, and devs may do anything.
type limits struct {
	t             *testing.T
	s             *annex.Server
	path, cluster string
}

func newLimits(t *testing.T, s *annex.Server, export string) *limits {
	t.Helper()
	l := &limits{t: t, s: s}
	l.path, l.cluster = newWorkspace(t, s, "root", uniqueName("limits"))
	apply(t, s.Workspace(l.path), widgetSchema)
	apply(t, s.Workspace(l.path), export)
	reads, _ := documented(t)
	apply(t, s.Workspace(l.path), reads)
	l.let("devs", `"*"`, "Group", "devs")
	return l
}

// documented returns what docs/concepts.md shows: how everybody may read, and how one ServiceAccount may write.
func documented(t *testing.T) (reads, writes string) {
	t.Helper()
	document, err := os.ReadFile("../../docs/concepts.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(document), "**Limiting consumers.**")
	_, after, _ = strings.Cut(after, "```yaml\n")
	shown, _, found := strings.Cut(after, "```")
	documents := strings.Split(shown, "\n---\n")
	if !found || len(documents) != 3 {
		t.Fatalf("docs/concepts.md shows %d documents, want those of a role and of two bindings", len(documents))
	}
	return documents[0] + "\n---\n" + documents[1], documents[2]
}

// let allows consumers of this kind and name verbs on widgets.
func (l *limits) let(name, verbs, kind, subject string) {
	l.t.Helper()
	apply(l.t, l.s.Workspace(l.path), fmt.Sprintf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %[1]s}
rules: [{apiGroups: [example.com], resources: [widgets, widgets/status], verbs: [%[2]s]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: %[3]s, name: "apis.kcp.io:binding:%[4]s"}]
`, name, verbs, kind, subject))
}

// consumer returns a workspace that has bound the export.
func (l *limits) consumer() (path, cluster string) {
	l.t.Helper()
	path, cluster = newWorkspace(l.t, l.s, "root", uniqueName("consumer"))
	apply(l.t, l.s.Workspace(path), binding("widgets", l.path, "widgets"))
	_, client := annex.Clients(l.t, l.s.Workspace(path))
	waitCondition(l.t, client.Resource(bindings), "widgets", "Ready", "True", "")
	return path, cluster
}

// tries creates a widget, and lists widgets.
func tries(t *testing.T, config *rest.Config) (created, listed error) {
	t.Helper()
	_, client := annex.Clients(t, config)
	obj := parse(t, fmt.Sprintf("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: %s, namespace: default}\nspec: {size: 1}", uniqueName("w")))
	_, created = client.Resource(widgets).Namespace("default").Create(t.Context(), obj, metav1.CreateOptions{})
	_, listed = client.Resource(widgets).Namespace("default").List(t.Context(), metav1.ListOptions{})
	return created, listed
}

func TestMaximal_LimitsConsumers(t *testing.T) {
	s := start(t)
	l := newLimits(t, s, limitedExport)
	path, cluster := l.consumer()
	for _, user := range []string{alice, bob} {
		admit(t, s, path, user)
	}
	want := func(who string, config *rest.Config, writes bool) {
		t.Helper()
		created, listed := tries(t, config)
		if writes && created != nil || !writes && !apierrors.IsForbidden(created) || listed != nil {
			t.Errorf("%s: create: %v (want allowed: %t), list: %v", who, created, writes, listed)
		}
		if !writes && created != nil && !strings.Contains(created.Error(), "access denied") {
			t.Errorf("%s is told %v", who, created)
		}
	}
	becomes := func(who string, config *rest.Config, writes bool) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s may write: %t", who, writes), func(context.Context) (bool, error) {
			created, _ := tries(t, config)
			if created != nil && !apierrors.IsForbidden(created) {
				return false, created
			}
			return (created == nil) == writes, nil
		})
	}
	of := func(user string) *rest.Config { return s.As(token(user), path) }
	want("alice, a dev", of(alice), true)
	want("bob, who administers the workspace", of(bob), false)
	want("the administrator of the server", s.Workspace(path), false)
	want("the operator", of("operator"), true)

	// Whoever administers the workspace is nobody else to the provider, whom they may impersonate there.
	posing := of(bob)
	posing.Impersonate = rest.ImpersonationConfig{UserName: alice, Groups: []string{"devs"}}
	want("bob as alice", posing, false)
	posing = of("operator")
	posing.Impersonate = rest.ImpersonationConfig{UserName: alice, Groups: []string{"devs", "system:authenticated"}}
	want("the operator as alice", posing, true)

	// Another workspace's RBAC counts for nothing.
	stranger := of("stranger")
	if created, listed := tries(t, stranger); !apierrors.IsForbidden(created) || !apierrors.IsForbidden(listed) {
		t.Errorf("a stranger: %v, %v", created, listed)
	}

	// A ServiceAccount is who others know it as.
	typed, dynamic := annex.Clients(t, s.Workspace(path))
	apply(t, s.Workspace(path), `
apiVersion: v1
kind: ServiceAccount
metadata: {name: deployer, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: deployer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, namespace: default, name: deployer}]
`)
	issued, err := typed.CoreV1().ServiceAccounts("default").CreateToken(t.Context(), "deployer", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	robot := s.As(issued.Status.Token, path)
	becomes("the ServiceAccount", robot, false)
	_, writes := documented(t)
	apply(t, s.Workspace(l.path), strings.ReplaceAll(writes, "2f8kq1z0c7a9x3bd", cluster))
	becomes("the ServiceAccount that the provider names", robot, true)

	// Reviews say the same, except deep ones, which ask RBAC alone.
	for _, c := range []struct {
		verb string
		deep bool
		user string
		want bool
	}{{"create", false, bob, false}, {"list", false, bob, true}, {"create", false, alice, true}, {"create", true, bob, true}} {
		review := authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: c.user, Groups: []string{"system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: c.verb, Group: "example.com", Resource: "widgets", Namespace: "default"},
		}}
		if c.user == alice {
			review.Spec.Groups = append(review.Spec.Groups, "devs")
		}
		body, err := json.Marshal(review)
		if err != nil {
			t.Fatal(err)
		}
		header := http.Header{}
		if c.deep {
			header.Set("X-Kcp-Internal-Deep-SubjectAccessReview", "true")
		}
		a := asMaster(t, s).send(request{method: http.MethodPost, path: "/clusters/" + path + "/apis/authorization.k8s.io/v1/subjectaccessreviews", body: string(body), headers: header})
		if err := json.Unmarshal(a.body, &review); err != nil || review.Status.Allowed != c.want {
			t.Errorf("%+v: %+v, %v", c, review.Status, err)
		}
	}
	if stdout, _, err := s.TryKubectl(path, "", "auth", "can-i", "create", "widgets.example.com"); err == nil || !strings.HasPrefix(stdout, "no") {
		t.Errorf("can-i create: %s %v", stdout, err)
	}
	if stdout := s.Kubectl(path, "", "auth", "can-i", "list", "widgets.example.com"); !strings.HasPrefix(stdout, "yes") {
		t.Errorf("can-i list: %s", stdout)
	}

	// Changes of the provider take effect at once.
	typedThere, dynamicThere := annex.Clients(t, s.Workspace(l.path))
	if err := typedThere.RbacV1().ClusterRoleBindings().Delete(t.Context(), "devs", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	becomes("alice, once the provider lets devs do nothing", of(alice), false)
	patch := func(policy string) {
		t.Helper()
		body := fmt.Appendf(nil, `{"spec":{"maximalPermissionPolicy":%s}}`, policy)
		if _, err := dynamicThere.Resource(exports).Patch(t.Context(), "widgets", types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	patch("null")
	becomes("bob, once there is no policy", of(bob), true)
	patch(`{"local":{}}`)
	becomes("bob, once there is one again", of(bob), false)

	// The export is gone: the RBAC of the workspace decides.
	if err := dynamicThere.Resource(exports).Delete(t.Context(), "widgets", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	becomes("bob, once the export is gone", of(bob), true)
	if err := dynamic.Resource(bindings).Delete(t.Context(), "widgets", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the binding is gone", func(ctx context.Context) (bool, error) {
		_, err := dynamic.Resource(bindings).Get(ctx, "widgets", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
}

// Who writes all the time while the resource is bound gets nothing through, although each request is authorized before it is served.
func TestMaximal_NothingSlipsThroughWhileBinding(t *testing.T) {
	s := start(t)
	l := newLimits(t, s, limitedExport)
	path, _ := newWorkspace(t, s, "root", uniqueName("consumer"))
	_, client := annex.Clients(t, s.Workspace(path))
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		var writers sync.WaitGroup
		var refused atomic.Int64
		for range 8 {
			writers.Go(func() {
				for ctx.Err() == nil {
					obj := parse(t, fmt.Sprintf("apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: %s, namespace: default}\nspec: {size: 1}", uniqueName("w")))
					_, err := client.Resource(widgets).Namespace("default").Create(ctx, obj, metav1.CreateOptions{})
					switch {
					case err == nil:
						t.Error("a widget was created")
						return
					case apierrors.IsForbidden(err):
						refused.Add(1)
					}
				}
			})
		}
		apply(t, s.Workspace(path), binding("widgets", l.path, "widgets"))
		waitCondition(t, client.Resource(bindings), "widgets", "Ready", "True", "")
		eventually(t, "writes are refused", func(context.Context) (bool, error) { return refused.Load() > 20, nil })
		cancel()
		writers.Wait()
		if list, err := client.Resource(widgets).Namespace("default").List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) > 0 {
			t.Errorf("%v, %v", list, err)
		}
		if err := client.Resource(bindings).Delete(t.Context(), "widgets", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the binding is gone", func(ctx context.Context) (bool, error) {
			_, err := client.Resource(bindings).Get(ctx, "widgets", metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
	}
}

// Nobody knows what the policy of a workspace that is gone allowed. What had no policy is served on.
func TestMaximal_WorkspaceOfTheProviderIsGone(t *testing.T) {
	s := start(t)
	for name, limited := range map[string]bool{limitedExport: true, widgetExport: false} {
		l := newLimits(t, s, name)
		path, _ := l.consumer()
		_, client := annex.Clients(t, s.Workspace(path))
		eventually(t, "the binding remembers it", func(ctx context.Context) (bool, error) {
			b, err := client.Resource(bindings).Get(ctx, "widgets", metav1.GetOptions{})
			return err == nil && (b.GetAnnotations()["internal.annex.dev/maximal-permission-policy"] != "") == limited, err
		})
		forged := []byte(`{"metadata":{"annotations":{"internal.annex.dev/maximal-permission-policy":null}}}`)
		if _, err := client.Resource(bindings).Patch(t.Context(), "widgets", types.MergePatchType, forged, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		_, above := annex.Clients(t, s.Workspace("root"))
		if err := above.Resource(workspaces).Delete(t.Context(), strings.TrimPrefix(l.path, "root:"), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the workspace of the provider is gone", func(ctx context.Context) (bool, error) {
			_, err := above.Resource(workspaces).Get(ctx, strings.TrimPrefix(l.path, "root:"), metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
		created, listed := tries(t, s.Workspace(path))
		if apierrors.IsForbidden(created) != limited || apierrors.IsForbidden(listed) != limited || !limited && (created != nil || listed != nil) {
			t.Errorf("limited: %t: create: %v, list: %v", limited, created, listed)
		}
		if err := client.Resource(bindings).Delete(t.Context(), "widgets", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the binding is gone", func(ctx context.Context) (bool, error) {
			_, err := client.Resource(bindings).Get(ctx, "widgets", metav1.GetOptions{})
			return apierrors.IsNotFound(err), nil
		})
	}
}

// Both versions have the policy.
func TestMaximal_Versions(t *testing.T) {
	s := start(t)
	path := workspace(t, s)
	at := func(version string) string {
		return "/clusters/" + path + "/apis/apis.kcp.io/" + version + "/apiexports"
	}
	for version, other := range map[string]string{"v1alpha1": "v1alpha2", "v1alpha2": "v1alpha1"} {
		export := func(name, policy string) string {
			return fmt.Sprintf(`{"apiVersion":"apis.kcp.io/%s","kind":"APIExport","metadata":{"name":%q},"spec":{"maximalPermissionPolicy":%s}}`, version, name, policy)
		}
		a := asAdmin(t, s).send(request{method: http.MethodPost, path: at(version), body: export("of-"+version, `{"local":{}}`)})
		if a.code != http.StatusCreated {
			t.Fatalf("%s: %d %s", version, a.code, a.body)
		}
		if a := asAdmin(t, s).get(at(other) + "/of-" + version); !strings.Contains(string(a.body), `"maximalPermissionPolicy":{"local":{}}`) {
			t.Errorf("%s shows %s", other, a.body)
		}
		a = asAdmin(t, s).send(request{method: http.MethodPost, path: at(version), body: export("empty", `{}`)})
		want{422, metav1.StatusReasonInvalid, []string{"spec.maximalPermissionPolicy.local"}, ""}.check(t, a)
	}
}

// A provider reaches what consumers have bound from another export only if that export lets it, whatever the consumers accept.
func TestMaximal_Claims(t *testing.T) {
	s := start(t)
	l := newLimits(t, s, limitedExport)
	_, there := annex.Clients(t, s.Workspace(l.path))
	waitCondition(t, there.Resource(exports), "widgets", "IdentityValid", "True", "")
	export, err := there.Resource(exports).Get(t.Context(), "widgets", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	identity := fmt.Sprint(export.Object["status"].(map[string]any)["identityHash"])

	c := &claiming{t: t, s: s}
	c.path, c.cluster = newWorkspace(t, s, "root", uniqueName("claiming"))
	apply(t, s.Workspace(c.path), fmt.Sprintf(`
apiVersion: apis.kcp.io/v1alpha2
kind: APIExport
metadata: {name: widgets}
spec: {permissionClaims: [{group: example.com, resource: widgets, identityHash: %s, verbs: [get, list, watch, create]}]}
---
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
`, identity))
	path, cluster := l.consumer()
	apply(t, s.Workspace(path), fmt.Sprintf(`
apiVersion: apis.kcp.io/v1alpha2
kind: APIBinding
metadata: {name: claimant}
spec:
  reference: {export: {path: %q, name: widgets}}
  permissionClaims: [{group: example.com, resource: widgets, identityHash: %s, verbs: [get, list, watch, create], state: Accepted, selector: {matchAll: true}}]
`, c.path, identity))
	_, client := annex.Clients(t, s.Workspace(path))
	waitCondition(t, client.Resource(bindings), "claimant", "PermissionClaimsApplied", "True", "")

	tryAll := func() (created, listed, everywhere error) {
		created, listed = tries(t, c.config(cluster))
		_, everywhere = c.at("*").Resource(widgets).List(t.Context(), metav1.ListOptions{})
		return created, listed, everywhere
	}
	created, listed, everywhere := tryAll()
	if !apierrors.IsForbidden(created) || listed != nil || everywhere != nil {
		t.Errorf("everybody may read only: create: %v, list: %v, everywhere: %v", created, listed, everywhere)
	}
	typed, _ := annex.Clients(t, s.Workspace(l.path))
	if err := typed.RbacV1().ClusterRoleBindings().Delete(t.Context(), "widgets-read", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the provider reads nothing", func(context.Context) (bool, error) {
		created, listed, everywhere := tryAll()
		return apierrors.IsForbidden(created) && apierrors.IsForbidden(listed) && apierrors.IsForbidden(everywhere), nil
	})
	l.let("claimant", `"*"`, "User", provider)
	eventually(t, "the provider whom the policy names does everything", func(context.Context) (bool, error) {
		created, listed, everywhere := tryAll()
		return created == nil && listed == nil && everywhere == nil, nil
	})
}
