package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/annex-dev/annex/apis/core/limits"
	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
)

// path is where a workspace says how much it stores.
const path = "/usage"

// page is how many objects a list has at most that does not say how many more there are.
const page = 500

// ErrClosed says that the workspace shows nothing to the user.
var ErrClosed = errors.New("the workspace does not exist, or you may not enter it")

// Resource is how many objects there are of a resource.
type Resource struct {
	Group    string `json:"group,omitempty"`
	Resource string `json:"resource"`
	Objects  int64  `json:"objects"`
}

// String returns, for example, widgets.example.com.
func (r Resource) String() string {
	return schema.GroupResource{Group: r.Group, Resource: r.Resource}.String()
}

// Usage is what a workspace stores.
type Usage struct {
	// Objects are all but Events and the LogicalCluster, as the limits of workspaces count them.
	Objects int64 `json:"objects"`
	Events  int64 `json:"events"`
	// Bytes is how much the objects take as they are stored; nil if the user may not read that.
	Bytes *int64 `json:"bytes,omitempty"`
	// Resources are those with objects, the largest number first.
	Resources []Resource `json:"resources"`
	// Hidden are resources that the user may not list: nobody has counted them.
	Hidden []string `json:"hidden,omitempty"`
}

// Count counts the objects of the workspace that config leads to. It returns ErrClosed if the user sees no resource there.
func Count(ctx context.Context, config *rest.Config) (*Usage, error) {
	served, err := resources(ctx, config)
	if err != nil {
		return nil, err
	}
	if len(served) == 0 {
		return nil, ErrClosed
	}
	heads, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	u := &Usage{Resources: []Resource{}}
	for _, resource := range served {
		n, err := count(ctx, heads.Resource(resource))
		switch {
		case apierrors.IsForbidden(err):
			u.Hidden = append(u.Hidden, resource.GroupResource().String())
		case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
			// It has gone since.
		case err != nil:
			return nil, fmt.Errorf("counting %s: %w", resource.GroupResource(), err)
		case resource.GroupResource() == corev1.Resource("events"):
			u.Events = n
		case n > 0:
			u.Objects += n
			u.Resources = append(u.Resources, Resource{resource.Group, resource.Resource, n})
		}
	}
	if len(u.Hidden) == len(served) {
		return nil, ErrClosed
	}
	if u.Bytes, err = stored(ctx, config); err != nil {
		return nil, err
	}
	slices.SortStableFunc(u.Resources, func(a, b Resource) int {
		return cmp.Or(cmp.Compare(b.Objects, a.Objects), cmp.Compare(a.String(), b.String()))
	})
	return u, nil
}

// resources returns what can be listed, each in one version.
func resources(ctx context.Context, config *rest.Config) ([]schema.GroupVersionResource, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	lists, err := client.ServerPreferredResourcesWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading which resources there are: %w", err)
	}
	var found []schema.GroupVersionResource
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("reading which resources there are: %w", err)
		}
		for i := range list.APIResources {
			r := &list.APIResources[i]
			// Events of both groups are the same objects. The LogicalCluster is the workspace itself.
			if strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "list") || gv.Group == "events.k8s.io" ||
				gv.WithResource(r.Name).GroupResource() == corev1alpha1.Resource("logicalclusters") {
				continue
			}
			found = append(found, gv.WithResource(r.Name))
		}
	}
	return found, nil
}

// stored returns how many bytes the workspace stores; nil if the user may not read that, or if the server is too old to tell.
func stored(ctx context.Context, config *rest.Config) (*int64, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("using the kubeconfig: %w", err)
	}
	result := client.RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").Do(ctx)
	// Only Error decodes the Status in a response.
	if err := result.Error(); apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("reading how much is stored: %w", err)
	}
	data, err := result.Raw()
	if err != nil {
		return nil, fmt.Errorf("reading how much is stored: %w", err)
	}
	amount, err := limits.Read(string(data))
	if err != nil {
		return nil, err
	}
	return &amount.Bytes, nil
}

// count returns how many objects there are of a resource.
func count(ctx context.Context, of metadata.Getter) (int64, error) {
	var n int64
	options := metav1.ListOptions{Limit: 1}
	for {
		list, err := of.List(ctx, options)
		if err != nil {
			return 0, err
		}
		n += int64(len(list.Items))
		switch {
		case list.Continue == "":
			return n, nil
		case list.RemainingItemCount != nil:
			return n + *list.RemainingItemCount, nil
		}
		options.Continue, options.Limit = list.Continue, page
	}
}
