package workspaceclaim

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/annex-dev/annex/apis/annex/claiming"
	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func nameFor(claim *annexv1alpha1.WorkspaceClaim) string {
	ref, err := claiming.RefOf(claim)
	if err != nil {
		return ""
	}
	return ref.WorkspaceName()
}

func TestReconcile_GivesAClaimItsWorkspace(t *testing.T) {
	h := newHouse(t, newClass(), newClaim("app"))
	name := nameFor(newClaim("app"))
	if got := state(h.run("app")); got != "Pending WorkspaceNotReady" {
		t.Fatalf("at first: %s", got)
	}
	ws := h.workspace(name)
	if owner := ws.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey]; owner != `{"username":"alice","groups":["staff"]}` {
		t.Errorf("the owner is %s", owner)
	}
	h.place(name)
	claim := h.run("app")
	want := annexv1alpha1.ClaimedWorkspace{Path: "root:teams:" + name, Cluster: "c-" + name}
	if claim.Status.Phase != annexv1alpha1.WorkspaceClaimBound || claim.Status.Workspace == nil || *claim.Status.Workspace != want ||
		!conditionsv1alpha1.IsTrue(claim, conditionsv1alpha1.ReadyCondition) {
		t.Errorf("status: %+v", claim.Status)
	}
}

func TestReconcile_OwnerNone(t *testing.T) {
	class := newClass()
	class.Spec.Owner = annexv1alpha1.WorkspaceClassOwnerNone
	h := newHouse(t, class)
	ws := h.workspace(h.bound(newClaim("app")))
	if owner, has := ws.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey]; has {
		t.Errorf("the owner is %s", owner)
	}
}

// Whatever is missing or does not fit, no workspace is created, and the claim says why.
func TestReconcile_CreatesNothing(t *testing.T) {
	team := tenancyv1alpha1.WorkspaceTypeReference{Name: "team", Path: "root"}
	for name, tt := range map[string]struct {
		change func(*annexv1alpha1.WorkspaceClass, *annexv1alpha1.WorkspaceClaim, resolver)
		want   string
	}{
		"no class": {func(_ *annexv1alpha1.WorkspaceClass, c *annexv1alpha1.WorkspaceClaim, _ resolver) {
			c.Spec.WorkspaceClassName = "other"
		}, "ClassNotFound"},
		"no record of the namespace": {func(_ *annexv1alpha1.WorkspaceClass, c *annexv1alpha1.WorkspaceClaim, _ resolver) {
			delete(c.Annotations, annexv1alpha1.HostNamespaceUIDAnnotationKey)
		}, "NotPermittedByClass"},
		"a type that is not permitted": {func(_ *annexv1alpha1.WorkspaceClass, c *annexv1alpha1.WorkspaceClaim, _ resolver) {
			c.Spec.Type = &team
		}, "NotPermittedByClass"},
		"a namespace that is not permitted": {func(c *annexv1alpha1.WorkspaceClass, _ *annexv1alpha1.WorkspaceClaim, _ resolver) {
			c.Spec.Namespaces = []string{"team-b"}
		}, "NotPermittedByClass"},
		"no parent": {func(_ *annexv1alpha1.WorkspaceClass, _ *annexv1alpha1.WorkspaceClaim, r resolver) {
			delete(r, "root:teams")
		}, "ParentNotFound"},
		"another parent": {func(_ *annexv1alpha1.WorkspaceClass, _ *annexv1alpha1.WorkspaceClaim, r resolver) {
			r["root:teams"] = "stranger"
		}, "ParentNotFound"},
		"a class that nobody accepted": {func(c *annexv1alpha1.WorkspaceClass, _ *annexv1alpha1.WorkspaceClaim, _ resolver) {
			delete(c.Annotations, annexv1alpha1.ClassClustersAnnotationKey)
		}, "ParentNotFound"},
		"a type of a stranger": {func(c *annexv1alpha1.WorkspaceClass, cl *annexv1alpha1.WorkspaceClaim, _ resolver) {
			c.Spec.Types, cl.Spec.Type = []tenancyv1alpha1.WorkspaceTypeReference{team}, &team
			c.Annotations[annexv1alpha1.ClassClustersAnnotationKey] = "teams,elsewhere"
		}, "NotPermittedByClass"},
		"a workspace that is not there": {func(_ *annexv1alpha1.WorkspaceClass, c *annexv1alpha1.WorkspaceClaim, _ resolver) {
			c.Spec.WorkspaceName = "old"
		}, "WorkspaceNotFound"},
		"no room": {func(c *annexv1alpha1.WorkspaceClass, _ *annexv1alpha1.WorkspaceClaim, _ resolver) {
			c.Spec.MaxWorkspaces = one[int32](0)
		}, "LimitReached"},
	} {
		t.Run(name, func(t *testing.T) {
			class, claim := newClass(), newClaim("app")
			paths := resolver{"root": "root", "root:teams": "teams"}
			tt.change(class, claim, paths)
			h := newHouse(t, class, claim)
			h.Resolver = paths
			if got := state(h.run("app")); got != "Pending "+tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			for _, write := range h.Writes() {
				if !strings.HasPrefix(write, "update workspaceclaims") {
					t.Errorf("wrote: %s", write)
				}
			}
		})
	}
}

