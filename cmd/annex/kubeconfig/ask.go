package kubeconfig

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/cmd/door"
)

// asker sends requests to one server as one user.
type asker struct{ *door.Asker }

// child returns the absolute path of a workspace by its name in the workspace at url.
func (a *asker) child(ctx context.Context, parent, name string) (logicalcluster.Path, error) {
	var workspace tenancyv1alpha1.Workspace
	err := a.Get(ctx, parent+door.Workspaces+name, &workspace)
	switch door.Code(err) {
	case http.StatusOK:
	case http.StatusNotFound:
		return "", fmt.Errorf("there is not a workspace %q at %s", name, parent)
	case http.StatusForbidden:
		return "", fmt.Errorf("you may not read the workspace %q at %s: use its absolute path, such as root:org:%s", name, parent, name)
	default:
		return "", fmt.Errorf("reading the workspace %q at %s: %w", name, parent, err)
	}
	_, address, found := strings.Cut(workspace.Spec.URL, "/clusters/")
	if !found {
		return "", fmt.Errorf("the workspace %q at %s has no URL yet: wait until it is Ready", name, parent)
	}
	return parsePath(address)
}

// clusterOf returns the logical cluster of an APIExport.
func (a *asker) clusterOf(ctx context.Context, workspace, export string) (logicalcluster.Name, error) {
	var object metav1.PartialObjectMetadata
	if err := a.Get(ctx, workspace+door.Exports+export, &object); err != nil {
		return "", fmt.Errorf("reading the APIExport %q at %s: %w", export, workspace, err)
	}
	return logicalcluster.ParseName(object.Annotations[logicalcluster.AnnotationKey])
}

// explain returns the reason, for users, why a URL cannot be reached; empty if it can.
func (a *asker) explain(ctx context.Context, target string, viaHost bool) string {
	err := a.Get(ctx, target+"/version", nil) // discovery answers those who may not enter, too
	if viaExport := strings.HasSuffix(target, "/clusters/*"); viaExport {
		err = a.Get(ctx, target+"/apis", nil)
	}
	switch door.Code(err) {
	case http.StatusOK:
		return ""
	case http.StatusUnauthorized:
		return "the server does not accept these credentials"
	case http.StatusForbidden:
		if viaHost && strings.Contains(err.Error(), "/proxy\" in API group") {
			return fmt.Sprintf("the host refuses the request; ask for a rule on the host that allows proxy subresources (workspaces/proxy, apiexports/proxy): %v", err)
		}
		return "the workspace does not exist, or you may not enter it: an administrator of the workspace can bind you to the ClusterRole system:kcp:workspace:access there"
	case http.StatusNotFound:
		return "there is nothing at " + target
	case http.StatusServiceUnavailable:
		return "Annex does not answer right now (503)"
	}
	return err.Error()
}
