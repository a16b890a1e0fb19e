package lifecycle

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

type (
	cluster     = corev1alpha1.LogicalCluster
	initializer = corev1alpha1.LogicalClusterInitializer
	terminator  = corev1alpha1.LogicalClusterTerminator
)

const finalizer = corev1alpha1.LogicalClusterHasTerminatorsFinalizer

// written returns what is stored when change is applied to old, which is nil for a creation.
func written(old *cluster, change func(*cluster)) *cluster {
	lc := &cluster{}
	if old != nil {
		lc = old.DeepCopy()
	}
	change(lc)
	Settle(lc, old)
	return lc
}

func TestLabels_FitAndRepeatTheStatus(t *testing.T) {
	long := strings.Repeat("a", 60) + ":" + strings.Repeat("b", 60)
	ikey, ivalue := InitializerLabel(initializer(long))
	tkey, tvalue := TerminatorLabel(terminator(long))
	if ivalue != tvalue || ikey == tkey || len(ivalue) != 56 {
		t.Errorf("labels are %s=%s and %s=%s", ikey, ivalue, tkey, tvalue)
	}
	for _, key := range []string{ikey, tkey} {
		if faults := validation.IsQualifiedName(key); len(faults) > 0 || len(key) != 63 {
			t.Errorf("key %s: %v", key, faults)
		}
	}
	// Known from kcp: the SHA-224 of the name.
	if key, value := InitializerLabel("root:universal"); !strings.HasPrefix(value, strings.TrimPrefix(key, "initializer.internal.kcp.io/")) {
		t.Errorf("the key %s is not the begin of %s", key, value)
	}
	forged, _ := InitializerLabel("root:other")
	given := map[string]string{"mine": "stays", forged: ivalue, tenancyv1alpha1.WorkspacePhaseLabel: "Ready"}
	before := maps.Clone(given)
	got := Labels(given, initializing, []initializer{initializer(long)}, nil)
	want := map[string]string{"mine": "stays", ikey: ivalue, tenancyv1alpha1.WorkspacePhaseLabel: "Initializing"}
	if !maps.Equal(got, want) || !maps.Equal(given, before) {
		t.Errorf("labels are %v, want %v; those given are %v", got, want, given)
	}
	again := Labels(got, initializing, []initializer{initializer(long)}, nil)
	again["same map"] = ""
	if _, same := got["same map"]; !same {
		t.Error("labels that are right are copied")
	}
}

func TestSettle_AWorkspaceWithInitializers(t *testing.T) {
	lc := written(nil, func(lc *cluster) {
		lc.Spec.Initializers, lc.Spec.Terminators = []initializer{"a:x", "b:y"}, []terminator{"a:x"}
		lc.Status.Phase = initializing
	})
	if !slices.Equal(lc.Status.Initializers, lc.Spec.Initializers) || !slices.Equal(lc.Status.Terminators, lc.Spec.Terminators) {
		t.Fatalf("status is %+v", lc.Status)
	}
	c := conditionsv1alpha1.Get(lc, corev1alpha1.WorkspaceInitialized)
	if c == nil || c.Reason != corev1alpha1.InitializerExistsReason || c.Message != "Initializers still exist: [a:x b:y]" {
		t.Errorf("the condition is %+v", c)
	}
	if !slices.Equal(lc.Finalizers, []string{finalizer}) || len(lc.Labels) != 4 {
		t.Errorf("finalizers %v, labels %v", lc.Finalizers, lc.Labels)
	}
	lc = written(lc, func(lc *cluster) { lc.Status.Initializers, lc.Finalizers, lc.Labels = []initializer{"b:y"}, nil, nil })
	if lc.Status.Phase != initializing || !slices.Contains(lc.Finalizers, finalizer) || len(lc.Labels) != 3 {
		t.Errorf("after the first: phase %s, finalizers %v, labels %v", lc.Status.Phase, lc.Finalizers, lc.Labels)
	}
	lc = written(lc, func(lc *cluster) { lc.Status.Initializers = nil })
	if lc.Status.Phase != ready || !conditionsv1alpha1.IsTrue(lc, corev1alpha1.WorkspaceInitialized) || len(lc.Labels) != 2 {
		t.Errorf("after the last: phase %s, conditions %v, labels %v", lc.Status.Phase, lc.Status.Conditions, lc.Labels)
	}
	now := metav1.NewTime(time.Now())
	lc = written(lc, func(lc *cluster) { lc.DeletionTimestamp = &now })
	if lc.Status.Phase != terminating {
		t.Errorf("its deletion begins in phase %s", lc.Status.Phase)
	}
	lc = written(lc, func(lc *cluster) { lc.Status.Terminators = []terminator{} })
	if lc.Status.Phase != deleting || len(lc.Finalizers) != 0 || lc.Labels[tenancyv1alpha1.WorkspacePhaseLabel] != string(deleting) || len(lc.Labels) != 1 {
		t.Errorf("after the last terminator: phase %s, finalizers %v, labels %v", lc.Status.Phase, lc.Finalizers, lc.Labels)
	}
}

