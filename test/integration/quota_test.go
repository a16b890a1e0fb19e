package integration

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/annex-dev/annex/test/framework/annex"
)

// limited is a workspace with an API of its own and one that it has bound, and with quotas in its namespace default.
type limited struct {
	path, cluster, provider string
	typed                   kubernetes.Interface
	custom                  dynamic.Interface
}

func newLimited(t *testing.T, s *annex.Server) *limited {
	t.Helper()
	l := &limited{}
	var producer string
	producer, l.provider = newWorkspace(t, s, "root", uniqueName("quota-provider"))
	apply(t, s.Workspace(producer), widgetSchema)
	apply(t, s.Workspace(producer), widgetExport)
	l.path, l.cluster = newWorkspace(t, s, "root", uniqueName("quota"))
	apply(t, s.Workspace(l.path), gadgetCRD)
	apply(t, s.Workspace(l.path), binding("widgets", producer, "widgets"))
	l.typed, l.custom = annex.Clients(t, s.Workspace(l.path))
	waitCondition(t, l.custom.Resource(crds), "gadgets.example.org", "Established", "True", "")
	waitCondition(t, l.custom.Resource(bindings), "widgets", "Ready", "True", "")
	return l
}

func (l *limited) limit(t *testing.T, manifest string) {
	t.Helper()
	q := parse(t, "apiVersion: v1\nkind: ResourceQuota\n"+manifest)
	if _, err := l.custom.Resource(corev1.SchemeGroupVersion.WithResource("resourcequotas")).Namespace("default").Create(t.Context(), q, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// shows waits until a quota shows that so much is used of a name.
func (l *limited) shows(t *testing.T, quota, name, used string) {
	t.Helper()
	start := time.Now()
	eventually(t, fmt.Sprintf("quota %s shows %s=%s", quota, name, used), func(ctx context.Context) (bool, error) {
		q, err := l.typed.CoreV1().ResourceQuotas("default").Get(ctx, quota, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		is, ok := q.Status.Used[corev1.ResourceName(name)]
		_, limited := q.Status.Hard[corev1.ResourceName(name)]
		return ok && limited && is.String() == used, nil
	})
	t.Logf("%s=%s shown after %s", name, used, time.Since(start))
}

func gadget(kind, group, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": group + "/v1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": "default"},
	}}
}

// create creates objects of all kinds, many at a time, and returns how many of each there was room for.
func (l *limited) create(t *testing.T, wanted int) (configMaps, gadgetsMade, widgetsMade int64) {
	t.Helper()
	var made [3]atomic.Int64
	var group sync.WaitGroup
	seats := make(chan struct{}, 32)
	for i := range 3 * wanted {
		seats <- struct{}{}
		group.Go(func() {
			defer func() { <-seats }()
			name := uniqueName("q")
			var err error
			switch i % 3 {
			case 0:
				_, err = l.typed.CoreV1().ConfigMaps("default").Create(t.Context(), sizedConfigMap(name, 1), metav1.CreateOptions{})
			case 1:
				_, err = l.custom.Resource(gadgets).Namespace("default").Create(t.Context(), gadget("Gadget", "example.org", name), metav1.CreateOptions{})
			case 2:
				_, err = l.custom.Resource(widgets).Namespace("default").Create(t.Context(), gadget("Widget", "example.com", name), metav1.CreateOptions{})
			}
			if err == nil {
				made[i%3].Add(1)
			} else if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota: ") {
				t.Errorf("creating %s: %v", name, err)
			}
		})
	}
	group.Wait()
	return made[0].Load(), made[1].Load(), made[2].Load()
}

