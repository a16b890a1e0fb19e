package authorization

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// askWith creates a review of ours in cluster, as u, over the objects.
func askWith(t *testing.T, objects []client.Object, cluster logicalcluster.Name, u user.Info, obj runtime.Object) (runtime.Object, error) {
	t.Helper()
	r, err := New(Config{Decider: strict, Evaluator: policy.New(clienttest.NewFake(objects...), nil), Cached: clienttest.NewFake(objects...), Rules: Rules{RBAC: true},
		PathOf: func(cluster logicalcluster.Name) (logicalcluster.Path, bool) { return "root:" + cluster.Path(), true }})
	if err != nil {
		t.Fatal(err)
	}
	storage := r.Explanations()
	if _, is := obj.(*annexv1alpha1.WhoCanReview); is {
		storage = r.WhoCan()
	}
	ctx := genericapirequest.WithUser(logicalcluster.WithCluster(t.Context(), cluster), u)
	return storage.(rest.Creater).Create(ctx, obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
}

func explanationOf(name string) *annexv1alpha1.AccessExplanation {
	return &annexv1alpha1.AccessExplanation{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: name, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "configmaps"}}}
}

// strict lets dora create SubjectAccessReviews, fails for eve, and denies everybody else.
func TestExplanation_WhoMayAsk(t *testing.T) {
	withUID := explanationOf("")
	withUID.Spec.UID = "1"
	named := explanationOf("")
	named.Name = "x"
	for _, tc := range []struct {
		name, user string
		review     *annexv1alpha1.AccessExplanation
		want       func(error) bool
	}{
		{"about oneself", "carol", explanationOf(""), func(err error) bool { return err == nil }},
		{"about somebody else", "carol", explanationOf("dora"), apierrors.IsForbidden},
		{"about oneself by name, which the server need not believe", "carol", explanationOf("carol"), apierrors.IsForbidden},
		{"about somebody else, who may", "dora", explanationOf("carol"), func(err error) bool { return err == nil }},
		{"nobody can tell whether the user may", "eve", explanationOf("carol"), apierrors.IsServiceUnavailable},
		{"about nothing", "carol", &annexv1alpha1.AccessExplanation{}, apierrors.IsInvalid},
		{"about a uid without a user", "carol", withUID, apierrors.IsInvalid},
		{"with a name", "carol", named, apierrors.IsInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := askWith(t, nil, "a", &user.DefaultInfo{Name: tc.user}, tc.review); !tc.want(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// family is a workspace above, which lets carol read configmaps everywhere below, and lets erin read its bindings, and frank read them without
// entering; and a workspace below.
func family() []client.Object {
	carol := []rbacv1.Subject{{Kind: "User", Name: "carol"}}
	marked := map[string]string{inheritance.AnnotationKey: "true"}
	reads := rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterrolebindings"}}
	enters := rbacv1.PolicyRule{Verbs: []string{"access"}, NonResourceURLs: []string{"/"}}
	bind := func(name, role string, annotations map[string]string, subjects []rbacv1.Subject) client.Object {
		return clienttest.In("above", &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}, Subjects: subjects,
			RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: role}})
	}
	return []client.Object{
		clienttest.In("above", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"}}),
		clienttest.In("below", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster"},
			Spec: corev1alpha1.LogicalClusterSpec{Owner: &corev1alpha1.LogicalClusterOwner{Cluster: "above"}}}),
		clienttest.In("above", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "secret-role", Annotations: marked}, Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"configmaps"}}}}),
		bind("secret-binding", "secret-role", marked, carol),
		clienttest.In("above", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{reads, enters}}),
		bind("reader", "reader", nil, []rbacv1.Subject{{Kind: "User", Name: "erin"}}),
		clienttest.In("above", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "outsider"}, Rules: []rbacv1.PolicyRule{reads}}),
		bind("outsider", "outsider", nil, []rbacv1.Subject{{Kind: "User", Name: "frank"}}),
	}
}

