package kubeconfig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	codecs "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/logicalcluster"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
)

// asker sends requests to one server as one user.
type asker struct {
	client *rest.RESTClient
	// base is the URL without the path of a workspace.
	base string
}

func newAsker(config *rest.Config, base string) (*asker, error) {
	config = rest.CopyConfig(config)
	config.Host, config.QPS, config.NegotiatedSerializer = base, -1, codecs.Codecs.WithoutConversion()
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	client, err := rest.UnversionedRESTClientForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	return &asker{client: client, base: base}, nil
}

// get decodes the JSON at a URL below base into into, which may be nil.
func (a *asker) get(ctx context.Context, target string, into any) error {
	result := a.client.Get().AbsPath(strings.TrimPrefix(target, a.base)).SetHeader("Accept", "application/json").MaxRetries(0).Do(ctx)
	// Only Error decodes the Status in the response.
	if err := result.Error(); err != nil || into == nil {
		return err
	}
	data, err := result.Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// code returns the HTTP status of a response; 0 if there was none.
func code(err error) int32 {
	if err == nil {
		return http.StatusOK
	}
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return status.Status().Code
	}
	return 0
}

// isOwnDoor reports whether Annex itself answers at base. The health check of a workspace needs no credentials there.
func (a *asker) isOwnDoor(ctx context.Context, base string) (bool, error) {
	err := a.get(ctx, base+"/clusters/root/livez", nil)
	if code(err) == 0 {
		return false, fmt.Errorf("reaching %s: %w", base, err)
	}
	return err == nil, nil
}

// isHost returns an error unless the server forwards API groups of Annex.
func (a *asker) isHost(ctx context.Context) error {
	err := a.get(ctx, a.base+"/apis/tenancy.kcp.io/v1alpha1", nil)
	switch code(err) {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return fmt.Errorf("%s serves no workspaces: Annex is not installed in that cluster; set --server for Annex's own endpoint", a.base)
	case http.StatusUnauthorized:
		return fmt.Errorf("%s does not accept the credentials of the kubeconfig", a.base)
	}
	return fmt.Errorf("asking %s whether it serves workspaces: %w", a.base, err)
}

// child returns the absolute path of a workspace by its name in the workspace at url.
func (a *asker) child(ctx context.Context, parent, name string) (logicalcluster.Path, error) {
	var workspace tenancyv1alpha1.Workspace
	err := a.get(ctx, parent+workspaces+name, &workspace)
	switch code(err) {
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
	if err := a.get(ctx, workspace+exports+export, &object); err != nil {
		return "", fmt.Errorf("reading the APIExport %q at %s: %w", export, workspace, err)
	}
	return logicalcluster.ParseName(object.Annotations[logicalcluster.AnnotationKey])
}

// explain returns the reason, for users, why a URL cannot be reached; empty if it can.
func (a *asker) explain(ctx context.Context, target string, viaHost bool) string {
	err := a.get(ctx, target+"/version", nil) // discovery answers those who may not enter, too
	if viaExport := strings.HasSuffix(target, "/clusters/*"); viaExport {
		err = a.get(ctx, target+"/apis", nil)
	}
	switch code(err) {
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
