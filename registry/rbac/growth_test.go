package rbac

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/component-helpers/auth/rbac/validation"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/apis/rbac/aggregation"
	"github.com/annex-dev/annex/apis/rbac/inheritance"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
	"github.com/annex-dev/annex/registry/rbac/policy"
)

// TestEscalation_NoSequenceOfWritesMakesRulesGrow lets two users, who may write all RBAC of a workspace but neither bind nor
// escalate nor inherit, write at random. Whatever they do, together they never hold more than at the beginning, neither in the workspace nor in one
// below it. Each seed has its own clusters.
func TestEscalation_NoSequenceOfWritesMakesRulesGrow(t *testing.T) {
	const seeds, steps = 30, 50
	h := newHarness(t)
	done := map[string]int{}
	for seed := range uint64(seeds) {
		w := newWorld(t, h, seed)
		before := w.held(t)
		for range steps {
			what, err := w.step()
			w.aggregate(t)
			if err == nil {
				done[strings.Join(strings.Fields(what)[1:3], " ")]++
			}
			done[w.how]++
			for scope, rules := range w.held(t) {
				if covered, more := validation.Covers(before[scope], rules); !covered {
					t.Fatalf("seed %d: the users have more in namespace %q: %v\n%s", seed, scope, more, strings.Join(w.log, "\n"))
				}
			}
		}
	}
	// A world in which everything is refused would prove nothing.
	if done["refused"] == 0 || done["no longer inherited"] == 0 {
		t.Errorf("nobody tried to write what is inherited: %v", done)
	}
	for _, verb := range []string{"create", "update", "delete"} {
		for resource := range kindsOfRBAC {
			if done[verb+" "+resource] == 0 {
				t.Errorf("no %s of %s succeeded", verb, resource)
			}
		}
	}
}

var (
	growers    = []string{"mallory", "mole"}
	namespaces = []string{"ns1", "ns2"}
	// kindsOfRBAC says which resources have namespaces.
	kindsOfRBAC = map[string]bool{"roles": true, "rolebindings": true, "clusterroles": false, "clusterrolebindings": false}
	// The names of roles: of the system, of an operator, strong ones, one that is bound and missing, and free ones.
	roleNames = []string{"cluster-admin", "view", "system:x", "auditor", "strong", "aggregated", "missing", "r1", "r2"}
	ruleSets  = [][]rbacv1.PolicyRule{
		nil,
		{configMaps},
		{{Verbs: []string{"*"}, APIGroups: []string{""}, Resources: []string{"secrets"}}},
		{{Verbs: []string{"bind", "escalate"}, APIGroups: []string{rbacv1.GroupName}, Resources: []string{"*"}}},
		{{Verbs: []string{"access"}, NonResourceURLs: []string{"/"}}},
		policy.Everything(),
	}
)

// world is a cluster in which users write at random. The evaluator reads what fake mirrors from the storage.
type world struct {
	*testing.T
	*rand.Rand
	*harness
	cluster logicalcluster.Name
	// roles are the few role names of this world, so that its writes concern each other.
	roles []string
	log   []string
	// how says what a write did to what is inherited, if it concerned that.
	how string
}

// newWorld returns a cluster in which there is something to gain.
func newWorld(t *testing.T, h *harness, seed uint64) *world {
	t.Helper()
	w := &world{T: t, Rand: rand.New(rand.NewPCG(seed, 7)), harness: h, cluster: logicalcluster.Name(fmt.Sprintf("growth%d", seed))}
	w.roles = []string{pick(w, roleNames), pick(w, roleNames), "r1"}
	aggregated := clusterRole("aggregated")
	aggregated.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"part": "yes"}}}}
	aggregated.Labels = map[string]string{"part": "yes"}
	binding := func(name, role, who string) *rbacv1.ClusterRoleBinding {
		b := clusterRoleBinding(role)
		b.Name, b.Subjects = name, []rbacv1.Subject{{Kind: "User", Name: who}}
		return b
	}
	// What mallory holds in the workspace is more than what is inherited below it.
	given, gives := clusterRole("r2", ruleSets[4]...), binding("b4", "r2", "mallory")
	kept, keeps := clusterRole("aggregated2"), binding("b5", "view", "mole")
	for _, obj := range []client.Object{given, gives, kept, keeps} {
		obj.SetAnnotations(map[string]string{inheritance.AnnotationKey: "true"})
	}
	w.put(clienttest.In(w.cluster, &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName}}))
	w.put(clienttest.In(w.below(), &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: corev1alpha1.LogicalClusterName},
		Spec: corev1alpha1.LogicalClusterSpec{Owner: &corev1alpha1.LogicalClusterOwner{Cluster: w.cluster.String()}}}))
	secrets := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "r1", Namespace: "ns1"}, Rules: ruleSets[2]}
	for resource, objects := range map[string][]client.Object{
		"clusterroles": {clusterRole("strong", policy.Everything()...), clusterRole("writer", configMaps), aggregated, given, kept,
			clusterRole("cluster-admin"), clusterRole("view", policy.Everything()...)}, // from before these names were reserved
		"clusterrolebindings": {binding("b1", "writer", "mallory"), binding("b2", "missing", "mallory"), binding("b3", "aggregated", "mole"),
			binding("owner", "cluster-admin", "owner"), gives, keeps},
		"roles": {secrets},
		"rolebindings": {&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "b1", Namespace: "ns1"},
			RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "r1"}, Subjects: []rbacv1.Subject{{Kind: "User", Name: "mole"}}}},
	} {
		for _, obj := range objects {
			ctx := w.as(t.Context(), resource, obj.GetNamespace(), "system")
			out, err := h.System[resource].Create(ctx, obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			w.mirror(ctx, resource, obj.GetName(), out)
		}
	}
	return w
}

