package partitionset

import (
	"errors"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	conditionsv1alpha1 "github.com/annex-dev/annex/apis/conditions/v1alpha1"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/client/clienttest"
)

const org = logicalcluster.Name("org")

var key = client.Key{Cluster: org, Name: "regions"}

func shard(name, region string) *corev1alpha1.Shard {
	s := clienttest.In(logicalcluster.Root, &corev1alpha1.Shard{ObjectMeta: metav1.ObjectMeta{Name: name}})
	if region != "" {
		s.Labels = map[string]string{"region": region}
	}
	return s
}

func newSet() *topologyv1alpha1.PartitionSet {
	return clienttest.In(org, &topologyv1alpha1.PartitionSet{
		ObjectMeta: metav1.ObjectMeta{Name: key.Name, UID: "set"},
		Spec:       topologyv1alpha1.PartitionSetSpec{Dimensions: []string{"region"}},
	})
}

type fixture struct {
	t *testing.T
	*reconciler
	fake *clienttest.Fake
}

func newFixture(t *testing.T, objects ...client.Object) *fixture {
	fake := clienttest.NewFake(objects...)
	return &fixture{t: t, fake: fake, reconciler: &reconciler{client: fake, live: fake}}
}

// run reconciles until nothing is written, and returns the set and its regions.
func (f *fixture) run() (*topologyv1alpha1.PartitionSet, []string) {
	f.t.Helper()
	for range 5 {
		before := len(f.fake.Writes())
		if _, err := f.reconcile(f.t.Context(), key); err != nil {
			f.t.Fatal(err)
		}
		if len(f.fake.Writes()) > before {
			continue
		}
		if keys := f.fake.Mutated(); len(keys) > 0 {
			f.t.Errorf("objects of the watch cache were changed: %v", keys)
		}
		set, err := client.Find[topologyv1alpha1.PartitionSet](f.t.Context(), f.fake, sets, key)
		if err != nil {
			f.t.Fatal(err)
		}
		var regions []string
		for _, p := range f.partitions() {
			if metav1.IsControlledBy(p, set) {
				regions = append(regions, p.Spec.Selector.MatchLabels["region"])
			}
		}
		slices.Sort(regions)
		return set, regions
	}
	f.t.Fatalf("reconciling does not settle: %v", f.fake.Writes())
	return nil, nil
}

func (f *fixture) partitions() []*topologyv1alpha1.Partition {
	f.t.Helper()
	all, err := client.List[topologyv1alpha1.Partition](f.t.Context(), f.fake, partitions, client.Scope{})
	if err != nil {
		f.t.Fatal(err)
	}
	return all
}

func (f *fixture) want(count int, regions ...string) {
	f.t.Helper()
	set, got := f.run()
	if !slices.Equal(got, regions) || int(set.Status.Count) != count {
		f.t.Errorf("%d partitions %q, want %d: %q", set.Status.Count, got, count, regions)
	}
	if !conditionsv1alpha1.IsTrue(set, topologyv1alpha1.PartitionSetValid) || !conditionsv1alpha1.IsTrue(set, topologyv1alpha1.PartitionsReady) {
		f.t.Errorf("conditions: %+v", set.Status.Conditions)
	}
}

func (f *fixture) update(resource schema.GroupResource, obj client.Object) {
	f.t.Helper()
	if _, err := f.fake.Update(f.t.Context(), resource, logicalcluster.From(obj), obj); err != nil {
		f.t.Fatal(err)
	}
}

// spec/06 §3, 1 to 4.
func TestReconcile_PartitionsFollowShards(t *testing.T) {
	f := newFixture(t, newSet(), shard("root", ""))
	f.want(0)

	f.update(shards, shard("root", "north"))
	f.want(1, "north")
	first := f.partitions()[0]

	// More shards than Annex has.
	for name, region := range map[string]string{"b": "south", "c": "south", "d": ""} {
		if _, err := f.fake.Create(t.Context(), shards, logicalcluster.Root, shard(name, region)); err != nil {
			t.Fatal(err)
		}
	}
	f.want(2, "north", "south")
	if !slices.ContainsFunc(f.partitions(), func(p *topologyv1alpha1.Partition) bool { return p.Name == first.Name && p.UID == first.UID }) {
		t.Error("a partition that stays was made again")
	}

	f.update(shards, shard("root", "east"))
	f.want(2, "east", "south")

	for _, name := range []string{"b", "c"} {
		if err := f.fake.Delete(t.Context(), shards, client.Key{Cluster: logicalcluster.Root, Name: name}, nil); err != nil {
			t.Fatal(err)
		}
	}
	f.want(1, "east")

	before := f.partitions()[0].Name
	set, _ := f.run()
	set = set.DeepCopy()
	set.Spec.ShardSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "region", Operator: metav1.LabelSelectorOpExists}}}
	f.update(sets, set)
	f.want(1, "east")
	if after := f.partitions()[0].Name; after == before {
		t.Errorf("%s was not made again for other expressions", after)
	}
}

