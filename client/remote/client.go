package remote

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
)

// all is used in place of a cluster's name for all clusters.
const all = logicalcluster.Name(logicalcluster.Wildcard)

// Client implements client.Client over a wildcard URL.
type Client struct {
	// config leads to the URL above all clusters, for example https://annex/clusters.
	config *rest.Config
	http   *http.Client
	// discovery is what the wildcard URL serves.
	discovery *discovery.DiscoveryClient
	scheme    *runtime.Scheme
	codecs    serializer.CodecFactory
	// kinds is what the scheme knows.
	kinds map[schema.GroupResource]schema.GroupVersionKind

	mu        sync.Mutex
	resources map[schema.GroupResource]*resource
}

var _ client.Client = &Client{}

// New returns a client for config, whose Host is a wildcard URL: it ends with /clusters/*. The scheme knows the Go types of
// objects; nil stands for [NewScheme]. Of several versions of a kind in the scheme, the most stable one is used, and of
// these the newest. Objects of other kinds are *unstructured.Unstructured, if discovery at the URL lists their resource.
//
// A config that sets no QPS has no limit on the client's side, because the server limits its clients itself.
func New(config *rest.Config, scheme *runtime.Scheme) (*Client, error) {
	base, ok := strings.CutSuffix(strings.TrimSuffix(config.Host, "/"), "/clusters/"+string(all))
	if !ok {
		return nil, fmt.Errorf("%q is no wildcard URL: it must end with /clusters/*", config.Host)
	}
	if scheme == nil {
		scheme = NewScheme()
	}
	config = rest.CopyConfig(config)
	// All versions of all groups share one limit.
	switch {
	case config.RateLimiter != nil:
	case config.QPS == 0:
		config.QPS = -1
	case config.QPS > 0:
		config.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(config.QPS, cmp.Or(config.Burst, rest.DefaultBurst))
	}
	// Custom resources have no other encoding.
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	config.Wrap(client.Aware)
	connections, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing connections to %s: %w", config.Host, err)
	}
	served, err := discovery.NewDiscoveryClientForConfigAndClient(config, connections)
	if err != nil {
		return nil, fmt.Errorf("preparing discovery at %s: %w", config.Host, err)
	}
	config.Host = base + "/clusters"
	return &Client{
		config:    config,
		http:      connections,
		discovery: served,
		scheme:    scheme,
		codecs:    serializer.NewCodecFactory(scheme),
		kinds:     kindsOf(scheme),
		resources: map[schema.GroupResource]*resource{},
	}, nil
}

// at addresses request to the objects of the resource in a cluster, or in all of them, and in a namespace unless it is empty.
func (r *resource) at(request *rest.Request, cluster logicalcluster.Name, namespace string) *rest.Request {
	segments := []string{string(cluster), "apis", r.gvr.Group, r.gvr.Version}
	if r.gvr.Group == "" {
		segments = []string{string(cluster), "api", r.gvr.Version}
	}
	return request.AbsPath(segments...).NamespaceIfScoped(namespace, namespace != "").Resource(r.gvr.Resource)
}

// options adds o to the query of request.
func options(request *rest.Request, o runtime.Object) *rest.Request {
	return request.SpecificallyVersionedParams(o, metav1.ParameterCodec, schema.GroupVersion{Version: "v1"})
}

// checkAddress returns BadRequest unless cluster is the name of one logical cluster, and the namespace, which may be empty,
// and the names can be part of a path.
func checkAddress(cluster logicalcluster.Name, namespace string, names ...string) error {
	if cluster.Empty() {
		return apierrors.NewBadRequest("the request must name one cluster")
	}
	if _, err := logicalcluster.ParseName(string(cluster)); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	for _, segment := range append(names, namespace) {
		if faults := content.IsPathSegmentName(segment); len(faults) > 0 {
			return apierrors.NewBadRequest(fmt.Sprintf("invalid name %q: %s", segment, strings.Join(faults, ", ")))
		}
	}
	if slices.Contains(names, "") {
		return apierrors.NewBadRequest("the request must name one object")
	}
	return nil
}

// located returns obj when it belongs to cluster, or to any cluster when that is all.
func located(obj runtime.Object, cluster logicalcluster.Name) (client.Object, error) {
	o, ok := obj.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T has no metadata", obj)
	}
	switch from := logicalcluster.From(o); {
	case from.Empty():
		return nil, fmt.Errorf("the server sent %q without the annotation %s: its cluster is unknown", o.GetName(), logicalcluster.AnnotationKey)
	case cluster != all && from != cluster:
		return nil, fmt.Errorf("the server sent %q of cluster %q for cluster %q", o.GetName(), from, cluster)
	}
	return o, nil
}
