package admission

import (
	"context"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/server/admission/namespacelifecycle"
)

type root struct{}

func (root) Resolve(_ context.Context, path logicalcluster.Path) (logicalcluster.Name, bool, error) {
	return "root", path == "root", nil
}

type everybody struct{}

func (everybody) Authorize(context.Context, logicalcluster.Name, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionAllow, "", nil
}

func (everybody) RequiredGroups(context.Context, user.Info, logicalcluster.Name) (bool, error) {
	return true, nil
}

func (everybody) RoleRules(context.Context, logicalcluster.Name, string, rbacv1.RoleRef) ([]rbacv1.PolicyRule, bool, error) {
	return nil, true, nil
}

func (everybody) MayGrant(context.Context, user.Info, logicalcluster.Name, string, []rbacv1.PolicyRule) error {
	return nil
}

func (everybody) MayVerb(context.Context, user.Info, logicalcluster.Name, string, string, string, string) bool {
	return true
}

type none struct{}

func (none) QuotaExceeded(context.Context, schema.GroupResource, string) error { return nil }

func config() Config {
	lc := clienttest.In("root", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}})
	lc.Annotations[logicalcluster.PathAnnotationKey] = "root"
	lc.Annotations[corev1alpha1.LogicalClusterTypeAnnotationKey] = "root:root"
	wt := clienttest.In("root", &tenancyv1alpha1.WorkspaceType{ObjectMeta: metav1.ObjectMeta{Name: "root"}})
	wt.Spec.DefaultChildWorkspaceType = &tenancyv1alpha1.WorkspaceTypeReference{Name: "root", Path: "root"}
	fake := clienttest.NewFake(lc, wt)
	return Config{
		Cached: fake, Live: fake, Resolver: root{}, Authorizer: everybody{}, Policy: everybody{},
		WorkspaceURL:       func(logicalcluster.Name, string) string { return "" },
		External:           func() string { return "https://annex" },
		NamespaceLifecycle: namespacelifecycle.New(fake, fake),
		Mutating:           []admission.Interface{admission.NewChainHandler()},
		Validating:         []admission.Interface{admission.NewChainHandler()},
		Quotas:             none{},
		HostQuotas:         admission.NewChainHandler(),
	}
}

func TestNew_RefusesAGap(t *testing.T) {
	if _, err := New(config()); err != nil {
		t.Fatal(err)
	}
	for field, remove := range map[string]func(*Config){
		"Cached":             func(c *Config) { c.Cached = nil },
		"Live":               func(c *Config) { c.Live = nil },
		"Resolver":           func(c *Config) { c.Resolver = nil },
		"Authorizer":         func(c *Config) { c.Authorizer = nil },
		"Policy":             func(c *Config) { c.Policy = nil },
		"WorkspaceURL":       func(c *Config) { c.WorkspaceURL = nil },
		"External":           func(c *Config) { c.External = nil },
		"NamespaceLifecycle": func(c *Config) { c.NamespaceLifecycle = nil },
		"Mutating":           func(c *Config) { c.Mutating = nil },
		"Validating":         func(c *Config) { c.Validating = nil },
		"Quotas":             func(c *Config) { c.Quotas = nil },
		"HostQuotas":         func(c *Config) { c.HostQuotas = nil },
	} {
		c := config()
		remove(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("without %s: %v", field, err)
		}
	}
}

// TestNew_WorkspaceOfAUser sends one Workspace through the whole chain.
func TestNew_WorkspaceOfAUser(t *testing.T) {
	chain, err := New(config())
	if err != nil {
		t.Fatal(err)
	}
	ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new", Annotations: map[string]string{logicalcluster.PathAnnotationKey: "made:up"}}}
	a := admission.NewAttributesRecord(ws, nil, tenancyv1alpha1.SchemeGroupVersion.WithKind("Workspace"), "", ws.Name,
		tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces"), "", admission.Create, &metav1.CreateOptions{}, false, &user.DefaultInfo{Name: "alice"})
	ctx := logicalcluster.WithCluster(t.Context(), "root")
	if err := chain.(admission.MutationInterface).Admit(ctx, a, nil); err != nil {
		t.Fatal(err)
	}
	if err := chain.(admission.ValidationInterface).Validate(ctx, a, nil); err != nil {
		t.Fatal(err)
	}
	if ws.Spec.Type == nil || ws.Spec.Type.Name != "root" || ws.Annotations[logicalcluster.PathAnnotationKey] != "root" ||
		!strings.Contains(ws.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey], "alice") || len(ws.Finalizers) != 1 {
		t.Errorf("admitted as %+v", ws)
	}
}

// rewriting is a webhook that writes what only the server may write.
type rewriting struct{ calls int }

func (*rewriting) Handles(admission.Operation) bool { return true }

func (r *rewriting) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	r.calls++
	ws := a.GetObject().(*tenancyv1alpha1.Workspace)
	ws.Annotations = map[string]string{logicalcluster.PathAnnotationKey: "made:up", tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey: `{"username":"mallory"}`}
	if r.calls == 1 {
		a.GetReinvocationContext().SetShouldReinvoke()
	}
	return nil
}

// What a webhook writes counts as written by the user: the plugins of the server have the last word.
func TestNew_WebhooksComeFirst(t *testing.T) {
	c := config()
	hook := &rewriting{}
	c.Mutating = []admission.Interface{hook}
	chain, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ws := &tenancyv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: "new"}}
	a := admission.NewAttributesRecord(ws, nil, tenancyv1alpha1.SchemeGroupVersion.WithKind("Workspace"), "", ws.Name,
		tenancyv1alpha1.SchemeGroupVersion.WithResource("workspaces"), "", admission.Create, &metav1.CreateOptions{}, false, &user.DefaultInfo{Name: "alice"})
	if err := chain.(admission.MutationInterface).Admit(logicalcluster.WithCluster(t.Context(), "root"), a, nil); err != nil {
		t.Fatal(err)
	}
	if owner := ws.Annotations[tenancyv1alpha1.ExperimentalWorkspaceOwnerAnnotationKey]; !strings.Contains(owner, "alice") {
		t.Errorf("the owner is %s", owner)
	}
	if path := ws.Annotations[logicalcluster.PathAnnotationKey]; path == "made:up" {
		t.Errorf("the path is %s", path)
	}
	if hook.calls != 2 {
		t.Errorf("a webhook that asks to be called again was called %d times", hook.calls)
	}
}