// Who may not read the bindings of a workspace above learns that one of them counts, and for whom, but neither which one it is nor where.
func TestExplanation_HidesWhatIsAbove(t *testing.T) {
	for name, sees := range map[string]bool{"carol": false, "erin": true, "frank": false} {
		out, err := askWith(t, family(), "below", &user.DefaultInfo{Name: name}, &annexv1alpha1.WhoCanReview{Spec: annexv1alpha1.WhoCanReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "configmaps"}}})
		if err != nil {
			t.Fatal(err)
		}
		subjects := out.(*annexv1alpha1.WhoCanReview).Status.Subjects
		if len(subjects) != 1 || subjects[0].Subject.Name != "carol" || len(subjects[0].Grants) != 1 {
			t.Fatalf("%s is told %+v", name, subjects)
		}
		g := subjects[0].Grants[0]
		if got := strings.Contains(fmt.Sprintf("%+v %+v %v", g.Binding, g.Role, g), "secret"); got != sees {
			t.Errorf("%s sees the binding: %v, want %v", name, got, sees)
		}
		if got := g.Cluster != "" || g.Workspace != ""; got != sees {
			t.Errorf("%s sees where it is: %v, want %v: %+v", name, got, sees, g)
		}
	}
	out, err := askWith(t, family(), "below", &user.DefaultInfo{Name: "carol"}, explanationOf(""))
	if err != nil {
		t.Fatal(err)
	}
	status := out.(*annexv1alpha1.AccessExplanation).Status
	if len(status.Grants) != 1 || status.Grants[0].Binding != nil || status.Grants[0].Source != annexv1alpha1.AccessSourceInherited {
		t.Errorf("carol is told %+v", status)
	}
}

// A list of subjects is bounded, sorted, and says when it is not whole.
func TestWhoCan_IsBounded(t *testing.T) {
	objects := []client.Object{clienttest.In("a", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"configmaps"}}}})}
	for i := range 300 {
		objects = append(objects, clienttest.In("a", &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("b", i)},
			Subjects: []rbacv1.Subject{{Kind: "User", Name: fmt.Sprint("u", i)}, {Kind: "User", Name: "everywhere"}}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"}}))
	}
	for limit, want := range map[int32]int{0: defaultSubjects, 10: 10, 1000: 301} {
		out, err := askWith(t, objects, "a", &user.DefaultInfo{Name: "dora"}, &annexv1alpha1.WhoCanReview{Spec: annexv1alpha1.WhoCanReviewSpec{
			Limit: limit, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "configmaps"}}})
		if err != nil {
			t.Fatal(err)
		}
		status := out.(*annexv1alpha1.WhoCanReview).Status
		if len(status.Subjects) != want || status.Truncated != (want < 301) {
			t.Errorf("limit %d: %d subjects, truncated: %v", limit, len(status.Subjects), status.Truncated)
		}
		if !slices.IsSortedFunc(status.Subjects, func(a, b annexv1alpha1.WhoCanSubject) int { return strings.Compare(a.Subject.Name, b.Subject.Name) }) {
			t.Errorf("limit %d: not sorted", limit)
		}
		for _, s := range status.Subjects {
			if len(s.Grants) > mostGrantsOfSubject {
				t.Errorf("%s has %d bindings", s.Subject.Name, len(s.Grants))
			}
		}
	}
	for _, limit := range []int32{-1, mostSubjects + 1} {
		_, err := askWith(t, objects, "a", &user.DefaultInfo{Name: "dora"}, &annexv1alpha1.WhoCanReview{Spec: annexv1alpha1.WhoCanReviewSpec{
			Limit: limit, ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "configmaps"}}})
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.limit") {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

// The answer to a SubjectAccessReview says which binding allows it; that to a SelfSubjectAccessReview, which everybody may create, does not.
func TestReview_SaysWhichBinding(t *testing.T) {
	ctx := logicalcluster.WithCluster(genericapirequest.WithUser(t.Context(), &user.DefaultInfo{Name: "dora"}), "a")
	objects := []client.Object{
		clienttest.In("a", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Rules: policy.Everything()}),
		clienttest.In("a", &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "doras"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "dora"}},
			RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"}}),
	}
	g := build(t, policy.New(clienttest.NewFake(objects...), nil), Rules{RBAC: true})
	asked := &authorizationv1.ResourceAttributes{Verb: "get", Resource: "configmaps"}
	out, err := g.Versions["v1"]["subjectaccessreviews"].(rest.Creater).Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: "dora", ResourceAttributes: asked}}, nil, &metav1.CreateOptions{})
	if want := `access granted: ClusterRoleBinding "doras" of this workspace to ClusterRole "r" for User dora`; err != nil || out.(*authorizationv1.SubjectAccessReview).Status.Reason != want {
		t.Errorf("got %+v, %v; want %s", out, err, want)
	}
	out, err = g.Versions["v1"]["subjectaccessreviews"].(rest.Creater).Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: "carol", ResourceAttributes: asked}}, nil, &metav1.CreateOptions{})
	if want := "access denied: no binding allows it"; err != nil || !strings.HasPrefix(out.(*authorizationv1.SubjectAccessReview).Status.Reason, want) {
		t.Errorf("got %+v, %v; want %s", out, err, want)
	}
	out, err = g.Versions["v1"]["selfsubjectaccessreviews"].(rest.Creater).Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: asked}}, nil, &metav1.CreateOptions{})
	if err != nil || out.(*authorizationv1.SelfSubjectAccessReview).Status.Reason != "access granted" {
		t.Errorf("got %+v, %v", out, err)
	}
}