// A type is passed on by the cluster that the class was accepted for.
func TestReconcile_Type(t *testing.T) {
	team := tenancyv1alpha1.WorkspaceTypeReference{Name: "team", Path: "root:types"}
	class, claim := newClass(), newClaim("app")
	class.Spec.Types, claim.Spec.Type = []tenancyv1alpha1.WorkspaceTypeReference{team}, &team
	class.Annotations[annexv1alpha1.ClassClustersAnnotationKey] = "teams,typesid"
	h := newHouse(t, class, claim)
	h.paths["root:types"] = "typesid"
	h.run("app")
	ws := h.workspace(nameFor(claim))
	if ws == nil || ws.Spec.Type == nil || *ws.Spec.Type != (tenancyv1alpha1.WorkspaceTypeReference{Name: "team", Path: "typesid"}) {
		t.Errorf("got %+v", ws)
	}
}

// What was not created for a claim is never taken over, whatever it looks like.
func TestReconcile_TakesOverNothing(t *testing.T) {
	mine, _ := claiming.RefOf(newClaim("app"))
	for name, tt := range map[string]struct {
		note func() string
		want string
	}{
		"somebody's workspace": {func() string { return "" }, "Conflict"},
		"a damaged note":       {func() string { return "{" }, "Conflict"},
		"another user":         {func() string { ref := mine; ref.User = "bob"; return ref.String() }, "Conflict"},
		"no user":              {func() string { ref := mine; ref.User = ""; return ref.String() }, "Conflict"},
		"another namespace":    {func() string { ref := mine; ref.Namespace = "team-b"; return ref.String() }, "Conflict"},
		"an earlier namespace": {func() string { ref := mine; ref.NamespaceUID = "before"; return ref.String() }, "Conflict"},
		"another class":        {func() string { ref := mine; ref.Class = "large"; return ref.String() }, "Conflict"},
		"its own":              {func() string { return mine.String() }, "WorkspaceNotReady"},
	} {
		t.Run(name, func(t *testing.T) {
			ws := clienttest.In("teams", &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: mine.WorkspaceName()}})
			if note := tt.note(); note != "" {
				ws.Annotations[annexv1alpha1.ClaimRefAnnotationKey] = note
			}
			h := newHouse(t, newClass(), newClaim("app"), ws)
			if got := state(h.run("app")); got != "Pending "+tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			named := newClaim("app")
			named.Spec.WorkspaceName = ws.Name
			h = newHouse(t, newClass(), named, ws)
			// By a name that it chooses, a claim finds out no more than that of a workspace which does not exist.
			absent := newClaim("app")
			absent.Spec.WorkspaceName = ws.Name
			none := newHouse(t, newClass(), absent).run("app")
			got := h.run("app")
			if tt.want == "WorkspaceNotReady" {
				if state(got) != "Pending "+tt.want {
					t.Errorf("by name: got %s, want %s", state(got), tt.want)
				}
				return
			}
			about := func(claim *annexv1alpha1.WorkspaceClaim) string {
				return state(claim) + ": " + conditionsv1alpha1.GetMessage(claim, annexv1alpha1.WorkspaceBound)
			}
			if about(got) != about(none) || state(got) != "Pending WorkspaceNotFound" {
				t.Errorf("by name: %s, and if there is none: %s", about(got), about(none))
			}
		})
	}
}

// An administrator hands a workspace over to a claim in another namespace.
func TestReconcile_HandedOver(t *testing.T) {
	h := newHouse(t, newClass())
	name := h.bound(newClaim("app"))
	h.drop("app")
	h.sweep(name)
	heir := of(newClaim("heir"), "bob")
	heir.Spec.WorkspaceName = name
	heir.Annotations[annexv1alpha1.HostNamespaceUIDAnnotationKey] = "uid-b"
	h.add(heir)
	if got := state(h.run("heir")); got != "Pending WorkspaceNotFound" {
		t.Fatalf("before: %s", got)
	}
	given := h.workspace(name).DeepCopy()
	ref, _ := claiming.RefOf(heir)
	given.Annotations[annexv1alpha1.ClaimRefAnnotationKey] = ref.String()
	h.update(given)
	if got := h.run("heir"); got.Status.Phase != annexv1alpha1.WorkspaceClaimBound || got.Status.Workspace.Path != "root:teams:"+name {
		t.Errorf("after: %+v", got.Status)
	}
	if note, has := h.workspace(name).Annotations[annexv1alpha1.DeleteAfterAnnotationKey]; has {
		t.Errorf("still to be deleted at %s", note)
	}
}