func (w *world) as(ctx context.Context, resource, namespace, name string) context.Context {
	return logicalcluster.WithCluster(as(ctx, resource, namespace, name), w.cluster)
}

// below is a workspace below that of w.
func (w *world) below() logicalcluster.Name { return w.cluster + "below" }

func (w *world) put(obj client.Object) {
	if _, err := w.fake.Create(w.Context(), corev1alpha1.Resource("logicalclusters"), logicalcluster.From(obj), obj); err != nil {
		w.Fatal(err)
	}
}

// held returns what the users hold together, cluster-wide and in the namespaces, and in the workspace below.
func (w *world) held(t *testing.T) map[string][]rbacv1.PolicyRule {
	t.Helper()
	e := policy.New(w.fake, nil)
	out := map[string][]rbacv1.PolicyRule{}
	for _, namespace := range append([]string{""}, namespaces...) {
		for _, name := range growers {
			for _, cluster := range []logicalcluster.Name{w.cluster, w.below()} {
				rules, err := e.RulesFor(t.Context(), &user.DefaultInfo{Name: name, Groups: []string{"growers"}}, cluster, namespace)
				if err != nil {
					t.Fatal(err)
				}
				scope := cluster.String() + "/" + namespace
				out[scope] = append(out[scope], rules...)
			}
		}
	}
	return out
}

func pick[T any](w *world, from []T) T { return from[w.IntN(len(from))] }

// step is one write of one user, and what it was.
func (w *world) step() (string, error) {
	resource := pick(w, []string{"roles", "rolebindings", "clusterroles", "clusterrolebindings"})
	namespace := ""
	if kindsOfRBAC[resource] {
		namespace = pick(w, namespaces)
	}
	name := pick(w, w.roles)
	if strings.HasSuffix(resource, "bindings") {
		name = pick(w, []string{"b1", "b2", "b3", "b4", "b5", "b6", "b7"})
	}
	who, verb := pick(w, growers), pick(w, []string{"create", "update", "delete"})
	ctx := logicalcluster.WithCluster(as(w.Context(), resource, namespace, who, "growers"), w.cluster)
	var out runtime.Object
	var err error
	var written client.Object
	was, _ := w.fake.Get(ctx, rbacv1.Resource(resource), client.Key{Cluster: w.cluster, Namespace: namespace, Name: name})
	switch verb {
	case "create":
		written = w.change(resource, nil, namespace, name)
		out, err = w.create(ctx, resource, written.DeepCopyObject())
	case "update":
		out, err = w.update(ctx, resource, name, w.IntN(2) == 0, func(old runtime.Object) runtime.Object {
			written = w.change(resource, old.(client.Object), namespace, name)
			return written.DeepCopyObject()
		})
	default:
		_, _, err = w.Versions["v1"][resource].(rest.GracefulDeleter).Delete(ctx, name, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{})
	}
	if err == nil {
		w.mirror(ctx, resource, name, out)
	}
	w.how = ""
	switch gave := was != nil && inheritance.Gives(was); {
	case written == nil:
	case inheritance.Gives(written) && err != nil:
		w.how = "refused"
	case gave && err == nil:
		w.how = "no longer inherited"
	}
	what := fmt.Sprintf("%s %s %s %s/%s", who, verb, resource, namespace, name)
	w.log = append(w.log, fmt.Sprintf("%s: %v, %v", what, written, err))
	return what, err
}

