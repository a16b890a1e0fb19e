package validation

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
)

func TestValidateAPIExportRollout(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*annexv1alpha1.APIExportRolloutSpec)
		want   string
	}{
		"valid":    {func(*annexv1alpha1.APIExportRolloutSpec) {}, ""},
		"no waves": {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Waves = nil }, ""},
		"too many waves": {func(s *annexv1alpha1.APIExportRolloutSpec) {
			for range MaxRolloutWaves {
				s.Waves = append(s.Waves, s.Waves[0])
			}
		}, "spec.waves: Too many"},
		"an empty wave":       {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Waves[0].Percentage = nil }, "spec.waves[0]: Required"},
		"a wave of two kinds": {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Waves[0].Clusters = []string{"abc"} }, "spec.waves[0]: Forbidden"},
		"0 percent":           {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Waves[0].Percentage = ptr.To[int32](0) }, "spec.waves[0].percentage: Invalid"},
		"101 percent":         {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Waves[0].Percentage = ptr.To[int32](101) }, "spec.waves[0].percentage: Invalid"},
		"a bad selector": {func(s *annexv1alpha1.APIExportRolloutSpec) {
			s.Waves[1].Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}
		}, "spec.waves[1].selector.matchExpressions[0].operator: Invalid"},
		"a path for a cluster": {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Waves[2].Clusters = []string{"root:org"} }, "spec.waves[2].clusters[0]: Invalid"},
		"a cluster twice":      {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Skip = []string{"abc", "abc"} }, "spec.skip[1]: Duplicate"},
		"a cluster of no name": {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Skip = []string{""} }, "spec.skip[0]: Required"},
		"too many clusters":    {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Skip = make([]string, MaxRolloutClusters+1) }, "spec.skip: Too many"},
		"a negative pause": {func(s *annexv1alpha1.APIExportRolloutSpec) {
			s.Waves[0].Pause = &annexv1alpha1.RolloutPause{Duration: &metav1.Duration{Duration: -time.Second}}
		}, "spec.waves[0].pause.duration: Invalid"},
		"resume of no revision": {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Resume = &annexv1alpha1.RolloutResume{Wave: 1} }, "spec.resume.revision: Invalid"},
		"resume of no wave":     {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Resume = &annexv1alpha1.RolloutResume{Revision: 1} }, "spec.resume.wave: Invalid"},
		"too many failures":     {func(s *annexv1alpha1.APIExportRolloutSpec) { s.MaxFailures = MaxRolloutFailures + 1 }, "spec.maxFailures: Invalid"},
		"fewer than none":       {func(s *annexv1alpha1.APIExportRolloutSpec) { s.MaxFailures = -1 }, "spec.maxFailures: Invalid"},
		"undo of nothing":       {func(s *annexv1alpha1.APIExportRolloutSpec) { s.Undo = -1 }, "spec.undo: Invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &annexv1alpha1.APIExportRollout{ObjectMeta: metav1.ObjectMeta{Name: "things", ResourceVersion: "1"}}
			r.Spec.Waves = []annexv1alpha1.RolloutWave{
				{Percentage: ptr.To[int32](10), Pause: &annexv1alpha1.RolloutPause{}},
				{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"ring": "early"}}},
				{Clusters: []string{"2f8kq1z0c7a9x3bd"}, Pause: &annexv1alpha1.RolloutPause{Duration: &metav1.Duration{Duration: time.Hour}}},
			}
			tc.change(&r.Spec)
			for _, errs := range [][]error{toErrors(ValidateAPIExportRollout(r)), toErrors(ValidateAPIExportRolloutUpdate(r, r.DeepCopy()))} {
				if tc.want == "" && len(errs) > 0 || tc.want != "" && (len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), tc.want)) {
					t.Errorf("got %v, want %q", errs, tc.want)
				}
			}
		})
	}
	old := &annexv1alpha1.APIExportRollout{ObjectMeta: metav1.ObjectMeta{Name: "things", ResourceVersion: "1"}}
	old.Status.Revision = 3
	back := old.DeepCopy()
	back.Status.Revision = 2
	if errs := ValidateAPIExportRolloutStatusUpdate(back, old); len(errs) != 1 {
		t.Errorf("a revision that goes back: %v", errs)
	}
}

func toErrors[E error](errs []E) (all []error) {
	for _, err := range errs {
		all = append(all, err)
	}
	return all
}