// A workspace of the wrong type is not what a claim asks for, even if it was handed over.
func TestReconcile_HandedOverOfAnotherType(t *testing.T) {
	team := tenancyv1alpha1.WorkspaceTypeReference{Name: "team", Path: "root"}
	class, claim := newClass(), newClaim("app")
	class.Spec.Types, claim.Spec.Type = []tenancyv1alpha1.WorkspaceTypeReference{team}, &team
	class.Annotations[annexv1alpha1.ClassClustersAnnotationKey] = "teams,root"
	ref, _ := claiming.RefOf(claim)
	ws := clienttest.In("teams", &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: ref.WorkspaceName()}})
	ws.Annotations[annexv1alpha1.ClaimRefAnnotationKey] = ref.String()
	ws.Spec.Type = &tenancyv1alpha1.WorkspaceTypeReference{Name: "universal", Path: "root"}
	h := newHouse(t, class, claim, ws)
	if got := state(h.run("app")); got != "Pending Conflict" {
		t.Errorf("got %s", got)
	}
}

func TestReconcile_Limits(t *testing.T) {
	class := newClass()
	class.Spec.MaxWorkspacesPerNamespace, class.Spec.MaxWorkspaces = one[int32](2), one[int32](3)
	h := newHouse(t, class)
	first := h.bound(newClaim("a"))
	h.bound(newClaim("b"))
	h.add(newClaim("c"))
	if got := state(h.run("c")); got != "Pending LimitReached" {
		t.Fatalf("the third: %s", got)
	}
	// To delete a claim makes no room while its workspace is kept.
	h.drop("a")
	h.sweep(first)
	if got := state(h.run("c")); got != "Pending LimitReached" {
		t.Fatalf("while a workspace is kept: %s", got)
	}
	if err := h.Delete(t.Context(), workspaces, client.Key{Cluster: "teams", Name: first}, nil); err != nil {
		t.Fatal(err)
	}
	if got := state(h.run("c")); got != "Pending WorkspaceNotReady" {
		t.Fatalf("with room: %s", got)
	}
	// Others have the rest of the class, and a new namespace with an old name has no new limit.
	for i, want := range []string{"WorkspaceNotReady", "LimitReached"} {
		other := newClaim(fmt.Sprintf("other-%d", i))
		other.Namespace = "team-b"
		h.add(other)
		key := client.KeyOf(clienttest.In("root", other))
		if _, err := h.reconcile(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		got, _ := client.Find[annexv1alpha1.WorkspaceClaim](t.Context(), h.Fake, claims, key)
		if state(got) != "Pending "+want {
			t.Errorf("number %d of another namespace: %s, want %s", i, state(got), want)
		}
	}
}

// lagging is a watch cache that does not show new workspaces.
type lagging struct{ client.Client }

func (l lagging) List(ctx context.Context, resource schema.GroupResource, scope client.Scope) ([]client.Object, error) {
	if resource == workspaces {
		return nil, nil
	}
	return l.Client.List(ctx, resource, scope)
}

// The limit holds although the watch cache is behind.
func TestReconcile_LimitsWithACacheThatIsBehind(t *testing.T) {
	class := newClass()
	class.Spec.MaxWorkspacesPerNamespace = one[int32](1)
	h := newHouse(t, class, newClaim("a"), newClaim("b"))
	h.Config.Client = lagging{h.Fake}
	h.run("a")
	if got := state(h.run("b")); got != "Pending LimitReached" {
		t.Errorf("got %s", got)
	}
}

func TestReconcile_Refused(t *testing.T) {
	h := newHouse(t, newClass(), newClaim("app"))
	h.Intercept(func(verb string, resource schema.GroupResource, key client.Key) error {
		if verb == "create" && resource == workspaces {
			return apierrors.NewForbidden(resource, key.Name, fmt.Errorf("the type is not allowed here"))
		}
		return nil
	})
	claim := h.run("app")
	if got := state(claim); got != "Pending WorkspaceRefused" || !strings.Contains(conditionsv1alpha1.GetMessage(claim, annexv1alpha1.WorkspaceBound), "the type is not allowed here") {
		t.Errorf("got %s: %+v", got, claim.Status.Conditions)
	}
	h.Intercept(nil)
	if got := state(h.run("app")); got != "Pending WorkspaceNotReady" {
		t.Errorf("later: %s", got)
	}
}

// A claim whose workspace was deleted is lost, and gets no other one.
func TestReconcile_Lost(t *testing.T) {
	for name, lose := range map[string]func(h *house, ws string){
		"deleted": func(h *house, ws string) {
			for resource, key := range map[schema.GroupResource]client.Key{
				workspaces: {Cluster: "teams", Name: ws}, logicalClusters: {Cluster: logicalcluster.Name("c-" + ws), Name: "cluster"},
			} {
				if err := h.Delete(h.t.Context(), resource, key, nil); err != nil {
					h.t.Fatal(err)
				}
			}
		},
		"given to another claim": func(h *house, ws string) {
			given := h.workspace(ws).DeepCopy()
			ref, _ := claiming.RefOf(of(newClaim("app"), "bob"))
			given.Annotations[annexv1alpha1.ClaimRefAnnotationKey] = ref.String()
			h.update(given)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, newClass())
			ws := h.bound(newClaim("app"))
			lose(h, ws)
			if got := state(h.run("app")); got != "Lost WorkspaceLost" {
				t.Fatalf("got %s", got)
			}
			before := len(h.Writes())
			if got := state(h.run("app")); got != "Lost WorkspaceLost" || len(h.Writes()) > before {
				t.Errorf("then: %s, %v", got, h.Writes()[before:])
			}
		})
	}
}

