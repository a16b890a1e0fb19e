package claims

import (
	"fmt"
	"strings"

	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
)

// core is how users write the core group, whose name is empty.
const core = "core"

// ParseResource returns the resource of resource.group, such as configmaps.core or widgets.example.com.
func ParseResource(s string) (apisv1alpha2.GroupResource, error) {
	resource, group, found := strings.Cut(s, ".")
	if !found || resource == "" || group == "" {
		return apisv1alpha2.GroupResource{}, fmt.Errorf("invalid permission claim %q: must be <resource>.<group>, such as widgets.example.com, or configmaps.core for the core group", s)
	}
	if group == core {
		group = ""
	}
	return apisv1alpha2.GroupResource{Group: group, Resource: resource}, nil
}
