package dynamic

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	corev1listers "k8s.io/client-go/listers/core/v1"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/rbac/policy"
	"github.com/annex-dev/annex/server/admission/request"
)

var namespaces = schema.GroupResource{Resource: "namespaces"}

// Workspace reads workspaces. All fields are required.
type Workspace struct {
	// Cached reads the watch caches, Live sees every acknowledged write.
	Cached, Live client.Reader
	// Authorizer decides by the RBAC of one cluster.
	Authorizer request.Authorizer
	// Catalog knows what clusters bind, and from whom.
	Catalog Catalog
}

// Seen is what a webhook or a policy sees of the workspace of one request.
type Seen struct {
	*Workspace
	ctx     context.Context
	cluster logicalcluster.Name
}

// Of returns what is to be seen of cluster while a request with ctx is decided.
func (w *Workspace) Of(ctx context.Context, cluster logicalcluster.Name) *Seen {
	return &Seen{Workspace: w, ctx: ctx, cluster: cluster}
}

// Cluster returns the cluster of the request.
func (s *Seen) Cluster() logicalcluster.Name { return s.cluster }

// Namespace returns a namespace, NotFound if there is none.
func (s *Seen) Namespace(name string) (*corev1.Namespace, error) {
	var ns *corev1.Namespace
	err := client.LookTwice(s.Cached, s.Live, func(from client.Reader) (bool, error) {
		var err error
		ns, err = client.Find[corev1.Namespace](s.ctx, from, namespaces, client.Key{Cluster: s.cluster, Name: name})
		return ns != nil, err
	})
	if err == nil && ns == nil {
		err = apierrors.NewNotFound(namespaces, name)
	}
	return ns, err
}

// Authorize implements authorizer.UnconditionalAuthorizer for the workspace, whatever the context is.
func (s *Seen) Authorize(_ context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	if u := attrs.GetUser(); u != nil && policy.Master(u, s.cluster) {
		return authorizer.DecisionAllow, "", nil
	}
	decision, _, err := s.Authorizer.Authorize(s.ctx, s.cluster, attrs)
	return decision, "", err
}

var _ authorizer.UnconditionalAuthorizer = &Seen{}

// Lister returns the namespaces of the workspace for the stock matchers.
func (s *Seen) Lister() corev1listers.NamespaceLister { return lister{s: s} }

type lister struct {
	corev1listers.NamespaceListerExpansion
	s *Seen
}

// Get implements corev1listers.NamespaceLister.
func (l lister) Get(name string) (*corev1.Namespace, error) { return l.s.Namespace(name) }

// List implements corev1listers.NamespaceLister.
func (l lister) List(selector labels.Selector) ([]*corev1.Namespace, error) {
	return client.List[corev1.Namespace](l.s.ctx, l.s.Cached, namespaces, client.Scope{Cluster: l.s.cluster, Selector: selector})
}

// Client returns a client that gets namespaces from get, and can do nothing else. The stock matchers ask it for what their lister does
// not find.
func Client(get func(name string) (*corev1.Namespace, error)) kubernetes.Interface {
	return &clientset{get: get}
}

type clientset struct {
	kubernetes.Interface
	get func(name string) (*corev1.Namespace, error)
}

// CoreV1 implements kubernetes.Interface.
func (c *clientset) CoreV1() corev1client.CoreV1Interface { return coreClient{c: c} }

type coreClient struct {
	corev1client.CoreV1Interface
	c *clientset
}

// Namespaces implements corev1client.NamespacesGetter.
func (c coreClient) Namespaces() corev1client.NamespaceInterface { return namespaceClient{c: c.c} }

type namespaceClient struct {
	corev1client.NamespaceInterface
	c *clientset
}

// Get implements corev1client.NamespaceInterface.
func (c namespaceClient) Get(_ context.Context, name string, _ metav1.GetOptions) (*corev1.Namespace, error) {
	return c.c.get(name)
}