// Claims have an effect in the host workspace only.
func TestReconcile_OnlyInTheHostWorkspace(t *testing.T) {
	h := newHouse(t, newClass(), clienttest.In("elsewhere", newClaim("app")))
	if _, err := h.reconcile(t.Context(), client.Key{Cluster: "elsewhere", Namespace: "team-a", Name: "app"}); err != nil || len(h.Writes()) > 0 {
		t.Errorf("%v: %v", err, h.Writes())
	}
}

// In a Namespace that is not there for the host, a claim is deleted when its namespace of the host is gone, and nobody else's gets its Secret.
func TestReconcile_NamespaceOfTheHostIsGone(t *testing.T) {
	now := metav1.Now()
	onHost := func(uid types.UID, deleted *metav1.Time) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a", UID: uid, DeletionTimestamp: deleted, Finalizers: []string{"kubernetes"}}}
	}
	for name, tc := range map[string]struct {
		host    *corev1.Namespace
		label   string
		unknown bool
		wantGo  bool
		again   time.Duration
	}{
		"it exists":                            {host: onHost("uid-a", nil), again: elsewhere},
		"it is gone":                           {wantGo: true},
		"another has its name":                 {host: onHost("uid-b", nil), wantGo: true},
		"it is being deleted":                  {host: onHost("uid-a", &now), wantGo: true},
		"the host does not answer":             {unknown: true},
		"the Namespace was created for it":     {label: "uid-a"},
		"the Namespace is that of a later one": {label: "uid-b"},
	} {
		t.Run(name, func(t *testing.T) {
			class, claim := withSecret()
			h := newHouse(t, class)
			h.bound(claim)
			ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a"}}
			if tc.label != "" {
				ns.Labels = map[string]string{annexv1alpha1.HostNamespaceLabelKey: tc.label}
			}
			if _, err := h.Create(t.Context(), namespaces, "root", ns); err != nil {
				t.Fatal(err)
			}
			host := fake.NewClientset()
			if tc.host != nil {
				host = fake.NewClientset(tc.host)
			}
			if tc.unknown {
				host.PrependReactor("get", "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) {
					return true, nil, errors.New("connection refused")
				})
			}
			h.Host = host.CoreV1()
			result, err := h.reconcile(t.Context(), client.Key{Cluster: "root", Namespace: "team-a", Name: "app"})
			if (err != nil) != tc.unknown || result.RequeueAfter != tc.again {
				t.Fatalf("again after %s, %v", result.RequeueAfter, err)
			}
			left, err := client.Find[annexv1alpha1.WorkspaceClaim](t.Context(), h.Fake, claims, client.Key{Cluster: "root", Namespace: "team-a", Name: "app"})
			if err != nil || (left == nil) != tc.wantGo {
				t.Errorf("the claim is %v, %v", left, err)
			}
			// What it has created says for which namespace of the host.
			if got := h.access().Annotations[annexv1alpha1.HostNamespaceUIDAnnotationKey]; got != "uid-a" {
				t.Errorf("the WorkspaceAccess is for namespace %q", got)
			}
		})
	}
}
