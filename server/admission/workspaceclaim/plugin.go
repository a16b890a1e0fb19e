package workspaceclaim

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/admission"

	annexv1alpha1 "github.com/annex-dev/annex/apis/annex/v1alpha1"
	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/admission/tree"
)

// Name is the name of the plugin.
const Name = "annex.dev/WorkspaceClaim"

var (
	classes = annexv1alpha1.Resource("workspaceclasses")
	claims  = annexv1alpha1.Resource("workspaceclaims")
)

// Config contains the dependencies of the plugin. All fields are required.
type Config struct {
	Authorizer request.Authorizer
	Resolver   tree.Resolver
	// Live sees every acknowledged write: a class that was just changed counts at once.
	Live client.Reader
}

type plugin struct {
	*admission.Handler
	Config
}

var (
	_ admission.MutationInterface   = &plugin{}
	_ admission.ValidationInterface = &plugin{}
)

// New returns the plugin.
func New(c Config) admission.Interface {
	return &plugin{Handler: admission.NewHandler(admission.Create, admission.Update), Config: c}
}

// Admit implements admission.MutationInterface.
func (p *plugin) Admit(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	switch obj := a.GetObject().(type) {
	case *annexv1alpha1.WorkspaceClass:
		if request.Is(a, classes) {
			return p.admitClass(ctx, a, obj)
		}
	case *annexv1alpha1.WorkspaceClaim:
		if request.Is(a, claims) {
			return p.admitClaim(ctx, a, obj)
		}
	}
	return nil
}

// Validate implements admission.ValidationInterface.
func (p *plugin) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	switch obj := a.GetObject().(type) {
	case *annexv1alpha1.WorkspaceClass:
		if request.Is(a, classes) {
			return p.validateClass(ctx, a, obj)
		}
	case *annexv1alpha1.WorkspaceClaim:
		if request.Is(a, claims) && a.GetOperation() == admission.Create {
			return p.validateClaim(ctx, a, obj)
		}
	}
	return nil
}

// clusterOf returns the cluster of the request, or a Forbidden error if there is none.
func clusterOf(ctx context.Context, a admission.Attributes) (logicalcluster.Name, error) {
	cluster, ok := logicalcluster.FromContext(ctx)
	if !ok {
		return "", admission.NewForbidden(a, errors.New("the request names no workspace"))
	}
	return cluster, nil
}

// resolve returns the cluster at path; empty if there is none.
func (p *plugin) resolve(ctx context.Context, path string) (logicalcluster.Name, error) {
	found, ok, err := p.Resolver.Resolve(ctx, logicalcluster.Path(path))
	if err != nil {
		return "", apierrors.NewServiceUnavailable(fmt.Sprintf("the workspace %q cannot be looked up right now, try again", path))
	}
	if !ok {
		return "", nil
	}
	return found, nil
}

// set sets the annotation key of an object with the annotations given, which it does not change; an empty value removes it.
func set(annotations map[string]string, key, value string) map[string]string {
	changed := make(map[string]string, len(annotations)+1)
	for k, v := range annotations {
		changed[k] = v
	}
	if delete(changed, key); value != "" {
		changed[key] = value
	}
	return changed
}
