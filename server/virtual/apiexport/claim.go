package apiexport

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/audit"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/annex-dev/annex/apis/apis/claims"
	"github.com/annex-dev/annex/apis/apis/identity"
	apisv1alpha2 "github.com/annex-dev/annex/apis/apis/v1alpha2"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/registry/catalog"
	"github.com/annex-dev/annex/registry/rbac/policy"
	admissionclaims "github.com/annex-dev/annex/server/admission/claims"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
)

// AuditWarrant is the audit annotation that says by which claim a provider acts in the workspace of a consumer.
const AuditWarrant = "annex.dev/warrant"

// sources is in how many consumers the endpoint looks for the schema of a claimed resource.
const sources = 100

// servedVerbs are what * stands for.
var servedVerbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}

// readVerbs are those that the bindings to the export are always served with.
var readVerbs = []string{"get", "list", "watch"}

// ask is one request for a claimed resource.
type ask struct {
	endpoint virtual.Endpoint
	export   *apisv1alpha2.APIExport
	gr       schema.GroupResource
	info     *genericapirequest.RequestInfo
	// claim is the claim of the export; of two claims on events either one.
	claim *apisv1alpha2.PermissionClaim
	// keys are the claims that have the verb of the request.
	keys []claims.Key
}

func (a *ask) group() apisv1alpha2.GroupResource {
	return apisv1alpha2.GroupResource{Group: a.gr.Group, Resource: a.gr.Resource}
}

// reads reports whether the request is one of those that always show the bindings to the export.
func (a *ask) reads() bool { return slices.Contains(readVerbs, a.info.Verb) }

// own returns the label of what shows without a claim; empty for nothing.
func (a *ask) own() string {
	if a.gr == bindings && a.reads() {
		return identity.ExportLabelValue(a.endpoint.Cluster, a.endpoint.Name)
	}
	return ""
}

// forbidden is the answer to what no accepted claim allows.
func (a *ask) forbidden(reason string) error {
	return apierrors.NewForbidden(a.gr, a.info.Name, errors.New(reason))
}

// claimTarget fills in what accepted claims let the provider reach of a claimed resource.
func (e *Endpoint) claimTarget(ctx context.Context, target *serve.Target, a *ask) error {
	review := claims.SupportOf(a.group()) == claims.Review && a.claim.IdentityHash == ""
	switch {
	case a.info.Subresource != "" && (a.info.Subresource != "status" || review):
		return apistatus.NotServed()
	case review && a.info.Verb != "create":
		return apierrors.NewMethodNotSupported(a.gr, a.info.Verb)
	case a.info.Subresource == "status" && !a.reads() && e.IsStatusByServer(a.gr):
		return a.forbidden("only the server writes this status")
	case len(a.keys) == 0 && a.own() == "":
		return a.forbidden(fmt.Sprintf("the APIExport does not claim the verb %s", a.info.Verb))
	}
	if target.All {
		return e.claimEverywhere(ctx, target, a)
	}
	g, err := e.grantOf(ctx, target.Cluster, a.endpoint, a.export, a.gr, a.info.Verb)
	switch {
	case err != nil:
		return apistatus.Internal(err)
	case !g.granted() && a.own() == "" || !g.bound:
		return a.forbidden("the consumer has not accepted the permission claim for the verb " + a.info.Verb)
	}
	if err := e.claimIn(ctx, target, a); err != nil {
		return err
	}
	consumer, audited := target.Cluster, fmt.Sprintf("claim on %s of APIExport %s:%s", claims.KeyOf(a.claim), a.endpoint.Cluster, a.endpoint.Name)
	if review {
		target.Context = func(ctx context.Context) context.Context {
			audit.AddAuditAnnotation(ctx, AuditWarrant, audited)
			return virtual.WithoutEndpoint(ctx) // the question is asked in the workspace of the consumer
		}
		return nil
	}
	if !g.all() {
		target.Filter = &selected{selectors: g.selectors, own: a.own()}
	}
	target.Covers = serve.Condition{Cluster: consumer, Holds: func(ctx context.Context) bool {
		now, err := e.grantOf(ctx, consumer, a.endpoint, a.export, a.gr, a.info.Verb)
		return err == nil && now.bound && now.same(g)
	}}
	target.Context = func(ctx context.Context) context.Context {
		audit.AddAuditAnnotation(ctx, AuditWarrant, audited)
		if a.reads() {
			return ctx
		}
		return policy.WithWarrant(admissionclaims.With(ctx, &admissionclaims.Grant{Selectors: g.selectors, Labels: g.labels}), consumer)
	}
	return nil
}

