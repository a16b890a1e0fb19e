package namespace

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clocktesting "k8s.io/utils/clock/testing"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

func configMap(name string, finalizers ...string) *corev1.ConfigMap {
	return clienttest.In("one", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Finalizers: finalizers}})
}

// going returns a namespace whose deletion began age ago.
func going(now time.Time, age time.Duration, finalizers ...corev1.FinalizerName) *corev1.Namespace {
	since := metav1.NewTime(now.Add(-age))
	return clienttest.In("one", &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "a", DeletionTimestamp: &since},
		Spec:       corev1.NamespaceSpec{Finalizers: finalizers},
		Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceTerminating},
	})
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	past := metav1.NewTime(now)
	clusterGoes := clienttest.In("one", &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster", DeletionTimestamp: &past, Finalizers: []string{"x.io/y"}}})
	active := clienttest.In("one", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{"kubernetes"}}})
	// What lives in another cluster under the same names is nobody's business.
	other := clienttest.In("two", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x"}})
	tests := map[string]struct {
		objects    []client.Object
		fails      error
		wantWrites []string
		wantAfter  time.Duration
		wantTrue   []corev1.NamespaceConditionType // conditions that say what is in the way
	}{
		"missing": {},
		"active":  {objects: []client.Object{active, configMap("x")}},
		"emptied and let go": {
			objects:    []client.Object{going(now, time.Minute, "kubernetes"), configMap("x"), configMap("y"), other},
			wantWrites: []string{"delete configmaps one|a/x", "delete configmaps one|a/y", "delete namespaces one|a"},
		},
		"emptied, and let go at once": {
			objects:    []client.Object{going(now, 0, "kubernetes"), configMap("x")},
			wantWrites: []string{"delete configmaps one|a/x", "delete namespaces one|a"},
		},
		"left to its cluster that goes": {
			objects:   []client.Object{going(now, 0, "kubernetes"), configMap("x"), clusterGoes},
			wantAfter: 2 * time.Second,
		},
		"goes with its cluster that takes long": {
			objects:    []client.Object{going(now, 2*time.Second, "kubernetes"), configMap("x"), clusterGoes},
			wantWrites: []string{"delete configmaps one|a/x", "delete namespaces one|a"},
		},
		"held by an object with a finalizer": {
			objects:    []client.Object{going(now, 10*time.Second, "kubernetes"), configMap("x", "example.com/hold"), configMap("y")},
			wantWrites: []string{"update configmaps one|a/x", "delete configmaps one|a/y", "update namespaces one|a"},
			wantAfter:  time.Second,
			wantTrue:   []corev1.NamespaceConditionType{corev1.NamespaceContentRemaining, corev1.NamespaceFinalizersRemaining},
		},
		"held for long": {
			objects:    []client.Object{going(now, time.Hour, "kubernetes"), configMap("x", "example.com/hold")},
			wantWrites: []string{"update configmaps one|a/x", "update namespaces one|a"},
			wantAfter:  30 * time.Second,
			wantTrue:   []corev1.NamespaceConditionType{corev1.NamespaceContentRemaining, corev1.NamespaceFinalizersRemaining},
		},
		"content cannot be deleted": {
			objects:    []client.Object{going(now, time.Minute, "kubernetes")},
			fails:      errors.New("etcd is away"),
			wantWrites: []string{"update namespaces one|a"},
			wantTrue:   []corev1.NamespaceConditionType{corev1.NamespaceDeletionContentFailure},
		},
		"held by a finalizer of its own": {
			objects:    []client.Object{going(now, time.Minute, "kubernetes", "example.com/hold")},
			wantWrites: []string{"update namespaces one|a"},
		},
		"only the finalizer of somebody else is left": {
			objects: []client.Object{going(now, time.Minute, "example.com/hold"), configMap("x")},
		},
		"finalized before its deletion": {
			objects:    []client.Object{going(now, time.Minute)},
			wantWrites: []string{"delete namespaces one|a"},
		},
	}
	key := client.Key{Cluster: "one", Name: "a"}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			fake := clienttest.NewFake(tt.objects...)
			content := clienttest.NewContent(fake)
			content.Fail(tt.fails)
			d := &deletion{client: fake, content: content, clock: clocktesting.NewFakePassiveClock(now)}
			result, err := d.reconcile(t.Context(), key)
			if !errors.Is(err, tt.fails) {
				t.Errorf("got error %v, want %v", err, tt.fails)
			}
			if result.RequeueAfter != tt.wantAfter {
				t.Errorf("comes back after %s, want %s", result.RequeueAfter, tt.wantAfter)
			}
			if got := fake.Writes(); !slices.Equal(got, tt.wantWrites) {
				t.Errorf("got writes %v, want %v", got, tt.wantWrites)
			}
			if got := trueConditions(t, fake, key); !slices.Equal(got, tt.wantTrue) {
				t.Errorf("got conditions %v, want %v", got, tt.wantTrue)
			}
			if mutated := fake.Mutated(); len(mutated) > 0 {
				t.Errorf("changed shared objects: %v", mutated)
			}
			if tt.wantTrue != nil && tt.fails == nil {
				if _, err := d.reconcile(t.Context(), key); err != nil || len(fake.Writes()) != len(tt.wantWrites) {
					t.Errorf("a second look wrote %v: %v", fake.Writes(), err)
				}
			}
		})
	}
}

