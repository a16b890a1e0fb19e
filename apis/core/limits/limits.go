package limits

import (
	"encoding/json"
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

// Amount is how much a workspace stores, or may store.
type Amount struct {
	// Objects is the number of objects, without the LogicalCluster and without Events.
	Objects int64 `json:"objects"`
	// Bytes is how many bytes these take as they are stored in etcd, without keys and former versions.
	Bytes int64 `json:"bytes"`
}

// String returns a as JSON; Read reads it.
func (a Amount) String() string {
	data, _ := json.Marshal(a) // never fails
	return string(data)
}

// Read reads what String returns.
func Read(text string) (Amount, error) {
	var a Amount
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return Amount{}, fmt.Errorf("reading an amount of objects and bytes: %w", err)
	}
	return a, nil
}

// Plus returns the sum.
func (a Amount) Plus(b Amount) Amount {
	return Amount{Objects: a.Objects + b.Objects, Bytes: a.Bytes + b.Bytes}
}

// Limits are the greatest amounts; 0 means no limit.
type Limits Amount

// Any reports whether something is limited.
func (l Limits) Any() bool { return l != Limits{} }

// Annotations are the keys of the annotations that set limits.
var Annotations = []string{corev1alpha1.MaxTotalObjectsAnnotationKey, corev1alpha1.MaxTotalBytesAnnotationKey}

// In returns the limits of a cluster whose LogicalCluster has the annotations, if l are the default ones. The root workspace has no
// default limits. An annotation that cannot be read does not count: admission refuses those.
func (l Limits) In(cluster logicalcluster.Name, annotations map[string]string) Limits {
	if cluster == logicalcluster.Root {
		l = Limits{}
	}
	if text, ok := annotations[corev1alpha1.TypeLimitsAnnotationKey]; ok {
		if ofType, err := Read(text); err == nil {
			l = l.lower(Limits(ofType))
		}
	}
	for key, limit := range l.byKey() {
		if text, ok := annotations[key]; ok {
			if n, err := parse(key, text); err == nil {
				*limit = n
			}
		}
	}
	return l
}

// OfTypes returns the lowest limits that the annotations of WorkspaceTypes set.
func OfTypes[T metav1.Object](types []T) Limits {
	var l Limits
	for _, t := range types {
		l = l.lower(Limits{}.In("", t.GetAnnotations()))
	}
	return l
}

// lower returns the lower limit of both, for objects and for bytes.
func (l Limits) lower(other Limits) Limits {
	lower := func(a, b int64) int64 {
		if a == 0 || b > 0 && b < a {
			return b
		}
		return a
	}
	return Limits{Objects: lower(l.Objects, other.Objects), Bytes: lower(l.Bytes, other.Bytes)}
}

func (l *Limits) byKey() map[string]*int64 {
	return map[string]*int64{corev1alpha1.MaxTotalObjectsAnnotationKey: &l.Objects, corev1alpha1.MaxTotalBytesAnnotationKey: &l.Bytes}
}

// parse returns the limit that an annotation sets; 0 if it says that there is none.
func parse(key, text string) (int64, error) {
	if key == corev1alpha1.MaxTotalObjectsAnnotationKey {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("must be a whole number: at most so many objects, or 0 for no limit")
		}
		return max(n, 0), nil
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return 0, fmt.Errorf("must be a quantity such as 100Mi: at most so many bytes, or 0 for no limit")
	}
	return max(q.Value(), 0), nil
}

// Validate returns what is wrong with annotations that set limits.
func Validate(annotations map[string]string) field.ErrorList {
	var errs field.ErrorList
	for _, key := range Annotations {
		if text, ok := annotations[key]; ok {
			if _, err := parse(key, text); err != nil {
				errs = append(errs, field.Invalid(field.NewPath("metadata", "annotations").Key(key), text, err.Error()))
			}
		}
	}
	return errs
}
