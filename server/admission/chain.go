package admission

import (
	"errors"

	"k8s.io/apiserver/pkg/admission"

	"github.com/annex-dev/annex/apis/logicalcluster"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/admission/access"
	"github.com/annex-dev/annex/server/admission/authentication"
	"github.com/annex-dev/annex/server/admission/certificate"
	"github.com/annex-dev/annex/server/admission/claims"
	"github.com/annex-dev/annex/server/admission/dynamic"
	clusterrules "github.com/annex-dev/annex/server/admission/logicalcluster"
	"github.com/annex-dev/annex/server/admission/pathannotation"
	"github.com/annex-dev/annex/server/admission/quota"
	"github.com/annex-dev/annex/server/admission/request"
	"github.com/annex-dev/annex/server/admission/sharing"
	"github.com/annex-dev/annex/server/admission/tree"
	"github.com/annex-dev/annex/server/admission/workspace"
	"github.com/annex-dev/annex/server/admission/workspaceclaim"
	"github.com/annex-dev/annex/server/admission/workspacetype"
	"github.com/annex-dev/annex/server/apistatus"
)

// Config contains the dependencies of the plugins. All fields are required.
type Config struct {
	// Cached reads the watch caches, Live sees every acknowledged write.
	Cached, Live client.Reader
	// Resolver finds logical clusters by path; registry/index.Index is one.
	Resolver tree.Resolver
	// Authorizer decides by the RBAC of one cluster; registry/rbac/policy.Evaluator is one.
	Authorizer request.Authorizer
	// Policy knows what users may give to others; registry/rbac/policy.Evaluator is one.
	Policy access.Policy
	// WorkspaceURL returns the address that users see for a Workspace called name in the cluster parent.
	WorkspaceURL func(parent logicalcluster.Name, name string) string
	// External returns the address of the server as users see it, without a slash at the end.
	External func() string
	// NamespaceLifecycle refuses objects in missing and terminating namespaces; see server/admission/namespacelifecycle.
	NamespaceLifecycle admission.Interface
	// Mutating and Validating are the webhooks of workspaces, in the order in which they run.
	Mutating, Validating []admission.Interface
	// Mounts reports whether workspaces may be mounted.
	Mounts bool
	// Quotas knows what exceeds a ResourceQuota; registry/storage.Backend is one.
	Quotas quota.Quotas
	// HostQuotas applies ResourceQuotas of the host; see server/admission/hostquota.
	HostQuotas admission.Interface
}

func (c Config) validate() error {
	var errs []error
	for field, missing := range map[string]bool{
		"Cached":             c.Cached == nil,
		"Live":               c.Live == nil,
		"Resolver":           c.Resolver == nil,
		"Authorizer":         c.Authorizer == nil,
		"Policy":             c.Policy == nil,
		"WorkspaceURL":       c.WorkspaceURL == nil,
		"External":           c.External == nil,
		"NamespaceLifecycle": c.NamespaceLifecycle == nil,
		"Mutating":           len(c.Mutating) == 0,
		"Validating":         len(c.Validating) == 0,
		"Quotas":             c.Quotas == nil,
		"HostQuotas":         c.HostQuotas == nil,
	} {
		if missing {
			errs = append(errs, errors.New("admission: "+field+" is missing"))
		}
	}
	return errors.Join(errs...)
}

// New returns the chain of all plugins. It returns an error if a field of c is missing, because an incomplete chain would allow what
// it must refuse.
func New(c Config) (admission.Interface, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	t := &tree.Tree{Cached: c.Cached, Live: c.Live, Resolver: c.Resolver}

	plugins := []admission.Interface{
		// First, because no other plugin needs to check a request that it refuses.
		c.NamespaceLifecycle,
		// Before webhooks, which see an object with the labels that it is stored with.
		claims.NewLabels(),
		// Before all plugins of ours, which check and replace what a webhook of the workspace wrote as if the user had written it. After
		// them, it could take on the rights of the user, who may have more of them elsewhere than whoever runs the webhook.
		dynamic.Again(c.Mutating...),
		// The owner comes before the type, because it is recorded for every type.
		workspace.NewOwnership(t, c.WorkspaceURL),
		workspace.NewTypes(t, c.Authorizer),
		workspace.NewMounts(c.Mounts),
		workspacetype.New(t, c.Authorizer),
		authentication.New(c.External),
		clusterrules.NewRules(c.Authorizer),
		clusterrules.NewGuard(),
		certificate.New(c.Authorizer),
		access.New(c.Policy, c.Resolver),
	}
	plugins = append(plugins, sharing.New(sharing.Config{
		Authorizer: c.Authorizer,
		Resolver:   c.Resolver,
		Cached:     c.Cached,
		Live:       c.Live,
	})...)
	plugins = append(plugins,
		workspaceclaim.New(workspaceclaim.Config{Authorizer: c.Authorizer, Resolver: c.Resolver, Live: c.Live}),
		// It changes nothing, and sees what webhooks wrote.
		claims.New(),
		// Last of the plugins that change objects, so that no other plugin uses a path that a user made up.
		pathannotation.New(t),
	)
	// Late, because they cost most, and so that they are asked about nothing that is refused anyway.
	plugins = append(plugins, c.Validating...)
	// Last of all, as in Kubernetes: what others refuse exceeds no quota.
	plugins = append(plugins, quota.New(c.Quotas))
	// After them, because it writes to the host what the object will use.
	plugins = append(plugins, c.HostQuotas)
	return apistatus.Admission(givingWay{admission.NewChainHandler(plugins...)}), nil
}
