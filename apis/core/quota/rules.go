package quota

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime/schema"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
)

// ClusterScopedAnnotationKey makes a quota in [ClusterNamespace] count in the whole workspace if its value is "true".
const ClusterScopedAnnotationKey = "experimental.quota.kcp.io/cluster-scoped"

// ClusterNamespace is the namespace in which a quota can be for the whole workspace.
const ClusterNamespace = "admin"

// IsClusterScoped reports whether a quota is for the whole workspace, and not for its namespace.
func IsClusterScoped(q *corev1.ResourceQuota) bool {
	return q.Namespace == ClusterNamespace && q.Annotations[ClusterScopedAnnotationKey] == "true"
}

// MostBytes bounds the rules of a namespace as JSON: every server reads them when one of them changes.
const MostBytes = 64 << 10

// countPrefix begins the names that limit the number of objects of any resource.
const countPrefix = "count/"

// Resource is the resource of ResourceQuotas themselves.
var Resource = schema.GroupResource{Resource: "resourcequotas"}

// short are the resources that a quota may name without countPrefix, of those that a workspace serves.
var short = map[corev1.ResourceName]schema.GroupResource{
	corev1.ResourceConfigMaps: {Resource: "configmaps"},
	corev1.ResourceSecrets:    {Resource: "secrets"},
	corev1.ResourceQuotas:     Resource,
}

// IsCounted reports whether a quota can limit the objects of a resource. As in Kubernetes, it cannot limit Events, and as in kcp, not the
// LogicalCluster.
func IsCounted(gr schema.GroupResource) bool {
	switch gr {
	case schema.GroupResource{Resource: "events"}, schema.GroupResource{Group: "events.k8s.io", Resource: "events"}, corev1alpha1.Resource("logicalclusters"):
		return false
	}
	return true
}

// resourceOf returns the resource whose objects name limits; false if it limits no number of objects.
func resourceOf(name corev1.ResourceName) (schema.GroupResource, bool) {
	if gr, ok := short[name]; ok {
		return gr, true
	}
	text, ok := strings.CutPrefix(string(name), countPrefix)
	gr := schema.ParseGroupResource(text)
	return gr, ok && gr.Resource != "" && IsCounted(gr)
}

// Hard is what one quota limits: the names of spec.hard that limit numbers of objects.
type Hard map[corev1.ResourceName]resource.Quantity

// HardOf returns what a quota limits; nil for nothing.
func HardOf(spec *corev1.ResourceQuotaSpec) Hard {
	if len(spec.Scopes) > 0 || spec.ScopeSelector != nil && len(spec.ScopeSelector.MatchExpressions) > 0 {
		return nil
	}
	var hard Hard
	for name, quantity := range spec.Hard {
		if _, ok := resourceOf(name); ok {
			if hard == nil {
				hard = Hard{}
			}
			hard[name] = quantity.DeepCopy()
		}
	}
	return hard
}

// Rules are what the quotas of a namespace, or of a whole workspace, limit, by the name of the quota. They are shared and do not change.
type Rules map[string]Hard

// RulesOf returns the rules of those of the quotas of a namespace that are for it.
func RulesOf(quotas []*corev1.ResourceQuota) Rules { return rulesOf(quotas, false) }

// ClusterRulesOf returns the rules of those of the quotas of a namespace that are for the whole workspace.
func ClusterRulesOf(quotas []*corev1.ResourceQuota) Rules { return rulesOf(quotas, true) }

func rulesOf(quotas []*corev1.ResourceQuota, clusterScoped bool) Rules {
	var r Rules
	for _, q := range quotas {
		if IsClusterScoped(q) == clusterScoped {
			r = r.With(q.Name, HardOf(&q.Spec))
		}
	}
	return r
}

// With returns r with what the quota called name limits now.
func (r Rules) With(name string, hard Hard) Rules {
	next := Rules{}
	maps.Copy(next, r)
	if delete(next, name); len(hard) > 0 {
		next[name] = hard
	}
	return next
}

