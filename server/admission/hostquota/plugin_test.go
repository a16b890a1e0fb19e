package hostquota

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes/fake"
	kubetesting "k8s.io/client-go/testing"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

const counted corev1.ResourceName = "count/workspaceclaims.annex.dev"

func newQuota(name string, used, hard string) *corev1.ResourceQuota {
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: name}}
	q.Status.Hard = corev1.ResourceList{counted: resource.MustParse(hard)}
	q.Status.Used = corev1.ResourceList{counted: resource.MustParse(used)}
	q.Spec.Hard = q.Status.Hard
	return q
}

func newPlugin(t *testing.T, client *fake.Clientset) *Plugin {
	t.Helper()
	c := Config{
		Concerns: func(gr schema.GroupResource) bool { return gr == annexv1alpha1.Resource("workspaceclaims") },
		Hosts:    func(cluster logicalcluster.Name) bool { return cluster == "root" },
	}
	if client != nil {
		c.Quotas = client.CoreV1()
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func claim(dryRun bool) admission.Attributes {
	obj := &annexv1alpha1.WorkspaceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "app"}}
	return admission.NewAttributesRecord(obj, nil, annexv1alpha1.SchemeGroupVersion.WithKind("WorkspaceClaim"), "team-a", "app",
		annexv1alpha1.SchemeGroupVersion.WithResource("workspaceclaims"), "", admission.Create, &metav1.CreateOptions{}, dryRun, nil)
}

func used(t *testing.T, client *fake.Clientset, name string) string {
	t.Helper()
	q, err := client.CoreV1().ResourceQuotas("team-a").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	amount := q.Status.Used[counted]
	return amount.String()
}

func TestPlugin(t *testing.T) {
	for name, tt := range map[string]struct {
		quotas   []runtime.Object
		dryRun   bool
		want     string
		wantUsed string
	}{
		"there is room": {[]runtime.Object{newQuota("q", "0", "1")}, false, "", "1"},
		"a dry run":     {[]runtime.Object{newQuota("q", "0", "1")}, true, "", "0"},
		"it is full": {[]runtime.Object{newQuota("q", "1", "1")}, false,
			"exceeded quota: q, requested: count/workspaceclaims.annex.dev=1, used: count/workspaceclaims.annex.dev=1, limited: count/workspaceclaims.annex.dev=1", "1"},
		"a dry run that exceeds it": {[]runtime.Object{newQuota("q", "1", "1")}, true, "exceeded quota: q", "1"},
		"one of two is full":        {[]runtime.Object{newQuota("p", "5", "5"), newQuota("q", "0", "1")}, false, "exceeded quota: p", "0"},
		"both have room":            {[]runtime.Object{newQuota("p", "4", "5"), newQuota("q", "0", "1")}, false, "", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			client := fake.NewClientset(tt.quotas...)
			err := newPlugin(t, client).Validate(logicalcluster.WithCluster(t.Context(), "root"), claim(tt.dryRun), nil)
			if tt.want == "" && err != nil || tt.want != "" && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if got := used(t, client, "q"); got != tt.wantUsed {
				t.Errorf("used %s, want %s", got, tt.wantUsed)
			}
		})
	}
}

// Whoever writes the quota at the same time, each object is counted once in each quota.
func TestPlugin_Conflicts(t *testing.T) {
	client := fake.NewClientset(newQuota("p", "0", "9"), newQuota("q", "0", "9"))
	var once sync.Once
	client.PrependReactor("update", "resourcequotas", func(action kubetesting.Action) (bool, runtime.Object, error) {
		q := action.(kubetesting.UpdateAction).GetObject().(*corev1.ResourceQuota)
		late := false
		if q.Name == "q" {
			once.Do(func() {
				late = true
				if err := client.Tracker().Update(corev1.SchemeGroupVersion.WithResource("resourcequotas"), newQuota("q", "3", "9"), "team-a"); err != nil {
					t.Error(err)
				}
			})
		}
		if late {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "resourcequotas"}, "q", errors.New("changed"))
		}
		return false, nil, nil
	})
	if err := newPlugin(t, client).Validate(logicalcluster.WithCluster(t.Context(), "root"), claim(false), nil); err != nil {
		t.Fatal(err)
	}
	if p, q := used(t, client, "p"), used(t, client, "q"); p != "1" || q != "4" {
		t.Errorf("used %s and %s, want 1 and 4", p, q)
	}
}

func TestPlugin_FailsClosed(t *testing.T) {
	gr := schema.GroupResource{Resource: "resourcequotas"}
	for name, tt := range map[string]struct {
		verb string
		err  error
		is   func(error) bool
	}{
		"may not list":   {"list", apierrors.NewForbidden(gr, "", errors.New("no")), apierrors.IsForbidden},
		"may not update": {"update", apierrors.NewForbidden(gr, "", errors.New("no")), apierrors.IsForbidden},
		"unreachable":    {"list", errors.New("connection refused"), apierrors.IsServiceUnavailable},
		"always late":    {"update", apierrors.NewConflict(gr, "q", errors.New("changed")), apierrors.IsServiceUnavailable},
	} {
		client := fake.NewClientset(newQuota("q", "0", "1"))
		client.PrependReactor(tt.verb, "resourcequotas", func(kubetesting.Action) (bool, runtime.Object, error) { return true, nil, tt.err })
		if err := newPlugin(t, client).Validate(logicalcluster.WithCluster(t.Context(), "root"), claim(false), nil); !tt.is(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := newPlugin(t, nil).Validate(logicalcluster.WithCluster(t.Context(), "root"), claim(false), nil); !apierrors.IsServiceUnavailable(err) {
		t.Errorf("without a host: %v", err)
	}
	if err := newPlugin(t, nil).Validate(t.Context(), claim(false), nil); !apierrors.IsInternalError(err) {
		t.Errorf("without a cluster: %v", err)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a plugin that concerns nothing was built")
	}
}

// Nothing is asked about other workspaces, other kinds and other requests.
func TestPlugin_ConcernsClaimsOnTheHost(t *testing.T) {
	p := newPlugin(t, nil)
	if err := p.Validate(logicalcluster.WithCluster(t.Context(), "elsewhere"), claim(false), nil); err != nil {
		t.Errorf("another workspace: %v", err)
	}
	ctx := logicalcluster.WithCluster(t.Context(), "root")
	for _, tt := range []struct{ resource, subresource string }{{"secrets", ""}, {"workspaceclaims", "status"}} {
		a := admission.NewAttributesRecord(nil, nil, schema.GroupVersionKind{}, "team-a", "app", annexv1alpha1.SchemeGroupVersion.WithResource(tt.resource), tt.subresource, admission.Create, nil, false, nil)
		if err := p.Validate(ctx, a, nil); err != nil {
			t.Errorf("%v: %v", fmt.Sprint(tt), err)
		}
	}
	if p.Handles(admission.Update) || p.Handles(admission.Delete) {
		t.Error("it handles more than creations")
	}
}