func TestReconcile_PartitionsOfOthersStay(t *testing.T) {
	mine := clienttest.In(org, &topologyv1alpha1.Partition{ObjectMeta: metav1.ObjectMeta{Name: "mine"}})
	alike := clienttest.In(org, &topologyv1alpha1.Partition{ObjectMeta: metav1.ObjectMeta{Name: "alike", OwnerReferences: []metav1.OwnerReference{
		*metav1.NewControllerRef(&metav1.ObjectMeta{Name: key.Name, UID: "before"}, topologyv1alpha1.SchemeGroupVersion.WithKind("PartitionSet")),
	}}})
	f := newFixture(t, newSet(), shard("root", "north"), mine, alike)
	f.want(1, "north")
	if got := len(f.partitions()); got != 3 {
		t.Errorf("%d partitions, want those of others, too", got)
	}
}

func TestReconcile_ChangedPartitionsAreMadeAgain(t *testing.T) {
	f := newFixture(t, newSet(), shard("root", "north"))
	f.want(1, "north")
	changed := f.partitions()[0].DeepCopy()
	changed.Spec.Selector.MatchLabels["region"] = "south"
	f.update(partitions, changed)
	f.want(1, "north")
	if err := f.fake.Delete(t.Context(), partitions, client.KeyOf(changed), nil); err != nil {
		t.Fatal(err)
	}
	f.want(1, "north")
}

func TestReconcile_ReportsWhatIsRefused(t *testing.T) {
	f := newFixture(t, newSet(), shard("root", "north"))
	full := true
	f.fake.Intercept(func(verb string, resource schema.GroupResource, key client.Key) error {
		if full && verb == "create" {
			return apierrors.NewForbidden(resource, key.Name, errors.New("no room"))
		}
		return nil
	})
	set, regions := f.run()
	if conditionsv1alpha1.GetReason(set, topologyv1alpha1.PartitionsReady) != topologyv1alpha1.ErrorGeneratingPartitionsReason || set.Status.Count != 0 || len(regions) > 0 {
		t.Errorf("status: %+v", set.Status)
	}
	if result, err := f.reconcile(t.Context(), key); err != nil || result.RequeueAfter != later {
		t.Errorf("reconcile() = %v, %v, want it again later", result, err)
	}
	full = false
	f.want(1, "north")

	malformed := newSet()
	malformed.Spec.ShardSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}
	f = newFixture(t, malformed, shard("root", "north"))
	if set, _ := f.run(); conditionsv1alpha1.GetReason(set, topologyv1alpha1.PartitionSetValid) != topologyv1alpha1.PartitionSetInvalidSelectorReason {
		t.Errorf("status: %+v", set.Status)
	}
}

// A name that somebody else has taken is not taken over.
func TestReconcile_TakenName(t *testing.T) {
	f := newFixture(t, newSet(), shard("root", "north"))
	f.want(1, "north")
	taken := clienttest.In(org, &topologyv1alpha1.Partition{ObjectMeta: metav1.ObjectMeta{Name: f.partitions()[0].Name}})
	f = newFixture(t, newSet(), shard("root", "north"), taken)
	set, _ := f.run()
	if conditionsv1alpha1.GetReason(set, topologyv1alpha1.PartitionsReady) != topologyv1alpha1.ErrorGeneratingPartitionsReason || set.Status.Count != 0 {
		t.Errorf("status: %+v", set.Status)
	}
	if all := f.partitions(); len(all) != 1 || len(all[0].OwnerReferences) > 0 {
		t.Errorf("partitions: %v", all)
	}
}

func TestKeys(t *testing.T) {
	f := newFixture(t, newSet(), shard("root", "north"))
	f.want(1, "north")
	if got := clienttest.Keys(t)(ofPartition(t.Context(), client.Event{Type: client.Deleted, Object: f.partitions()[0]})); !slices.Equal(got, []client.Key{key}) {
		t.Errorf("a partition leads to %v", got)
	}
	if got := clienttest.Keys(t)(ofPartition(t.Context(), client.Event{Type: client.Added, Object: clienttest.In(org, &topologyv1alpha1.Partition{})})); len(got) > 0 {
		t.Errorf("a partition of nobody leads to %v", got)
	}
	if got := clienttest.Keys(t)(f.ofShard(t.Context(), client.Event{Type: client.Modified, Object: shard("root", "")})); !slices.Equal(got, []client.Key{key}) {
		t.Errorf("a shard leads to %v", got)
	}
	if got := clienttest.Keys(t)(f.ofShard(t.Context(), client.Event{Type: client.Modified, Object: clienttest.In(org, &corev1alpha1.Shard{})})); len(got) > 0 {
		t.Errorf("a shard of a workspace leads to %v", got)
	}
}