// change returns the object to write: something new, or old with one part changed.
func (w *world) change(resource string, old client.Object, namespace, name string) client.Object {
	rules, labels := pick(w, ruleSets), pick(w, []map[string]string{nil, {"part": "yes"}})
	var rule *rbacv1.AggregationRule
	if w.IntN(4) == 0 {
		rule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"part": "yes"}}}}
	}
	subjects := []rbacv1.Subject{pick(w, []rbacv1.Subject{{Kind: "User", Name: "mallory"}, {Kind: "User", Name: "mole"}, {Kind: "Group", Name: "growers"}})}
	ref := rbacv1.RoleRef{Kind: pick(w, []string{"Role", "ClusterRole"}), Name: pick(w, w.roles)}
	if resource == "clusterrolebindings" {
		ref.Kind = "ClusterRole"
	}
	var annotations map[string]string
	if !kindsOfRBAC[resource] && w.IntN(4) == 0 {
		annotations = map[string]string{inheritance.AnnotationKey: "true"}
	}
	everything := old == nil || old.GetUID() == "" // a new object
	var out client.Object
	switch resource {
	case "roles":
		out = &rbacv1.Role{Rules: rules}
	case "rolebindings":
		out = &rbacv1.RoleBinding{RoleRef: ref, Subjects: subjects}
	case "clusterroles":
		out = &rbacv1.ClusterRole{Rules: rules, AggregationRule: rule}
	default:
		out = &rbacv1.ClusterRoleBinding{RoleRef: ref, Subjects: subjects}
	}
	if everything {
		out.SetNamespace(namespace)
		out.SetName(name)
		out.SetLabels(labels)
		out.SetAnnotations(annotations)
		return out
	}
	if w.IntN(3) == 0 {
		old.SetAnnotations(annotations)
	}
	switch o := old.(type) {
	case *rbacv1.Role:
		o.Rules = rules
	case *rbacv1.RoleBinding:
		o.Subjects = subjects
		if w.IntN(3) == 0 {
			o.RoleRef = ref
		}
	case *rbacv1.ClusterRole:
		switch w.IntN(3) {
		case 0:
			o.Rules = rules
		case 1:
			o.Labels = labels
		default:
			o.AggregationRule = rule
		}
	case *rbacv1.ClusterRoleBinding:
		o.Subjects = subjects
		if w.IntN(3) == 0 {
			o.RoleRef = ref
		}
	}
	return old
}

// mirror shows the evaluator what is stored now; nil when nothing is.
func (w *world) mirror(ctx context.Context, resource, name string, stored runtime.Object) {
	gr := rbacv1.Resource(resource)
	namespace := ""
	if kindsOfRBAC[resource] {
		namespace = genericapirequest.NamespaceValue(ctx)
	}
	key := client.Key{Cluster: w.cluster, Namespace: namespace, Name: name}
	if err := w.fake.Delete(ctx, gr, key, nil); err != nil && !apierrors.IsNotFound(err) {
		w.Fatal(err)
	}
	if stored == nil {
		return
	}
	obj := clienttest.In(w.cluster, stored.DeepCopyObject().(client.Object))
	obj.SetResourceVersion("")
	if _, err := w.fake.Create(ctx, gr, w.cluster, obj); err != nil {
		w.Fatal(err)
	}
}

// aggregate does what the controller of aggregated roles does.
func (w *world) aggregate(t *testing.T) {
	t.Helper()
	for range 2 {
		all, err := client.List[rbacv1.ClusterRole](t.Context(), w.fake, rbacv1.Resource("clusterroles"), client.Scope{Cluster: w.cluster})
		if err != nil {
			t.Fatal(err)
		}
		for _, role := range all {
			if role.AggregationRule == nil {
				continue
			}
			rules, err := aggregation.Rules(role, all)
			if err != nil {
				t.Fatal(err)
			}
			// As the controller: without this, most of the test's time went into writes that change nothing.
			if apiequality.Semantic.DeepEqual(rules, role.Rules) {
				continue
			}
			ctx := w.as(t.Context(), "clusterroles", "", "system")
			info := rest.DefaultUpdatedObjectInfo(nil, func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
				updated := old.DeepCopyObject().(*rbacv1.ClusterRole)
				updated.Rules = rules
				return updated, nil
			})
			out, _, err := w.System["clusterroles"].Update(ctx, role.Name, info, rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			w.mirror(ctx, "clusterroles", role.Name, out)
		}
	}
}