func TestSettle_OneWithoutAnythingToWaitForCostsNothing(t *testing.T) {
	lc := written(nil, func(lc *cluster) { lc.Status.Phase = ready })
	if len(lc.Finalizers) > 0 || len(lc.Status.Conditions) > 0 || len(lc.Labels) != 1 {
		t.Errorf("it has %+v %+v", lc.ObjectMeta, lc.Status)
	}
	// An earlier release left it waiting for bindings without an initializer. That is no reason to be Ready.
	lc = written(nil, func(lc *cluster) { lc.Status.Phase = initializing })
	if lc = written(lc, func(*cluster) {}); lc.Status.Phase != initializing || len(lc.Status.Conditions) > 0 {
		t.Errorf("it is %+v", lc.Status)
	}
	// Nobody is copied to the status before the phase says so.
	lc = written(nil, func(lc *cluster) { lc.Spec.Initializers = []initializer{"a:x"} })
	if lc.Status.Phase != corev1alpha1.LogicalClusterPhaseScheduling || len(lc.Status.Initializers) > 0 {
		t.Errorf("it begins as %+v", lc.Status)
	}
	if lc = written(lc, func(lc *cluster) { lc.Status.Phase = initializing }); len(lc.Status.Initializers) != 1 {
		t.Errorf("it goes on as %+v", lc.Status)
	}
}

// Whatever is written in which order: the phase says what the lists say, the metadata repeat it, and no phase is left backwards.
func TestSettle_RandomWrites(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		lc := written(nil, func(lc *cluster) {
			lc.Spec.Initializers, lc.Spec.Terminators = []initializer{"a:x", "b:y"}[:random.IntN(3)], []terminator{"a:x", "b:y"}[:random.IntN(3)]
			if lc.Status.Phase = ready; len(lc.Spec.Initializers) > 0 {
				lc.Status.Phase = initializing
			}
		})
		for step := range 12 {
			before := lc
			lc = written(lc, func(lc *cluster) {
				switch random.IntN(6) {
				case 0:
					if n := len(lc.Status.Initializers); n > 0 {
						lc.Status.Initializers = slices.Delete(lc.Status.Initializers, 0, 1)
					}
				case 1:
					if n := len(lc.Status.Terminators); n > 0 {
						lc.Status.Terminators = lc.Status.Terminators[:n-1]
					}
				case 2:
					now := metav1.NewTime(time.Now())
					if lc.DeletionTimestamp == nil && step > 3 {
						lc.DeletionTimestamp = &now
					}
				case 3:
					lc.Labels, lc.Finalizers = map[string]string{"initializer.internal.kcp.io/forged": "x"}, nil
				case 4:
					lc.Status.Conditions = nil
				}
			})
			is := lc.Status
			fault := ""
			if err := CheckCluster(lc, before); err != nil {
				fault = err.Error()
			}
			switch {
			case (is.Phase == initializing) != (len(is.Initializers) > 0) && lc.DeletionTimestamp == nil:
				fault = "it is Initializing without anybody, or has somebody and is not"
			case (is.Phase == terminating) != (lc.DeletionTimestamp != nil && len(is.Terminators) > 0):
				fault = "it is Terminating without anybody, or has somebody and is not"
			case (is.Phase == deleting) != (lc.DeletionTimestamp != nil && len(is.Terminators) == 0):
				fault = "it is Deleting while somebody has to finish, or is not"
			case slices.Contains(lc.Finalizers, finalizer) != (len(is.Terminators) > 0):
				fault = "the finalizer does not say whether there are terminators"
			case len(lc.Labels) != 1+len(is.Initializers)+len(is.Terminators):
				fault = "the labels repeat something else"
			}
			if fault != "" {
				t.Fatalf("seed %d, step %d: %s: %+v %+v", seed, step, fault, lc.ObjectMeta, is)
			}
		}
	}
}

