package v1alpha1

import (
	"encoding/json"
	"fmt"
	"maps"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
)

// listConversion converts a list of A to a list of B, if each can express things that the other cannot. It keeps the original in
// an annotation of the result, and restores what an earlier conversion kept. So a round trip loses nothing, even if somebody changes
// the list in between.
//
// +k8s:deepcopy-gen=false
// +k8s:openapi-gen=false
type listConversion[A, B any] struct {
	to   func([]A) []B // what B can express of A
	back func([]B) []A // what A can express of B
	// merge adds to the newly converted list what only kept expresses.
	merge func(converted, kept []B) []B
	// keepKey is the annotation of the result that keeps the A. takeKey is the annotation of the source that keeps the B.
	keepKey, takeKey string
}

// convert returns the B of in. It moves the annotations of the conversion in annotations, which the caller owns. An
// annotation that does not hold such a list was not written by us, and is dropped. An error would make a stored
// object, and every list that contains it, unreadable.
func (c listConversion[A, B]) convert(in []A, annotations map[string]string) ([]B, error) {
	var kept []B
	if s, ok := annotations[c.takeKey]; ok {
		if json.Unmarshal([]byte(s), &kept) != nil {
			kept = nil
		}
		delete(annotations, c.takeKey)
	}
	delete(annotations, c.keepKey)

	var out []B
	switch {
	case kept == nil:
		out = c.to(in)
	case apiequality.Semantic.DeepEqual(c.back(kept), in):
		out = kept // nobody changed the list, so restore it exactly, including its order
	default:
		out = c.merge(c.to(in), kept)
	}
	if !apiequality.Semantic.DeepEqual(c.back(out), in) {
		raw, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("keeping a list in annotation %s: %w", c.keepKey, err)
		}
		annotations[c.keepKey] = string(raw)
	}
	return out, nil
}

// mergeByKey returns a merge function that pairs each converted entry with the first unpaired kept entry of the same
// key.
func mergeByKey[B any, K comparable](key func(B) K, take func(converted *B, kept B)) func(converted, kept []B) []B {
	return func(converted, kept []B) []B {
		waiting := map[K][]B{}
		for _, k := range kept {
			waiting[key(k)] = append(waiting[key(k)], k)
		}
		for i := range converted {
			k := key(converted[i])
			if w := waiting[k]; len(w) > 0 {
				take(&converted[i], w[0])
				waiting[k] = w[1:]
			}
		}
		return converted
	}
}

// ownAnnotations returns a copy of annotations that is never nil: a conversion must not write into its source, which may
// be shared by a watch cache.
func ownAnnotations(annotations map[string]string) map[string]string {
	own := maps.Clone(annotations)
	if own == nil {
		own = map[string]string{}
	}
	return own
}

// orNil returns nil for an empty map, which ownAnnotations may have created.
func orNil(annotations map[string]string) map[string]string {
	if len(annotations) == 0 {
		return nil
	}
	return annotations
}

// each lifts a function to lists; nil stays nil.
func each[A, B any](f func(A) B) func([]A) []B {
	return func(in []A) []B {
		if in == nil {
			return nil
		}
		out := make([]B, 0, len(in))
		for _, a := range in {
			out = append(out, f(a))
		}
		return out
	}
}
