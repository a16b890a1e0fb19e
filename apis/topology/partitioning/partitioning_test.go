package partitioning

import (
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
	topologyvalidation "github.com/annex-dev/annex/apis/topology/validation"
)

func shard(name string, values map[string]string) *corev1alpha1.Shard {
	return &corev1alpha1.Shard{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: values}}
}

func shards() []*corev1alpha1.Shard {
	return []*corev1alpha1.Shard{
		shard("a", map[string]string{"region": "North_1", "zone": "x"}),
		shard("b", map[string]string{"region": "North_1", "zone": "y"}),
		shard("c", map[string]string{"region": "south", "zone": "x"}),
		shard("d", map[string]string{"region": "south", "zone": "x"}),
		shard("e", map[string]string{"zone": "x", "odd": "a..b.-c"}),
	}
}

func setOf(dimensions []string, selector *metav1.LabelSelector) *topologyv1alpha1.PartitionSet {
	return &topologyv1alpha1.PartitionSet{
		ObjectMeta: metav1.ObjectMeta{Name: "s", UID: "1"},
		Spec:       topologyv1alpha1.PartitionSetSpec{Dimensions: dimensions, ShardSelector: selector},
	}
}

func TestPartitions(t *testing.T) {
	in := func(values ...string) []metav1.LabelSelectorRequirement {
		return []metav1.LabelSelectorRequirement{{Key: "region", Operator: metav1.LabelSelectorOpIn, Values: values}}
	}
	for name, tc := range map[string]struct {
		set  *topologyv1alpha1.PartitionSet
		want []string
	}{
		"one dimension":                {setOf([]string{"region"}, nil), []string{"s-north-1: region=North_1", "s-south: region=south"}},
		"listed twice":                 {setOf([]string{"region", "region"}, nil), []string{"s-north-1: region=North_1", "s-south: region=south"}},
		"two dimensions":               {setOf([]string{"zone", "region"}, nil), []string{"s-north-1-x: region=North_1,zone=x", "s-north-1-y: region=North_1,zone=y", "s-south-x: region=south,zone=x"}},
		"a label that nobody has":      {setOf([]string{"region", "rack"}, nil), nil},
		"an expression":                {setOf([]string{"region"}, &metav1.LabelSelector{MatchExpressions: in("south")}), []string{"s-south: region=south,region in (south)"}},
		"a label is a dimension":       {setOf([]string{"region"}, &metav1.LabelSelector{MatchLabels: map[string]string{"zone": "x"}}), []string{"s-north-1-x: region=North_1,zone=x", "s-south-x: region=south,zone=x"}},
		"a label that no shard has":    {setOf([]string{"region"}, &metav1.LabelSelector{MatchLabels: map[string]string{"zone": "z"}}), nil},
		"odd values":                   {setOf([]string{"odd"}, nil), []string{"s-a--b--c: odd=a..b.-c"}},
		"no dimension":                 {setOf(nil, &metav1.LabelSelector{MatchExpressions: in("south")}), []string{"s: region in (south)"}},
		"neither dimension nor filter": {setOf(nil, nil), []string{"s: "}},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := Partitions(tc.set, shards())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range all {
				begin := p.Name[:len(p.Name)-suffix-1]
				got = append(got, begin+": "+strings.TrimPrefix(metav1.FormatLabelSelector(p.Spec.Selector), "<none>"))
				if owner := metav1.GetControllerOf(p); owner == nil || owner.UID != "1" || owner.Kind != "PartitionSet" || owner.APIVersion != "topology.kcp.io/v1alpha1" {
					t.Errorf("%s has the owner %v", p.Name, owner)
				}
				if errs := topologyvalidation.ValidatePartition(p); len(errs) > 0 {
					t.Errorf("%s: %v", p.Name, errs)
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestPartitions_Malformed(t *testing.T) {
	set := setOf(nil, &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}})
	if all, err := Partitions(set, shards()); err == nil {
		t.Errorf("got %v, want an error", all)
	}
}

// The name says what a partition is, and is a name even if set and labels are long.
func TestPartitions_Names(t *testing.T) {
	names := map[string]bool{}
	long := setOf([]string{"region", "zone"}, nil)
	long.Name = strings.Repeat("s", 200) + "." + strings.Repeat("t", 42)
	other := setOf([]string{"region"}, nil)
	other.UID = "2"
	for _, set := range []*topologyv1alpha1.PartitionSet{
		long, other, setOf([]string{"region"}, nil),
		setOf([]string{"region"}, &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "region", Operator: metav1.LabelSelectorOpExists}}}),
	} {
		again := maps.Clone(names)
		for range 2 {
			names = maps.Clone(again)
			all, err := Partitions(set, shards())
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range all {
				if names[p.Name] {
					t.Errorf("two partitions are called %s", p.Name)
				}
				names[p.Name] = true
				if faults := validation.IsDNS1123Subdomain(p.Name); len(faults) > 0 {
					t.Errorf("%s: %v", p.Name, faults)
				}
			}
		}
	}
	if len(names) != 3+2+2+2 {
		t.Errorf("%d names: the same set has different ones", len(names))
	}
}

func TestPartitions_ShardsThatAreBeingDeleted(t *testing.T) {
	going := shard("a", map[string]string{"region": "north"})
	now := metav1.Now()
	going.DeletionTimestamp = &now
	all, err := Partitions(setOf([]string{"region"}, nil), []*corev1alpha1.Shard{going})
	if err != nil || len(all) > 0 {
		t.Errorf("got %v, %v", all, err)
	}
}