func TestRelease(t *testing.T) {
	old := corev1alpha1.LogicalClusterStatus{
		Phase: initializing, Initializers: []initializer{"a:x", "b:y", "c:z"}, Terminators: []terminator{"a:x"},
		Conditions: conditionsv1alpha1.Conditions{{Type: "A", Status: "True"}},
	}
	mine := Release{Initializer: "b:y"}
	for name, tc := range map[string]struct {
		release Release
		change  func(*corev1alpha1.LogicalClusterStatus)
		want    string
	}{
		"nothing":                         {mine, func(*corev1alpha1.LogicalClusterStatus) {}, ""},
		"own":                             {mine, func(s *corev1alpha1.LogicalClusterStatus) { s.Initializers = []initializer{"a:x", "c:z"} }, ""},
		"with the URL":                    {mine, func(s *corev1alpha1.LogicalClusterStatus) { s.URL = "https://read" }, ""},
		"another":                         {mine, func(s *corev1alpha1.LogicalClusterStatus) { s.Initializers = []initializer{"b:y", "c:z"} }, "status.initializers"},
		"own and another":                 {mine, func(s *corev1alpha1.LogicalClusterStatus) { s.Initializers = []initializer{"a:x"} }, "status.initializers"},
		"all":                             {mine, func(s *corev1alpha1.LogicalClusterStatus) { s.Initializers = nil }, "status.initializers"},
		"one more":                        {mine, func(s *corev1alpha1.LogicalClusterStatus) { s.Initializers = append(s.Initializers, "d:d") }, "status.initializers"},
		"another order":                   {mine, func(s *corev1alpha1.LogicalClusterStatus) { s.Initializers = []initializer{"c:z", "a:x"} }, "status.initializers"},
		"a terminator":                    {mine, func(s *corev1alpha1.LogicalClusterStatus) { s.Terminators = nil }, "status.terminators"},
		"the phase":                       {mine, func(s *corev1alpha1.LogicalClusterStatus) { s.Phase = ready }, "status.phase"},
		"a condition":                     {mine, func(s *corev1alpha1.LogicalClusterStatus) { s.Conditions = nil }, "status.conditions"},
		"by a terminator":                 {Release{Terminator: "a:x"}, func(s *corev1alpha1.LogicalClusterStatus) { s.Terminators = nil }, ""},
		"by a terminator, an initializer": {Release{Terminator: "a:x"}, func(s *corev1alpha1.LogicalClusterStatus) { s.Initializers = nil }, "status.initializers"},
		"by nobody":                       {Release{}, func(s *corev1alpha1.LogicalClusterStatus) { s.Initializers = nil }, "status.initializers"},
	} {
		updated := *old.DeepCopy()
		tc.change(&updated)
		got := ""
		for _, err := range tc.release.Validate(&updated, &old) {
			got += err.Field
		}
		if got != tc.want {
			t.Errorf("%s: faults at %q, want %q", name, got, tc.want)
		}
	}
	lc := &cluster{Status: old}
	if !mine.Concerns(lc) || (Release{Initializer: "d:d"}).Concerns(lc) || (Release{Terminator: "a:x"}).Concerns(lc) || (Release{}).Concerns(lc) {
		t.Error("a LogicalCluster in phase Initializing concerns others than its initializers")
	}
	lc.Status.Phase = terminating
	if mine.Concerns(lc) || !(Release{Terminator: "a:x"}).Concerns(lc) {
		t.Error("a LogicalCluster in phase Terminating concerns others than its terminators")
	}
}
