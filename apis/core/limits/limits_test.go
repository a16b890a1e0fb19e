package limits

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
)

func TestIn(t *testing.T) {
	const objects, bytes, ofTypes = corev1alpha1.MaxTotalObjectsAnnotationKey, corev1alpha1.MaxTotalBytesAnnotationKey, corev1alpha1.TypeLimitsAnnotationKey
	defaults := Limits{Objects: 100, Bytes: 1000}
	for name, tc := range map[string]struct {
		cluster     logicalcluster.Name
		annotations map[string]string
		want        Limits
	}{
		"the default":                    {"c1", nil, defaults},
		"none in root":                   {"root", nil, Limits{}},
		"an annotation in root":          {"root", map[string]string{objects: "5"}, Limits{Objects: 5}},
		"an annotation raises it":        {"c1", map[string]string{objects: "500", bytes: "1Mi"}, Limits{Objects: 500, Bytes: 1 << 20}},
		"an annotation switches it off":  {"c1", map[string]string{objects: "-1", bytes: "0"}, Limits{}},
		"what cannot be read":            {"c1", map[string]string{objects: "many", bytes: "1 MB", ofTypes: "few"}, defaults},
		"a type lowers it":               {"c1", map[string]string{ofTypes: `{"objects":7,"bytes":2000}`}, Limits{Objects: 7, Bytes: 1000}},
		"a type does not switch it off":  {"c1", map[string]string{ofTypes: `{"objects":0,"bytes":0}`}, defaults},
		"a type where there is none":     {"root", map[string]string{ofTypes: `{"objects":7,"bytes":0}`}, Limits{Objects: 7}},
		"an annotation wins over a type": {"c1", map[string]string{ofTypes: `{"objects":7}`, objects: "50"}, Limits{Objects: 50, Bytes: 1000}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := defaults.In(tc.cluster, tc.annotations); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestOfTypes_TakesTheLowest(t *testing.T) {
	types := []*metav1.ObjectMeta{
		{},
		{Annotations: map[string]string{corev1alpha1.MaxTotalObjectsAnnotationKey: "50"}},
		{Annotations: map[string]string{corev1alpha1.MaxTotalObjectsAnnotationKey: "70", corev1alpha1.MaxTotalBytesAnnotationKey: "1k"}},
		{Annotations: map[string]string{corev1alpha1.MaxTotalObjectsAnnotationKey: "0"}},
	}
	if got := OfTypes(types); got != (Limits{Objects: 50, Bytes: 1000}) {
		t.Errorf("got %+v", got)
	}
}

func TestValidate(t *testing.T) {
	for value, valid := range map[string]bool{"10": true, "0": true, "-1": true, "": false, "1.5": false, "99999999999999999999": false} {
		if errs := Validate(map[string]string{corev1alpha1.MaxTotalObjectsAnnotationKey: value}); (len(errs) == 0) != valid {
			t.Errorf("%q: %v", value, errs)
		} else if !valid && !strings.HasPrefix(errs[0].Field, "metadata.annotations[") {
			t.Errorf("%q: the field is %s", value, errs[0].Field)
		}
	}
	for value, valid := range map[string]bool{"100Mi": true, "5": true, "0": true, "": false, "many": false} {
		if errs := Validate(map[string]string{corev1alpha1.MaxTotalBytesAnnotationKey: value}); (len(errs) == 0) != valid {
			t.Errorf("%q: %v", value, errs)
		}
	}
}

func TestExceeded(t *testing.T) {
	l := Limits{Objects: 10, Bytes: 8000}
	for name, tc := range map[string]struct {
		used, more Amount
		exceeded   bool
	}{
		"the last one":                 {Amount{9, 100}, Amount{1, 100}, false},
		"one more":                     {Amount{10, 100}, Amount{1, 100}, true},
		"the last byte":                {Amount{1, 7900}, Amount{1, 100}, false},
		"one byte more":                {Amount{1, 7901}, Amount{1, 100}, true},
		"a small growth":               {Amount{1, 7901}, Amount{0, 100}, false},
		"a small growth, no reserve":   {Amount{1, 8950}, Amount{0, 100}, true},
		"a great growth":               {Amount{1, 7000}, Amount{0, 1025}, true},
		"less, though there is enough": {Amount{20, 20_000}, Amount{0, -1}, false},
		"a deletion":                   {Amount{20, 20_000}, Amount{-1, -100}, false},
	} {
		if err := l.Exceeded("c1", tc.used, tc.more); (err != nil) != tc.exceeded {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Limits{}).Exceeded("c1", Amount{1 << 40, 1 << 40}, Amount{1, 1}); err != nil {
		t.Errorf("without limits: %v", err)
	}
}

func TestExceededByEvent(t *testing.T) {
	for name, tc := range map[string]struct {
		limits   Limits
		stored   int64
		size     int
		exceeded bool
	}{
		"without limits":       {Limits{}, 1 << 40, 1 << 20, false},
		"as many as objects":   {Limits{Objects: 3}, 2, 100, false},
		"more than objects":    {Limits{Objects: 3}, 3, 100, true},
		"as many as fill it":   {Limits{Bytes: 4 * EventSize}, 3, 100, false},
		"more than fill it":    {Limits{Bytes: 4 * EventSize}, 4, 100, true},
		"the lower one counts": {Limits{Objects: 100, Bytes: 4 * EventSize}, 4, 100, true},
		"a big one":            {Limits{Objects: 3}, 0, EventSize + 1, true},
	} {
		if err := tc.limits.ExceededByEvent("c1", tc.stored, tc.size); (err != nil) != tc.exceeded {
			t.Errorf("%s: %v", name, err)
		}
	}
}
