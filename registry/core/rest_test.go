package core

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	apimachineryresource "k8s.io/apimachinery/pkg/api/resource"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	eventsgroup "github.com/annex-dev/annex/registry/events"
)

// One etcd serves all of these; each works in a cluster of its own.
func TestGroup(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for name, test := range map[string]func(*testing.T, *harness){
		"namespace life":      testNamespaceLife,
		"namespace deletion":  testNamespaceDeletion,
		"cluster annotation":  testClusterAnnotation,
		"system store":        testSystemStore,
		"selectors":           testSelectors,
		"secret writes":       testSecretWrites,
		"quota status":        testQuotaStatus,
		"event lifetime":      testEventLifetime,
		"events through both": testEventsThroughBoth,
		"short names":         testShortNames,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, h) })
	}
}

func testNamespaceLife(t *testing.T, h *harness) {
	ctx := in(t.Context(), "life", "")
	ns := create(ctx, t, h, "namespaces", &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "a-", Name: "a-x7"},
		Spec:       corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"example.com/hold"}},
		Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating},
	})
	if want := []corev1.FinalizerName{"example.com/hold", "kubernetes"}; !slices.Equal(ns.Spec.Finalizers, want) {
		t.Errorf("finalizers %v, want %v", ns.Spec.Finalizers, want)
	}
	if ns.Status.Phase != corev1.NamespaceActive || ns.Labels[corev1.LabelMetadataName] != "a-x7" {
		t.Errorf("created %+v", ns)
	}

	ns.Labels, ns.Spec.Finalizers, ns.Status.Phase = map[string]string{"x": "y"}, nil, corev1.NamespaceTerminating
	ns, err := update(ctx, t, h, "namespaces", ns.Name, ns)
	if err != nil {
		t.Fatal(err)
	}
	if len(ns.Spec.Finalizers) != 2 || ns.Status.Phase != corev1.NamespaceActive || ns.Labels["x"] != "y" || ns.Labels[corev1.LabelMetadataName] != "a-x7" {
		t.Errorf("a user's update left %+v", ns)
	}

	ns.Spec.Finalizers = nil
	ns.Status.Conditions = []corev1.NamespaceCondition{{Type: "Some", Status: corev1.ConditionTrue}}
	if ns, err = update(ctx, t, h, "namespaces/status", ns.Name, ns); err != nil || len(ns.Spec.Finalizers) != 2 || len(ns.Status.Conditions) != 1 {
		t.Errorf("an update of the status left %+v, %v", ns, err)
	}
	ns.Status.Phase = corev1.NamespaceTerminating
	if _, err = update(ctx, t, h, "namespaces/status", ns.Name, ns); !apierrors.IsInvalid(err) {
		t.Errorf("terminating without a deletion: %v", err)
	}
	ns.Spec.Finalizers = []corev1.FinalizerName{"bad"}
	if _, err = update(ctx, t, h, "namespaces/finalize", ns.Name, ns); !apierrors.IsInvalid(err) {
		t.Errorf("a bad finalizer: %v", err)
	}
	ns.Spec.Finalizers, ns.Finalizers = nil, []string{"bad"}
	if _, err = update(ctx, t, h, "namespaces", ns.Name, ns); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.finalizers[0]") {
		t.Errorf("a finalizer of the metadata that is neither standard nor qualified: %v", err)
	}
	ns.Finalizers = []string{"example.com/good", "orphan"}
	if _, err = update(ctx, t, h, "namespaces", ns.Name, ns); err != nil {
		t.Errorf("good finalizers of the metadata: %v", err)
	}
	if _, ok := h.group.Versions[version]["namespaces"].(rest.CollectionDeleter); ok {
		t.Error("namespaces can be deleted as a collection")
	}
	if _, ok := h.group.Versions[version]["namespaces/finalize"].(rest.Getter); ok {
		t.Error("namespaces/finalize can be read")
	}
}

