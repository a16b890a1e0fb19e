package validation

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
)

// check compares faults with wanted ones, each written as a part of "path: text".
func check(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	for _, w := range want {
		found := false
		for _, e := range errs {
			found = found || strings.Contains(e.Error(), w)
		}
		if !found {
			t.Errorf("no fault has %q in it: %v", w, errs)
		}
	}
	if len(errs) != len(want) {
		t.Errorf("got %d faults, want %d: %v", len(errs), len(want), errs)
	}
}

func TestValidateLogicalCluster(t *testing.T) {
	owner := func() *corev1alpha1.LogicalClusterOwner {
		return &corev1alpha1.LogicalClusterOwner{APIVersion: "tenancy.kcp.io/v1alpha1", Resource: "workspaces", Name: "a", Cluster: "root", UID: "1"}
	}
	for _, tc := range []struct {
		name   string
		change func(*corev1alpha1.LogicalCluster)
		want   []string
	}{
		{"as it should be", func(lc *corev1alpha1.LogicalCluster) { lc.Spec.Owner = owner() }, nil},
		{"another name", func(lc *corev1alpha1.LogicalCluster) { lc.Name = "mine" }, []string{"metadata.name"}},
		{"empty owner", func(lc *corev1alpha1.LogicalCluster) { lc.Spec.Owner = &corev1alpha1.LogicalClusterOwner{} },
			[]string{"spec.owner.apiVersion", "spec.owner.resource", "spec.owner.name", "spec.owner.cluster", "spec.owner.uid"}},
		{"owner in a malformed cluster", func(lc *corev1alpha1.LogicalCluster) { lc.Spec.Owner = owner(); lc.Spec.Owner.Cluster = "root:org" }, []string{"spec.owner.cluster"}},
		{"initializers", func(lc *corev1alpha1.LogicalCluster) {
			lc.Spec.Initializers = []corev1alpha1.LogicalClusterInitializer{"root:universal", "root:org:team", "2f8kq1z0c7a9x3bd:my-type", "system:apibindings"}
		}, nil},
		{"initializers malformed", func(lc *corev1alpha1.LogicalCluster) {
			lc.Spec.Initializers = []corev1alpha1.LogicalClusterInitializer{"universal", ":a", "root:", "*:a", "Root:a", "root:A", "root:a", "root:a"}
		}, []string{"[0]", "[1]", "[2]", "[3]", "[4]", "[5]", "spec.initializers[7]: Duplicate"}},
		{"terminators malformed", func(lc *corev1alpha1.LogicalCluster) {
			lc.Spec.Terminators = []corev1alpha1.LogicalClusterTerminator{"x"}
		}, []string{"spec.terminators[0]"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster", ResourceVersion: "1"}}
			tc.change(lc)
			check(t, ValidateLogicalCluster(lc), tc.want...)
			check(t, ValidateLogicalClusterUpdate(lc, lc), tc.want...)
		})
	}
}

func TestValidateLogicalClusterStatusUpdate(t *testing.T) {
	lc := &corev1alpha1.LogicalCluster{ObjectMeta: metav1.ObjectMeta{Name: "cluster", ResourceVersion: "1"}}
	for _, phase := range []corev1alpha1.LogicalClusterPhaseType{"", "Scheduling", "Initializing", "Ready", "Unavailable", "Inactive", "Terminating", "Deleting"} {
		lc.Status.Phase = phase
		check(t, ValidateLogicalClusterStatusUpdate(lc, lc))
	}
	lc.Status.Phase = "ready"
	lc.Status.URL = "/clusters/a"
	check(t, ValidateLogicalClusterStatusUpdate(lc, lc), "status.phase: Unsupported value", "status.URL")
}

func TestValidateShard(t *testing.T) {
	shard := &corev1alpha1.Shard{ObjectMeta: metav1.ObjectMeta{Name: "root", ResourceVersion: "1"}}
	check(t, ValidateShard(shard), "spec.baseURL: Required")
	shard.Spec.BaseURL = "https://127.0.0.1:6443"
	corev1alpha1.SetObjectDefaults_Shard(shard)
	check(t, ValidateShard(shard))
	if shard.Spec.ExternalURL != shard.Spec.BaseURL || shard.Spec.VirtualWorkspaceURL != shard.Spec.BaseURL {
		t.Errorf("defaults are %+v", shard.Spec)
	}
	shard.Spec.ExternalURL, shard.Spec.VirtualWorkspaceURL = "x", "//y"
	check(t, ValidateShardUpdate(shard, shard), "spec.externalURL", "spec.virtualWorkspaceURL")
}
