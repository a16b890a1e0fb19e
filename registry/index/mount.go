package index

import (
	"context"
	"fmt"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
)

// isMounted reports whether ws is mounted, and has no logical cluster because of that.
func isMounted(ws *tenancyv1alpha1.Workspace) bool {
	return ws.Spec.Mount != nil && ws.Spec.Cluster == ""
}

// Mounted returns the cluster and the name of the mounted Workspace at path, for example of root:org:mount; false if there is none there. There is
// none below another one. Call it for a path that does not Resolve: it waits for nothing, since Resolve has waited.
func (i *Index) Mounted(ctx context.Context, path logicalcluster.Path) (parent logicalcluster.Name, name string, ok bool, err error) {
	above, name := path.Split()
	if above.Empty() || path == logicalcluster.Wildcard {
		return "", "", false, nil
	}
	parent, found, err := i.Resolve(ctx, above)
	if err != nil || !found {
		return "", "", false, err
	}
	key := child{parent: parent, name: name}
	if _, known := i.mounts.get(key); known {
		return parent, name, true, nil
	}
	if _, err := logicalcluster.ParseName(string(parent)); err != nil {
		return "", "", false, nil
	}
	ws, err := client.Find[tenancyv1alpha1.Workspace](ctx, i.Cached, workspaces, client.Key{Cluster: parent, Name: name})
	if err != nil {
		return "", "", false, fmt.Errorf("looking for a mount at %s: %w", path, err)
	}
	if ws == nil || !isMounted(ws) {
		return "", "", false, nil
	}
	return parent, name, true, nil
}
