package mount

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"

	corev1alpha1 "github.com/annex-dev/annex/apis/core/v1alpha1"
	"github.com/annex-dev/annex/apis/tenancy/mounts"
	tenancyv1alpha1 "github.com/annex-dev/annex/apis/tenancy/v1alpha1"
	"github.com/annex-dev/annex/client"
	"github.com/annex-dev/annex/server/apistatus"
	"github.com/annex-dev/annex/server/serve"
	"github.com/annex-dev/annex/server/virtual"
	"github.com/annex-dev/annex/server/virtual/forward"
)

// AuditTarget is the audit annotation with the URL that a request was forwarded to the server of.
const AuditTarget = "annex.dev/mount"

// peer names the target in messages.
const peer = "the mounted server"

// Forward implements virtual.Forwarding.
func (e *Endpoint) Forward(w http.ResponseWriter, req *http.Request, info *genericapirequest.RequestInfo) {
	if err := e.forward(w, req, info); err != nil {
		responsewriters.ErrorNegotiated(apistatus.Of(err), e.Codecs, schema.GroupVersion{Version: "v1"}, w, req)
	}
}

// forward answers req, or returns what to answer with.
func (e *Endpoint) forward(w http.ResponseWriter, req *http.Request, info *genericapirequest.RequestInfo) error {
	ctx := req.Context()
	at, err := where(ctx)
	if err != nil {
		return apistatus.Internal(err)
	}
	target, err := e.target(ctx, at)
	if err != nil {
		return err
	}
	u, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return apistatus.Internal(errNoEndpoint)
	}
	who, ok := forward.Beyond(u)
	if !ok {
		return apierrors.NewForbidden(workspaces, at.Name, fmt.Errorf("user %q is known to this server only, and cannot use what is mounted", u.GetName()))
	}
	hops, err := forward.Check(req, info, workspaces)
	if err != nil {
		return err
	}
	audit.AddAuditAnnotation(ctx, AuditTarget, target.String())
	if virtual.Streams(info) {
		var done func()
		ctx, done = e.Watches.Hold(ctx, e.condition(at, target.String()))
		defer done()
	}
	e.Forwarder.Send(w, req.WithContext(ctx), forward.To{Target: target, As: who, Hops: hops, Peer: peer})
	return nil
}

// target returns where requests to the Workspace go. Errors are API statuses.
func (e *Endpoint) target(ctx context.Context, at client.Key) (*url.URL, error) {
	ws, err := client.FindNow[tenancyv1alpha1.Workspace](ctx, e.Cached, e.Live, workspaces, at)
	switch {
	case err != nil:
		return nil, apistatus.Internal(err)
	case ws != nil && ws.Spec.Mount == nil && ws.Status.Phase == corev1alpha1.LogicalClusterPhaseUnavailable:
		return nil, apierrors.NewServiceUnavailable("Not available.") // its logical cluster is gone
	case ws == nil || ws.Spec.Mount == nil || e.Forwarder == nil:
		return nil, apistatus.NotServed() // it was there a moment ago
	case !isReady(ws):
		return nil, apierrors.NewServiceUnavailable("Not available.")
	}
	target, err := mounts.ParseTarget(ws.Spec.URL)
	if err != nil {
		return nil, apierrors.NewServiceUnavailable("Not available.")
	}
	return target, nil
}

func isReady(ws *tenancyv1alpha1.Workspace) bool {
	return ws.DeletionTimestamp == nil && ws.Spec.Cluster == "" && ws.Status.Phase == corev1alpha1.LogicalClusterPhaseReady
}

// condition is the one under which a stream goes on.
func (e *Endpoint) condition(at client.Key, target string) serve.Condition {
	inactive := e.Inactive(at.Cluster)
	return serve.Condition{Cluster: at.Cluster, Holds: func(ctx context.Context) bool {
		now, err := e.target(ctx, at)
		return err == nil && now.String() == target && e.Inactive(at.Cluster) == inactive
	}}
}