func testNamespaceDeletion(t *testing.T, h *harness) {
	ctx, other := in(t.Context(), "deletion", ""), in(t.Context(), "deletion-other", "")
	namespace := func() *corev1.Namespace { return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}} }
	ns := create(ctx, t, h, "namespaces", namespace())
	create(other, t, h, "namespaces", namespace())
	del := func(options *metav1.DeleteOptions) (*corev1.Namespace, bool, error) {
		obj, gone, err := served[rest.GracefulDeleter](t, h, "namespaces").Delete(ctx, "a", rest.ValidateAllObjectFunc, options)
		found, _ := obj.(*corev1.Namespace)
		return found, gone, err
	}
	wrong := "1"
	for _, preconditions := range []*metav1.Preconditions{{UID: &ns.DeepCopy().UID, ResourceVersion: &wrong}, metav1.NewUIDPreconditions("wrong")} {
		if _, _, err := del(&metav1.DeleteOptions{Preconditions: preconditions}); !apierrors.IsConflict(err) {
			t.Errorf("deleting another namespace: %v", err)
		}
	}
	refused := apierrors.NewForbidden(namespacesResource, "a", nil)
	if _, _, err := served[rest.GracefulDeleter](t, h, "namespaces").Delete(ctx, "a", func(context.Context, runtime.Object) error { return refused }, nil); !apierrors.IsForbidden(err) {
		t.Errorf("admission is not asked: %v", err)
	}
	dry := &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}
	if got, _, err := del(dry); err != nil || got.Status.Phase != corev1.NamespaceTerminating {
		t.Errorf("a dry run answers %v, %v", got, err)
	}
	get := func(ctx context.Context) (*corev1.Namespace, error) {
		obj, err := served[rest.Getter](t, h, "namespaces").Get(ctx, "a", &metav1.GetOptions{})
		found, _ := obj.(*corev1.Namespace)
		return found, err
	}
	if got, err := get(ctx); err != nil || got.DeletionTimestamp != nil {
		t.Fatalf("a dry run left %v, %v", got, err)
	}
	if _, _, err := h.group.System["namespaces"].Delete(ctx, "a", rest.ValidateAllObjectFunc, nil); !apierrors.IsConflict(err) {
		t.Errorf("the system store deletes a namespace with content: %v", err)
	}
	options := &metav1.DeleteOptions{}
	for range 2 {
		got, gone, err := del(options)
		if err != nil || gone || got.DeletionTimestamp == nil || got.Status.Phase != corev1.NamespaceTerminating {
			t.Fatalf("deletion answers %v, %v, %v", got, gone, err)
		}
	}
	if options.Preconditions != nil {
		t.Error("deletion changed its options")
	}
	got, err := get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	got.Spec.Finalizers = nil
	if _, err := update(ctx, t, h, "namespaces/finalize", "a", got); err != nil {
		t.Fatal(err)
	}
	if _, err := get(ctx); !apierrors.IsNotFound(err) {
		t.Errorf("after the last finalizer: %v", err)
	}
	if got, err := get(other); err != nil || got.DeletionTimestamp != nil {
		t.Errorf("in another cluster: %v, %v", got, err)
	}
	if _, _, err := del(nil); !apierrors.IsNotFound(err) {
		t.Errorf("deleting what is gone: %v", err)
	}
}

func testClusterAnnotation(t *testing.T, h *harness) {
	ctx := in(t.Context(), "annotated", "a")
	forged := func() *corev1.ConfigMap {
		cm := &corev1.ConfigMap{ObjectMeta: meta("x")}
		cm.Annotations = map[string]string{logicalcluster.AnnotationKey: "other"}
		return cm
	}
	for name, obj := range map[string]*corev1.ConfigMap{
		"dry run": create(ctx, t, h, "configmaps", forged(), metav1.DryRunAll),
		"create":  create(ctx, t, h, "configmaps", forged()),
	} {
		if got := logicalcluster.From(obj); got != "annotated" {
			t.Errorf("%s: lives in %q", name, got)
		}
	}
	updated, err := update(ctx, t, h, "configmaps", "x", forged())
	if err != nil || logicalcluster.From(updated) != "annotated" {
		t.Errorf("update: %v, %v", updated, err)
	}
	if _, err := served[rest.CreaterUpdater](t, h, "configmaps").Create(logicalcluster.WithWildcard(ctx), forged(), rest.ValidateAllObjectFunc, &metav1.CreateOptions{}); err == nil {
		t.Error("a write to all clusters is not refused")
	}
}

