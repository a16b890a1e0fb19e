package rollout

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

func percent(t *testing.T, export string, n int32) *Waves {
	t.Helper()
	r := &annexv1alpha1.APIExportRollout{ObjectMeta: metav1.ObjectMeta{Name: export}}
	r.Spec.Waves = []annexv1alpha1.RolloutWave{{Percentage: ptr.To(n)}}
	w, err := WavesOf("provider", r)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWaves_PercentagesAreTheSameConsumersEveryTime(t *testing.T) {
	const many = 5000
	chosen := func(export string, n int32) map[string]bool {
		w, all := percent(t, export, n), map[string]bool{}
		for i := range many {
			if name := fmt.Sprintf("c%d", i); w.Of(logicalcluster.Name(name), nil) == 1 {
				all[name] = true
			}
		}
		return all
	}
	ten, again, twenty, other := chosen("things", 10), chosen("things", 10), chosen("things", 20), chosen("others", 10)
	if len(ten) < many*8/100 || len(ten) > many*12/100 {
		t.Errorf("10 %% of %d are %d", many, len(ten))
	}
	common := 0
	for name := range ten {
		if !again[name] || !twenty[name] {
			t.Errorf("%s is in 10 %%, again %t, in 20 %% %t", name, again[name], twenty[name])
		}
		if other[name] {
			common++
		}
	}
	if len(again) != len(ten) || common > len(ten)/2 {
		t.Errorf("%d and %d; %d are first for another export too", len(ten), len(again), common)
	}
	if got := len(chosen("things", 100)); got != many {
		t.Errorf("100 %% are %d", got)
	}
}

func TestWaves_Of(t *testing.T) {
	r := &annexv1alpha1.APIExportRollout{ObjectMeta: metav1.ObjectMeta{Name: "things"}}
	r.Spec.Waves = []annexv1alpha1.RolloutWave{
		{Clusters: []string{"first"}}, {Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"ring": "canary"}}}, {Percentage: ptr.To[int32](100)},
	}
	w, err := WavesOf("provider", r)
	if err != nil || !w.Labeled() || w.Len() != 4 {
		t.Fatal(err, w)
	}
	for _, c := range []struct {
		cluster logicalcluster.Name
		labels  map[string]string
		want    int32
	}{
		{"first", map[string]string{"ring": "canary"}, 1},
		{"second", map[string]string{"ring": "canary"}, 2},
		{"second", map[string]string{"ring": "stable"}, 3},
		{"second", nil, 3},
	} {
		if got := w.Of(c.cluster, c.labels); got != c.want {
			t.Errorf("%s %v: wave %d, want %d", c.cluster, c.labels, got, c.want)
		}
	}
	r.Spec.Waves = r.Spec.Waves[:1]
	if w, err = WavesOf("provider", r); err != nil || w.Labeled() || w.Of("second", nil) != 2 {
		t.Error("who is in no wave is not in the last one:", err)
	}
}

func TestForNew(t *testing.T) {
	r := &annexv1alpha1.APIExportRollout{ObjectMeta: metav1.ObjectMeta{Name: "things"}}
	r.Spec.Waves = []annexv1alpha1.RolloutWave{{Clusters: []string{"first"}}}
	r.Status.Revision, r.Status.Wave, r.Status.Phase = 3, 1, annexv1alpha1.RolloutPhaseProgressing
	r.Status.Resources = []annexv1alpha1.RolloutResource{{Group: "example.com", Resource: "widgets", From: "v1", To: "v2"}}
	for name, c := range map[string]struct {
		change      func(*annexv1alpha1.APIExportRollout)
		first, rest string
	}{
		"in the first wave":  {func(*annexv1alpha1.APIExportRollout) {}, "v2", "v1"},
		"in the last wave":   {func(r *annexv1alpha1.APIExportRollout) { r.Status.Wave = 2 }, "v2", "v2"},
		"skipped":            {func(r *annexv1alpha1.APIExportRollout) { r.Spec.Skip = []string{"first"} }, "v1", "v1"},
		"undone":             {func(r *annexv1alpha1.APIExportRollout) { r.Spec.Undo = 3 }, "v1", "v1"},
		"another one undone": {func(r *annexv1alpha1.APIExportRollout) { r.Spec.Undo = 2 }, "v2", "v1"},
		"complete":           {func(r *annexv1alpha1.APIExportRollout) { r.Status.Phase = annexv1alpha1.RolloutPhaseComplete }, "v2", "v2"},
		"complete, and undone": {func(r *annexv1alpha1.APIExportRollout) {
			r.Status.Phase, r.Spec.Undo = annexv1alpha1.RolloutPhaseComplete, 3
		}, "v1", "v1"},
	} {
		now := r.DeepCopy()
		c.change(now)
		w, err := WavesOf("provider", now)
		if err != nil {
			t.Fatal(err)
		}
		if got := ForNew(w, now, &now.Status.Resources[0], "first", nil); got != c.first {
			t.Errorf("%s: the first gets %s, want %s", name, got, c.first)
		}
		if got := ForNew(w, now, &now.Status.Resources[0], "second", nil); got != c.rest {
			t.Errorf("%s: the rest gets %s, want %s", name, got, c.rest)
		}
	}
	if !InUse(r, "v1") || !InUse(r, "v2") || InUse(r, "v0") {
		t.Error("the schemas in use are wrong while it progresses")
	}
	if r.Status.Phase = annexv1alpha1.RolloutPhaseComplete; InUse(r, "v1") || !InUse(r, "v2") {
		t.Error("the schemas in use are wrong when it is complete")
	}
}
