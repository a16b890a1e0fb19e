package tenancy

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/registry/group"
	"github.com/annex-dev/annex/registry/kinds"
)

// HomeName is the name by which users read their home workspaces in root. No Workspace has it, because it is not a segment of a path.
const HomeName = "~"

// Homes finds the home workspaces of users. server/home has the only one.
type Homes interface {
	// Home returns the home workspace of the user of the request; it is created if there is none and the user may have one.
	Home(ctx context.Context) (*tenancyv1alpha1.Workspace, error)
}

// ServeHomes makes g serve home workspaces in root.
func ServeHomes(g *group.Group, homes Homes) {
	for _, served := range g.Versions {
		if open, ok := served["workspaces"].(*kinds.REST); ok {
			served["workspaces"] = &homeREST{REST: open, homes: homes}
		}
	}
}

// homeREST serves Workspaces, and the home workspace of whoever asks.
type homeREST struct {
	*kinds.REST
	homes Homes
}

// Get implements rest.Getter.
func (r *homeREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	if cluster, ok := logicalcluster.FromContext(ctx); ok && cluster == logicalcluster.Root && name == HomeName {
		return r.homes.Home(ctx)
	}
	return r.REST.Get(ctx, name, options)
}