// The server itself writes objects in their final state.
func testSystemStore(t *testing.T, h *harness) {
	ctx := in(t.Context(), "system-store", "")
	store := h.group.System["namespaces"]
	obj, err := store.Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "a"},
		Status:     corev1.NamespaceStatus{Conditions: []corev1.NamespaceCondition{{Type: "Some", Status: corev1.ConditionTrue}}},
	}, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ns := obj.(*corev1.Namespace)
	if len(ns.Spec.Finalizers) != 1 || ns.Status.Phase != corev1.NamespaceActive || len(ns.Status.Conditions) != 1 || ns.Labels[corev1.LabelMetadataName] != "a" {
		t.Errorf("created %+v", ns)
	}
	deleter := served[rest.GracefulDeleter](t, h, "namespaces")
	if obj, _, err = deleter.Delete(ctx, "a", rest.ValidateAllObjectFunc, nil); err != nil {
		t.Fatal(err)
	}
	ns = obj.(*corev1.Namespace)
	ns.Spec.Finalizers, ns.Status.Conditions = nil, nil
	if _, _, err := store.Update(ctx, "a", rest.DefaultUpdatedObjectInfo(ns), rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(ctx, "a", &metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("one update does not let it go: %v", err)
	}
}

func testSelectors(t *testing.T, h *harness) {
	ctx := in(t.Context(), "selectors", "a")
	create(ctx, t, h, "secrets", &corev1.Secret{ObjectMeta: meta("opaque")})
	create(ctx, t, h, "secrets", &corev1.Secret{ObjectMeta: meta("login"), Type: corev1.SecretTypeBasicAuth, StringData: map[string]string{"username": "u"}})
	for _, name := range []string{"one", "two"} {
		create(ctx, t, h, "events", &corev1.Event{ObjectMeta: meta(name), Reason: name, InvolvedObject: corev1.ObjectReference{Kind: "ConfigMap", Namespace: "a", Name: "x", UID: "u-" + "1"}})
	}
	create(in(t.Context(), "selectors", ""), t, h, "namespaces", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}})
	for _, tt := range []struct{ resource, namespace, selector, want string }{
		{"secrets", "a", "type=Opaque", "opaque"},
		{"secrets", "a", "type!=Opaque", "login"},
		{"secrets", "a", "metadata.name=login", "login"},
		{"secrets", "a", "metadata.namespace=b", ""},
		{"events", "a", "involvedObject.uid=u-1", "one two"},
		{"events", "a", "involvedObject.uid=u-1,reason=two", "two"},
		{"namespaces", "", "status.phase=Active", "a"},
		{"namespaces", "", "status.phase=Terminating", ""},
	} {
		list, err := served[rest.Lister](t, h, tt.resource).List(in(t.Context(), "selectors", tt.namespace),
			&metainternalversion.ListOptions{FieldSelector: fields.ParseSelectorOrDie(tt.selector)})
		if err != nil {
			t.Errorf("%s %s: %v", tt.resource, tt.selector, err)
			continue
		}
		var names []string
		if err := apimeta.EachListItem(list, func(obj runtime.Object) error {
			names = append(names, obj.(client.Object).GetName())
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(names, " "); got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.resource, tt.selector, got, tt.want)
		}
	}
}

func testSecretWrites(t *testing.T, h *harness) {
	ctx := in(t.Context(), "secret-writes", "a")
	frozen := true
	secret := create(ctx, t, h, "secrets", &corev1.Secret{ObjectMeta: meta("x"), Immutable: &frozen, StringData: map[string]string{"k": "v"}})
	if string(secret.Data["k"]) != "v" || secret.StringData != nil || secret.Type != corev1.SecretTypeOpaque {
		t.Errorf("created %+v", secret)
	}
	secret.StringData = map[string]string{"k": "w"}
	if _, err := update(ctx, t, h, "secrets", "x", secret); !apierrors.IsInvalid(err) {
		t.Errorf("changing what is immutable: %v", err)
	}
	secret.StringData, secret.Data, secret.Type = nil, map[string][]byte{"k": []byte("v")}, ""
	if _, err := update(ctx, t, h, "secrets", "x", secret); err != nil {
		t.Errorf("an update without a change: %v", err)
	}
	token := &corev1.Secret{ObjectMeta: meta("token"), Type: corev1.SecretTypeServiceAccountToken}
	token.Annotations = map[string]string{corev1.ServiceAccountNameKey: "robot"}
	token = create(ctx, t, h, "secrets", token)
	token.Annotations = nil
	if _, err := update(ctx, t, h, "secrets", "token", token); !apierrors.IsInvalid(err) {
		t.Errorf("a Secret for a token of nobody: %v", err)
	}
}

