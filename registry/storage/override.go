package storage

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	kindtable "github.com/annex-dev/annex/registry/kinds"
	"github.com/annex-dev/annex/registry/storage/layout"
	"github.com/annex-dev/annex/registry/storage/owners"
)

// shardGroup is what stands for a group in the names of the parts of custom resources, cr/0 to cr/15.
const shardGroup = "cr"

// OverrideRoot returns the root of what name stands for, if it may be in another etcd than the rest: /secrets, or
// coordination.k8s.io/leases, or one of the sixteen parts of custom resources.
func OverrideRoot(name string) (string, error) {
	group, resource, ok := strings.Cut(name, "/")
	if !ok || resource == "" || strings.Contains(resource, "/") {
		return "", fmt.Errorf("%q: must be a group and a resource, such as /secrets, coordination.k8s.io/leases or cr/0", name)
	}
	if group == shardGroup {
		shard, err := strconv.Atoi(resource)
		if err != nil || shard < 0 || shard >= layout.Shards || resource != strconv.Itoa(shard) {
			return "", fmt.Errorf("%q: custom resources are cr/0 to cr/%d", name, layout.Shards-1)
		}
		return layout.ShardRoot(shard), nil
	}
	gr := schema.GroupResource{Group: group, Resource: resource}
	if kindtable.All.IsApart(gr) {
		return layout.TypedRoot(gr), nil
	}
	var may []string
	for _, row := range kindtable.All.Apart() {
		may = append(may, row.GroupResource().Group+"/"+row.Resource)
	}
	why := "its objects must be in the main etcd, if there are any"
	switch gr {
	case owners.LogicalClusters, owners.Namespaces, owners.Definitions, owners.Bindings:
		why = "other objects belong to these, so they must be in the main etcd"
	}
	return "", fmt.Errorf("%q: %s; only %s and cr/0 to cr/%d may be in another one", name, why, strings.Join(may, ", "), layout.Shards-1)
}

// overrideName returns the name that stands for a root.
func overrideName(root string) string {
	group, resource, _ := strings.Cut(strings.TrimPrefix(root, "/"), "/")
	if group == layout.CoreGroup {
		group = ""
	}
	return group + "/" + resource
}
