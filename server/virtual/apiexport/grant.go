package apiexport

import (
	"context"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/annex-dev/annex/apis/apis/claims"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/virtual"
)

// grant is what one consumer lets the provider do with a resource that the export claims.
type grant struct {
	// bound says that the consumer binds the export at all.
	bound bool
	// selectors select the objects, one for each binding that accepts the claim for the verb; none for nothing.
	selectors []labels.Selector
	// labels are those that each object must have that the provider writes.
	labels map[string]string
}

// granted reports whether anything is granted.
func (g grant) granted() bool { return len(g.selectors) > 0 }

// all reports whether all objects are granted.
func (g grant) all() bool { return slices.ContainsFunc(g.selectors, labels.Selector.Empty) }

// same reports whether two grants let the provider do the same.
func (g grant) same(other grant) bool {
	return slices.EqualFunc(g.selectors, other.selectors, func(a, b labels.Selector) bool { return a.String() == b.String() })
}

// claimsOn returns the claims of export that concern gr, as far as they have verb. The resources that the export itself offers are not claimed.
func claimsOn(export *apisv1alpha2.APIExport, gr schema.GroupResource, verb string) (some bool, keys []claims.Key) {
	if offers(export, gr) {
		return false, nil
	}
	all := claims.Of(export, apisv1alpha2.GroupResource{Group: gr.Group, Resource: gr.Resource})
	for _, claim := range all {
		if claims.Allows(claim.Verbs, verb) {
			keys = append(keys, claims.KeyOf(claim))
		}
	}
	return len(all) > 0, keys
}

// grantOf returns what consumer grants. Before it says nothing it looks past the watch caches.
func (e *Endpoint) grantOf(ctx context.Context, consumer logicalcluster.Name, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport,
	gr schema.GroupResource, verb string) (grant, error) {
	_, keys := claimsOn(export, gr, verb)
	var g grant
	err := client.LookTwice(e.Cached, e.Live, func(from client.Reader) (enough bool, err error) {
		all, err := client.List[apisv1alpha2.APIBinding](ctx, from, bindings, client.Scope{Cluster: consumer})
		if err != nil {
			return false, err
		}
		slices.SortFunc(all, func(a, b *apisv1alpha2.APIBinding) int {
			return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
		})
		g = grant{}
		for _, binding := range all {
			if isTo(binding, endpoint) {
				g.bound = true
				g.add(binding, keys, verb)
			}
		}
		return g.granted() || len(keys) == 0 && g.bound, nil
	})
	if err != nil {
		return grant{}, err
	}
	return g, nil
}

// add adds what binding accepts of the claims.
func (g *grant) add(binding *apisv1alpha2.APIBinding, keys []claims.Key, verb string) {
	for i := range binding.Spec.PermissionClaims {
		answer := &binding.Spec.PermissionClaims[i]
		if answer.State != apisv1alpha2.ClaimAccepted || !slices.Contains(keys, claims.KeyOf(&answer.PermissionClaim)) || !claims.Allows(answer.Verbs, verb) {
			continue
		}
		selector, ok := selectorOf(&answer.Selector)
		if !ok {
			continue
		}
		if !g.granted() {
			g.labels = required(&answer.Selector.LabelSelector, answer.Selector.MatchAll)
		}
		g.selectors = append(g.selectors, selector)
	}
	if g.all() || len(g.selectors) > 1 {
		g.labels = nil // nobody can tell which of them is meant
	}
}

// required returns the labels that a selector names with their value.
func required(selector *metav1.LabelSelector, all bool) map[string]string {
	if all {
		return nil
	}
	return maps.Clone(selector.MatchLabels)
}
