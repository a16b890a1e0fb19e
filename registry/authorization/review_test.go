package authorization

import (
	"context"
	"errors"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// fake is RBAC of cluster a, in which carol reads configmaps, and of b, in which she does all.
func fake() *clienttest.Fake {
	read := rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"configmaps"}}
	carol := []rbacv1.Subject{{Kind: "User", Name: "carol"}}
	return clienttest.NewFake(
		clienttest.In("a", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Rules: []rbacv1.PolicyRule{read}}),
		clienttest.In("a", &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Subjects: carol, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"}}),
		clienttest.In("b", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Rules: policy.Everything()}),
		clienttest.In("b", &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, Subjects: carol, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"}}),
	)
}

// strict is an authorizer that denies all but dora, and fails for eve.
var strict = decider(func(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if !IsReview(ctx) {
		return authorizer.DecisionDeny, "not marked as a review", nil
	}
	switch attrs.GetUser().GetName() {
	case "dora":
		return authorizer.DecisionAllow, "access granted", nil
	case "eve":
		return authorizer.DecisionDeny, "", errors.New("out of order")
	}
	return authorizer.DecisionDeny, "access denied", nil
})

// decider is a Decider that decides by a function, and explains that and nothing else.
type decider authorizer.AuthorizerFunc

func (d decider) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	return d(ctx, attrs)
}

func (d decider) Explain(ctx context.Context, attrs authorizer.Attributes) Account {
	decision, _, err := d(ctx, attrs)
	return Account{Allowed: decision == authorizer.DecisionAllow, Err: err}
}

