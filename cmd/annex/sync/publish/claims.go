package publish

import (
	"slices"
	"strings"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/cmd/annex/sync/config"
)

// Claims returns the permission claims that the agent needs for resources, in the order of their names. Nothing more is claimed.
func Claims(resources []config.Resource) []apisv1alpha2.PermissionClaim {
	read, write := []string{"get", "list", "watch"}, []string{"create", "update", "delete"}
	verbs := map[string][]string{"events": {"create", "get", "update"}}
	for _, r := range resources {
		if r.Filter != nil && r.Filter.Namespaces != nil {
			verbs["namespaces"] = read
		}
		for _, related := range r.Related {
			if len(verbs[related.Resource]) == 0 {
				verbs[related.Resource] = read
			}
			if related.Origin == config.FromService && len(verbs[related.Resource]) == len(read) {
				verbs[related.Resource] = slices.Concat(read, write)
			}
		}
	}
	var claims []apisv1alpha2.PermissionClaim
	for resource := range verbs {
		claims = append(claims, apisv1alpha2.PermissionClaim{GroupResource: apisv1alpha2.GroupResource{Resource: resource}, Verbs: verbs[resource]})
	}
	slices.SortFunc(claims, func(a, b apisv1alpha2.PermissionClaim) int { return strings.Compare(a.Resource, b.Resource) })
	return claims
}