func testQuotaStatus(t *testing.T, h *harness) {
	ctx, warnings := withWarnings(in(t.Context(), "quota", "a"))
	hard := corev1.ResourceList{corev1.ResourceConfigMaps: apimachineryresource.MustParse("5")}
	quota := create(ctx, t, h, "resourcequotas", &corev1.ResourceQuota{ObjectMeta: meta("x"), Spec: corev1.ResourceQuotaSpec{Hard: hard}, Status: corev1.ResourceQuotaStatus{Hard: hard}})
	if len(quota.Status.Hard) != 0 {
		t.Errorf("a user creates with status %v", quota.Status)
	}
	quota.Status.Hard, quota.Spec.Hard = hard, nil
	quota, err := update(ctx, t, h, "resourcequotas/status", "x", quota)
	if err != nil || len(quota.Status.Hard) != 1 || len(quota.Spec.Hard) != 1 {
		t.Fatalf("an update of the status left %+v, %v", quota, err)
	}
	quota.Status.Hard, quota.Spec.Hard = nil, corev1.ResourceList{}
	if quota, err = update(ctx, t, h, "resourcequotas", "x", quota); err != nil || len(quota.Status.Hard) != 1 || len(quota.Spec.Hard) != 0 {
		t.Errorf("an update left %+v, %v", quota, err)
	}
	if len(warnings.said) != 0 {
		t.Errorf("warned %q", warnings.said)
	}
}

func testEventLifetime(t *testing.T, h *harness) {
	ctx := in(t.Context(), "lifetime", "a")
	create(ctx, t, h, "events", &corev1.Event{ObjectMeta: meta("x"), InvolvedObject: corev1.ObjectReference{Namespace: "a"}})
	create(ctx, t, h, "configmaps", &corev1.ConfigMap{ObjectMeta: meta("x")})
	kept := map[string]clientv3.LeaseID{}
	found, err := h.etcd.Client.Get(t.Context(), "/annex/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range found.Kvs {
		if key := string(kv.Key); strings.Contains(key, "/lifetime/") {
			kept[strings.Split(key, "/")[3]] = clientv3.LeaseID(kv.Lease)
		}
	}
	if kept["configmaps"] != 0 || kept["events"] == 0 {
		t.Fatalf("leases %v", kept)
	}
	lease, err := h.etcd.TimeToLive(t.Context(), kept["events"])
	if err != nil {
		t.Fatal(err)
	}
	if granted := time.Duration(lease.GrantedTTL) * time.Second; granted < EventTTL || granted > EventTTL+10*time.Minute {
		t.Errorf("an event stays for %s", granted)
	}
}

func testEventsThroughBoth(t *testing.T, h *harness) {
	other, err := eventsgroup.NewGroup(h.group)
	if err != nil {
		t.Fatal(err)
	}
	ctx := in(t.Context(), "both", "a")
	create(ctx, t, h, "events", &corev1.Event{ObjectMeta: meta("x"), Message: "m", InvolvedObject: corev1.ObjectReference{Namespace: "a"}})
	obj, err := other.Versions["v1"]["events"].(rest.Getter).Get(ctx, "x", &metav1.GetOptions{})
	if err != nil || obj.(*corev1.Event).Message != "m" {
		t.Errorf("got %v, %v", obj, err)
	}
	if len(other.System) != 0 {
		t.Error("events have two system stores")
	}
}

func testShortNames(t *testing.T, h *harness) {
	want := map[string]string{"namespaces": "ns", "configmaps": "cm", "serviceaccounts": "sa", "events": "ev", "limitranges": "limits", "resourcequotas": "quota"}
	for path, storage := range h.group.Versions[version] {
		var short []string
		if named, ok := storage.(rest.ShortNamesProvider); ok {
			short = named.ShortNames()
		}
		if got := strings.Join(short, ","); got != want[path] {
			t.Errorf("%s is known as %q, want %q", path, got, want[path])
		}
	}
}