func TestQuotas_AreExact(t *testing.T) {
	s := start(t)
	l := newLimited(t, s)
	// What is there before counts, and so does what every namespace contains.
	if _, err := l.typed.CoreV1().ConfigMaps("default").Create(t.Context(), sizedConfigMap("before", 1), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	l.limit(t, "metadata: {name: small}\nspec: {hard: {configmaps: 7, count/gadgets.example.org: 4, pods: 0}}")
	l.limit(t, "metadata: {name: large}\nspec: {hard: {configmaps: 100, count/widgets.example.com: 6, count/serviceaccounts: 9}}")
	l.shows(t, "small", "configmaps", "2")
	l.shows(t, "large", "count/serviceaccounts", "1")
	if c, g, w := l.create(t, 40); c != 5 || g != 4 || w != 6 {
		t.Errorf("%d ConfigMaps, %d gadgets and %d widgets are created where there is room for 5, 4 and 6", c, g, w)
	}
	l.shows(t, "small", "configmaps", "7")
	l.shows(t, "large", "configmaps", "7")
	l.shows(t, "small", "count/gadgets.example.org", "4")
	l.shows(t, "small", "pods", "0")
	l.shows(t, "large", "count/widgets.example.com", "6")
	// What is deleted makes room, whoever deletes it.
	if err := l.typed.CoreV1().ConfigMaps("default").Delete(t.Context(), "before", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.shows(t, "small", "configmaps", "6")
	if err := l.custom.Resource(gadgets).Namespace("default").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	l.shows(t, "small", "count/gadgets.example.org", "0")
	if c, g, w := l.create(t, 10); c != 1 || g != 4 || w != 0 {
		t.Errorf("%d ConfigMaps, %d gadgets and %d widgets are created where there is room for 1, 4 and 0", c, g, w)
	}
	// A definition that goes takes its objects with it.
	if err := l.custom.Resource(crds).Delete(t.Context(), "gadgets.example.org", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.shows(t, "small", "count/gadgets.example.org", "0")
}

func TestQuotas_NobodyGetsRoundThem(t *testing.T) {
	s := start(t)
	l := newLimited(t, s)
	admit(t, s, l.path, alice)
	l.limit(t, "metadata: {name: none}\nspec: {hard: {configmaps: 1, secrets: 0, count/leases.coordination.k8s.io: 0, count/gadgets.example.org: 0, count/widgets.example.com: 0, resourcequotas: 1}}")
	hers := as(t, s, alice)
	at := "/clusters/" + l.path
	widgetsAt := "/apis/example.com/v1/namespaces/default/widgets"
	const cm, lease, secret = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{%s}}`, `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"x","namespace":"default"}}`, `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"x"}}`
	named, gadgetJSON, widgetJSON := fmt.Sprintf(cm, `"name":"x"`), `{"apiVersion":"example.org/v1","kind":"Gadget","metadata":{"name":"x"}}`, `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"x"}}`
	applied := http.Header{"Content-Type": {"application/apply-patch+yaml"}}
	for name, tt := range map[string]struct {
		who  *wire
		r    request
		want string
	}{
		"create":                {hers, request{method: http.MethodPost, path: at + "/api/v1/namespaces/default/configmaps", body: named}, `configmaps "x" is forbidden: exceeded quota: none, requested: configmaps=1, used: configmaps=1, limited: configmaps=1`},
		"dry run":               {hers, request{method: http.MethodPost, path: at + "/api/v1/namespaces/default/configmaps?dryRun=All", body: named}, `configmaps "x" is forbidden: exceeded quota: none, requested: configmaps=1, used: configmaps=1, limited: configmaps=1`},
		"a generated name":      {hers, request{method: http.MethodPost, path: at + "/api/v1/namespaces/default/configmaps", body: fmt.Sprintf(cm, `"generateName":"x-"`)}, "exceeded quota: none"},
		"by the cluster's name": {hers, request{method: http.MethodPost, path: "/clusters/" + l.cluster + "/api/v1/namespaces/default/configmaps", body: named}, "exceeded quota: none"},
		"apply":                 {hers, request{method: http.MethodPatch, path: at + "/api/v1/namespaces/default/configmaps/x?fieldManager=a", body: named, headers: applied}, "exceeded quota: none"},
		"apply, dry run":        {hers, request{method: http.MethodPatch, path: at + "/api/v1/namespaces/default/configmaps/x?fieldManager=a&dryRun=All", body: named, headers: applied}, "exceeded quota: none"},
		"a secret":              {hers, request{method: http.MethodPost, path: at + "/api/v1/namespaces/default/secrets", body: secret}, "exceeded quota: none, requested: secrets=1, used: secrets=0, limited: secrets=0"},
		"update creates":        {hers, request{method: http.MethodPut, path: at + "/apis/coordination.k8s.io/v1/namespaces/default/leases/x", body: lease}, "exceeded quota: none, requested: count/leases.coordination.k8s.io=1"},
		"custom resource":       {hers, request{method: http.MethodPost, path: at + "/apis/example.org/v1/namespaces/default/gadgets", body: gadgetJSON}, `gadgets.example.org "x" is forbidden: exceeded quota: none, requested: count/gadgets.example.org=1`},
		"apply custom resource": {hers, request{method: http.MethodPatch, path: at + "/apis/example.org/v1/namespaces/default/gadgets/x?fieldManager=a", body: gadgetJSON, headers: applied}, "exceeded quota: none"},
		"bound":                 {hers, request{method: http.MethodPost, path: at + widgetsAt, body: widgetJSON}, "exceeded quota: none, requested: count/widgets.example.com=1"},
		"bound, dry run":        {hers, request{method: http.MethodPost, path: at + widgetsAt + "?dryRun=All", body: widgetJSON}, "exceeded quota: none, requested: count/widgets.example.com=1"},
		"the provider":          {asMaster(t, s), request{method: http.MethodPost, path: "/services/apiexport/" + l.provider + "/widgets/clusters/" + l.cluster + widgetsAt, body: widgetJSON}, "exceeded quota: none, requested: count/widgets.example.com=1"},
		"the provider's apply":  {asMaster(t, s), request{method: http.MethodPatch, path: "/services/apiexport/" + l.provider + "/widgets/clusters/" + l.cluster + widgetsAt + "/x?fieldManager=a", body: widgetJSON, headers: applied}, "exceeded quota: none"},
		"an operator":           {asMaster(t, s), request{method: http.MethodPost, path: at + "/api/v1/namespaces/default/configmaps", body: named}, "exceeded quota: none"},
		"a quota":               {hers, request{method: http.MethodPost, path: at + "/api/v1/namespaces/default/resourcequotas", body: `{"apiVersion":"v1","kind":"ResourceQuota","metadata":{"name":"x"}}`}, "exceeded quota: none, requested: resourcequotas=1"},
	} {
		t.Run(name, func(t *testing.T) {
			tt.r.headers = cloned(tt.r.headers, "application/json")
			a := tt.who.in(t).send(tt.r)
			if a.code != http.StatusForbidden || !strings.Contains(a.status().Message, tt.want) {
				t.Errorf("%d: %s", a.code, a.body)
			}
		})
	}
	// A status says nothing to who refuses, and is put right.
	l.shows(t, "none", "configmaps", "1")
	forged := []byte(`{"status":{"hard":{"configmaps":"100"},"used":{"configmaps":"0"}}}`)
	if _, err := l.typed.CoreV1().ResourceQuotas("default").Patch(t.Context(), "none", types.MergePatchType, forged, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.typed.CoreV1().ConfigMaps("default").Create(t.Context(), sizedConfigMap("x", 1), metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("with a forged status: %v", err)
	}
	l.shows(t, "none", "configmaps", "1")
	// Events do not count, and what is updated is there already.
	event := &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "x"}, InvolvedObject: corev1.ObjectReference{Namespace: "default"}}
	if _, err := l.typed.CoreV1().Events("default").Create(t.Context(), event, metav1.CreateOptions{}); err != nil {
		t.Error(err)
	}
	label := []byte(`{"metadata":{"labels":{"a":"b"}}}`)
	if _, err := l.typed.CoreV1().ConfigMaps("default").Patch(t.Context(), "kube-root-ca.crt", types.MergePatchType, label, metav1.PatchOptions{}); err != nil {
		t.Error(err)
	}
	l.shows(t, "none", "configmaps", "1")
}

func cloned(h http.Header, contentType string) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", contentType)
	}
	return h
}

// The same namespace of another workspace, and another namespace, know nothing of a quota; nor does a later namespace of its name.
func TestQuotas_AreThoseOfOneNamespace(t *testing.T) {
	s := start(t)
	l := newLimited(t, s)
	other, _ := annex.Clients(t, s.Workspace(workspace(t, s)))
	second := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "second"}}
	if _, err := l.typed.CoreV1().Namespaces().Create(t.Context(), second, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	none := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourceConfigMaps: {}}}}
	create := func(from kubernetes.Interface, namespace string) error {
		_, err := from.CoreV1().ConfigMaps(namespace).Create(t.Context(), sizedConfigMap(uniqueName("x"), 1), metav1.CreateOptions{})
		return err
	}
	for _, namespace := range []string{"default", "second"} {
		if _, err := l.typed.CoreV1().ResourceQuotas(namespace).Create(t.Context(), none, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := create(l.typed, namespace); !apierrors.IsForbidden(err) {
			t.Errorf("in %s: %v", namespace, err)
		}
	}
	if err := create(other, "default"); err != nil {
		t.Errorf("in another workspace: %v", err)
	}
	if err := create(l.typed, "kube-system"); err != nil {
		t.Errorf("in another namespace: %v", err)
	}
	if err := l.typed.CoreV1().Namespaces().Delete(t.Context(), "second", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is gone", func(ctx context.Context) (bool, error) {
		_, err := l.typed.CoreV1().Namespaces().Get(ctx, "second", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	})
	if _, err := l.typed.CoreV1().Namespaces().Create(t.Context(), second, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := create(l.typed, "second"); err != nil {
		t.Errorf("in a namespace of that name: %v", err)
	}
	// As long as there is room, a dry run is no creation.
	if err := l.typed.CoreV1().ResourceQuotas("default").Delete(t.Context(), "none", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	l.limit(t, "metadata: {name: one}\nspec: {hard: {secrets: 1}}")
	for range 3 {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
		if _, err := l.typed.CoreV1().Secrets("default").Create(t.Context(), secret, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
			t.Error(err)
		}
	}
	l.shows(t, "one", "secrets", "0")
}

// A quota in namespace admin with the annotation counts what is in all namespaces, and what is in none.
func TestQuotas_OfAWorkspace(t *testing.T) {
	s := start(t)
	l := newLimited(t, s)
	for _, name := range []string{"admin", "second"} {
		if _, err := l.typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	configMaps := func(ctx context.Context) (n int, err error) {
		all, err := l.typed.CoreV1().ConfigMaps("").List(ctx, metav1.ListOptions{})
		return len(all.Items), err
	}
	eventually(t, "each namespace has its ConfigMap", func(ctx context.Context) (bool, error) {
		n, err := configMaps(ctx)
		return n == 4, err // of default, kube-system, admin and second
	})
	quotas := l.custom.Resource(corev1.SchemeGroupVersion.WithResource("resourcequotas")).Namespace("admin")
	whole := parse(t, `{apiVersion: v1, kind: ResourceQuota, metadata: {name: whole, namespace: admin, annotations: {experimental.quota.kcp.io/cluster-scoped: "true"}}, spec: {hard: {
		configmaps: 6, count/gadgets.example.org: 2, count/widgets.example.com: 1, count/workspaces.tenancy.kcp.io: 1, count/clusterroles.rbac.authorization.k8s.io: 0}}}`)
	create(t, quotas, whole)
	shows := func(name, used string) {
		t.Helper()
		eventually(t, fmt.Sprintf("the quota shows %s=%s", name, used), func(ctx context.Context) (bool, error) {
			q, err := l.typed.CoreV1().ResourceQuotas("admin").Get(ctx, "whole", metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			is, ok := q.Status.Used[corev1.ResourceName(name)]
			return ok && is.String() == used, nil
		})
	}
	shows("configmaps", "4")
	configMap := func(namespace, name string, dry ...string) error {
		_, err := l.typed.CoreV1().ConfigMaps(namespace).Create(t.Context(), sizedConfigMap(name, 1), metav1.CreateOptions{DryRun: dry})
		return err
	}
	exceeds := func(what, name string, err error) {
		t.Helper()
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota: whole, requested: "+name+"=1") {
			t.Errorf("%s: %v", what, err)
		}
	}
	wantDone(t, "in default", configMap("default", "x"))
	wantDone(t, "in second", configMap("second", "x"))
	exceeds("in kube-system", "configmaps", configMap("kube-system", "x"))
	exceeds("in kube-system, dry run", "configmaps", configMap("kube-system", "x", metav1.DryRunAll))
	shows("configmaps", "6")
	in := func(kind, group, namespace string) *unstructured.Unstructured {
		obj := gadget(kind, group, "x")
		obj.SetNamespace(namespace)
		return obj
	}
	for _, namespace := range []string{"default", "second"} {
		create(t, l.custom.Resource(gadgets).Namespace(namespace), in("Gadget", "example.org", namespace))
	}
	_, err := l.custom.Resource(gadgets).Namespace("admin").Create(t.Context(), in("Gadget", "example.org", "admin"), metav1.CreateOptions{})
	exceeds("a custom resource", "count/gadgets.example.org", err)
	create(t, l.custom.Resource(widgets).Namespace("default"), in("Widget", "example.com", "default"))
	a := asMaster(t, s).send(request{
		method: http.MethodPost, path: "/services/apiexport/" + l.provider + "/widgets/clusters/" + l.cluster + "/apis/example.com/v1/namespaces/second/widgets",
		body: `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"x"}}`, headers: cloned(nil, "application/json"),
	})
	if a.code != http.StatusForbidden || !strings.Contains(a.status().Message, "exceeded quota: whole, requested: count/widgets.example.com=1") {
		t.Errorf("the provider: %d %s", a.code, a.body)
	}
	// Objects in no namespace.
	child := func(name string, dry ...string) error {
		_, err := l.custom.Resource(workspaces).Create(t.Context(), parse(t, "apiVersion: tenancy.kcp.io/v1alpha1\nkind: Workspace\nmetadata: {name: "+name+"}\nspec: {type: {name: universal, path: root}}"), metav1.CreateOptions{DryRun: dry})
		return err
	}
	wantDone(t, "a workspace", child("one"))
	exceeds("another workspace", "count/workspaces.tenancy.kcp.io", child("two"))
	exceeds("another workspace, dry run", "count/workspaces.tenancy.kcp.io", child("two", metav1.DryRunAll))
	role := func(dry ...string) error {
		_, err := l.typed.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{DryRun: dry})
		return err
	}
	exceeds("a role", "count/clusterroles.rbac.authorization.k8s.io", role())
	exceeds("a role, dry run", "count/clusterroles.rbac.authorization.k8s.io", role(metav1.DryRunAll))
	shows("count/workspaces.tenancy.kcp.io", "1")
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "get", Resource: "configmaps"}}}
	if _, err := l.typed.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), review, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Errorf("a dry run of what is not stored: %v", err)
	}
	// Whoever may write the status does not decide what the quota is for.
	_, err = quotas.Patch(t.Context(), "whole", types.MergePatchType, []byte(`{"metadata":{"annotations":{"experimental.quota.kcp.io/cluster-scoped":"false"}}}`), metav1.PatchOptions{}, "status")
	if !apierrors.IsInvalid(err) {
		t.Errorf("the annotation by the status: %v", err)
	}
	// Other workspaces, such as the child, know nothing of it.
	inside, _ := annex.Clients(t, s.Workspace(l.path+":one"))
	eventually(t, "a role can be made in the child", func(ctx context.Context) (bool, error) {
		_, err := inside.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "x"}}, metav1.CreateOptions{})
		return err == nil, nil
	})
	// What goes makes room, wherever it was; so does the quota.
	wantDone(t, "delete", l.typed.CoreV1().Namespaces().Delete(t.Context(), "second", metav1.DeleteOptions{}))
	eventually(t, "there is room for a ConfigMap", func(context.Context) (bool, error) {
		return configMap("default", "y") == nil, nil
	})
	wantDone(t, "delete the quota", quotas.Delete(t.Context(), "whole", metav1.DeleteOptions{}))
	wantDone(t, "a role", role())
	wantDone(t, "another workspace", child("two"))
}
