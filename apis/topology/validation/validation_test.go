package validation

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
)

func TestValidateShardSelector(t *testing.T) {
	many := &metav1.LabelSelector{MatchLabels: map[string]string{}}
	for i := range 11 {
		many.MatchLabels[fmt.Sprintf("l%d", i)] = "v"
		many.MatchExpressions = append(many.MatchExpressions, metav1.LabelSelectorRequirement{Key: fmt.Sprintf("e%d", i), Operator: metav1.LabelSelectorOpExists})
	}
	expression := func(key string, op metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: key, Operator: op, Values: values}}}
	}
	for _, tc := range []struct {
		name     string
		selector *metav1.LabelSelector
		want     []string
	}{
		{"none", nil, nil},
		{"region", expression("region", metav1.LabelSelectorOpIn, "eu", "us"), nil},
		{"eleven of each", many, []string{"matchLabels: Too many", "matchExpressions: Too many"}},
		{"key malformed", expression("a b", metav1.LabelSelectorOpExists), []string{"matchExpressions[0].key"}},
		{"key too long", expression(strings.Repeat("a", 318), metav1.LabelSelectorOpExists), []string{"matchExpressions[0].key"}},
		{"In without values", expression("a", metav1.LabelSelectorOpIn), []string{"matchExpressions[0].values"}},
		{"Exists with values", expression("a", metav1.LabelSelectorOpExists, "b"), []string{"matchExpressions[0].values"}},
		{"operator unknown", expression("a", "Near"), []string{"matchExpressions[0].operator"}},
		{"value too long", expression("a", metav1.LabelSelectorOpIn, strings.Repeat("v", 64)), []string{"matchExpressions[0].values[0]"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &topologyv1alpha1.Partition{ObjectMeta: metav1.ObjectMeta{Name: "p", ResourceVersion: "1"}, Spec: topologyv1alpha1.PartitionSpec{Selector: tc.selector}}
			s := &topologyv1alpha1.PartitionSet{ObjectMeta: p.ObjectMeta, Spec: topologyv1alpha1.PartitionSetSpec{ShardSelector: tc.selector, Dimensions: []string{"region", "region"}}}
			for at, errs := range map[string]fmt.Stringer{
				"spec.selector": list{ValidatePartition(p).ToAggregate()}, "spec.shardSelector": list{ValidatePartitionSet(s).ToAggregate()},
				"spec.selector.": list{ValidatePartitionUpdate(p, p).ToAggregate()}, "spec.shardSelector.": list{ValidatePartitionSetUpdate(s, s).ToAggregate()},
			} {
				text := errs.String()
				if len(tc.want) == 0 && text != "" {
					t.Errorf("%s: got %s, want nothing", at, text)
				}
				for _, want := range tc.want {
					if !strings.Contains(text, strings.TrimSuffix(at, ".")+"."+want) {
						t.Errorf("got %s, want %s.%s", text, at, want)
					}
				}
			}
		})
	}
}

type list struct{ error }

func (l list) String() string {
	if l.error == nil {
		return ""
	}
	return l.Error()
}

func TestValidatePartitionSet_Dimensions(t *testing.T) {
	s := &topologyv1alpha1.PartitionSet{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Spec: topologyv1alpha1.PartitionSetSpec{Dimensions: []string{"region", "-"}}}
	if errs := ValidatePartitionSet(s); len(errs) != 1 || errs[0].Field != "spec.dimensions[1]" {
		t.Errorf("got %v", errs)
	}
	s.ResourceVersion, s.Status.Count = "1", -1
	if errs := ValidatePartitionSetStatusUpdate(s, s); len(errs) != 1 || errs[0].Field != "status.count" {
		t.Errorf("got %v", errs)
	}
}
