package endpoints

import (
	"errors"
	"fmt"
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/apis/tenancy/mounts"
)

// The faults of a slice. They do not repeat what is in it.
var (
	errMissing   = errors.New("status.endpoints is missing or empty")
	errNone      = errors.New("status.endpoints has no endpoint for this shard")
	errAmbiguous = errors.New("status.endpoints has several endpoints for this shard, and none that is more specific than the others")
	errDeleted   = errors.New("it is being deleted")
)

// endpoint is one of status.endpoints.
type endpoint struct {
	url string
	// stated says that it states its shards.
	stated bool
	// terms is by how many terms it selects the shard; -1 if it does not.
	terms int
}

// Choose returns the URL that requests for a resource go to, from the status of slice, for a shard with these labels. An endpoint that says for
// which shards it is counts before one that does not, and of those that match, the one whose selector has the most terms. The URL is one
// of mounts.ParseTarget.
func Choose(slice *unstructured.Unstructured, shard map[string]string) (*url.URL, error) {
	if slice.GetDeletionTimestamp() != nil {
		return nil, errDeleted
	}
	found, _, err := unstructured.NestedFieldNoCopy(slice.Object, "status", "endpoints")
	list, ok := found.([]any)
	if err != nil || !ok || len(list) == 0 {
		return nil, errMissing
	}
	all := make([]endpoint, 0, len(list))
	stated := false
	for i, entry := range list {
		e, err := read(entry, shard)
		if err != nil {
			return nil, fmt.Errorf("status.endpoints[%d]: %w", i, err)
		}
		stated = stated || e.stated
		all = append(all, e)
	}
	var best []endpoint
	for _, e := range all {
		switch {
		case e.stated != stated || e.terms < 0:
		case len(best) == 0 || e.terms > best[0].terms:
			best = []endpoint{e}
		case e.terms == best[0].terms:
			best = append(best, e)
		}
	}
	switch len(best) {
	case 0:
		return nil, errNone
	case 1:
	default:
		return nil, errAmbiguous
	}
	target, err := mounts.ParseTarget(best[0].url)
	if err != nil {
		return nil, fmt.Errorf("the endpoint for this shard: %w", err)
	}
	return target, nil
}

// read returns an entry of status.endpoints.
func read(entry any, shard map[string]string) (endpoint, error) {
	fields, ok := entry.(map[string]any)
	if !ok {
		return endpoint{}, errors.New("must be an object")
	}
	url, ok := fields["url"].(string)
	if !ok {
		return endpoint{}, errors.New("url must be a string")
	}
	e := endpoint{url: url}
	shards, stated := fields["shards"].(map[string]any)
	if !stated {
		if fields["shards"] != nil {
			return endpoint{}, errors.New("shards must be an object")
		}
		return e, nil
	}
	e.stated, e.terms = true, -1
	if all, _ := shards["matchAll"].(bool); all {
		e.terms = 0
		return e, nil
	}
	raw, ok := shards["selector"].(map[string]any)
	if !ok {
		return e, nil // it selects nothing
	}
	selector := &metav1.LabelSelector{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(raw, selector); err != nil {
		return endpoint{}, errors.New("shards.selector must be a label selector")
	}
	matches, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return endpoint{}, errors.New("shards.selector must be a label selector")
	}
	if matches.Matches(labels.Set(shard)) {
		e.terms = len(selector.MatchLabels) + len(selector.MatchExpressions)
	}
	return e, nil
}