// build returns the storage of reviews.
func build(t *testing.T, evaluator *policy.Evaluator, rules Rules) *group.Group {
	t.Helper()
	r, err := New(Config{Decider: strict, Evaluator: evaluator, Cached: fake(), Rules: rules, PathOf: func(cluster logicalcluster.Name) (logicalcluster.Path, bool) {
		return "root:" + cluster.Path(), true
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Group()
}

func post(ctx context.Context, t *testing.T, resource string, obj runtime.Object) (runtime.Object, error) {
	t.Helper()
	g := build(t, policy.New(fake(), nil), Rules{RBAC: true})
	return g.Versions["v1"][resource].(rest.Creater).Create(ctx, obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
}

func as(t *testing.T, name string, groups ...string) context.Context {
	t.Helper()
	ctx := logicalcluster.WithCluster(t.Context(), "a")
	return genericapirequest.WithUser(ctx, &user.DefaultInfo{Name: name, Groups: groups})
}

func getConfigMaps() *authorizationv1.ResourceAttributes {
	return &authorizationv1.ResourceAttributes{Verb: "get", Resource: "configmaps", Namespace: "default"}
}

func TestSubjectAccessReview(t *testing.T) {
	for _, tc := range []struct {
		name                string
		by                  context.Context
		about               string
		attrs               *authorizationv1.ResourceAttributes
		allowed, denied     bool
		wantEvaluationError bool
	}{
		{"the authorizer allows", as(t, "x"), "dora", getConfigMaps(), true, false, false},
		{"the authorizer denies, whatever RBAC says", as(t, "x"), "carol", getConfigMaps(), false, true, false},
		{"the authorizer fails", as(t, "x"), "eve", getConfigMaps(), false, true, true},
		{"deep, by masters", WithDeep(as(t, "x", user.SystemPrivilegedGroup)), "carol", getConfigMaps(), true, false, false},
		{"deep, of what RBAC does not allow", WithDeep(as(t, "x", user.SystemPrivilegedGroup)), "dora", getConfigMaps(), false, false, false},
		{"deep, of what another cluster allows", WithDeep(as(t, "x", user.SystemPrivilegedGroup)), "carol", &authorizationv1.ResourceAttributes{Verb: "delete", Resource: "configmaps"}, false, false, false},
		{"deep, by others, is ignored", WithDeep(as(t, "x", "system:kcp:admin")), "carol", getConfigMaps(), false, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, err := post(tc.by, t, "subjectaccessreviews", &authorizationv1.SubjectAccessReview{
				Spec: authorizationv1.SubjectAccessReviewSpec{User: tc.about, ResourceAttributes: tc.attrs},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := out.(*authorizationv1.SubjectAccessReview).Status
			if got.Allowed != tc.allowed || got.Denied != tc.denied || (got.EvaluationError != "") != tc.wantEvaluationError {
				t.Errorf("status = %+v", got)
			}
		})
	}
}

// The authorizer records what it decides. A deep review does not ask it.
func TestSubjectAccessReview_DeepOnesAreRecorded(t *testing.T) {
	for about, want := range map[string]string{"carol": "Allowed", "dora": "NoOpinion"} {
		ctx := audit.WithAuditContext(WithDeep(as(t, "x", user.SystemPrivilegedGroup)))
		ac := audit.AuditContextFrom(ctx)
		if err := ac.Init(audit.RequestAuditConfig{Level: auditinternal.LevelMetadata}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := post(ctx, t, "subjectaccessreviews", &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: about, ResourceAttributes: getConfigMaps()},
		}); err != nil {
			t.Fatal(err)
		}
		if got, _ := ac.GetEventAnnotation("sar.auth.kcp.io/decision"); got != want {
			t.Errorf("%s: decision %q, want %q", about, got, want)
		}
	}
}

func TestSelfSubjectAccessReview_IsAboutTheUser(t *testing.T) {
	for name, want := range map[string]bool{"dora": true, "carol": false} {
		out, err := post(as(t, name), t, "selfsubjectaccessreviews", &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{NonResourceAttributes: &authorizationv1.NonResourceAttributes{Verb: "get", Path: "/"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := out.(*authorizationv1.SelfSubjectAccessReview).Status.Allowed; got != want {
			t.Errorf("%s: allowed = %t", name, got)
		}
	}
}

func TestSelfSubjectRulesReview(t *testing.T) {
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"}}
	out, err := post(as(t, "carol"), t, "selfsubjectrulesreviews", review.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	status := out.(*authorizationv1.SelfSubjectRulesReview).Status
	if len(status.ResourceRules) != 1 || status.ResourceRules[0].Verbs[0] != "get" || len(status.NonResourceRules) != 0 || status.Incomplete {
		t.Errorf("status = %+v, want what holds in a alone", status)
	}
	scoped := genericapirequest.WithUser(as(t, ""), &user.DefaultInfo{Name: "carol", Extra: map[string][]string{policy.ScopesKey: {"cluster:b"}}})
	if out, err = post(scoped, t, "selfsubjectrulesreviews", review.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	if status := out.(*authorizationv1.SelfSubjectRulesReview).Status; len(status.ResourceRules) != 0 {
		t.Errorf("out of scope: %+v", status)
	}
	if _, err := post(as(t, "carol"), t, "selfsubjectrulesreviews", &authorizationv1.SelfSubjectRulesReview{}); !apierrors.IsBadRequest(err) {
		t.Errorf("without namespace: %v", err)
	}

	broken := fake()
	broken.Intercept(func(string, schema.GroupResource, client.Key) error { return errors.New("etcd is at 10.0.0.1") })
	g := build(t, policy.New(broken, nil), Rules{RBAC: true})
	out, err = g.Versions["v1"]["selfsubjectrulesreviews"].(rest.Creater).Create(as(t, "carol"), review.DeepCopy(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if status := out.(*authorizationv1.SelfSubjectRulesReview).Status; !status.Incomplete || status.EvaluationError != errUnread.Error() {
		t.Errorf("status = %+v, want it to be incomplete and to tell no more", status)
	}
}

// Nobody can list what a webhook allows, and what RBAC grants does not matter if it is not asked.
func TestSelfSubjectRulesReview_Webhook(t *testing.T) {
	for name, tc := range map[string]struct {
		rules      Rules
		want       int
		incomplete bool
	}{
		"RBAC":               {Rules{RBAC: true}, 1, false},
		"RBAC and a webhook": {Rules{RBAC: true, Webhook: true}, 1, true},
		"a webhook":          {Rules{Webhook: true}, 0, true},
	} {
		g := build(t, policy.New(fake(), nil), tc.rules)
		out, err := g.Versions["v1"]["selfsubjectrulesreviews"].(rest.Creater).Create(as(t, "carol"),
			&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: "default"}}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		status := out.(*authorizationv1.SelfSubjectRulesReview).Status
		if len(status.ResourceRules) != tc.want || status.Incomplete != tc.incomplete || (status.EvaluationError != "") != tc.incomplete {
			t.Errorf("%s: status = %+v", name, status)
		}
	}
}

// A warrant that counts for nothing is no reason to wonder.
func TestSubjectAccessReview_SaysWhatIsWrongWithWarrants(t *testing.T) {
	for value, wrong := range map[string]bool{`{"user":"x"}`: false, `{"user":`: true, `{"user":"system:serviceaccount:default:default"}`: true} {
		out, err := post(as(t, "x"), t, "subjectaccessreviews", &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: "dora", ResourceAttributes: getConfigMaps(), Extra: map[string]authorizationv1.ExtraValue{policy.WarrantKey: {value}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		if got := out.(*authorizationv1.SubjectAccessReview).Status.EvaluationError; (got != "") != wrong {
			t.Errorf("%s: evaluation error %q", value, got)
		}
	}
}

func TestValidation(t *testing.T) {
	in := func(namespace string) context.Context {
		return genericapirequest.WithNamespace(as(t, "x"), namespace)
	}
	spec := func(u string, r *authorizationv1.ResourceAttributes, p *authorizationv1.NonResourceAttributes) authorizationv1.SubjectAccessReviewSpec {
		return authorizationv1.SubjectAccessReviewSpec{User: u, ResourceAttributes: r, NonResourceAttributes: p}
	}
	path := &authorizationv1.NonResourceAttributes{Verb: "get", Path: "/"}
	both := getConfigMaps()
	both.LabelSelector = &authorizationv1.LabelSelectorAttributes{RawSelector: "a=b", Requirements: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Exists"}}}
	noKey := getConfigMaps()
	noKey.LabelSelector = &authorizationv1.LabelSelectorAttributes{Requirements: []metav1.LabelSelectorRequirement{{Operator: "Exists"}}}
	noField := getConfigMaps()
	noField.FieldSelector = &authorizationv1.FieldSelectorAttributes{Requirements: []metav1.FieldSelectorRequirement{{Operator: "Exists"}}}
	for _, tc := range []struct {
		name, resource string
		obj            runtime.Object
		want           func(error) bool
	}{
		{"nobody", "subjectaccessreviews", &authorizationv1.SubjectAccessReview{Spec: spec("", getConfigMaps(), nil)}, apierrors.IsInvalid},
		{"nothing", "subjectaccessreviews", &authorizationv1.SubjectAccessReview{Spec: spec("u", nil, nil)}, apierrors.IsInvalid},
		{"both", "subjectaccessreviews", &authorizationv1.SubjectAccessReview{Spec: spec("u", getConfigMaps(), path)}, apierrors.IsInvalid},
		{"two selectors in one", "subjectaccessreviews", &authorizationv1.SubjectAccessReview{Spec: spec("u", both, nil)}, apierrors.IsInvalid},
		{"a label selector without a key", "subjectaccessreviews", &authorizationv1.SubjectAccessReview{Spec: spec("u", noKey, nil)}, apierrors.IsInvalid},
		{"a field selector without a key", "selfsubjectaccessreviews", &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: noField}}, apierrors.IsInvalid},
		{"with a name", "subjectaccessreviews", &authorizationv1.SubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Spec: spec("u", getConfigMaps(), nil)}, apierrors.IsInvalid},
		{"nothing for oneself", "selfsubjectaccessreviews", &authorizationv1.SelfSubjectAccessReview{}, apierrors.IsInvalid},
		{"another namespace", "localsubjectaccessreviews", &authorizationv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: "other"}, Spec: spec("u", getConfigMaps(), nil)}, apierrors.IsInvalid},
		{"a path in a namespace", "localsubjectaccessreviews", &authorizationv1.LocalSubjectAccessReview{ObjectMeta: metav1.ObjectMeta{Namespace: "other"}, Spec: spec("u", nil, path)}, apierrors.IsInvalid},
		{"another kind", "selfsubjectaccessreviews", &authorizationv1.SubjectAccessReview{}, apierrors.IsBadRequest},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := post(in("other"), t, tc.resource, tc.obj); !tc.want(err) {
				t.Errorf("error = %v", err)
			}
		})
	}
	if _, err := post(in("default"), t, "localsubjectaccessreviews", &authorizationv1.LocalSubjectAccessReview{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default"}, Spec: spec("u", getConfigMaps(), nil),
	}); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestNew_NeedsAll(t *testing.T) {
	path := func(logicalcluster.Name) (logicalcluster.Path, bool) { return "", false }
	for name, c := range map[string]Config{
		"no authorizer": {Evaluator: policy.New(fake(), nil), Cached: fake(), PathOf: path},
		"no evaluator":  {Decider: strict, Cached: fake(), PathOf: path},
		"no reader":     {Decider: strict, Evaluator: policy.New(fake(), nil), PathOf: path},
		"no paths":      {Decider: strict, Evaluator: policy.New(fake(), nil), Cached: fake()},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
