package virtual

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/annex-dev/annex/server/apistatus"
)

// Prefix begins the path of every virtual workspace that has URLs of its own.
const Prefix = "/services/"

// List is the virtual workspaces of a server.
type List []Workspace

var _ authorizer.UnconditionalAuthorizer = List{}

// NewList returns a list of virtual workspaces. It is an error when one has no name, or two have the same.
func NewList(workspaces ...Workspace) (List, error) {
	names := map[string]bool{}
	for _, w := range workspaces {
		if name := w.Name(); name == "" || strings.Contains(name, "/") || names[name] {
			return nil, fmt.Errorf("a virtual workspace needs a name of its own that is one segment of a path, not %q", name)
		}
		names[w.Name()] = true
	}
	return workspaces, nil
}

// named returns the virtual workspace of that name; nil when there is none.
func (l List) named(name string) Workspace {
	i := slices.IndexFunc(l, func(w Workspace) bool { return w.Name() == name })
	if i < 0 {
		return nil
	}
	return l[i]
}

// Parse splits the escaped path of a URL, for example
// /services/apiexport/2f8kq1z0c7a9x3bd/widgets/clusters/*/apis/example.com/v1/widgets.
//
// Errors are API statuses: NotFound for a path that is of no virtual workspace, BadRequest for a malformed name.
func (l List) Parse(escapedPath string) (Request, error) {
	below, ok := strings.CutPrefix(escapedPath, Prefix)
	name, below, _ := strings.Cut(below, "/")
	w := l.named(name)
	if !ok || w == nil {
		return Request{}, apistatus.NotServed()
	}
	request, err := w.Parse(below)
	if err != nil {
		return Request{}, err
	}
	request.Endpoint.Kind = name
	return request, nil
}

// Authorize lets the virtual workspace of the endpoint in ctx decide. What belongs to none is denied.
func (l List) Authorize(ctx context.Context, attrs authorizer.Attributes) (authorizer.Decision, string, error) {
	endpoint, ok := FromContext(ctx)
	w := l.named(endpoint.Kind)
	if !ok || w == nil {
		return authorizer.DecisionDeny, "the request is for no virtual workspace", nil
	}
	return w.Authorize(ctx, attrs)
}

// Proxied returns the name of the virtual workspace that objects of a resource lead to, and how; false when they lead to none. segment is the
// one behind /proxy in the URL.
func (l List) Proxied(gvr schema.GroupVersionResource, segment string) (name string, by Proxy, ok bool) {
	for _, w := range l {
		proxied, is := w.(Proxied)
		if !is {
			continue
		}
		by = proxied.Proxy()
		if slices.Contains(by.Resources, gvr) && (by.Segment == "" || by.Segment == segment) {
			return w.Name(), by, true
		}
	}
	return "", Proxy{}, false
}