func trueConditions(t *testing.T, fake *clienttest.Fake, key client.Key) []corev1.NamespaceConditionType {
	t.Helper()
	obj, err := fake.Get(t.Context(), resource("namespaces"), key)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var found []corev1.NamespaceConditionType
	for _, condition := range obj.(*corev1.Namespace).Status.Conditions {
		if condition.Status == corev1.ConditionTrue {
			found = append(found, condition.Type)
		}
	}
	return found
}

func TestSetConditions(t *testing.T) {
	t.Parallel()
	first, second := metav1.NewTime(time.Unix(100, 0)), metav1.NewTime(time.Unix(200, 0))
	status := &corev1.NamespaceStatus{}
	remaining := client.Remaining{}
	remaining.Resources = map[schema.GroupResource]int{resource("configmaps"): 2, {Group: "example.com", Resource: "widgets"}: 1}
	remaining.Finalizers = map[string]int{"example.com/b": 1, "example.com/a": 2}
	setConditions(status, remaining, errors.New("broken"), first)
	text := func() string {
		var lines []string
		for _, c := range status.Conditions {
			lines = append(lines, strings.Join([]string{string(c.Type), string(c.Status), c.Reason, c.Message}, " "))
		}
		return strings.Join(lines, "\n")
	}
	const fine = "NamespaceDeletionDiscoveryFailure False ResourcesDiscovered All resources successfully discovered\n" +
		"NamespaceDeletionGroupVersionParsingFailure False ParsedGroupVersions All legacy kube types successfully parsed\n"
	want := fine + "NamespaceDeletionContentFailure True ContentDeletionFailed Failed to delete all resource types, 1 remaining: broken\n" +
		"NamespaceContentRemaining True SomeResourcesRemain Some resources are remaining: configmaps. has 2 resource instances, widgets.example.com has 1 resource instances\n" +
		"NamespaceFinalizersRemaining True SomeFinalizersRemain Some content in the namespace has finalizers remaining: example.com/a in 2 resource instances, example.com/b in 1 resource instances"
	if got := text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	setConditions(status, client.Remaining{Resources: remaining.Resources}, nil, second)
	for i, wantTime := range []metav1.Time{first, first, second, first, second} {
		if c := status.Conditions[i]; !c.LastTransitionTime.Equal(&wantTime) {
			t.Errorf("%s changed at %s, want %s", c.Type, c.LastTransitionTime, wantTime)
		}
	}
	want = fine + "NamespaceDeletionContentFailure False ContentDeleted All content successfully deleted, may be waiting on finalization\n" +
		"NamespaceContentRemaining True SomeResourcesRemain Some resources are remaining: configmaps. has 2 resource instances, widgets.example.com has 1 resource instances\n" +
		"NamespaceFinalizersRemaining False ContentHasNoFinalizers All content-preserving finalizers finished"
	if got := text(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
