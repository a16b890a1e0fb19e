package watchcache

import (
	"context"

	"k8s.io/apimachinery/pkg/fields"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	apistorage "k8s.io/apiserver/pkg/storage"
)

// clusterIndex is the one trigger index that a stock cacher takes: an event goes only to the watches whose predicate
// requires the value that the index has for the object.
const clusterIndex = "annex.cluster"

// indexSelector is a field selector that also requires a value of clusterIndex. The cacher asks for it once, to file the
// watch; it does not select by it, since the key prefix does, so that no object needs the field in its field set.
type indexSelector struct {
	fields.Selector
	value string
}

// RequiresExactMatch implements fields.Selector.
func (s indexSelector) RequiresExactMatch(field string) (string, bool) {
	if field == clusterIndex {
		return s.value, true
	}
	return s.Selector.RequiresExactMatch(field)
}

// DeepCopySelector implements fields.Selector.
func (s indexSelector) DeepCopySelector() fields.Selector {
	return indexSelector{Selector: s.Selector.DeepCopySelector(), value: s.value}
}

// Indexed returns p such that the cacher files the watch under value.
func Indexed(p apistorage.SelectionPredicate, value string) apistorage.SelectionPredicate {
	p.Field = indexSelector{Selector: p.Field, value: value}
	p.IndexFields = []string{clusterIndex}
	return p
}

// Complete returns p without nil selectors, on which the cacher would panic.
func Complete(p apistorage.SelectionPredicate) apistorage.SelectionPredicate {
	if p.Label == nil {
		p.Label = apistorage.Everything.Label
	}
	if p.Field == nil {
		p.Field = apistorage.Everything.Field
	}
	return p
}

// Unscoped returns ctx without the namespace and name of the request, by which the cacher files watches that use no index,
// and with scope as its namespace instead.
func Unscoped(ctx context.Context, scope string) context.Context {
	return genericapirequest.WithRequestInfo(genericapirequest.WithNamespace(ctx, scope), &genericapirequest.RequestInfo{})
}
