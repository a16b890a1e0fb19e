package bootstrap

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/bootstrap/policy"
)

// Config contains the settings that differ between servers. ShardName and the three URLs are required.
type Config struct {
	// ShardName is the name of the Shard object of this server, for example root.
	ShardName string
	// BaseURL is the address for other shards, ExternalURL the one for users, VirtualURL the one of virtual workspaces; each
	// without a slash at the end.
	BaseURL, ExternalURL, VirtualURL string
	// WorkspaceTypes adds the types organization and team, and makes organization the default below root.
	WorkspaceTypes bool
	// Homes adds the type home. HomeCreators are the groups whose members may create home workspaces, and nobody else may.
	Homes        bool
	HomeCreators []string
}

func (c Config) validate() error {
	var errs []error
	for field, value := range map[string]string{"ShardName": c.ShardName, "BaseURL": c.BaseURL, "ExternalURL": c.ExternalURL, "VirtualURL": c.VirtualURL} {
		if value == "" {
			errs = append(errs, fmt.Errorf("bootstrap: %s is missing", field))
		}
	}
	return errors.Join(errs...)
}

// Run writes missing and different objects. If it fails, the error names the object, and Run may be called again. The order matters:
// an object comes after the objects that it refers to.
func Run(ctx context.Context, cl client.Client, c Config) error {
	if err := c.validate(); err != nil {
		return err
	}
	w := &writer{client: cl}
	for _, obj := range policy.SystemAdmin() {
		if err := w.ensureRBAC(ctx, logicalcluster.SystemAdmin, obj); err != nil {
			return err
		}
	}
	// For objects that the servers on one etcd share, such as the lease of their leader.
	if err := w.ensureNamespaces(ctx, logicalcluster.SystemAdmin, metav1.NamespaceSystem); err != nil {
		return err
	}
	// root needs its LogicalCluster first; its type is written below.
	if err := w.ensureRoot(ctx, c); err != nil {
		return err
	}
	for _, obj := range policy.Root() {
		if err := w.ensureRBAC(ctx, logicalcluster.Root, obj); err != nil {
			return err
		}
	}
	if c.Homes {
		if err := w.ensureHomes(ctx, c.HomeCreators); err != nil {
			return err
		}
	}
	if err := w.ensureExports(ctx); err != nil {
		return err
	}
	if err := w.ensureShard(ctx, c); err != nil {
		return err
	}
	// The types come last, because workspaces can be created as soon as the types exist, and workspaces need everything above.
	return w.ensureTypes(ctx, c)
}
