package lifecycle

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

var phases = []corev1alpha1.LogicalClusterPhaseType{scheduling, initializing, ready, inactive, unavailable, terminating, deleting}

func clusterIn(phase corev1alpha1.LogicalClusterPhaseType) *cluster {
	return &cluster{Status: corev1alpha1.LogicalClusterStatus{Phase: phase}}
}

func workspaceIn(phase corev1alpha1.LogicalClusterPhaseType) *tenancyv1alpha1.Workspace {
	return &tenancyv1alpha1.Workspace{Status: tenancyv1alpha1.WorkspaceStatus{Phase: phase}}
}

// As the tables in the documentation of the package say it; rows are the phases before, columns are in the order of phases.
func TestCheck_Phases(t *testing.T) {
	ofCluster := []string{"yyynnyy", "nyynnyy", "nnyyyyy", "nnyyyyy", "nnyyyyy", "nnnnnyy", "nnnnnny"}
	ofWorkspace := []string{"yyyyyyy", "nyyyyyy", "nnyyyyy", "nnyyyyy", "nyyyyyy", "nnnnyyy", "nnnnyny"}
	ofDeleted := []string{"ynnnnyy", "nynnnyy", "nnynnyy", "nnnynyy", "nnnnyyy", "nnnnnyy", "nnnnnny"}
	now := metav1.NewTime(time.Now())
	for i, from := range phases {
		for j, to := range phases {
			if err := CheckCluster(clusterIn(to), clusterIn(from)); (err == nil) != (ofCluster[i][j] == 'y') {
				t.Errorf("a LogicalCluster from %s to %s: %v", from, to, err)
			}
			if err := CheckWorkspace(workspaceIn(to), workspaceIn(from)); (err == nil) != (ofWorkspace[i][j] == 'y') {
				t.Errorf("a Workspace from %s to %s: %v", from, to, err)
			}
			updated, old := workspaceIn(to), workspaceIn(from)
			updated.DeletionTimestamp, old.DeletionTimestamp = &now, &now
			if err := CheckWorkspace(updated, old); (err == nil) != (ofDeleted[i][j] == 'y') {
				t.Errorf("a Workspace that is being deleted, from %s to %s: %v", from, to, err)
			}
		}
	}
	if CheckCluster(clusterIn(ready), clusterIn("")) != nil || CheckCluster(clusterIn(""), clusterIn(ready)) == nil {
		t.Error("no phase is not taken for Scheduling")
	}
}

func TestCheckCluster_Lists(t *testing.T) {
	with := func(phase corev1alpha1.LogicalClusterPhaseType, initializers []initializer, terminators []terminator) *cluster {
		lc := clusterIn(phase)
		lc.Status.Initializers, lc.Status.Terminators = initializers, terminators
		return lc
	}
	for name, tc := range map[string]struct {
		updated, old *cluster
		refused      bool
	}{
		"begins with some":         {with(initializing, []initializer{"a:x"}, []terminator{"a:x"}), clusterIn(scheduling), false},
		"Ready too early":          {with(ready, []initializer{"a:x"}, nil), with(initializing, []initializer{"a:x"}, nil), true},
		"Ready in time":            {with(ready, nil, nil), with(initializing, []initializer{"a:x"}, nil), false},
		"one initializer less":     {with(initializing, []initializer{"b:y"}, nil), with(initializing, []initializer{"a:x", "b:y"}, nil), false},
		"one initializer more":     {with(initializing, []initializer{"a:x", "b:y"}, nil), with(initializing, []initializer{"a:x"}, nil), true},
		"an initializer, late":     {with(ready, []initializer{"a:x"}, nil), clusterIn(ready), true},
		"a terminator, late":       {with(ready, nil, []terminator{"a:x"}), clusterIn(ready), true},
		"Deleting with terminator": {with(deleting, nil, []terminator{"a:x"}), with(terminating, nil, []terminator{"a:x"}), false}, // Settle keeps that from being stored
		"an old fault stays":       {with(ready, []initializer{"a:x"}, nil), with(ready, []initializer{"a:x"}, nil), false},
	} {
		if err := CheckCluster(tc.updated, tc.old); (err != nil) != tc.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}
