package partitioning

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	topologyv1alpha1 "github.com/annex-dev/annex/apis/topology/v1alpha1"
)

const (
	// setKind is the kind of the owner of a Partition.
	setKind = "PartitionSet"
	// longest is how long the name of an object may be, and suffix how much of that tells apart the Partitions of a set.
	longest, suffix = 253, 8
)

// Partitions returns the Partitions of set: one for each combination of values that the selected shards have for the dimensions and the labels of
// the selector, in the order of their names. A shard without one of these labels is in none. Without dimensions, all selected shards are one
// Partition. The error says what is wrong with the selector.
func Partitions(set *topologyv1alpha1.PartitionSet, shards []*corev1alpha1.Shard) ([]*topologyv1alpha1.Partition, error) {
	selector, keys := labels.Everything(), slices.Clone(set.Spec.Dimensions)
	var expressions []metav1.LabelSelectorRequirement
	if s := set.Spec.ShardSelector; s != nil {
		var err error
		if selector, err = metav1.LabelSelectorAsSelector(s); err != nil {
			return nil, fmt.Errorf("spec.shardSelector: %w", err)
		}
		keys = slices.AppendSeq(keys, maps.Keys(s.MatchLabels))
		expressions = s.DeepCopy().MatchExpressions
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	found := map[string]*topologyv1alpha1.Partition{}
	for _, shard := range shards {
		if shard.DeletionTimestamp != nil || !selector.Matches(labels.Set(shard.Labels)) {
			continue
		}
		values, all := valuesOf(shard, keys)
		if !all {
			continue
		}
		p := partition(set, keys, values, expressions)
		found[p.Name] = p
	}
	return slices.SortedFunc(maps.Values(found), func(a, b *topologyv1alpha1.Partition) int { return strings.Compare(a.Name, b.Name) }), nil
}

// valuesOf returns the labels of shard with keys; false if it lacks one.
func valuesOf(shard *corev1alpha1.Shard, keys []string) (map[string]string, bool) {
	values := make(map[string]string, len(keys))
	for _, key := range keys {
		value, has := shard.Labels[key]
		if !has {
			return nil, false
		}
		values[key] = value
	}
	return values, true
}

// inName returns what stands in a name for a character of a label: values may have more characters than names.
func inName(r rune) rune {
	if r == '_' || r == '.' {
		return '-'
	}
	return unicode.ToLower(r)
}

// partition returns the Partition of shards with values for keys. Its name follows from what it is, so that it is never made twice.
func partition(set *topologyv1alpha1.PartitionSet, keys []string, values map[string]string, expressions []metav1.LabelSelectorRequirement) *topologyv1alpha1.Partition {
	p := &topologyv1alpha1.Partition{}
	// As kcp calls it, which lets the server add the end.
	parts, hash := []string{set.Name}, sha256.New()
	for _, key := range keys {
		parts = append(parts, strings.Map(inName, values[key]))
		fmt.Fprintf(hash, "%q=%q,", key, values[key])
	}
	fmt.Fprintf(hash, "%q,%q", expressions, set.UID)
	name := strings.Join(parts, "-")
	name = strings.TrimRight(name[:min(len(name), longest-suffix-1)], "-.")
	p.Name = name + "-" + hex.EncodeToString(hash.Sum(nil))[:suffix]
	p.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(set, topologyv1alpha1.SchemeGroupVersion.WithKind(setKind))}
	p.Spec.Selector = &metav1.LabelSelector{MatchExpressions: expressions}
	if len(values) > 0 {
		p.Spec.Selector.MatchLabels = values
	}
	return p
}