// claimIn fills in what the consumer serves as the claimed resource.
func (e *Endpoint) claimIn(ctx context.Context, target *serve.Target, a *ask) error {
	if a.claim.IdentityHash == "" {
		target.Resource = typed(a.gr)
		return nil
	}
	served, err := serve.Lookup(ctx, e.Definitions, target.Cluster, a.gr, func(r *catalog.Resource) bool { return r.Bucket == a.claim.IdentityHash })
	switch {
	case err != nil:
		return apistatus.Internal(err)
	case served == nil:
		return apistatus.NotServed()
	}
	target.Resource, target.Owner, target.Cataloged = served.Resource, served.Owner, true
	return e.mayClaim(ctx, a, served.Source)
}

// claimEverywhere fills in the claimed resource over all consumers. If none has it, nothing is shown until one does.
func (e *Endpoint) claimEverywhere(ctx context.Context, target *serve.Target, a *ask) error {
	if !e.answers.ready() {
		return apierrors.NewServiceUnavailable("the permission claims that consumers accept have not been read yet, try again")
	}
	var err error
	if target.Resource, err = e.claimedResource(ctx, a.endpoint, a.claim); err != nil {
		return apistatus.Internal(err)
	}
	if target.Resource == nil {
		return apistatus.NotServed()
	}
	if err := e.mayClaimEverywhere(ctx, a); err != nil {
		return err
	}
	target.Filter = e.claimedBy(ctx, client.Key{Cluster: a.endpoint.Cluster, Name: a.endpoint.Name}, a.keys, a.info.Verb, a.own())
	return nil
}

// claimedResource returns what is claimed, as consumers serve it; nil if nobody knows the resource.
func (e *Endpoint) claimedResource(ctx context.Context, endpoint virtual.Endpoint, claim *apisv1alpha2.PermissionClaim) (*catalog.Resource, error) {
	gr := schema.GroupResource{Group: claim.Group, Resource: claim.Resource}
	if claim.IdentityHash == "" {
		return typed(gr), nil
	}
	if !e.IsBound(gr) {
		for _, consumer := range e.answers.consumers(client.Key{Cluster: endpoint.Cluster, Name: endpoint.Name}, claims.KeyOf(claim), sources) {
			snapshot, err := e.Definitions.For(ctx, consumer)
			if err != nil {
				return nil, fmt.Errorf("finding what is claimed: %w", err)
			}
			if found, ok := snapshot.Lookup(gr); ok && found.Bucket == claim.IdentityHash {
				served := *found
				served.Terminating = false
				return &served, nil
			}
		}
	}
	// No consumer that accepts the claim has bound it yet.
	found, _, err := e.exported(ctx, e.Cached, gr, claim.IdentityHash)
	if err != nil {
		return nil, fmt.Errorf("finding the APIExport of what is claimed: %w", err)
	}
	return found, nil
}

// typed returns a resource that typed storage serves.
func typed(gr schema.GroupResource) *catalog.Resource {
	return &catalog.Resource{Group: gr.Group, Plural: gr.Resource, Hash: "typed", Typed: true}
}

// stillClaimed reports whether the export still claims what a watch shows.
func (e *Endpoint) stillClaimed(ctx context.Context, a *ask, resource *catalog.Resource) bool {
	export, err := e.export(ctx, a.endpoint)
	if err != nil || export == nil {
		return err != nil
	}
	_, keys := claimsOn(export, a.gr, a.info.Verb)
	if !slices.Equal(keys, a.keys) {
		return false
	}
	if resource == nil || resource.Typed {
		return true
	}
	now, err := e.claimedResource(ctx, a.endpoint, a.claim)
	return err != nil || resource.Same(now)
}

// claimsShown returns the claimed resources with the verbs that the export claims.
func (e *Endpoint) claimsShown(ctx context.Context, endpoint virtual.Endpoint, export *apisv1alpha2.APIExport) ([]*catalog.Resource, error) {
	var shown []*catalog.Resource
	for i := range export.Spec.PermissionClaims {
		claim := &export.Spec.PermissionClaims[i]
		if offers(export, schema.GroupResource{Group: claim.Group, Resource: claim.Resource}) {
			continue
		}
		resource, err := e.claimedResource(ctx, endpoint, claim)
		if err != nil {
			return nil, err
		}
		if resource == nil {
			continue
		}
		limited := *resource
		limited.Verbs = verbsOf(claim)
		shown = append(shown, &limited)
		for _, same := range claims.Equivalent(claim.GroupResource) {
			gr := schema.GroupResource{Group: same.Group, Resource: same.Resource}
			if claimed := slices.ContainsFunc(export.Spec.PermissionClaims, func(c apisv1alpha2.PermissionClaim) bool { return c.GroupResource == same }); !claimed {
				other := *typed(gr)
				other.Verbs = limited.Verbs
				shown = append(shown, &other)
			}
		}
	}
	return shown, nil
}

// verbsOf returns the verbs with which a claimed resource is shown.
func verbsOf(claim *apisv1alpha2.PermissionClaim) []string {
	if claims.SupportOf(claim.GroupResource) == claims.Review {
		return claims.Intersect([]string{"create"}, claim.Verbs)
	}
	return slices.Clip(claims.Intersect(servedVerbs, claim.Verbs))
}