// Equal reports whether both say the same.
func (r Rules) Equal(other Rules) bool { return maps.EqualFunc(r, other, Hard.Equal) }

// Equal reports whether both say the same.
func (h Hard) Equal(other Hard) bool {
	return maps.EqualFunc(h, other, func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 && a.String() == b.String() })
}

// Resources returns all resources that are limited, sorted.
func (r Rules) Resources() []schema.GroupResource {
	found := map[schema.GroupResource]bool{}
	for _, hard := range r {
		for name := range hard {
			if gr, ok := resourceOf(name); ok {
				found[gr] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b schema.GroupResource) int { return strings.Compare(a.String(), b.String()) })
}

// Most returns how many objects of gr the quotas allow together; false if none limits them.
func (r Rules) Most(gr schema.GroupResource) (most int64, limited bool) {
	for _, hard := range r {
		for name, quantity := range hard {
			if of, _ := resourceOf(name); of != gr {
				continue
			}
			if n := whole(quantity); !limited || n < most {
				most, limited = n, true
			}
		}
	}
	return most, limited
}

// unreachable is more than anybody stores.
const unreachable = 1 << 60

// whole returns the greatest whole number that is not above q, up to unreachable.
func whole(q resource.Quantity) int64 {
	if q.CmpInt64(unreachable) >= 0 {
		return unreachable
	}
	n := q.Value() // it rounds up
	if q.CmpInt64(n) < 0 {
		n--
	}
	return n
}

// ExceededError says that one more object would exceed a quota, in the words of Kubernetes.
type ExceededError struct{ text string }

// Error implements error.
func (e *ExceededError) Error() string { return e.text }

// Exceeded returns which quota one more object of gr would exceed if there are so many; nil for none. If it would exceed several, it is
// the first one by name.
func (r Rules) Exceeded(gr schema.GroupResource, used int64) *ExceededError {
	is, after := resource.NewQuantity(used, resource.DecimalSI), resource.NewQuantity(used+1, resource.DecimalSI)
	for _, quota := range slices.Sorted(maps.Keys(r)) {
		var requested, now, limited []string
		for _, name := range slices.Sorted(maps.Keys(r[quota])) {
			hard := r[quota][name]
			if of, _ := resourceOf(name); of != gr || after.Cmp(hard) <= 0 {
				continue
			}
			requested = append(requested, fmt.Sprintf("%s=1", name))
			now = append(now, fmt.Sprintf("%s=%s", name, is))
			limited = append(limited, fmt.Sprintf("%s=%s", name, &hard))
		}
		if len(limited) > 0 {
			return &ExceededError{fmt.Sprintf("exceeded quota: %s, requested: %s, used: %s, limited: %s",
				quota, strings.Join(requested, ","), strings.Join(now, ","), strings.Join(limited, ","))}
		}
	}
	return nil
}

// Counts are how many objects there are of each resource that quotas limit.
type Counts struct {
	Namespace map[schema.GroupResource]int64 // in the namespace of the quotas
	Cluster   map[schema.GroupResource]int64 // in the whole workspace, for quotas that are for it
}

// Status returns the status of a quota. As in Kubernetes, it does not say how many Events there are.
func Status(q *corev1.ResourceQuota, all Counts) corev1.ResourceQuotaStatus {
	counts := all.Namespace
	if IsClusterScoped(q) {
		counts = all.Cluster
	}
	counted := HardOf(&q.Spec)
	status := corev1.ResourceQuotaStatus{Hard: q.Spec.Hard.DeepCopy(), Used: corev1.ResourceList{}}
	for name := range q.Spec.Hard {
		gr, ok := resourceOf(name)
		if !ok && strings.HasPrefix(string(name), countPrefix) {
			continue
		}
		var used int64
		if _, ok := counted[name]; ok {
			used = counts[gr]
		}
		status.Used[name] = *resource.NewQuantity(used, resource.DecimalSI)
	}
	return status
}
